"""The transport, against real sockets: the simulator's where it can do what is wanted, else a bare peer."""

from __future__ import annotations

import errno
import gzip
import http.client
import io
import itertools
import os
import pickle
import signal
import socket
import ssl
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from types import FrameType
from typing import Any
from unittest.mock import Mock

import pytest
import requests
import trustme
import urllib3
from fakes import FakeClock, MemorySession, namespace
from requests import exceptions as rq
from requests.adapters import HTTPAdapter
from urllib3 import exceptions as u3

from xdk_streaming.errors import StreamError, StreamErrorType
from xdk_streaming.simulator import Cut, End, Refuse, Reset, Send, Serve, Simulator, Stall
from xdk_streaming.simulator.body import Body, Encoding, Framing
from xdk_streaming.simulator.script import Wire
from xdk_streaming.wire import transport
from xdk_streaming.wire.transport import FAULTS, Answer, Fault, Request, translate

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
def served(serve: Callable[[Peer], object]) -> Iterator[str]:
    """A server that does this with every connection, each in a thread of its own; its URL."""
    threads: list[threading.Thread] = []
    peers: list[Peer] = []

    def attend(peer: Peer) -> None:
        try:
            with suppress(OSError):  # a client that leaves early leaves as it likes
                serve(peer)
        finally:
            peer.close()

    def accept() -> None:
        with suppress(OSError):  # the listener is shut down
            while True:
                peers.append(Peer(listener.accept()[0]))
                threads.append(threading.Thread(target=attend, args=[peers[-1]]))
                threads[-1].start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threads.append(threading.Thread(target=accept))
        threads[0].start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            listener.shutdown(socket.SHUT_RDWR)
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


@pytest.fixture(scope="module")
def trust(tmp_path_factory: pytest.TempPathFactory) -> Trust:
    return certified(tmp_path_factory.mktemp("tls"), "127.0.0.1")


def certified(folder: Path, host: str, **kinds: Any) -> Trust:
    authority = trustme.CA()
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(host, **kinds).configure_cert(server)
    file = folder / "authority.pem"
    authority.cert_pem.write_to_path(str(file))
    return Trust(server, str(file))


# Clients


def send(session: Any, url: str, method: str = "get", read_timeout: float = GUARD, **rest: Any) -> Answer:
    return Request(session, method, url, **rest).send(
        connect_timeout=GUARD, read_timeout=read_timeout, chunk_size=1024
    )


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
    """Whether this thread is down in a read of a socket."""
    frame: FrameType | None = sys._current_frames().get(thread.ident or 0)
    while frame is not None:
        if frame.f_code is socket.SocketIO.readinto.__code__:
            return True
        frame = frame.f_back
    return False


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


# Bytes come as soon as they are there


@framings
@encodings
@securities
def test_bytes_come_as_soon_as_they_are_sent_and_a_clean_end_is_empty_and_stays_so(
    session: requests.Session, trust: Trust, framing: Framing, encoding: Encoding | None, secure: bool
) -> None:
    pieces = [b'{"data":{"id":"1"}}\r\n', b"\r\n", b'{"data":"ha', 'lf €"}\r\n'.encode()]
    confirmed = [threading.Event() for _ in pieces]
    steps = [
        step for piece, event in zip(pieces, confirmed, strict=True) for step in (Send(piece), Await(event))
    ]
    with streamed(session, *steps, framing=framing, encoding=encoding, trust=trust if secure else None) as (
        answer,
        _,
    ):
        for piece, event in zip(pieces, confirmed, strict=True):
            read_exactly(answer, piece)
            event.set()
        assert answer.read() == b""
        assert answer.read() == b""


@framings
@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_a_few_compressed_bytes_that_unfold_to_many_come_whole_and_at_once(
    session: requests.Session, framing: Framing, encoding: Encoding
) -> None:
    confirmed = threading.Event()
    many = b'{"data":"' + b"x" * 3_000_000 + b'"}\r\n'
    script = Send(many), Await(confirmed), Send(b"after\n")
    with streamed(session, *script, framing=framing, encoding=encoding) as (answer, _):
        read_exactly(answer, many)
        confirmed.set()
        assert read_all(answer) == b"after\n"


@framings
@encodings
def test_a_body_that_comes_byte_by_byte_is_no_end_before_its_end(
    session: requests.Session, framing: Framing, encoding: Encoding | None
) -> None:
    body = Body(framing, encoding)
    sent = body.piece(b"one\r\n") + body.piece(b"two\r\n") + body.end()
    headers = [f"{name}: {value}" for name, value in body.headers.items()]

    def serve(peer: Peer) -> None:
        peer.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        peer.request()
        for place in range(len(sent)):
            peer.send((b"" if place else head(*headers)) + sent[place : place + 1])

    with served(serve) as url, asked(session, url) as answer:
        assert read_all(answer) == b"one\r\ntwo\r\n"


def test_a_body_of_stated_length_comes_as_it_is_sent(session: requests.Session) -> None:
    confirmed = threading.Event()

    def serve(peer: Peer) -> None:
        peer.request()
        peer.send(head("Content-Length: 6") + b"one")
        assert confirmed.wait(GUARD)
        peer.send(b"two")

    with served(serve) as url, asked(session, url) as answer:
        read_exactly(answer, b"one")
        confirmed.set()
        assert read_all(answer) == b"two"


@framings
def test_a_gzip_body_without_its_trailer_ends_as_its_http_framing_does(
    session: requests.Session, framing: Framing
) -> None:
    body = Body(framing, "gzip")
    sent = body.piece(b"one\r\n") + (b"0\r\n\r\n" if framing == "chunked" else b"")
    headers = [f"{name}: {value}" for name, value in body.headers.items()]
    with served(answering(head(*headers), sent)) as url, asked(session, url) as answer:
        assert read_all(answer) == b"one\r\n"
        assert answer.read() == b""


def test_status_and_headers_are_told_with_names_in_lower_case(session: requests.Session) -> None:
    script = [Refuse(429, b"{}", {"Retry-After": "7", "X-Rate-Limit-Reset": "8"})]
    with streamed(session, *script) as (answer, _):
        assert answer.status == 429
        assert answer.headers["retry-after"] == "7"
        assert answer.headers["x-rate-limit-reset"] == "8"
        assert all(name == name.lower() for name in answer.headers)


def test_an_answer_without_a_body_ends_at_once(session: requests.Session) -> None:
    with served(answering(head(status="204 No Content"))) as url, asked(session, url) as answer:
        assert answer.status == 204
        assert answer.read() == b""


# Faults on the wire


@pytest.mark.parametrize(
    ("framing", "secure"),
    [
        ("chunked", False),
        ("chunked", True),
        ("close", False),
    ],  # TLS shows a reset as an end: CPython gh-115627
    ids=["plain-chunked", "tls-chunked", "plain-close"],
)
def test_a_reset_interrupts_the_stream_after_what_came_before_it(
    session: requests.Session, trust: Trust, framing: Framing, secure: bool
) -> None:
    script = Send(b"whole\n"), Reset()
    with streamed(session, *script, framing=framing, trust=trust if secure else None) as (answer, _):
        data, error = read_to_fault(answer)
        assert data.startswith(b"whole\n")
        assert_translated(error, STREAM_INTERRUPTED)
        assert answer.read() == b""


@encodings
@securities
def test_a_connection_closed_within_a_chunk_interrupts_the_stream(
    session: requests.Session, trust: Trust, encoding: Encoding | None, secure: bool
) -> None:
    with streamed(session, Send(b"whole\n"), Cut(), encoding=encoding, trust=trust if secure else None) as (
        answer,
        _,
    ):
        data, error = read_to_fault(answer)
        assert data.startswith(b"whole\n")
        assert_translated(error, STREAM_INTERRUPTED)


def test_items_before_a_cut_and_the_half_after_them_all_come(session: requests.Session) -> None:
    with streamed(session, Serve(2), Cut()) as (answer, _):
        data, _ = read_to_fault(answer)
    first, second, half = data.split(b"\r\n")
    assert first.endswith(b"}")
    assert second.endswith(b"}")
    assert half


@pytest.mark.parametrize(
    "sent",
    [
        CHUNKED + b"5\r\nwhole\r\n",
        CHUNKED + b"5\r\nwhole\r\n7",
        CHUNKED + b"5\r\nwhole\r\nzebra\r\nmore\r\n0\r\n\r\n",
        CHUNKED + b"5\r\nwhole\r\n\r\n",
        head("Content-Length: 9") + b"whole",
        head("Content-Encoding: gzip") + gzip.compress(b"whole")[:-8] + b"\xff" * 50,
        head("Content-Encoding: deflate") + b"\x00\xff no deflate at all",
        head("Content-Encoding: gzip") + b"no gzip at all",
    ],
    ids=[
        "no last chunk",
        "cut in a chunk's size",
        "chunk size no number",
        "no chunk size",
        "shorter than its length",
        "corrupt gzip",
        "no deflate",
        "no gzip",
    ],
)
def test_a_body_that_breaks_its_framing_or_coding_interrupts_the_stream(
    session: requests.Session, sent: bytes
) -> None:
    with served(answering(sent)) as url, asked(session, url) as answer:
        data, error = read_to_fault(answer)
        assert b"whole".startswith(data)
        assert_translated(error, STREAM_INTERRUPTED)
        assert answer.read() == b""


@framings
@securities
def test_silence_in_mid_stream_is_a_timeout(
    session: requests.Session, trust: Trust, framing: Framing, secure: bool
) -> None:
    script = Send(b"whole\n"), Stall()
    secured = trust if secure else None
    with streamed(session, *script, framing=framing, trust=secured, read_timeout=SOON) as (answer, _):
        data, error = read_to_fault(answer)
        assert data == b"whole\n"
        assert_translated(error, TIMEOUT)


def test_silence_before_the_headers_is_a_timeout(session: requests.Session) -> None:
    with served(Peer.wait_until_left) as url:
        assert_translated(refused(session, url, read_timeout=SOON), TIMEOUT)


def test_a_refused_port_is_a_connection_error(session: requests.Session) -> None:
    with socket.socket() as bound:  # but it does not listen
        bound.bind(("127.0.0.1", 0))
        error = refused(session, f"http://127.0.0.1:{bound.getsockname()[1]}")
    assert_translated(error, CONNECTION_ERROR)
    assert os.strerror(errno.ECONNREFUSED) in str(error)


def test_a_name_that_resolves_to_nothing_is_a_connection_error(
    session: requests.Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    unknown = socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    monkeypatch.setattr(socket, "getaddrinfo", Mock(side_effect=unknown))  # no test waits for a resolver
    error = refused(session, "http://nowhere.invalid/")
    assert_translated(error, CONNECTION_ERROR)
    assert "Name or service not known" in str(error)


@pytest.mark.parametrize("leave", [Peer.close, Peer.reset], ids=["closed", "reset"])
def test_a_connection_lost_before_the_headers_is_a_connection_error(
    session: requests.Session, leave: Callable[[Peer], None]
) -> None:
    def serve(peer: Peer) -> None:
        peer.request()
        leave(peer)

    with served(serve) as url:
        assert_translated(refused(session, url), CONNECTION_ERROR)


def test_a_proxy_that_is_not_there_is_a_connection_error(session: requests.Session) -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        session.proxies["http"] = f"http://127.0.0.1:{bound.getsockname()[1]}"
        assert_translated(refused(session, "http://nowhere.invalid/"), CONNECTION_ERROR)


def test_a_certificate_of_an_unknown_authority_is_fatal(session: requests.Session, trust: Trust) -> None:
    with Simulator(tls=trust.server) as simulator:
        error = refused(session, simulator.url + PATH)
    assert_translated(error, FATAL_ERROR)
    assert "certificate" in str(error)


@pytest.mark.parametrize(
    ("host", "kinds"),
    [("elsewhere.example", {}), ("127.0.0.1", {"not_after": datetime(2020, 1, 1, tzinfo=timezone.utc)})],
    ids=["of another host", "expired"],
)
def test_a_certificate_that_does_not_fit_is_fatal(
    session: requests.Session, tmp_path: Path, host: str, kinds: dict[str, Any]
) -> None:
    unfit = certified(tmp_path, host, not_before=datetime(2019, 1, 1, tzinfo=timezone.utc), **kinds)
    session.verify = unfit.authority
    with Simulator(tls=unfit.server) as simulator:
        assert_translated(refused(session, simulator.url + PATH), FATAL_ERROR)


def test_a_server_that_does_not_speak_tls_is_a_connection_error(session: requests.Session) -> None:
    with Simulator() as simulator:
        error = refused(session, simulator.url.replace("http:", "https:") + PATH)
    assert_translated(error, CONNECTION_ERROR)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "nonsense",
        "http://",
        "http:///path",
        "ftp://api.x.com",
        "http://[::1",
        "http://h:port",
        "http://a..b/",
    ],
)
def test_a_url_that_cannot_be_used_is_fatal(session: requests.Session, url: str) -> None:
    assert_translated(refused(session, url), FATAL_ERROR)


def test_a_proxys_url_that_cannot_be_used_is_fatal(session: requests.Session) -> None:
    session.proxies["http"] = "http://:8080"
    assert_translated(refused(session, "http://nowhere.invalid/"), FATAL_ERROR)


def test_redirects_in_circles_are_a_client_error(session: requests.Session) -> None:
    session.max_redirects = 3
    circle = answering(head("Location: /", "Content-Length: 0", "Connection: close", status="302 Found"))
    with served(circle) as url:
        assert_translated(refused(session, url), CLIENT_ERROR)


def test_a_redirect_that_leads_nowhere_is_an_answer(session: requests.Session) -> None:
    with streamed(session, Refuse(302, b"moved")) as (answer, _):
        assert answer.status == 302
        assert read_all(answer) == b"moved"


def test_a_redirect_to_another_host_does_not_take_the_token_along(session: requests.Session) -> None:
    requests_seen: list[bytes] = []

    def elsewhere(peer: Peer) -> None:
        requests_seen.append(peer.request())
        peer.send(head("Content-Length: 0"))

    def moved(peer: Peer) -> None:
        peer.request()
        peer.send(head(f"Location: {target}/", "Content-Length: 0", status="302 Found"))

    with served(elsewhere) as target, served(moved) as url:
        send(session, url, headers={"Authorization": "Bearer a-token"}).close()
    assert len(requests_seen) == 1
    assert b"a-token" not in requests_seen[0]


def test_a_session_that_gives_up_on_the_servers_answers_is_a_server_error(session: requests.Session) -> None:
    retries = urllib3.Retry(total=1, status_forcelist=[503], backoff_factor=0)
    session.mount("http://", HTTPAdapter(max_retries=retries))
    busy = head("Content-Length: 0", "Connection: close", status="503 Service Unavailable")
    with served(answering(busy)) as url:
        assert_translated(refused(session, url), SERVER_ERROR)


# Waking


@framings
@securities
def test_wake_ends_a_read_that_blocks_and_the_server_sees_the_client_leave(
    session: requests.Session, trust: Trust, framing: Framing, secure: bool
) -> None:
    script = Send(b"whole\n"), Stall()
    with streamed(session, *script, framing=framing, trust=trust if secure else None) as (answer, simulator):
        reader = Reader(answer)
        reader.start()
        until(lambda: reader.data and reads_its_socket(reader))
        answer.wake()
        reader.join(GUARD / 2)  # the read's own timeout is twice as long
        assert not reader.is_alive()
        assert reader.data == b"whole\n"
        assert answer.read() == b""
        until(lambda: simulator.visits[0].outcome == "silent until the client left")


@framings
@pytest.mark.parametrize(
    "version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["TLS 1.2", "TLS 1.3"]
)
def test_a_wake_in_a_flood_gives_no_ciphertext_for_data(
    session: requests.Session, tmp_path: Path, framing: Framing, version: ssl.TLSVersion
) -> None:
    trust = certified(tmp_path, "127.0.0.1")
    trust.server.minimum_version = trust.server.maximum_version = version
    with streamed(session, Flood(), framing=framing, trust=trust) as (answer, _):
        reader = Reader(answer)
        reader.start()
        until(lambda: len(reader.data) > 9_000)
        answer.wake()
        reader.join(GUARD / 2)
        assert not reader.is_alive()
    lines = b"".join(b"%08d\n" % number for number in range(len(reader.data) // 9 + 1))
    assert reader.data == lines[: len(reader.data)]


@securities
def test_wake_from_a_signal_handler_ends_the_read_that_the_signal_interrupts(
    session: requests.Session, trust: Trust, secure: bool
) -> None:
    main = threading.current_thread()

    def interrupt() -> None:
        until(lambda: reads_its_socket(main))
        signal.pthread_kill(main.ident or 0, signal.SIGUSR1)

    script = Send(b"whole\n"), Stall()
    with streamed(session, *script, framing="close", trust=trust if secure else None) as (answer, _):
        read_exactly(answer, b"whole\n")
        before = signal.signal(signal.SIGUSR1, lambda number, frame: answer.wake())
        try:
            interrupter = threading.Thread(target=interrupt)
            interrupter.start()
            with suppress(StreamError):
                assert answer.read() == b""
            interrupter.join(GUARD)
        finally:
            signal.signal(signal.SIGUSR1, before)
        assert answer.read() == b""


def test_a_wake_before_the_first_read_ends_that_read(session: requests.Session) -> None:
    with streamed(session, Send(b""), Stall(), framing="close") as (answer, _):
        answer.wake()
        assert answer.read() == b""


# Closing


@framings
@securities
def test_close_closes_the_connection_though_somebody_holds_the_response_and_its_socket(
    session: requests.Session, trust: Trust, framing: Framing, secure: bool
) -> None:
    held: list[Any] = []

    def hold(response: requests.Response, **_: Any) -> None:
        held.extend(
            [response, response.raw, socket.fromfd(response.raw.fileno(), socket.AF_INET, socket.SOCK_STREAM)]
        )

    session.hooks["response"].append(hold)
    script = Send(b"whole\n"), Stall()
    with streamed(session, *script, framing=framing, trust=trust if secure else None) as (answer, simulator):
        read_exactly(answer, b"whole\n")
        answer.close()
        until(lambda: simulator.visits[0].outcome == "silent until the client left")
        with held[-1]:
            assert held[1].closed


def test_wake_and_close_after_close_are_harmless(session: requests.Session) -> None:
    with streamed(session, Send(b"whole\n"), Stall()) as (answer, _):
        for _ in range(2):
            answer.close()
            answer.wake()
        with suppress(StreamError):  # the end, or a fault: but it does not block
            assert answer.read() == b""
        assert answer.read() == b""


def test_wake_and_close_after_the_server_left_are_harmless(session: requests.Session) -> None:
    with streamed(session, Send(b"whole\n"), Reset()) as (answer, _):
        read_to_fault(answer)
        answer.wake()
        answer.close()
        assert answer.read() == b""


def test_a_second_stream_on_the_session_works_after_the_first_was_closed(session: requests.Session) -> None:
    with Simulator(script=[[Send(b"one\n"), Stall()], [Send(b"two\n"), End()]]) as simulator:
        with asked(session, simulator.url + PATH) as answer:
            read_exactly(answer, b"one\n")
        with asked(session, simulator.url + PATH) as answer:
            assert read_all(answer) == b"two\n"


def test_close_leaves_a_connection_alone_that_the_session_already_uses_for_another_request(
    session: requests.Session,
) -> None:
    arrived, closed = threading.Event(), threading.Event()
    other: list[str] = []

    def serve(peer: Peer) -> None:
        while request := peer.request():
            if b"/stream" in request:
                peer.send(head("Content-Length: 4", status="503 Service Unavailable") + b"busy")
            else:
                arrived.set()
                assert closed.wait(GUARD)
                peer.send(head("Content-Length: 4") + b"fine")

    def call() -> None:
        with suppress(requests.ConnectionError):
            other.append(session.get(url + "/other", timeout=GUARD).text)

    with served(serve) as url, asked(session, url + "/stream") as answer:
        assert answer.read_start(1000, GUARD) == b"busy"
        caller = threading.Thread(target=call)
        caller.start()
        assert arrived.wait(GUARD)
        answer.close()
        closed.set()
        caller.join(GUARD)
    assert other == ["fine"]


def test_a_response_that_fails_to_close_is_closed_for_us() -> None:
    response = Mock(status_code=200, headers={}, iter_content=Mock(return_value=iter([b"x"])))
    response.close.side_effect = RuntimeError("no")
    answer = Answer(response, 1)
    answer.close()
    answer.wake()
    response.close.assert_called_once_with()


# The start of a body


@pytest.mark.parametrize(("limit", "start"), [(1, b"t"), (5, b"the b"), (8, b"the body"), (9, b"the body")])
def test_the_start_of_a_body_is_no_longer_than_asked_for(
    session: requests.Session, limit: int, start: bytes
) -> None:
    with streamed(session, Refuse(503, b"the body")) as (answer, _):
        assert answer.read_start(limit, GUARD) == start


def test_an_endless_body_is_read_to_the_limit(session: requests.Session) -> None:
    with streamed(session, Flood()) as (answer, _):
        assert len(answer.read_start(100_000, GUARD)) == 100_000


@framings
@securities
def test_of_a_body_that_stalls_the_start_is_what_came_in_time(
    session: requests.Session, trust: Trust, framing: Framing, secure: bool
) -> None:
    script = Send(b"the bo"), Stall()
    with streamed(session, *script, framing=framing, trust=trust if secure else None) as (answer, simulator):
        assert answer.read_start(1000, SOON) == b"the bo"
        until(lambda: simulator.visits[0].outcome == "silent until the client left")


def test_of_a_body_that_never_comes_the_start_is_empty(session: requests.Session) -> None:
    with streamed(session, Stall()) as (answer, _):
        assert answer.read_start(1000, SOON) == b""


@pytest.mark.parametrize("fault", [Reset(), Cut()], ids=["reset", "cut"])
def test_of_a_body_that_breaks_off_the_start_is_what_came(session: requests.Session, fault: Any) -> None:
    with streamed(session, Send(b"the bo"), fault) as (answer, _):
        assert answer.read_start(6, GUARD) == b"the bo"
        assert answer.read_start(1_000_000, GUARD)  # half of what broke off
        assert answer.read_start(1_000_000, GUARD) == b""


def test_once_the_start_is_read_no_watchdog_disturbs_the_rest(session: requests.Session) -> None:
    confirmed = threading.Event()
    with streamed(session, Send(b"start"), Await(confirmed), Send(b"rest")) as (answer, _):
        before = set(threading.enumerate())
        assert answer.read_start(5, SOON) == b"start"
        until(lambda: before.issuperset(threading.enumerate()))
        confirmed.set()
        assert read_all(answer) == b"rest"


# Secrets

BROKEN_TOKENS = [
    "Bearer hush-hush\r\nX-More: 1",
    "Bearer hush-hush\n",
    " Bearer hush-hush",
    "Bearer hush\u2026hush",
]


@pytest.mark.parametrize("token", BROKEN_TOKENS, ids=ascii)
@pytest.mark.parametrize("place", ["session", "headers", "callable"])
def test_a_token_that_cannot_be_sent_is_fatal_and_shown_nowhere(
    session: requests.Session, token: str, place: str
) -> None:
    headers: Any = None
    if place == "session":
        session.headers["Authorization"] = token
    else:
        headers = {"Authorization": token}
    with Simulator() as simulator:
        error = refused(
            session, simulator.url + PATH, headers=(lambda: headers) if place == "callable" else headers
        )
    assert error.error_type is FATAL_ERROR
    shown = [
        str(error),
        repr(error),
        repr(vars(error)),
        repr(error.__cause__),
        "".join(traceback.format_exception(error)),
        repr(pickle.dumps(error)),
    ]
    assert [text for text in shown if "hush" in text] == []


# Who the stream is


def authorizations(session: MemorySession) -> list[Any]:
    return [call["headers"].get("Authorization") for call in session.calls]


def test_the_sessions_authorization_stays_that_of_the_first_attempt(clock: FakeClock) -> None:
    session = MemorySession(clock, [(), (), ()])
    request = Request(session, "get", "url")  # type: ignore[arg-type]  # of a session's shape
    for token in ("first", "second", None):
        session.headers = {"Authorization": token} if token else {}
        request.send(connect_timeout=1, read_timeout=1, chunk_size=1)
    assert authorizations(session) == ["first", "first", "first"]


def test_plain_headers_stay_those_of_the_first_attempt(clock: FakeClock) -> None:
    session = MemorySession(clock, [(), ()])
    headers = {"Authorization": "first", "X-Other": "1"}
    request = Request(session, "get", "url", headers=headers)  # type: ignore[arg-type]  # of a session's shape
    request.send(connect_timeout=1, read_timeout=1, chunk_size=1)
    headers["Authorization"] = session.headers["Authorization"] = "second"
    request.send(connect_timeout=1, read_timeout=1, chunk_size=1)
    assert [call["headers"] for call in session.calls] == [
        {"Connection": "close", "Authorization": "first", "X-Other": "1"}
    ] * 2


def test_callables_are_asked_at_every_attempt(clock: FakeClock) -> None:
    session = MemorySession(clock, [(), ()])
    tokens, params = iter(["first", "second"]), iter([{"a": 1}, {"a": 2}])
    request = Request(
        session,  # type: ignore[arg-type]  # of a session's shape
        "get",
        "url",
        params=lambda: next(params),
        headers=lambda: {"Authorization": next(tokens)},
    )
    for _ in range(2):
        request.send(connect_timeout=1, read_timeout=1, chunk_size=1)
    assert authorizations(session) == ["first", "second"]
    assert [call["params"] for call in session.calls] == [{"a": 1}, {"a": 2}]


def test_callable_headers_without_a_token_leave_the_sessions_first_one(clock: FakeClock) -> None:
    session = MemorySession(clock, [(), ()])
    request = Request(session, "get", "url", headers=lambda: {"X-Other": "1"})  # type: ignore[arg-type]  # its shape
    for token in ("first", "second"):
        session.headers["Authorization"] = token
        request.send(connect_timeout=1, read_timeout=1, chunk_size=1)
    assert [call["headers"] for call in session.calls] == [
        {"Connection": "close", "Authorization": "first", "X-Other": "1"}
    ] * 2


@pytest.mark.parametrize("kind", ["none", "plain", "callable"])
def test_the_server_sees_one_authorization_and_always_the_streams_own(
    session: requests.Session, kind: str
) -> None:
    seen: list[bytes] = []

    def serve(peer: Peer) -> None:
        seen.append(peer.request())
        peer.send(head("Content-Length: 0", "Connection: close"))

    own = {"authorization": "Bearer own"}
    headers: Any = {"none": None, "plain": own, "callable": lambda: own}[kind]
    with served(serve) as url:
        request = Request(session, "get", url, headers=headers)
        for _ in range(2):
            request.send(connect_timeout=GUARD, read_timeout=GUARD, chunk_size=1).close()
            session.headers["Authorization"] = "Bearer another"
    lines = [
        line for request in seen for line in request.splitlines() if line.lower().startswith(b"authorization")
    ]
    assert [line.partition(b": ")[2] for line in lines] == [
        b"Bearer a-token" if kind == "none" else b"Bearer own"
    ] * 2


def test_a_callable_that_gives_nothing_adds_nothing(clock: FakeClock) -> None:
    session = MemorySession(clock, [()])
    nothing: Any = lambda: None  # noqa: E731 - what a user may write
    send(session, "url", params=nothing, headers=nothing)
    assert session.calls[0]["params"] == {}
    assert session.calls[0]["headers"] == {"Connection": "close"}


@pytest.mark.parametrize("source", ["params", "headers"])
@pytest.mark.parametrize(
    ("raised", "error_type"),
    [(KeyError("token"), FATAL_ERROR), (rq.ReadTimeout("vault"), TIMEOUT)],
    ids=["unknown", "known"],
)
def test_what_a_callable_raises_is_translated(
    clock: FakeClock, source: str, raised: Exception, error_type: StreamErrorType
) -> None:
    error = refused(MemorySession(clock, []), "url", **{source: Mock(side_effect=raised)})
    assert_translated(error, error_type)
    assert error.original_exception is raised


# What is asked for


@pytest.mark.parametrize("method", ["get", "GET", "Get"])
def test_a_method_is_taken_in_any_case(session: requests.Session, method: str) -> None:
    assert Request(session, method, "url").method == "GET"
    with (
        Simulator(then=[Send(b"x"), End()]) as simulator,
        asked(session, simulator.url + PATH, method=method) as answer,
    ):
        assert answer.status == 200


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete", "head", "options"])
def test_every_method_of_a_session_can_be_asked_for(session: requests.Session, method: str) -> None:
    seen: list[bytes] = []

    def serve(peer: Peer) -> None:
        seen.append(peer.request())
        peer.send(head("Content-Length: 0"))

    with served(serve) as url:
        send(session, url, method=method).close()
    assert seen[0].startswith(method.upper().encode() + b" / ")


@pytest.mark.parametrize("method", ["", "fetch", "request", "close", "get "])
def test_an_unknown_method_is_a_value_error_that_names_the_known_ones(
    session: requests.Session, method: str
) -> None:
    with pytest.raises(ValueError, match="delete, get, head, options, patch, post, put"):
        Request(session, method, "url")


@pytest.mark.parametrize(
    ("json_data", "body"), [({}, b"{}"), ({"a": [1]}, b'{"a": [1]}'), ([], b"[]"), (None, b"")], ids=repr
)
def test_json_data_is_sent_empty_or_not(session: requests.Session, json_data: Any, body: bytes) -> None:
    seen: list[bytes] = []

    def serve(peer: Peer) -> None:
        seen.append(peer.request())
        peer.send(head("Content-Length: 0"))

    with served(serve) as url:
        send(session, url, method="post", json_data=json_data).close()
    start, _, rest = seen[0].partition(b"\r\n\r\n") if b"\r\n\r\n" in seen[0] else (seen[0], b"", b"")
    assert (rest or start).endswith(body)
    assert (b"application/json" in seen[0]) == (json_data is not None)


def test_the_session_is_called_in_the_shape_of_requests(clock: FakeClock) -> None:
    session = MemorySession(clock, [[Send(b"x")]])
    request = Request(session, "GET", "the url", {"a": 1}, {"b": "2"})  # type: ignore[arg-type]  # of its shape
    request.send(connect_timeout=3, read_timeout=None, chunk_size=7)
    assert session.calls == [
        {
            "url": "the url",
            "params": {"a": 1},
            "headers": {"Connection": "close", "b": "2"},
            "stream": True,
            "timeout": (3, None),
        }
    ]


# Sessions of requests' shape


def test_an_error_that_a_hook_raises_for_the_status_brings_the_answer(session: requests.Session) -> None:
    def raise_for_status(response: requests.Response, **_: Any) -> None:
        response.raise_for_status()

    session.hooks["response"].append(raise_for_status)
    with streamed(session, Refuse(503, b"busy", {"Retry-After": "9"})) as (answer, _):
        assert answer.status == 503
        assert answer.headers["retry-after"] == "9"
        assert answer.read_start(100, GUARD) == b"busy"


def test_a_body_that_a_hook_has_read_already_is_still_there(session: requests.Session) -> None:
    read: list[bytes] = []

    def look(response: requests.Response, **_: Any) -> None:
        read.append(response.content)

    session.hooks["response"].append(look)
    with streamed(session, Refuse(429, b'{"type":"usage-capped"}')) as (answer, _):
        assert read == [b'{"type":"usage-capped"}']
        assert answer.read_start(100, GUARD) == b'{"type":"usage-capped"}'


def test_an_http_error_without_an_answer_is_a_server_error(clock: FakeClock) -> None:
    assert_translated(refused(MemorySession(clock, [requests.HTTPError("503")]), "url"), SERVER_ERROR)


@pytest.mark.parametrize(
    "returned",
    [None, "text", Mock(status_code="200"), namespace(status=200)],
    ids=lambda returned: type(returned).__name__,
)
def test_a_session_that_returns_no_response_is_fatal(returned: Any) -> None:
    session = Mock(get=Mock(return_value=returned), headers={})
    error = refused(session, "url")
    assert error.error_type is FATAL_ERROR
    assert type(returned).__name__ in str(error)
    assert "status_code" in str(error)


@pytest.mark.parametrize(
    "session",
    [None, object(), namespace(get="no function"), namespace(get=lambda url: None)],
    ids=["None", "object", "no function", "another function"],
)
def test_what_is_no_session_at_all_is_fatal(session: Any) -> None:
    assert_translated(refused(session, "url"), FATAL_ERROR)


def mocked(chunks: Any, headers: Any = None) -> Mock:
    return Mock(status_code=200, headers=headers, iter_content=Mock(return_value=chunks))


def test_a_mock_of_a_response_is_read_through_iter_content_with_the_chunk_size() -> None:
    response = mocked(iter([b"one\n", b"", "two €\n", "", "\ud800"]), headers=Mock())
    answer = Answer(response, 77)
    assert answer.status == 200
    assert answer.headers == {}
    assert [answer.read() for _ in range(5)] == [b"one\n", "two €\n".encode(), b"\xed\xa0\x80", b"", b""]
    response.iter_content.assert_called_once_with(chunk_size=77)


@pytest.mark.parametrize(
    "headers", [None, Mock(), [], "text", {}], ids=lambda headers: type(headers).__name__
)
def test_headers_that_are_none_are_no_headers(headers: Any) -> None:
    assert Answer(mocked([]), 1).headers == Answer(mocked([], headers), 1).headers == {}


def test_a_header_that_is_no_str_is_absent() -> None:
    headers = {"A": "a", "B": 5, "C": None, "D": b"d", "E": Mock(), "F": ""}
    assert Answer(mocked([], headers), 1).headers == {"a": "a", "f": ""}


def test_a_header_whose_name_is_no_str_is_absent() -> None:
    assert Answer(mocked([], {b"A": "a", None: "b", 5: "c", "D": "d"}), 1).headers == {"d": "d"}


def test_waking_and_closing_a_mock_closes_the_response() -> None:
    response = mocked(iter([b"x"]))
    answer = Answer(response, 1)
    answer.wake()
    response.close.assert_not_called()
    answer.close()
    response.close.assert_called_once_with()


def test_a_real_response_in_memory_is_read_and_closed_like_any_other() -> None:
    raw = urllib3.HTTPResponse(io.BytesIO(b"one\ntwo\n"), status=200, preload_content=False)
    response = requests.Response()
    response.status_code, response.raw = 200, raw
    answer = Answer(response, 1)
    answer.wake()
    assert read_all(answer) == b"one\ntwo\n"
    answer.close()
    assert raw.closed


def test_a_memory_session_is_served_like_a_real_one(clock: FakeClock) -> None:
    session = MemorySession(clock, [[Serve(2), Cut()], [Serve(), Stall()], [Serve(), End()]])
    request = Request(session, "get", "url")  # type: ignore[arg-type]  # of a session's shape
    expected: list[tuple[bytes, StreamErrorType | None]] = []
    for _ in range(3):
        answer = request.send(connect_timeout=1, read_timeout=1, chunk_size=1)
        data, error_type = b"", None
        try:
            data = answer.read()
            read_all(answer)
        except StreamError as error:
            error_type = error.error_type
        answer.close()
        expected.append((data, error_type))
    assert expected == [
        (b'{"data":{"id":"1"}}\r\n', STREAM_INTERRUPTED),
        (b'{"data":{"id":"4"}}\r\n', TIMEOUT),
        (b'{"data":{"id":"5"}}\r\n', None),
    ]
    assert [response.closed for response in session.responses] == [1, 1, 1]


def stream_error() -> StreamError:
    try:
        raise StreamError("mine", CLIENT_ERROR, status_code=418) from KeyError("mine")
    except StreamError as error:
        return error


@pytest.mark.parametrize("moment", ["dialling", "reading"])
def test_a_stream_error_of_the_sessions_own_passes_as_it_is(clock: FakeClock, moment: str) -> None:
    own = stream_error()
    cause = own.__cause__
    with pytest.raises(StreamError) as caught:
        if moment == "dialling":
            send(MemorySession(clock, [own]), "url")
        else:
            Answer(Mock(status_code=200, iter_content=Mock(side_effect=own)), 1).read()
    assert caught.value is own
    assert isinstance(cause, KeyError)
    assert own.__cause__ is cause


@pytest.mark.parametrize("moment", ["dialling", "reading"])
def test_an_exception_that_nobody_knows_is_fatal_and_named(clock: FakeClock, moment: str) -> None:
    unknown = LookupError("what is this")
    with pytest.raises(StreamError) as caught:
        if moment == "dialling":
            send(MemorySession(clock, [unknown]), "url")
        else:
            Answer(Mock(status_code=200, iter_content=Mock(side_effect=unknown)), 1).read()
    assert_translated(caught.value, FATAL_ERROR)
    assert caught.value.original_exception is unknown
    assert "LookupError" in str(caught.value)
    assert "what is this" in str(caught.value)


@pytest.mark.parametrize("interruption", [KeyboardInterrupt(), SystemExit(1), GeneratorExit()], ids=repr)
def test_an_interruption_is_not_held_back(interruption: BaseException) -> None:
    session = Mock(get=Mock(side_effect=interruption), headers={})
    with pytest.raises(type(interruption)):
        send(session, "url")
    with pytest.raises(type(interruption)):
        Answer(Mock(status_code=200, iter_content=Mock(side_effect=interruption)), 1).read()


# The table


def in_retries(reason: Exception) -> Exception:
    """As requests reports what befell urllib3 before there were headers."""
    return requests.ConnectionError(u3.MaxRetryError(None, "/", reason))  # type: ignore[arg-type]  # no pool


def new_connection(text: str = "refused") -> u3.NewConnectionError:
    return u3.NewConnectionError(None, text)  # type: ignore[arg-type]  # no connection


def read_timeout() -> u3.ReadTimeoutError:
    return u3.ReadTimeoutError(None, None, "Read timed out.")  # type: ignore[arg-type]  # no pool


def caused(exception: Exception, cause: Exception) -> Exception:
    exception.__cause__ = cause
    return exception


KNOWN: list[tuple[Exception, StreamErrorType]] = [
    (rq.InvalidHeader("hush"), FATAL_ERROR),
    (UnicodeEncodeError("latin-1", "hush\u2026", 4, 5, "ordinal not in range(256)"), FATAL_ERROR),
    (ssl.SSLCertVerificationError("expired"), FATAL_ERROR),
    (rq.SSLError(u3.MaxRetryError(None, "/", u3.SSLError(ssl.SSLCertVerificationError("x")))), FATAL_ERROR),  # type: ignore[arg-type]  # no pool
    (rq.URLRequired(), FATAL_ERROR),
    (rq.MissingSchema(), FATAL_ERROR),
    (rq.InvalidSchema(), FATAL_ERROR),
    (rq.InvalidURL(), FATAL_ERROR),
    (rq.InvalidProxyURL(), FATAL_ERROR),
    (u3.LocationValueError(), FATAL_ERROR),
    (u3.LocationParseError("a..b"), FATAL_ERROR),
    (rq.TooManyRedirects(), CLIENT_ERROR),
    (rq.RetryError(u3.MaxRetryError(None, "/", u3.ResponseError("503"))), SERVER_ERROR),  # type: ignore[arg-type]  # no pool
    (rq.HTTPError("503"), SERVER_ERROR),
    (new_connection(), CONNECTION_ERROR),
    (in_retries(new_connection()), CONNECTION_ERROR),
    (in_retries(caused(new_connection(), ConnectionRefusedError())), CONNECTION_ERROR),
    (in_retries(u3.NameResolutionError("h", None, socket.gaierror(-2, "?"))), CONNECTION_ERROR),  # type: ignore[arg-type]  # no connection
    (rq.ProxyError(u3.MaxRetryError(None, "/", u3.ProxyError("proxy", TimeoutError()))), CONNECTION_ERROR),  # type: ignore[arg-type]  # no pool
    (u3.ProxyError("proxy", OSError()), CONNECTION_ERROR),
    (ConnectionRefusedError(), CONNECTION_ERROR),
    (socket.gaierror(-2, "?"), CONNECTION_ERROR),
    (rq.ConnectTimeout(u3.MaxRetryError(None, "/", u3.ConnectTimeoutError())), TIMEOUT),  # type: ignore[arg-type]  # no pool
    (rq.ReadTimeout(), TIMEOUT),
    (rq.Timeout(), TIMEOUT),
    (requests.ConnectionError(read_timeout()), TIMEOUT),
    (read_timeout(), TIMEOUT),
    (TimeoutError(), TIMEOUT),
    (requests.ConnectionError(u3.ProtocolError("aborted", TimeoutError())), TIMEOUT),
    (requests.ConnectionError(), CONNECTION_ERROR),
    (requests.ConnectionError(u3.ProtocolError("aborted", ConnectionResetError())), CONNECTION_ERROR),
    (rq.SSLError(ssl.SSLError("wrong version")), CONNECTION_ERROR),
    (rq.ChunkedEncodingError(u3.ProtocolError("broken", ConnectionResetError())), STREAM_INTERRUPTED),
    (rq.ChunkedEncodingError(), STREAM_INTERRUPTED),
    (rq.ContentDecodingError(u3.DecodeError("gzip")), STREAM_INTERRUPTED),
    (u3.ProtocolError("broken", ConnectionResetError()), STREAM_INTERRUPTED),
    (u3.DecodeError("gzip"), STREAM_INTERRUPTED),
    (u3.IncompleteRead(0, 1), STREAM_INTERRUPTED),
    (http.client.IncompleteRead(b""), STREAM_INTERRUPTED),
    (http.client.BadStatusLine("?"), STREAM_INTERRUPTED),
    (ssl.SSLError("bad record"), STREAM_INTERRUPTED),
    (ConnectionResetError(), CONNECTION_ERROR),
    (BrokenPipeError(), CONNECTION_ERROR),
    (ConnectionAbortedError(), CONNECTION_ERROR),
    (caused(RuntimeError("adapter"), rq.ReadTimeout()), TIMEOUT),
]
UNKNOWN = [
    RuntimeError("?"),
    OSError(5, "?"),
    UnicodeDecodeError("utf-8", b"\xff", 0, 1, "?"),
    rq.StreamConsumedError(),
]


@pytest.mark.parametrize(("exception", "error_type"), KNOWN, ids=lambda value: repr(value)[:60])
def test_an_exception_is_translated_by_its_class_and_what_it_wraps(
    exception: Exception, error_type: StreamErrorType
) -> None:
    error = translate(exception)
    assert error.error_type is error_type
    assert any(str(error).startswith(fault.sentence) for fault in FAULTS)
    secret = isinstance(exception, (rq.InvalidHeader, UnicodeEncodeError))  # both hold the header's value
    assert error.original_exception is (None if secret else exception)


@pytest.mark.parametrize("exception", UNKNOWN, ids=repr)
def test_an_exception_of_no_row_is_fatal(exception: Exception) -> None:
    error = translate(exception)
    assert error.error_type is FATAL_ERROR
    assert error.original_exception is exception
    assert type(exception).__name__ in str(error)


@pytest.mark.parametrize("row", FAULTS, ids=lambda row: row.exceptions[0].__name__)
def test_every_row_of_the_table_is_needed(monkeypatch: pytest.MonkeyPatch, row: Fault) -> None:
    before = [str(translate(exception)) for exception, _ in KNOWN]
    monkeypatch.setattr(transport, "FAULTS", tuple(fault for fault in FAULTS if fault is not row))
    assert [str(translate(exception)) for exception, _ in KNOWN] != before


def test_every_class_that_the_table_names_is_among_the_known() -> None:
    named = {name for fault in FAULTS for name in fault.exceptions}
    wrapped = [link for exception, _ in KNOWN for link in transport._wrapped(exception)]
    assert {name for name in named if not any(isinstance(link, name) for link in wrapped)} == set()


def test_the_message_tells_the_innermost_exception() -> None:
    reset = ConnectionResetError(errno.ECONNRESET, "the root of it")
    error = translate(requests.ConnectionError(u3.ProtocolError("aborted", reset)))
    assert "the root of it" in str(error)


@pytest.mark.parametrize("wordless", [TimeoutError(), ConnectionResetError(), KeyError()], ids=repr)
def test_an_exception_without_words_is_told_by_its_name(wordless: Exception) -> None:
    message = str(translate(wordless))
    assert type(wordless).__name__ in message
    assert "()" not in message


def test_exceptions_that_cause_each_other_are_followed_once() -> None:
    one, other = RuntimeError("one"), RuntimeError("other")
    one.__cause__, other.__cause__ = other, one
    assert translate(one).error_type is FATAL_ERROR
    other.__cause__ = caused(rq.ReadTimeout(), one)
    assert translate(one).error_type is TIMEOUT


def test_a_reason_that_is_no_exception_is_not_followed() -> None:
    class Reasoned(Exception):
        reason = "a text, as ssl.SSLError has it"

    assert translate(Reasoned()).error_type is FATAL_ERROR
