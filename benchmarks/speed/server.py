"""The server, in its own process, which sends the feed to every client. Knows no workload."""

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
    """What to send to each connection after the headers."""

    coding: str

    def feed(self, connection: socket.socket) -> None:
        """Send the feed; the connection is closed afterwards."""


@dataclass(frozen=True)
class Flood:
    """A chunked body: a start, and a part that is repeated."""

    start: bytes
    again: bytes
    coding: str = "identity"


def framed(pieces: list[bytes]) -> bytes:
    """Each piece as an HTTP chunk."""
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)


@dataclass(frozen=True)
class Firehose:
    """An endless body, sent as fast as the reader reads."""

    flood: Flood

    @property
    def coding(self) -> str:
        """The content coding of the body."""
        return self.flood.coding

    def feed(self, connection: socket.socket) -> None:
        """Send until the reader disconnects."""
        connection.sendall(self.flood.start)
        while True:
            connection.sendall(self.flood.again)


@dataclass(frozen=True)
class Source:
    """The address of the server and, with TLS, the CA file for clients."""

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
    """A server in a new process. `feed` must be picklable."""
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
    """Serve until the process is terminated; with a folder, over TLS."""
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
    """A request, up to the blank line; readers send nothing after it."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        data = connection.recv(65536)
        if not data:
            raise ConnectionError("closed inside the headers")
        head += data
    return head


def certified(folder: Path) -> tuple[ssl.SSLContext, str]:
    """A server context for loopback, and the CA file for clients."""
    import trustme  # only here: plain HTTP must not need it

    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(HOST).configure_cert(context)
    file = folder / "authority.pem"
    authority.cert_pem.write_to_path(str(file))
    return context, str(file)
