"""The server's end of a socket, from which a client that does not read may be cut off."""

from __future__ import annotations

import socket

ROOM = 64 * 1024
"""Bytes that the kernel may keep for a client that must not fall behind; it takes twice as many."""
MORE_ROOM = 8 * ROOM


class Outlet:
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

    def squeeze(self, data: bytes) -> int:
        """Write into room that is made for it, without waiting. Returns how many bytes went in."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, MORE_ROOM)
        self._socket.settimeout(0.0)
        try:
            return self._socket.send(data)
        except OSError:
            return 0
