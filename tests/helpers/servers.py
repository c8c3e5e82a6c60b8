"""What the transport is tested against: bare servers, and clients that read them."""

from __future__ import annotations

import base64
import itertools
import pickle
import select
import socket
import ssl
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
import trustme

from helpers.systems import end_accept
from xdk_streaming.errors import StreamError, StreamErrorType
from xdk_streaming.simulator import Simulator
from xdk_streaming.simulator.body import Encoding, Framing
from xdk_streaming.simulator.script import Wire
from xdk_streaming.wire.answer import Answer, Reading
from xdk_streaming.wire.caller import Caller
from xdk_streaming.wire.request import Request
from xdk_streaming.wire.timeouts import Limit, Timeouts
from xdk_streaming.wire.wait import Wait
from xdk_streaming.wire.waiting_socket import WaitingSocket

CLIENT_ERROR = StreamErrorType.CLIENT_ERROR
CONNECTION_ERROR = StreamErrorType.CONNECTION_ERROR
FATAL_ERROR = StreamErrorType.FATAL_ERROR
SERVER_ERROR = StreamErrorType.SERVER_ERROR
STREAM_INTERRUPTED = StreamErrorType.STREAM_INTERRUPTED
TIMEOUT = StreamErrorType.TIMEOUT

GUARD = 10.0
"""Seconds after which what should have come will not come any more."""
SOON = 0.25
"""Seconds of a silence that is meant to be noticed."""
PATH = "/2/tweets/sample/stream"

framings = pytest.mark.parametrize("framing", ["chunked", "close"])
encodings = pytest.mark.parametrize("encoding", [None, "gzip", "deflate"])
securities = pytest.mark.parametrize("secure", [False, True], ids=["plain", "tls"])


# Servers


@dataclass(frozen=True)
class Await:
    """A step: nothing more until the client has said that it has what was sent."""

    confirmed: threading.Event

    def play(self, wire: Wire) -> None:
        assert self.confirmed.wait(GUARD)


@dataclass(frozen=True)
class Flood:
    """A step: numbered lines, until the client leaves."""

    def play(self, wire: Wire) -> None:
        for number in itertools.count():
            wire.send(b"%08d\n" % number)


class Peer:
    """The server's end of a connection that the client made."""

    def __init__(self, connection: socket.socket) -> None:
        self.socket = connection
        self._file = connection.makefile("rb")

    def request(self) -> bytes:
        """The next request, head and body; empty where the client left instead."""
        head = b""
        while (line := self._file.readline()).strip():
            head += line
        length = [line for line in head.lower().splitlines() if line.startswith(b"content-length:")]
        return head + self._file.read(int(length[0].partition(b":")[2]) if length else 0)

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def wait_until_left(self) -> None:
        """Return once the client has closed the connection; what it sends until then is dropped."""
        with suppress(ConnectionError):
            while self._file.read1():
                pass

    def reset(self) -> None:
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

    def close(self) -> None:
        self._file.close()
        self.socket.close()


@contextmanager
def served(serve: Callable[[Peer], object], host: str = "127.0.0.1") -> Iterator[str]:
    """A server that does this with every connection, each in a thread of its own; its URL."""
    threads: list[threading.Thread] = []
    peers: list[Peer] = []
    closing = threading.Event()

    def attend(peer: Peer) -> None:
        try:
            with suppress(OSError):  # a client that leaves early leaves as it likes
                serve(peer)
        finally:
            peer.close()

    def accept() -> None:
        with suppress(OSError):  # the listener is shut down
            while True:
                connection = listener.accept()[0]
                if closing.is_set():
                    connection.close()
                    return
                peers.append(Peer(connection))
                threads.append(threading.Thread(target=attend, args=[peers[-1]]))
                threads[-1].start()

    with socket.create_server((host, 0)) as listener:
        threads.append(threading.Thread(target=accept))
        threads[0].start()
        try:
            yield f"http://{host}:{listener.getsockname()[1]}"
        finally:
            closing.set()
            end_accept(listener)
            threads[0].join(GUARD)
            for peer in peers:
                with suppress(OSError):  # closed already
                    peer.socket.shutdown(socket.SHUT_RDWR)
            for thread in threads:
                thread.join(GUARD)


def answering(*parts: bytes) -> Callable[[Peer], None]:
    """A server that takes a request, sends this and closes."""

    def serve(peer: Peer) -> None:
        peer.request()
        for part in parts:
            peer.send(part)

    return serve


def head(*lines: str, status: str = "200 OK") -> bytes:
    return "\r\n".join([f"HTTP/1.1 {status}", *lines, "", ""]).encode()


CHUNKED = head("Transfer-Encoding: chunked")


@dataclass(frozen=True)
class Trust:
    """A server's side of TLS, and the file that makes a client believe it."""

    server: ssl.SSLContext
    authority: str


def certified(folder: Path, host: str, **kinds: Any) -> Trust:
    authority = trustme.CA()
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(host, **kinds).configure_cert(server)
    file = folder / "authority.pem"
    authority.cert_pem.write_to_path(str(file))
    return Trust(server, str(file))


# Clients


def send(session: Any, url: str, method: str = "get", read_timeout: float = GUARD, **rest: Any) -> Answer:
    timeouts = limits(GUARD, read_timeout)
    return Request(session, method, url, **rest).send(timeouts=timeouts, wait=Wait(), chunk_size=1024)


def limits(connect: float | None = None, read: float | None = None) -> Timeouts:
    """Limits in seconds, as a user's `timeout` sets them."""
    return Timeouts(*(None if each is None else Limit(each, "timeout") for each in (connect, read)))


def answer_of(response: Any, chunk_size: int | None = None) -> Answer:
    """The answer that a response of any make is read as."""
    wait = Wait()
    return Answer(response, chunk_size, Reading(wait, limits(), Caller(wait)))


@contextmanager
def asked(session: Any, url: str, **rest: Any) -> Iterator[Answer]:
    answer = send(session, url, **rest)
    try:
        yield answer
    finally:
        answer.close()


@contextmanager
def streamed(
    session: requests.Session,
    *script: Any,
    framing: Framing = "chunked",
    encoding: Encoding | None = None,
    trust: Trust | None = None,
    read_timeout: float = GUARD,
) -> Iterator[tuple[Answer, Simulator]]:
    """The answer of a simulator that plays this."""
    if trust:
        session.verify = trust.authority
    tls = trust.server if trust else None
    with (
        Simulator(script=[script], framing=framing, encoding=encoding, tls=tls) as simulator,
        asked(session, simulator.url + PATH, read_timeout=read_timeout) as answer,
    ):
        yield answer, simulator


def read_exactly(answer: Answer, expected: bytes) -> None:
    """Read until this much has come, and no read more: what is there must not wait for what follows."""
    data = b""
    while len(data) < len(expected):
        piece = answer.read()
        assert piece, f"the end came after {data!r}"
        data += piece
    assert data == expected


def read_all(answer: Answer) -> bytes:
    return b"".join(iter(answer.read, b""))


def read_to_fault(answer: Answer) -> tuple[bytes, StreamError]:
    """What came before the fault, and the fault."""
    data = b""
    with pytest.raises(StreamError) as caught:
        while piece := answer.read():
            data += piece
    return data, caught.value


def refused(session: Any, url: str, **rest: Any) -> StreamError:
    """The error of an attempt that brings no answer."""
    with pytest.raises(StreamError) as caught:
        send(session, url, **rest).close()
    return caught.value


def assert_translated(error: StreamError, error_type: StreamErrorType) -> None:
    assert error.error_type is error_type
    assert isinstance(error.original_exception, Exception)
    assert error.__cause__ is error.original_exception
    assert error.status_code is None


def until(condition: Callable[[], object]) -> None:
    """Wait for what will be so in a moment."""
    deadline = time.monotonic() + GUARD
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def reads_its_socket(thread: threading.Thread) -> bool:
    """Whether this thread waits for bytes."""
    return stands_in(thread, WaitingSocket._receive_blocking) or stands_in(thread, WaitingSocket._until_ready)


def stands_in(thread: threading.Thread, function: Callable[..., Any]) -> bool:
    """Whether this thread is down in a call of the function."""
    return frame_of(thread, function) is not None


def frame_of(thread: threading.Thread, function: Callable[..., Any]) -> FrameType | None:
    """The frame of the call of the function that this thread is down in, if it is."""
    frame: FrameType | None = sys._current_frames().get(thread.ident or 0)
    while frame is not None and frame.f_code is not function.__code__:
        frame = frame.f_back
    return frame


class Reader(threading.Thread):
    """Reads an answer to its end, whatever that is, in a thread of its own."""

    def __init__(self, answer: Answer) -> None:
        super().__init__()
        self._answer = answer
        self.data = b""
        self.error: StreamError | None = None

    def run(self) -> None:
        try:
            while piece := self._answer.read():
                self.data += piece
        except StreamError as error:
            self.error = error


# Proxies

PASSWORD = "hush-hush"


class Proxy:
    """A forwarding proxy that also opens tunnels, over TLS where it has a context.

    `seen` holds the heads it was sent. It wants `PASSWORD` if the test says so.
    """

    def __init__(self, tls: ssl.SSLContext | None, wants_password: bool) -> None:
        self.url = ""
        self.seen: list[bytes] = []
        self._tls = tls
        self._wants_password = wants_password
        self._clients: list[Peer] = []

    @property
    def url_with_password(self) -> str:
        return self.url.replace("://", f"://user:{PASSWORD}@")

    def die(self, *, by_reset: bool = False) -> None:
        """Leave every client in mid-stream."""
        for client in self._clients:
            if by_reset:
                client.reset()
            socket.socket.shutdown(client.socket, socket.SHUT_RD)  # the relay takes it for the client's leave

    def serve(self, peer: Peer) -> None:
        if self._tls is None:
            self._serve(peer)
            return
        with self._tls.wrap_socket(peer.socket, server_side=True, do_handshake_on_connect=False) as wrapped:
            wrapped.do_handshake()
            secured = Peer(wrapped)
            try:
                self._serve(secured)
            finally:
                secured.close()

    def _serve(self, client: Peer) -> None:
        asked_for = client.request()
        self.seen.append(asked_for)
        expected = base64.b64encode(f"user:{PASSWORD}".encode())
        if self._wants_password and b"Proxy-Authorization: Basic " + expected not in asked_for:
            wanted = head("Proxy-Authenticate: Basic", "Content-Length: 0", status="407 Who are you")
            client.send(wanted)
            return
        method, target, _ = asked_for.split(None, 2)
        tunnel = method == b"CONNECT"
        address = urlsplit(b"//" + target if tunnel else target)
        assert address.hostname
        with socket.create_connection((address.hostname.decode(), address.port or 80), GUARD) as server:
            if tunnel:
                client.send(head())
            else:
                server.sendall(asked_for.replace(target, address.path, 1) + b"\r\n")
            self._clients.append(client)
            _relay(client.socket, server)


def _relay(one: socket.socket, other: socket.socket) -> None:
    """Hand on what either sends, until one of them leaves."""
    opposite = {one: other, other: one}
    while True:
        for sender in select.select([one, other], [], [])[0]:
            data = sender.recv(65536)
            if not data:
                return
            opposite[sender].sendall(data)


@contextmanager
def proxy(tls: ssl.SSLContext | None = None, *, wants_password: bool = False) -> Iterator[Proxy]:
    running = Proxy(tls, wants_password)
    with served(running.serve) as url:
        running.url = url.replace("http:", "https:") if tls else url
        yield running


def through(session: requests.Session, proxy_url: str) -> None:
    """Let the session use this proxy."""
    session.proxies = {"http": proxy_url, "https": proxy_url}


@contextmanager
def nobody() -> Iterator[str]:
    """The URL of a port where nobody listens."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{bound.getsockname()[1]}"


def shown(error: StreamError) -> list[str]:
    """All that a program is likely to print, log or store of an error."""
    return [
        str(error),
        repr(error),
        repr(vars(error)),
        repr(error.__cause__),
        "".join(traceback.format_exception(error)),
        repr(pickle.dumps(error)),
    ]
