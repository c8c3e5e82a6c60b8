"""Stopping while the body of a refusal is read, which stalls, or drips for ever; over plain and TLS."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

import pytest
import requests

from helpers.consumers import (
    GUARD,
    LONG,
    Consumer,
    Post,
    Recorder,
    bombarded,
    ctrl_c,
    reads,
    triggers,
    where,
    witness,
)
from helpers.servers import Peer, Trust, head, until
from helpers.systems import USER_SIGNAL, open_sockets, posix
from xdk_streaming import ConnectionState, Stream, Trigger
from xdk_streaming.wire import problems

UNAVAILABLE = "503 Service Unavailable"
PAUSE = 0.005
"""Seconds between the drops: slow enough for the body to be endless, and not too long."""


@pytest.fixture(autouse=True)
def nothing_ends_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(problems, "BODY_SECONDS", LONG)


@pytest.fixture(autouse=True)
def nothing_stays_behind(session: requests.Session) -> Iterator[None]:
    """No socket, and no thread: the one that watches over the body must go, too."""
    sockets, threads = open_sockets(), set(threading.enumerate())
    yield
    until(lambda: open_sockets() <= sockets and set(threading.enumerate()) <= threads)


def stalls_at_once(peer: Peer) -> None:
    peer.send(head("Content-Length: 1000", status=UNAVAILABLE))


def stalls_midway(peer: Peer) -> None:
    peer.send(head("Content-Length: 1000", status=UNAVAILABLE) + b'{"title":')


def stalls_in_a_chunk(peer: Peer) -> None:
    peer.send(head("Transfer-Encoding: chunked", status=UNAVAILABLE) + b'10\r\n{"title":')


def drips_for_ever(peer: Peer) -> None:
    peer.send(head("Transfer-Encoding: chunked", status=UNAVAILABLE))
    pause = threading.Event()
    for _ in count():
        peer.send(b"1\r\nx\r\n")
        pause.wait(PAUSE)


def until_it_left(answer: Callable[[Peer], None]) -> Callable[[Peer], None]:
    """The same, but what is sent to a client that has left is no failure."""

    def serve(peer: Peer) -> None:
        try:
            answer(peer)
        except OSError:
            return

    return serve


bodies = pytest.mark.parametrize("body", [stalls_at_once, stalls_midway, stalls_in_a_chunk, drips_for_ever])


class Refusal:
    """A stream that is refused, with a body that does not end."""

    def __init__(self, session: requests.Session, url: str, left: threading.Event) -> None:
        self.recorder = Recorder()
        self.left = left
        self._answers: list[requests.Response] = []
        session.hooks["response"].append(lambda response, **_: self._answers.append(response))
        self.stream = Stream[Post](session, "get", url, self.recorder.config(timeout=LONG))

    def is_read_by(self, thread: threading.Thread, answers: int = 1) -> bool:
        """Whether so many heads have come, and the thread waits for the body."""
        return len(self._answers) == answers and reads(thread)

    def was_left_without_a_word(self) -> None:
        """It ended because it was stopped: not by the refusal, and not by a timeout."""
        assert self.left.wait(GUARD)
        self.recorder.ended_with(self.stream)
        assert triggers(self.stream) == [Trigger.START, Trigger.STOP]
        assert self.recorder.errors == self.recorder.disconnects == []


@pytest.fixture
def refused(session: requests.Session, tls: Trust | None, body: Any) -> Iterator[Refusal]:
    with witness(session, tls, until_it_left(body)) as (url, left):
        yield Refusal(session, url, left)


@bodies
@pytest.mark.parametrize("end", ["stop", "close"])
def test_stop_or_close_from_another_thread_wakes_it(refused: Refusal, end: str) -> None:
    consumer = Consumer(refused.stream)
    until(lambda: refused.is_read_by(consumer))
    assert where(refused.stream) is ConnectionState.CONNECTING
    getattr(refused.stream, end)()
    assert consumer.result() == []
    refused.was_left_without_a_word()


@posix("a signal there interrupts its own handler, again and again")
@bodies
def test_a_thousand_signals_with_stopping_handlers_wake_it(refused: Refusal) -> None:
    main = threading.current_thread()
    with bombarded(USER_SIGNAL, lambda *_: refused.stream.stop(), lambda: refused.is_read_by(main)):
        assert list(refused.stream) == []
    refused.was_left_without_a_word()


@bodies
def test_ctrl_c_ends_it_and_closes_the_connection(refused: Refusal) -> None:
    main = threading.current_thread()
    with (
        pytest.raises(KeyboardInterrupt) as held,
        ctrl_c(lambda: refused.is_read_by(main)),
    ):
        list(refused.stream)
    refused.was_left_without_a_word()
    assert held.value


def test_a_second_refusal_is_woken_like_the_first(session: requests.Session, tls: Trust | None) -> None:
    """After a retry another connection is there to be woken."""
    bodies = iter([b"x" * 1000, b'{"title":'])

    def answer(peer: Peer) -> None:
        peer.send(head("Content-Length: 1000", status=UNAVAILABLE) + next(bodies))

    with witness(session, tls, answer) as (url, left):
        refused = Refusal(session, url, left)
        consumer = Consumer(refused.stream)
        until(lambda: refused.is_read_by(consumer, answers=2))
        refused.stream.stop()
        assert consumer.result() == []
        assert left.wait(GUARD)
    refused.recorder.ended_with(refused.stream)
    assert [error.status_code for error in refused.recorder.errors] == [503]
