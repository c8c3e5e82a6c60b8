"""Bytes come as soon as they are there, until the end, a wake, or a close."""

from __future__ import annotations

import http.client
import io
import signal
import socket
import ssl
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
import requests
import urllib3

from helpers.servers import (
    GUARD,
    PATH,
    SOON,
    Await,
    Flood,
    Peer,
    Reader,
    Trust,
    answer_of,
    answering,
    asked,
    certified,
    encodings,
    framings,
    head,
    read_all,
    read_exactly,
    read_to_fault,
    reads_its_socket,
    securities,
    served,
    streamed,
    until,
)
from helpers.systems import USER_SIGNAL, posix, send_signal
from xdk_streaming.errors import StreamError
from xdk_streaming.simulator import Cut, End, Refuse, Reset, Send, Simulator, Stall
from xdk_streaming.simulator.body import Body, Encoding, Framing
from xdk_streaming.wire.answer import Answer

# Bytes come as soon as they are there

pytestmark = pytest.mark.usefixtures("route")


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


def test_an_answer_has_its_status_and_headers_with_names_in_lower_case(session: requests.Session) -> None:
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
        until(lambda: simulator.requests[0].outcome == "silent until the client left")


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
        send_signal(main.ident or 0, USER_SIGNAL)

    script = Send(b"whole\n"), Stall()
    with streamed(session, *script, framing="close", trust=trust if secure else None) as (answer, _):
        read_exactly(answer, b"whole\n")
        before = signal.signal(USER_SIGNAL, lambda number, frame: answer.wake())
        try:
            interrupter = threading.Thread(target=interrupt)
            interrupter.start()
            with suppress(StreamError):
                assert answer.read() == b""
            interrupter.join(GUARD)
        finally:
            signal.signal(USER_SIGNAL, before)
        assert answer.read() == b""


@posix("a shutdown ends no receive there; the one who wakes also ends the wait")
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
        until(lambda: simulator.requests[0].outcome == "silent until the client left")
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


class Memory:
    """What http.client takes for a socket: an answer that is in memory."""

    def makefile(self, mode: str) -> io.BytesIO:
        return io.BytesIO(head("Content-Length: 2") + b"ok")


def test_an_answer_of_http_client_that_is_in_memory_is_read_as_any_other() -> None:
    original = http.client.HTTPResponse(Memory())  # type: ignore[arg-type]  # as tools that replay answers do
    original.begin()
    kept: Any = {"original_response": original, "preload_content": False}
    raw = urllib3.HTTPResponse(original, dict(original.headers), 200, **kept)
    response = requests.Response()
    response.raw, response.status_code, response.headers = raw, 200, raw.headers  # type: ignore[assignment]
    answer = answer_of(response)
    assert answer.idle()
    assert read_all(answer) == b"ok"
    answer.close()


def test_an_answer_that_ctrl_c_kept_from_being_made_can_be_closed() -> None:
    Answer.__new__(Answer).close()


def test_a_response_that_fails_to_close_is_closed_for_us() -> None:
    response = Mock(status_code=200, headers={}, iter_content=Mock(return_value=iter([b"x"])))
    response.close.side_effect = RuntimeError("no")
    answer = answer_of(response, 1)
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
        answer.close()
        until(lambda: simulator.requests[0].outcome == "silent until the client left")


def test_of_a_body_that_never_comes_the_start_is_empty(session: requests.Session) -> None:
    with streamed(session, Stall()) as (answer, _):
        assert answer.read_start(1000, SOON) == b""


@pytest.mark.parametrize("fault", [Reset(), Cut()], ids=["reset", "cut"])
def test_of_a_body_that_breaks_off_the_start_is_what_came(session: requests.Session, fault: Any) -> None:
    with streamed(session, Send(b"the bo"), fault) as (answer, _):
        start = answer.read_start(1_000_000, GUARD)
        assert start.startswith(b"the bo")
        assert len(start) > 6  # half of what broke off
        assert answer.read_start(1_000_000, GUARD) == b""


def test_once_the_start_is_read_no_watchdog_disturbs_the_rest(session: requests.Session) -> None:
    confirmed = threading.Event()
    with streamed(session, Send(b"start"), Await(confirmed), Send(b"rest")) as (answer, _):
        before = set(threading.enumerate())
        assert answer.read_start(5, SOON) == b"start"
        until(lambda: before.issuperset(threading.enumerate()))
        confirmed.set()
        assert read_all(answer) == b"rest"
