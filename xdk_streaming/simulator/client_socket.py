"""The server's side of a connection: writing, waiting, detecting slow readers, resetting."""

from __future__ import annotations

import math
import select
import socket
import struct
import sys
import threading
from contextlib import suppress
from dataclasses import dataclass

if sys.platform != "win32":
    import fcntl
    import termios

ROOM = 64 * 1024
"""Send buffer in bytes, if slow readers are cut off; the kernel doubles the number."""
MORE_ROOM = 8 * ROOM
RESET_ON_CLOSE = struct.pack("ii", 1, 0)
"""The value of SO_LINGER that makes close() send RST."""
LONGEST_END = 1.0
"""Seconds in which a stream that was killed may end cleanly."""
SHORT_PAUSE = 0.05
"""Seconds to wait before a reset, so that the client reads pending data: RST can overtake data."""


class ClientLeft(Exception):
    """The client closed the connection, or the simulator is being closed."""


@dataclass(frozen=True)
class SlowReaderPolicy:
    """How slow readers are treated."""

    seconds: float | None = None
    """Seconds for which a client may read nothing; None for no limit."""
    notice: bool = True
    """Whether the client is sent the reason before being cut off, if possible."""


class ClientSocket:
    """Writes to the client; gives up if the client reads nothing for `patience` seconds (None: never)."""

    def __init__(self, connection: socket.socket, patience: float | None) -> None:
        self._socket = connection
        self._patience = patience
        self.waited = False
        """Whether the last write had to wait for the client."""
        self._woken, self._waker = socket.socketpair()
        if patience is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, ROOM)

    def write(self, data: bytes) -> int:
        """Write all of the data. Returns the bytes written: fewer if the client stopped reading."""
        if self._patience is None:
            self._socket.sendall(data)
            return len(data)
        self._socket.settimeout(self._patience)
        rest, self.waited = memoryview(data), False
        while rest:
            try:
                rest = rest[self._socket.send(rest) :]
            except TimeoutError:
                break
            self.waited |= bool(rest)
        return len(data) - len(rest)

    def send_now(self, data: bytes) -> int:
        """Enlarge the send buffer and write without waiting. Returns the bytes written."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, MORE_ROOM)
        self._socket.settimeout(0.0)
        try:
            return self._socket.send(data)
        except OSError:
            return 0

    def wait(self, seconds: float | None) -> None:
        """Wait this long, forever if None or infinite. Raises `ClientLeft` if the client disconnects."""
        bounded = None if seconds is None or math.isinf(seconds) else max(0.0, seconds)
        try:
            readable = select.select([self._socket, self._woken], [], [], bounded)[0]
        except ValueError:
            if self._socket.fileno() >= 0:  # too high for select()
                raise
            raise ClientLeft from None  # closed by `end`
        if self._woken in readable or (readable and not self._socket.recv(4096)):
            raise ClientLeft

    def leave(self) -> None:
        """End the wait in progress, or the next one, as if the client had left. From any thread.

        A write that takes longer than a second is ended with the connection.
        """
        with suppress(OSError):
            self._waker.send(b"x")
        timer = threading.Timer(LONGEST_END, end, [self._socket])
        timer.daemon = True
        timer.start()

    def close(self) -> None:
        """Close what `leave` needs."""
        self._woken.close()
        self._waker.close()

    def reset_on_close(self) -> None:
        """Make close() send RST, after waiting for the client to read pending data."""
        self.wait(SHORT_PAUSE)
        self._drain()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)

    def _drain(self) -> None:
        """Wait until the client has read pending data, which a reset would discard, or stops reading."""
        before = math.inf
        while (waiting := self._unsent()) and waiting < before:
            before = waiting
            self.wait(SHORT_PAUSE)

    def _unsent(self) -> int:
        """Bytes still in the kernel's send buffer; 0 on Windows, which does not say."""
        if sys.platform != "win32":
            return int.from_bytes(fcntl.ioctl(self._socket, termios.TIOCOUTQ, bytes(4)), sys.byteorder)
        return 0


def end(connection: socket.socket) -> None:
    """End a connection, and whatever waits for it, from any thread."""
    with suppress(OSError):
        socket.socket.shutdown(connection, socket.SHUT_RDWR)  # that of SSLSocket is for its own thread only
    if sys.platform == "win32":  # where a shutdown ends no wait
        with suppress(OSError):
            socket.close(connection.detach())  # close() would wait until http.server's files are closed
