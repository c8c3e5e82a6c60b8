"""The server's end of a socket: writes, waits, cuts a slow reader off, resets."""

from __future__ import annotations

import fcntl
import math
import select
import socket
import struct
import sys
import termios
from contextlib import suppress
from dataclasses import dataclass

ROOM = 64 * 1024
"""Bytes that the kernel may keep for a client that must not fall behind; it takes twice as many."""
MORE_ROOM = 8 * ROOM
RESET_ON_CLOSE = struct.pack("ii", 1, 0)
"""SO_LINGER that makes close() send RST."""
SHORT_PAUSE = 0.05
"""Seconds before a reset, for the client to read what was sent before it: RST may overtake data."""


class ClientLeft(Exception):
    """The client closed the connection, or the simulator is being closed."""


@dataclass(frozen=True)
class SlowReaderPolicy:
    """What a slow reader can expect."""

    seconds: float | None = None
    """For how long it may take nothing; None for ever."""
    notice: bool = True
    """Whether it is told why it is cut off, if that can be sent."""


class ClientSocket:
    """Writes, and gives up on a client that takes nothing for `patience` seconds; None waits for ever."""

    def __init__(self, connection: socket.socket, patience: float | None) -> None:
        self._socket = connection
        self._patience = patience
        self.waited = False
        """Whether the last bytes written had to wait for the client."""
        if patience is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, ROOM)

    def write(self, data: bytes) -> int:
        """Write all of it. Returns how many bytes went out: fewer where the client takes no more."""
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
        """Write into room that is made for it, without waiting. Returns how many bytes went in."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, MORE_ROOM)
        self._socket.settimeout(0.0)
        try:
            return self._socket.send(data)
        except OSError:
            return 0

    def wait(self, seconds: float | None) -> None:
        """Wait so long, for ever if that is None or infinite. Raises `ClientLeft` if the client leaves."""
        bounded = None if seconds is None or math.isinf(seconds) else max(0.0, seconds)
        if select.select([self._socket], [], [], bounded)[0] and not self._socket.recv(4096):
            raise ClientLeft

    def reset_on_close(self) -> None:
        """Make the next close a reset, once the client has what is on its way."""
        self.wait(SHORT_PAUSE)
        self._drain()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)

    def _drain(self) -> None:
        """Let the client have what is on its way, for a reset throws it away; unless it does not read."""
        before = math.inf
        while (waiting := self._unsent()) and waiting < before:
            before = waiting
            self.wait(SHORT_PAUSE)

    def _unsent(self) -> int:
        """Bytes that are still with the kernel."""
        return int.from_bytes(fcntl.ioctl(self._socket, termios.TIOCOUTQ, bytes(4)), sys.byteorder)


def shut_down(connection: socket.socket) -> None:
    """By socket's own method: that of an SSLSocket is not meant for other threads."""
    with suppress(OSError):
        socket.socket.shutdown(connection, socket.SHUT_RDWR)
