"""A small SOCKS5 server (RFC 1928, RFC 1929) for tests."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from helpers.servers import GUARD, Peer, _relay, served

NO_LOGIN, LOGIN, NONE_OF_THEM = 0, 2, 255


class Socks:
    """A proxy that wants this method of login, and gives this reply to each request that follows.

    With reply 0 it relays to the address that was asked for.
    """

    def __init__(self, *, method: int = NO_LOGIN, password: bytes = b"", reply: int = 0) -> None:
        self.attempts = 0
        self._method = method
        self._password = password
        self._reply = reply
        self._counting = threading.Lock()

    def serve(self, peer: Peer) -> None:
        with self._counting:
            self.attempts += 1
        client = peer.socket
        _, count = _exactly(client, 2)
        offered = _exactly(client, count)
        if self._method not in offered:
            client.sendall(bytes([5, NONE_OF_THEM]))
            return
        client.sendall(bytes([5, self._method]))
        if self._method == LOGIN and not self._lets_in(client):
            return
        host, port = _asked_for(client)
        client.sendall(bytes([5, self._reply, 0, 1, 0, 0, 0, 0, 0, 0]))
        if self._reply == 0:
            with socket.create_connection((host, port), GUARD) as server:
                _relay(client, server)

    def _lets_in(self, client: socket.socket) -> bool:
        _, length = _exactly(client, 2)
        _exactly(client, length)
        right = _exactly(client, _exactly(client, 1)[0]) == self._password
        client.sendall(bytes([1, not right]))
        return right


def _asked_for(client: socket.socket) -> tuple[str, int]:
    kind = _exactly(client, 4)[3]
    host = (
        socket.inet_ntoa(_exactly(client, 4))
        if kind == 1
        else _exactly(client, _exactly(client, 1)[0]).decode()
    )
    return host, int.from_bytes(_exactly(client, 2), "big")


def _exactly(client: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        piece = client.recv(count - len(data))
        if not piece:
            raise ConnectionError("the client has left")
        data += piece
    return data


@contextmanager
def socks_proxy(proxy: Socks, login: str = "") -> Iterator[str]:
    """The URL of this proxy, with this login if there is one."""
    with served(proxy.serve) as url:
        yield url.replace("http://", f"socks5://{login}")
