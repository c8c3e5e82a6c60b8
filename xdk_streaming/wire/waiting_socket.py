"""A socket that waits for bytes in our own way: a stop, a ring and a limit end the wait, on every system.

It stands where the file of http.client's response keeps its socket, so every layer above waits exactly when
bytes are missing, and nobody has to know what those layers have buffered.
"""

from __future__ import annotations

import socket
import ssl
from typing import Any

from xdk_streaming.clock import monotonic
from xdk_streaming.wire.timeouts import Deadlines
from xdk_streaming.wire.wait import SLICE_SECONDS, Wait, is_readable

NOT_YET = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)
"""What a socket that does not block raises if it has no bytes."""


class WaitingSocket:
    """Receives from a socket, which no longer blocks. For one thread.

    Any other attribute is the socket's own. Raises `Woken` after `Wait.wake`, `StreamError` when a deadline
    has passed, and `OSError` as the socket does.
    """

    def __init__(self, sock: Any, wait: Wait, deadlines: Deadlines) -> None:
        sock.settimeout(0)
        self._sock = sock
        self._wait = wait
        self._deadlines = deadlines
        self._plain = type(sock) is socket.socket  # under TLS, bytes may wait where no poll sees them
        self._drained = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)

    def recv_into(self, buffer: Any, *arguments: Any) -> Any:
        """Receive into the buffer, as soon as there are bytes. Returns their number."""
        return self._received(self._sock.recv_into, buffer, *arguments)

    def recv(self, size: int) -> bytes:
        """The bytes that are there, as soon as there are any; empty at the end."""
        data: bytes = self._received(self._sock.recv, size)
        # A read that did not fill its room has taken all there was, so the next read begins by waiting.
        self._drained = self._plain and len(data) < size
        return data

    def readable(self) -> bool:
        """Whether bytes wait to be received; an end or a fault also counts."""
        return bool(not self._plain and self._pending()) or is_readable(self._sock)

    def _pending(self) -> int:
        pending = getattr(self._sock, "pending", None)
        return pending() if callable(pending) else 0

    def _received(self, receive: Any, *arguments: Any) -> Any:
        if self._drained:
            self._drained = False
            self._until_ready(writing=False)
        while True:
            self._wait.check()  # or a flood would keep a stop from being heard
            try:
                return receive(*arguments)
            except NOT_YET as reason:
                self._until_ready(writing=type(reason) is ssl.SSLWantWriteError)

    def _until_ready(self, *, writing: bool) -> None:
        wait, ends_at = self._wait, self._deadlines.first()
        left = SLICE_SECONDS if ends_at is None else ends_at - monotonic()
        while not wait.pause(left, self._sock, writing=writing):
            wait.check()
            if ends_at is not None and (left := ends_at - monotonic()) <= 0:
                raise self._deadlines.passed(ends_at)
