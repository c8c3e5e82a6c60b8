"""The sending side, in a process of its own: whoever connects gets what is fed. Knows no workload."""

from __future__ import annotations

import multiprocessing
import socket
import socketserver
import ssl
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Protocol

HOST = "127.0.0.1"


class Feed(Protocol):
    """What each connection gets after the headers."""

    coding: str

    def feed(self, connection: socket.socket) -> None:
        """Send it; the connection is closed afterwards."""


@dataclass(frozen=True)
class Flood:
    """A chunked body: how it starts, and what follows again and again."""

    start: bytes
    again: bytes
    coding: str = "identity"


def framed(pieces: list[bytes]) -> bytes:
    """Each piece as an HTTP chunk."""
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)


@dataclass(frozen=True)
class Firehose:
    """A body without end, sent as fast as it is taken."""

    flood: Flood

    @property
    def coding(self) -> str:
        """The body's content coding."""
        return self.flood.coding

    def feed(self, connection: socket.socket) -> None:
        """Send until the reader has had enough."""
        connection.sendall(self.flood.start)
        while True:
            connection.sendall(self.flood.again)


@dataclass(frozen=True)
class Source:
    """Where to connect, and the file that makes a client believe it under TLS."""

    port: int
    authority: str | None = None

    @property
    def url(self) -> str:
        """The stream's URL."""
        return f"{'http' if self.authority is None else 'https'}://{HOST}:{self.port}/2/tweets/sample/stream"

    def tls(self) -> ssl.SSLContext | None:
        """A client's context; None for plain HTTP."""
        return ssl.create_default_context(cafile=self.authority) if self.authority else None


@contextmanager
def serving(feed: Any, *, tls: bool = False) -> Iterator[Source]:
    """A server in a fresh process. `feed` is a `Feed` that can be pickled."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    with tempfile.TemporaryDirectory() as folder:
        process = context.Process(target=serve, args=(theirs, feed, folder if tls else None), daemon=True)
        process.start()
        theirs.close()
        try:
            yield ours.recv()
        finally:
            process.terminate()
            process.join()
            process.close()
            ours.close()


def serve(line: Connection, feed: Feed, folder: str | None) -> None:
    """Serve until this process is ended. With a folder: under TLS."""
    tls, authority = certified(Path(folder)) if folder else (None, None)
    head = (
        "HTTP/1.1 200 OK\r\nContent-Type: application/json; charset=utf-8\r\n"
        f"Transfer-Encoding: chunked\r\nContent-Encoding: {feed.coding}\r\n\r\n"
    ).encode()
    if feed.coding == "identity":
        head = head.replace(b"Content-Encoding: identity\r\n", b"")

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            connection: socket.socket = self.request
            with suppress(OSError):  # the reader has had enough
                if tls is not None:
                    connection = tls.wrap_socket(connection, server_side=True)
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                read_head(connection)
                connection.sendall(head)
                feed.feed(connection)
            connection.close()

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        request_queue_size = 128

    with Server((HOST, 0), Handler) as server:
        line.send(Source(server.server_address[1], authority))
        server.serve_forever()


def read_head(connection: socket.socket) -> bytes:
    """A request, up to its blank line; a reader sends nothing after it."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        data = connection.recv(65536)
        if not data:
            raise ConnectionError("closed inside the headers")
        head += data
    return head


def certified(folder: Path) -> tuple[ssl.SSLContext, str]:
    """A server's context for loopback, and the file that makes a client believe it."""
    import trustme  # only here: plain HTTP must not need it

    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(HOST).configure_cert(context)
    file = folder / "authority.pem"
    authority.cert_pem.write_to_path(str(file))
    return context, str(file)
