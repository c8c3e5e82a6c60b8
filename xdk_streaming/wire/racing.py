"""Connects to the addresses of a name side by side (RFC 8305): a dead one costs a quarter of a second."""

from __future__ import annotations

import os
import socket
from collections import deque
from collections.abc import Iterable
from contextlib import ExitStack, suppress
from itertools import zip_longest
from typing import Any

from urllib3.util.connection import allowed_gai_family

from xdk_streaming.clock import monotonic
from xdk_streaming.wire.wait import watch

HEAD_START_SECONDS = 0.25
"""Seconds for which an address is tried before the next one is tried beside it (RFC 8305 section 8)."""

beaten: deque[Any] = deque(maxlen=100)
"""The addresses that another one has beaten. They are tried last, until one of them wins."""


def connected(
    host: str, port: int, timeout: float | None, source: tuple[str, int] | None = None, options: Any = None
) -> socket.socket:
    """A socket that is connected to the first address of the host that takes the connection.

    `timeout` (seconds) is for all addresses together, and becomes that of the socket. `source` is an address
    to bind to; `options` are arguments of `setsockopt`. Raises the `OSError` of the address that failed last.
    """
    ends_at = None if timeout is None else monotonic() + timeout
    untried = deque(_in_turn(socket.getaddrinfo(host, port, allowed_gai_family(), socket.SOCK_STREAM)))
    trying: dict[socket.socket, Any] = {}  # in a local variable `interrupt` finds the sockets
    failed: list[Any] = []
    error: OSError = OSError("the name has no address")
    try:
        while untried or trying:
            if untried:
                family, kind, protocol, _, address = untried.popleft()
                try:
                    trying[_begun(family, kind, protocol, address, source, options)] = address
                except OSError as refused:
                    failed.append(address)
                    error = refused
                    continue
            for sock in _decided(trying, _left(ends_at), HEAD_START_SECONDS if untried else None):
                address = trying.pop(sock)
                fault = _fault(sock)
                if fault is None:
                    _remember(address, [*failed, *trying.values()])
                    sock.settimeout(timeout)
                    return sock
                sock.close()
                failed.append(address)
                error = fault
        raise error
    finally:
        del error  # its traceback holds this frame
        for sock in trying:
            sock.close()


def _in_turn(found: list[Any]) -> list[Any]:
    """The results of `getaddrinfo` with the families by turns, and those beaten before at the end."""
    first = [each for each in found if each[0] == found[0][0]]
    others = [each for each in found if each[0] != found[0][0]]
    mixed = [each for pair in zip_longest(first, others) for each in pair if each is not None]
    return sorted(mixed, key=lambda each: each[4] in beaten)


def _begun(
    family: int, kind: int, protocol: int, address: Any, source: tuple[str, int] | None, options: Any
) -> socket.socket:
    """A socket that connects."""
    with ExitStack() as refused:
        sock = refused.enter_context(socket.socket(family, kind, protocol))
        for option in options or ():
            sock.setsockopt(*option)
        sock.settimeout(0)
        if source:
            sock.bind(source)
        with suppress(BlockingIOError):
            sock.connect(address)
        refused.pop_all()
    return sock


def _decided(
    trying: Iterable[socket.socket], left: float | None, head_start: float | None
) -> list[socket.socket]:
    """The sockets that connected or failed, as soon as there are any, or when the head start is over.

    Raises `TimeoutError` if nothing is `left` of the time for all.
    """
    if left is not None and left <= 0:
        raise TimeoutError("timed out")
    seconds = min((each for each in (left, head_start) if each is not None), default=None)
    sockets = list(trying)
    ready = dict(watch([], sockets)(None if seconds is None else 1000 * seconds))
    return [sock for sock in sockets if sock.fileno() in ready]


def _fault(sock: socket.socket) -> OSError | None:
    """Why a socket failed to connect; None if it is connected."""
    number = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if number:
        words = getattr(socket, "errorTab", {}).get(
            number
        )  # Windows' own numbers, which strerror() does not know
        return OSError(number, words or os.strerror(number))
    try:
        sock.getpeername()
    except OSError as unconnected:  # it was shut down, because the attempt was left
        return unconnected
    return None


def _left(ends_at: float | None) -> float | None:
    return None if ends_at is None else ends_at - monotonic()


def _remember(winner: Any, losers: list[Any]) -> None:
    with suppress(ValueError):  # it was not beaten before
        beaten.remove(winner)
    beaten.extend(each for each in losers if each not in beaten)
