"""Sends the stream's request through requests, one attempt at a time.

Every exception of other code is translated here. Nothing is retried.
"""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Mapping
from types import FrameType, MappingProxyType
from typing import Any
from urllib.request import getproxies

import requests
from requests import exceptions as rq

from xdk_streaming.config import NamedValues, NamedValuesSource
from xdk_streaming.errors import StreamError, StreamErrorType
from xdk_streaming.wire import interim, interrupt
from xdk_streaming.wire.answer import Answer
from xdk_streaming.wire.credential import Credential
from xdk_streaming.wire.translation import translate

METHODS = frozenset({"get", "post", "put", "patch", "delete", "head", "options"})

NO_VALUES: NamedValues = MappingProxyType({})


class Request:
    """The stream's request, sent anew at every attempt. For one thread; `wake` is for any thread.

    Callable params and headers are called at every attempt. Plain headers, and the session's Authorization,
    remain those of the first attempt: another call on a shared session must not change this stream's identity
    at its next reconnect. Raises `ValueError` if `method` is no HTTP method.
    """

    def __init__(
        self,
        session: requests.Session,
        method: str,
        url: str,
        params: NamedValuesSource = None,
        headers: NamedValuesSource = None,
        json_data: Any = None,
    ) -> None:
        if method.lower() not in METHODS:
            raise ValueError(
                f"method is {method!r}, must be one of {', '.join(sorted(METHODS))}, in any case"
            )
        self.method = method.upper()
        self._verb = method.lower()
        self.url = url
        self._session = session
        self._params = params
        self._headers = headers
        self._credential = Credential(session, self.method, url, headers)
        self._body = {} if json_data is None else {"json": json_data}
        self._identity: dict[str, Any] | None = None
        self.params: dict[str, Any] = {}
        """The query parameters of the last attempt."""
        self._sender = 0

    def send(
        self,
        *,
        connect_timeout: float | None,
        read_timeout: float | None,
        chunk_size: int | None,
        more: NamedValues = NO_VALUES,
    ) -> Answer:
        """Make one attempt. Raises `StreamError`, and no other `Exception`, if there is no answer.

        `more` are parameters for this attempt alone; they replace others of the same name. Timeouts are in
        seconds.
        """
        self._sender = threading.get_ident()
        try:
            return self._answered(self._sent(connect_timeout, read_timeout, more), chunk_size)
        except StreamError:
            raise
        except Exception as exception:  # noqa: BLE001 - sessions, adapters, hooks and callables are foreign code
            interrupt.close_abandoned(exception, (Answer, requests.Response))
            error = translate(exception, _passwords(self.url, self._session))
            raise error from error.original_exception
        except BaseException as broken_off:
            interrupt.close_abandoned(broken_off, (Answer, requests.Response, socket.socket))
            raise

    def renewed(self, error: StreamError) -> bool:
        """Whether X refused the credential, and a callable or an auth object now gives another one."""
        return self._credential.renewed(error)

    def wake(self) -> None:
        """Interrupt a `send` in progress, from any thread, by shutting down its sockets.

        The attempt may be before its first socket or between two sockets, so call this until `send` has
        returned. A name lookup cannot be interrupted.
        """
        interrupt.shut_down_sockets(self._sender, self._is_sent_in)

    def _is_sent_in(self, frame: FrameType) -> bool:
        return frame.f_code is Request.send.__code__ and frame.f_locals.get("self") is self

    def _sent(self, connect_timeout: float | None, read_timeout: float | None, more: NamedValues) -> Any:
        send = getattr(self._session, self._verb)
        try:
            self.params = {**_asked(self._params), **more}
            headers = self._identified(self._credential.headers())
            response = send(
                self.url,
                params=self.params,
                headers=headers,
                stream=True,
                timeout=(connect_timeout, read_timeout),
                **self._body,
            )
            self._credential.note(response, headers)
            return interim.final(response)
        except Exception as exception:
            if isinstance(exception, rq.HTTPError) and exception.response is not None:
                # A hook called raise_for_status(); the answer is in its exception.
                self._credential.note(exception.response, NO_VALUES)
                return exception.response
            if interrupt.quotes_a_header(exception):
                raise rq.InvalidHeader from None
            raise

    def _answered(self, response: Any, chunk_size: int | None) -> Answer:
        if isinstance(getattr(response, "status_code", None), int):
            return Answer(response, chunk_size)
        raise StreamError(
            f"The session returned a {type(response).__name__} without a status_code; "
            "it must return responses like those of requests",
            StreamErrorType.FATAL_ERROR,
        )

    def _identified(self, headers: NamedValues) -> NamedValues:
        if self._identity is None:
            # A stream needs a connection of its own; see `Answer` for servers that ignore this header.
            self._identity = {"Connection": "close", **_authorization(self._session)}
            if not callable(self._headers):
                self._identity.update(headers)
        return {**self._identity, **headers} if callable(self._headers) else self._identity


def _passwords(url: str, session: Any) -> set[str]:
    """User names and passwords in this URL and the proxies', split wherever a parser may split a URL."""
    proxies = getattr(session, "proxies", None)
    urls = [url, *(proxies.values() if isinstance(proxies, Mapping) else ()), *getproxies().values()]
    logins = [re.sub(r"^[\w+.-]+://", "", text).rpartition("@")[0] for text in map(str, urls)]
    return {piece for login in logins for piece in re.split(r"[:/?#@]", login) if piece}


def _asked(source: NamedValuesSource) -> dict[str, Any]:
    return dict((source() if callable(source) else source) or {})


def _authorization(session: Any) -> dict[str, Any]:
    headers = getattr(session, "headers", None)
    value = headers.get("Authorization") if isinstance(headers, Mapping) else None
    return {} if value is None else {"Authorization": value}
