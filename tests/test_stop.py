"""Stopping: before the first item, in mid-batch, under signals and from many threads.

Stopping in each state, in a callback and by Ctrl-C is in test_edges.py and test_edges_of_foreign_code.py.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests

from helpers.consumers import (
    GUARD,
    LONG,
    PATH,
    Consumer,
    Post,
    Recorder,
    bombarded,
    consumed,
    reads,
    sees_the_client_leave,
    simulated,
    triggers,
    waits,
    where,
    witness,
)
from helpers.servers import Peer, Trust, head, until
from helpers.shortcuts import ids
from helpers.streams import Foreign
from helpers.systems import USER_SIGNAL, posix
from xdk_streaming import ConnectionState, Stream, StreamConfig, StreamError, Trigger
from xdk_streaming.simulator import UNAVAILABLE, End, Refuse, Send, Serve, Simulator, Stall
from xdk_streaming.testing import FakeClock, ScriptedSession


def stop_while_dialling(session: ScriptedSession, stream: Stream[Any]) -> None:
    """Have stop() called in the middle of the session's next request."""
    dial = session.get

    def stop_and_dial(url: str, **arguments: Any) -> Any:
        stream.stop()
        return dial(url, **arguments)

    session.get = stop_and_dial  # type: ignore[method-assign, assignment]  # of its shape


def test_stop_while_dialling_keeps_a_stream_from_opening(clock: FakeClock) -> None:
    connected: list[None] = []
    session = ScriptedSession([(Serve(1), End())], clock=clock)
    config = StreamConfig(on_connect=lambda: connected.append(None))
    stream = Stream[Post](session, "get", "http://nowhere", config, clock=clock)
    stop_while_dialling(session, stream)
    assert list(stream) == []
    assert [change.trigger for change in stream.history] == [Trigger.START, Trigger.STOP]
    assert not connected
    assert session.responses[0].raw.closed


def test_stop_while_dialling_wins_over_a_refusal(clock: FakeClock) -> None:
    errors: list[StreamError] = []
    session = ScriptedSession([(Refuse(401),)], clock=clock)
    stream = Stream[Post](session, "get", "http://x", StreamConfig(on_error=errors.append), clock=clock)
    stop_while_dialling(session, stream)
    assert list(stream) == []
    assert errors == []


def test_stop_ends_a_read_in_a_session_that_hides_its_socket(session: requests.Session) -> None:
    foreign: Any = Foreign(session)
    with simulated(session, None, (Serve(3), Stall(None))) as simulator:
        config = StreamConfig(chunk_size=1, stall_timeout=LONG)
        stream = Stream[Post](foreign, "get", simulator.url + PATH, config)
        consumer = Consumer(stream)
        until(lambda: len(consumer.items) == 3)
        began = time.monotonic()
        stream.stop()
        assert len(consumer.result()) == 3
        assert time.monotonic() - began < GUARD / 4
        sees_the_client_leave(simulator)


def test_stop_before_the_first_item_sticks(session: requests.Session) -> None:
    with Simulator() as simulator:
        stream = Stream[Post](session, "get", simulator.url + PATH)
        stream.stop()
        stream.stop()
        assert list(stream) == []
    assert not simulator.requests
    assert stream.history == ()


def test_stop_on_a_suspended_stream_is_seen_by_the_server_at_once(
    session: requests.Session, tls: Trust | None
) -> None:
    with simulated(session, tls, (Serve(1), Stall())) as simulator:
        stream = Stream[Post](session, "get", simulator.url + PATH)
        items = iter(stream)
        next(items)
        stream.stop()
        sees_the_client_leave(simulator)
        assert where(stream) is ConnectionState.STREAMING
        assert next(items, None) is None
        assert where(stream) is ConnectionState.DISCONNECTED


def test_items_read_but_not_yielded_are_counted_and_not_delivered(clock: FakeClock) -> None:
    batch = b"".join(b'{"data":{"id":"%d"}}\r\n' % number for number in range(5)) + b"\r\n"
    session = ScriptedSession([(Send(batch), Serve(3))], clock=clock)
    stream = Stream[Post](session, "get", "http://nowhere", clock=clock)
    received = []
    for item in stream:
        received.append(item)
        if len(received) == 2:
            stream.stop()
    assert ids(received) == ["0", "1"]
    assert stream.state.total_items_received == 2
    assert stream.state.undelivered_items == 3


def test_stop_from_on_error_does_not_hide_a_failure(clock: FakeClock) -> None:
    config = StreamConfig()
    stream = Stream[Post](
        ScriptedSession([(Refuse(401),)], clock=clock), "get", "http://nowhere", config, clock=clock
    )
    config.on_error = lambda error: stream.stop()
    with pytest.raises(StreamError, match="401"):
        list(stream)
    assert stream.connection_state is ConnectionState.FAILED


@pytest.mark.parametrize("callback", ["on_invalid", "on_notice"])
def test_stop_from_a_lines_callback_delivers_nothing_that_follows(callback: str, clock: FakeClock) -> None:
    odd = b'nonsense\r\n{"errors":[{"title":"odd"}]}\r\n{"data":{"id":"9"}}\r\n'
    session = ScriptedSession([(Send(odd), End())], clock=clock)
    config = StreamConfig()
    stream = Stream[Post](session, "get", "http://nowhere", config, clock=clock)
    setattr(config, callback, lambda *_: stream.stop())
    assert list(stream) == []
    assert stream.state.undelivered_items == 1


@posix("a signal there interrupts its own handler, again and again")
def test_a_thousand_signals_neither_deadlock_nor_break_a_stream(
    session: requests.Session, tls: Trust | None
) -> None:
    """Each handler calls stop() on the thread that it interrupts, wherever that stands."""
    with simulated(session, tls, (Serve(1), Stall())) as simulator:
        stream = Stream[Post](session, "get", simulator.url + PATH, StreamConfig(stall_timeout=LONG))
        received: list[Post] = []
        with bombarded(USER_SIGNAL, lambda *_: stream.stop(), lambda: received):
            for item in stream:
                received.append(item)
        sees_the_client_leave(simulator)
    assert len(received) == 1
    assert triggers(stream)[-1] is Trigger.STOP


def test_a_thousand_signals_wake_a_wait_on_the_thread_that_waits(session: requests.Session) -> None:
    main = threading.current_thread()
    with simulated(session, None, (UNAVAILABLE,)) as simulator:
        stream = Stream[Post](session, "get", simulator.url + PATH, StreamConfig(initial_backoff=LONG))
        with bombarded(USER_SIGNAL, lambda *_: stream.stop(), lambda: waits(main)):
            assert list(stream) == []
    assert triggers(stream)[-1] is Trigger.STOP


def test_a_thousand_signals_from_before_the_dial_on_end_it_cleanly(
    session: requests.Session, tls: Trust | None
) -> None:
    with simulated(session, tls, (Serve(1), Stall())) as simulator:
        stream = Stream[Post](session, "get", simulator.url + PATH, StreamConfig(stall_timeout=LONG))
        with bombarded(USER_SIGNAL, lambda *_: stream.stop(), lambda: stream.history):
            items, failure = consumed(stream)
        until(lambda: all(visit.ended_at for visit in simulator.requests))
    assert len(items) <= 1
    assert failure is None
    assert triggers(stream)[-1] is Trigger.STOP


# However it ends, the server sees it


def stopped(stream: Stream[Post]) -> None:
    for _ in stream:
        stream.stop()


def closed(stream: Stream[Post]) -> None:
    next(iter(stream))
    stream.close()


def left_with(stream: Stream[Post]) -> None:
    with stream:
        next(iter(stream))


def exhausted(stream: Stream[Post]) -> None:
    with pytest.raises(StreamError, match="ended the last connection cleanly"):
        list(stream)


@pytest.mark.parametrize("end", [stopped, closed, left_with, exhausted])
@pytest.mark.parametrize("framing", ["chunked", "close"])
def test_however_a_stream_ends_the_server_sees_the_connection_closed(
    session: requests.Session, tls: Trust | None, framing: str, end: Callable[[Stream[Post]], None]
) -> None:
    """This server keeps its side open, whatever it has sent."""
    chunked = framing == "chunked"

    def answer(peer: Peer) -> None:
        peer.send(head(*(["Transfer-Encoding: chunked"] if chunked else [])))
        line = b'{"data":{"id":"1"}}\r\n'
        peer.send(b"%x\r\n%b\r\n" % (len(line), line) if chunked else line)
        if end is exhausted:
            if chunked:
                peer.send(b"0\r\n\r\n")
            else:
                peer.socket.shutdown(socket.SHUT_WR)

    recorder = Recorder()
    with witness(session, tls, answer) as (url, left):
        config = recorder.config(max_retries=0)
        stream = Stream[Post](session, "get", url, config)
        end(stream)
        assert left.wait(GUARD)
    recorder.ended_with(stream, stream.state.last_error)
    assert stream.state.total_items_received == 1
    assert recorder.disconnects == [None]


# Many stops, many streams


def test_stop_from_many_threads_at_once_is_one_stop(session: requests.Session, tls: Trust | None) -> None:
    recorder = Recorder()
    with simulated(session, tls, (Serve(2), Stall())) as simulator:
        stream = Stream[Post](session, "get", simulator.url + PATH, recorder.config())
        consumer = Consumer(stream)
        until(lambda: len(consumer.items) == 2 and reads(consumer))
        together = threading.Barrier(20)

        def stop_with_the_others() -> None:
            together.wait(GUARD)
            for _ in range(50):
                stream.stop()

        threads = [threading.Thread(target=stop_with_the_others) for _ in range(together.parties)]
        for thread in threads:
            thread.start()
        consumer.result()
        for thread in threads:
            thread.join(GUARD)
        sees_the_client_leave(simulator)
    recorder.ended_with(stream)
    assert recorder.disconnects == [None]
    assert triggers(stream).count(Trigger.STOP) == 1


def start_and_stop(stream: Stream[Any], blocks: Callable[[threading.Thread], bool]) -> None:
    consumer = Consumer(stream)
    until(lambda: len(stream.history) > 1 and blocks(consumer))  # past the attempt to connect
    stream.stop()
    consumer.result()
    assert triggers(stream)[-1] is Trigger.STOP


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("blocks", "secure"),
    [(reads, False), (reads, True), (waits, False)],
    ids=["in a read", "in a read, tls", "in a wait"],
)
def test_200_streams_started_and_stopped_leave_no_thread_and_no_file_behind(
    session: requests.Session, trust: Trust, blocks: Callable[[threading.Thread], bool], secure: bool
) -> None:
    def files() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    script: Any = (Serve(1), Stall()) if blocks is reads else (UNAVAILABLE,)
    config = StreamConfig(initial_backoff=LONG, stall_timeout=LONG)
    with simulated(session, trust if secure else None, then=script) as simulator:
        threads, open_files = threading.active_count(), files()
        for _ in range(200):
            start_and_stop(Stream[Post](session, "get", simulator.url + PATH, config), blocks)
        until(lambda: threading.active_count() <= threads)
        until(lambda: files() <= open_files)
    assert len(simulator.requests) == 200
