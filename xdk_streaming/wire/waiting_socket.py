"""A socket that waits for bytes in our own way: a stop, a ring and a limit end the wait, on every system.

It stands where the file of http.client's response keeps its socket, so every layer above waits exactly when
bytes are missing, and nobody has to know what those layers have buffered.
"""

from __future__ import annotations

import _socket
import socket
import ssl
import sys
from collections.abc import Callable
from typing import Any, TypeVar

from xdk_streaming.clock import monotonic
from xdk_streaming.wire.timeouts import Deadlines
from xdk_streaming.wire.wait import SLICE_SECONDS, Wait, watch

NOT_YET = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)
"""What a socket that does not block raises if it has no bytes."""
RECORD_BYTES = 16 * 1024
"""Bytes in a full record of TLS (RFC 8446 section 5.1), of which a socket returns one at a time."""
SHUTDOWN_ENDS_RECEIVE = sys.platform != "win32"
"""Whether a receive in progress ends if another thread shuts its connection down."""

Received = TypeVar("Received")


class WaitingSocket:
    """Receives from a socket. For one thread.

    Any other attribute is the socket's own. Raises `Woken` after `Wait.wake`, `StreamError` when a deadline
    has passed, and `OSError` as the socket does.

    A plain socket waits in the system's own receive, a slice of time at once, if whoever calls `Wait.wake`
    then shuts the connection down: `shut_by_waker`. That saves a poll, and a fifth of the time from a post's
    arrival to its item. Any other socket is asked, and waited for by `Wait.pause`.
    """

    def __init__(self, sock: Any, wait: Wait, deadlines: Deadlines, *, shut_by_waker: bool = False) -> None:
        self._sock = sock
        self._wait = wait
        self._deadlines = deadlines
        self._plain = type(sock) is socket.socket  # under TLS, bytes may wait where no poll sees them
        own = getattr(type(sock), "recv", None) is _socket.socket.recv  # not TLS's, gevent's or eventlet's
        self._blocks = shut_by_waker and own and SHUTDOWN_ENDS_RECEIVE
        self._timeout = SLICE_SECONDS if self._blocks else 0.0
        sock.settimeout(self._timeout)
        self._peek = watch([sock], [])
        self._drained = False
        self._broken: OSError | None = None
        """How the connection broke after bytes that were returned."""
        self._file: Any = None

    def take_place(self, file: Any) -> None:
        """Stand where the file, a `SocketIO`, keeps its socket."""
        self._file = file
        file._sock = self

    def give_place_back(self) -> None:
        """Give the file its socket back, so that no line of ours is run while the file is closed.

        Ctrl-C there would leave the socket open.
        """
        if getattr(self._file, "_sock", None) is self:
            self._file._sock = self._sock

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)

    def recv_into(self, buffer: Any, *arguments: Any) -> Any:
        """Receive into the buffer, as soon as there are bytes. Returns their number."""
        receive = self._receive_blocking if self._blocks else self._receive_polling
        return receive(self._sock.recv_into, buffer, *arguments)

    def recv(self, size: int) -> bytes:
        """The bytes that are there, as soon as there are any; empty at the end."""
        if self._blocks:
            data: bytes = self._receive_blocking(self._sock.recv, size)
            return data
        if self._broken is not None:
            raise self._broken
        if self._drained:
            self._until_ready()
            self._drained = False
        data = self._receive_polling(self._sock.recv, size)
        if self._plain:
            # A read that did not fill its room has taken all there was: the next read begins by waiting.
            self._drained = len(data) < size
            return data
        return data if len(data) != RECORD_BYTES else self._with_more_records(data, size)

    def _receive_blocking(self, receive: Callable[..., Received], *arguments: Any) -> Received:
        """What `receive` returns. The system waits."""
        self._wait.check()
        ends_at = self._deadlines.first()
        while True:
            left = SLICE_SECONDS if ends_at is None else min(SLICE_SECONDS, ends_at - monotonic())
            if left <= 0:
                assert ends_at is not None
                raise self._deadlines.passed(ends_at)
            if left != self._timeout:
                self._sock.settimeout(left)
                self._timeout = left
            try:
                received = receive(*arguments)
            except TimeoutError as timeout:
                if timeout.errno is not None:  # TCP gave up: not the end of the slice
                    raise
                self._wait.check()
            else:
                if not received:  # an end, which may be the work of whoever called `wake`
                    self._wait.check()
                return received

    def _receive_polling(self, receive: Callable[..., Received], *arguments: Any) -> Received:
        """What `receive` returns. `Wait.pause` waits, whenever there are no bytes."""
        self._go_on()
        while True:
            try:
                return receive(*arguments)
            except NOT_YET as reason:  # wait outside of this block, or Ctrl-C would show the reason, too
                writing = type(reason) is ssl.SSLWantWriteError
            self._until_ready(writing=writing)

    def _with_more_records(self, first: bytes, size: int) -> bytes:
        """The first record of TLS, which was full, with those that are there already: up to `size` bytes.

        A socket returns one record at a time, and each read costs as much as the posts of half a record.
        """
        records, room = [first], size - RECORD_BYTES
        while len(records[-1]) == RECORD_BYTES <= room:
            try:
                records.append(self._sock.recv(RECORD_BYTES))
            except NOT_YET:
                self._drained = True
                break
            except OSError as broken:
                self._broken = broken
                break
            room -= RECORD_BYTES
        return b"".join(records)

    def readable(self) -> bool:
        """Whether bytes wait to be received; an end or a fault also counts."""
        return bool((not self._plain and self._pending()) or self._peek(0))

    def _pending(self) -> int:
        pending = getattr(self._sock, "pending", None)
        return pending() if callable(pending) else 0

    def _go_on(self) -> None:
        """Raise if the stream was stopped, or a deadline has passed: bytes may come without an end."""
        self._wait.check()
        self._deadlines.check()

    def _until_ready(self, *, writing: bool = False) -> None:
        wait, ends_at = self._wait, self._deadlines.first()
        left = SLICE_SECONDS if ends_at is None else ends_at - monotonic()
        while left > 0:
            if wait.pause(left, self._sock, writing=writing):
                return
            wait.check()
            left = SLICE_SECONDS if ends_at is None else ends_at - monotonic()
        assert ends_at is not None  # it has passed
        raise self._deadlines.passed(ends_at)
