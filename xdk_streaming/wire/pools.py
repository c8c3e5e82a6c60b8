"""Makes the connections of a session race to the addresses of a name.

urllib3 tries one address after the other, and gives each the whole connect timeout. Its connections are
replaced in the pools of requests' adapter, and of adapters derived from it. Connections of any other class
stay as they are.
"""

from __future__ import annotations

import http.client
import socket
import sys
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

import requests
import urllib3
from requests import exceptions as rq
from requests.adapters import HTTPAdapter
from requests.utils import select_proxy
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import (
    ConnectTimeoutError,
    LocationParseError,
    NameResolutionError,
    NewConnectionError,
)
from urllib3.util import Timeout
from urllib3.util.connection import allowed_gai_family

from xdk_streaming.wire.racing import connected

IS_URLLIB3 = issubclass(HTTPConnection, http.client.HTTPConnection)
"""Whether urllib3 is what it is called. niquests installs urllib3-future in its place, whose connections are
others."""


def race(session: Any, url: str) -> int:
    """Make the session connect to all addresses of a name side by side.

    Returns how many addresses have to share the connect timeout, since they will be tried one after the
    other. That is 1 if there is a race, or if it is not urllib3 that connects to the URL's host.
    """
    adapter = _adapter(session, url)
    if adapter is None:
        return 1
    if not IS_URLLIB3:
        return _count_of_addresses(session, url)
    for manager in (adapter.poolmanager, *adapter.proxy_manager.values()):
        _replace_connections(manager)
    if getattr(adapter.poolmanager, "pool_classes_by_scheme", None) is POOLS:
        return 1
    return _count_of_addresses(session, url)


class _Racing(HTTPConnection):
    """A connection of urllib3 that connects to all addresses of its host side by side."""

    def _new_conn(self) -> socket.socket:
        timeout = Timeout.resolve_default_timeout(self.timeout)
        host = self._dns_host.strip("[]")
        try:
            sock = connected(host, self.port, timeout, self.source_address, self.socket_options)
        # In the terms of urllib3, which translates no other exceptions.
        except UnicodeError:
            raise LocationParseError(f"{host!r}, a label is empty or too long") from None
        except socket.gaierror as error:
            raise NameResolutionError(self.host, self, error) from error
        except TimeoutError as error:
            raise ConnectTimeoutError(
                self, f"No address of {self.host} answered within {timeout} s"
            ) from error
        except OSError as error:
            raise NewConnectionError(self, f"Failed to establish a new connection: {error}") from error
        sys.audit("http.client.connect", self, self.host, self.port)
        return sock


class _RacingTLS(_Racing, HTTPSConnection):
    pass


RACING: dict[Any, Any] = {HTTPConnection: _Racing, HTTPSConnection: _RacingTLS}


class _Pool(HTTPConnectionPool):
    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        _replace_connection(self)


class _TLSPool(HTTPSConnectionPool):
    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        _replace_connection(self)


POOLS: dict[str, Any] = {"http": _Pool, "https": _TLSPool}


def _replace_connections(manager: Any) -> None:
    """In the pools that this manager has and will have, if their classes are urllib3's."""
    if type(manager) not in (urllib3.PoolManager, urllib3.ProxyManager):
        return
    if manager.pool_classes_by_scheme == {"http": HTTPConnectionPool, "https": HTTPSConnectionPool}:
        manager.pool_classes_by_scheme = POOLS
    for key in manager.pools.keys():  # noqa: SIM118 - urllib3's container cannot be iterated over
        with suppress(KeyError):  # dropped by another thread
            _replace_connection(manager.pools[key])


def _replace_connection(pool: Any) -> None:
    pool.ConnectionCls = RACING.get(pool.ConnectionCls, pool.ConnectionCls)


def _adapter(session: Any, url: str) -> HTTPAdapter | None:
    """requests' adapter, or one derived from it, that the session takes for this URL."""
    try:
        adapter = session.get_adapter(url) if isinstance(session, requests.Session) else None
    except rq.InvalidSchema:  # the attempt will say so
        return None
    return adapter if isinstance(adapter, HTTPAdapter) else None


def _count_of_addresses(session: requests.Session, url: str) -> int:
    """How many addresses the host of the URL has; 1 if they are for a proxy to find, or unknown."""
    try:
        proxies = session.merge_environment_settings(url, {}, None, None, None)["proxies"]
        if select_proxy(url, proxies) is not None:
            return 1
        parts = urlsplit(url)
        return len(socket.getaddrinfo(parts.hostname, parts.port, allowed_gai_family(), socket.SOCK_STREAM))
    except (OSError, ValueError):  # the attempt will say so
        return 1
