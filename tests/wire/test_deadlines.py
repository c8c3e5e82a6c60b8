"""One deadline for an attempt and one for a line, whatever drips in."""

from __future__ import annotations

import socket
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
import requests

from helpers.clients import GUARD
from helpers.servers import Peer, head, limits, served, through
from helpers.unfinished import CONNECTING, drip, mute, situation
from xdk_streaming import StreamConfig
from xdk_streaming.clock import monotonic
from xdk_streaming.errors import StreamError, StreamErrorType
from xdk_streaming.wire.answer import Answer
from xdk_streaming.wire.request import Request
from xdk_streaming.wire.timeouts import Deadlines, Limit, Timeouts
from xdk_streaming.wire.wait import Due, Wait
from xdk_streaming.wire.waiting_socket import WaitingSocket

SHORT = 0.3
"""Seconds of a limit that passes."""


def send(session: requests.Session, url: str, timeouts: Timeouts) -> Answer:
    return Request(session, "get", url).send(timeouts=timeouts, wait=Wait(), chunk_size=None)


@contextmanager
def times_out(saying: str = ".") -> Iterator[None]:
    began = time.monotonic()
    with pytest.raises(StreamError, match=saying) as caught:
        yield
    assert caught.value.error_type is StreamErrorType.TIMEOUT
    assert SHORT / 2 < time.monotonic() - began < GUARD / 2


# An attempt


@pytest.mark.parametrize("name", CONNECTING)
def test_an_attempt_has_one_deadline(session: requests.Session, name: str) -> None:
    with situation(name) as hung, times_out():
        send(session, hung.url, limits(SHORT, SHORT))


@pytest.mark.parametrize("name", ["headers drip", "100 Continue for ever"])
def test_what_drips_names_the_settings_of_the_deadline(session: requests.Session, name: str) -> None:
    timeouts = Timeouts.of(StreamConfig(timeout=(2 * SHORT, 10.0), stall_timeout=SHORT))
    with (
        situation(name) as hung,
        times_out(r"No answer came within 0\.6 s \(stall_timeout \+ stall_timeout\)"),
    ):
        send(session, hung.url, timeouts)


@pytest.mark.parametrize("serve", [lambda peer: mute(peer, lambda: None), lambda peer: drip(peer, b"x")])
def test_a_proxy_that_never_opens_its_tunnel_has_the_same_deadline(
    session: requests.Session, serve: Callable[[Peer], None]
) -> None:
    with served(serve) as url, times_out():
        through(session, url)
        send(session, "https://api.x.example/2/stream", limits(SHORT, SHORT))


@pytest.mark.parametrize("seconds", [(None, SHORT), (SHORT, None), (None, None)])
def test_without_both_timeouts_an_attempt_has_no_deadline(seconds: tuple[float | None, float | None]) -> None:
    assert limits(*seconds).attempt is None


def test_an_answer_without_a_deadline_comes(session: requests.Session) -> None:
    with served(lambda peer: peer.send(head("Content-Length: 2") + b"ok")) as url:
        answer = send(session, url, Timeouts())
        assert answer.read() == b"ok"
        answer.close()


# A line


def flood(peer: Peer, coding: str, data: bytes) -> None:
    peer.request()
    peer.send(head(*([f"Content-Encoding: {coding}"] if coding else [])))
    if coding:
        peer.send(b"\x78\x9c")
    while True:
        peer.send(data)


def dripping(peer: Peer) -> None:
    peer.request()
    peer.send(head())
    drip(peer, b"x")


NOTHING = zlib.compressobj(wbits=-15)
EMPTY_BLOCKS = (NOTHING.flush(zlib.Z_SYNC_FLUSH)) * 20_000


@pytest.mark.parametrize(
    "serve",
    [
        dripping,
        lambda peer: flood(peer, "", b"x" * 1000),
        lambda peer: flood(peer, "deflate", EMPTY_BLOCKS),
    ],
    ids=["dripping", "flooding", "flooding with nothing"],
)
def test_bytes_that_complete_no_line_end_by_the_deadline_of_a_line(
    session: requests.Session, serve: Callable[[Peer], object]
) -> None:
    timeouts = replace(limits(GUARD, GUARD), line=Limit(SHORT, "4 x stall_timeout"))
    with served(serve) as url:
        answer = send(session, url, timeouts)
        with times_out(r"Bytes came, but no whole line within 0\.3 s \(4 x stall_timeout\)"):
            while answer.read():
                pass
        answer.close()


def test_each_whole_line_begins_the_time_anew(session: requests.Session) -> None:
    def serve(peer: Peer) -> None:
        peer.request()
        peer.send(head())
        for _ in range(6):
            time.sleep(SHORT / 3)
            peer.send(b"{}\r\n")

    timeouts = replace(limits(GUARD, GUARD), line=Limit(SHORT, "4 x stall_timeout"))
    with served(serve) as url:
        answer, read = send(session, url, timeouts), b""
        while data := answer.read():
            read += data
            answer.line_came = True
        answer.close()
    assert read == b"{}\r\n" * 6


def test_an_error_body_that_floods_with_nothing_takes_no_more_than_its_time(
    session: requests.Session,
) -> None:
    with served(lambda peer: flood(peer, "deflate", EMPTY_BLOCKS)) as url:
        answer = send(session, url, limits(GUARD, GUARD))
        began = time.monotonic()
        assert answer.read_start(100, SHORT) == b""
        assert time.monotonic() - began < GUARD / 2
        answer.close()


def test_the_first_moment_ends_a_read() -> None:
    deadlines = Deadlines(limits(None, None))
    assert deadlines.first() is None
    deadlines.check()
    deadlines.end_at = 5.0
    assert deadlines.first() == 5.0
    with pytest.raises(StreamError, match="The time for this answer has passed"):
        deadlines.check()
    deadlines = Deadlines(limits(None, 1e6))
    deadlines.end_at = time.monotonic() + 1e9
    assert deadlines.first() != deadlines.end_at
    deadlines.check()


@pytest.mark.parametrize("read", [None, Limit(0.2, "timeout")])
def test_a_read_that_was_left_goes_on_with_the_time_that_it_had(read: Limit | None) -> None:
    wait = Wait()
    deadlines = Deadlines(Timeouts(read=read, line=Limit(0.1, "4 x stall_timeout")), wait)
    deadlines.expect_line()
    wait.due_at = monotonic() + 0.05
    assert deadlines.first() == wait.due_at
    time.sleep(0.05)
    assert isinstance(deadlines.passed(wait.due_at), Due)
    wait.due_at = None
    time.sleep(0.15)  # the batch is being stored
    deadlines.check()
    line_at = deadlines.first()
    assert line_at is not None
    assert 0 < line_at - monotonic() <= 0.05
    with pytest.raises(StreamError, match="no whole line"):
        raise deadlines.passed(line_at)


def test_a_read_that_was_left_before_any_line_keeps_its_time_for_bytes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 100.0
    monkeypatch.setattr("xdk_streaming.wire.timeouts.monotonic", lambda: now)
    wait = Wait()
    deadlines = Deadlines(limits(None, 8.0), wait)
    wait.due_at = 103.0
    assert deadlines.first() == 103.0
    now = 103.0
    assert isinstance(deadlines.passed(103.0), Due)
    wait.due_at, now = None, 120.0  # the batch was being stored
    assert deadlines.first() == 125.0


def test_a_ring_in_a_read_is_no_end_of_it() -> None:
    one, other = socket.socketpair()
    with one, other:
        wait = Wait()
        wait.pause(0)
        wait.ring()
        sock = WaitingSocket(one, wait, Deadlines(limits(None, GUARD)))
        threading.Timer(0.1, other.send, [b"x"]).start()
        assert sock.recv(10) == b"x"
