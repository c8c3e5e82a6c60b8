"""Stopping: from any thread, handler or callback, wherever the stream is, over plain and TLS connections."""

from __future__ import annotations

import signal
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any, NamedTuple

import pytest
import requests
import trustme
from fakes import FakeClock, MemorySession, ids

from xdk_streaming import ConnectionState, Stream, StreamConfig, StreamError, Trigger
from xdk_streaming.simulator import HEARTBEAT, UNAVAILABLE, End, Refuse, Send, Serve, Simulator, Stall

Post = dict[str, Any]
PATH = "/2/tweets/sample/stream"
GUARD = 20.0
"""Seconds after which a test would call a thread hung. Nothing waits for them where all is well."""


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(params=["plain", "tls"])
def tls(request: pytest.FixtureRequest, authority: trustme.CA) -> ssl.SSLContext | None:
    if request.param == "plain":
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context


@pytest.fixture
def trusting(session: requests.Session, authority: trustme.CA) -> Iterator[requests.Session]:
    with authority.cert_pem.tempfile() as path:
        session.verify = path
        yield session


def wait_until(true: Callable[[], bool]) -> None:
    """For what another thread does of itself."""
    deadline = time.monotonic() + GUARD
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def in_thread(work: Callable[[], object]) -> Callable[[], None]:
    """Start it; calling what comes back waits for it, and fails where it hangs or has raised."""
    raised: list[BaseException] = []

    def guarded() -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - shown to the test
            raised.append(error)

    thread = threading.Thread(target=guarded, daemon=True)
    thread.start()

    def join() -> None:
        thread.join(GUARD)
        assert not thread.is_alive(), "the thread hangs"
        assert not raised, raised

    return join


def stop_while_dialling(session: MemorySession, stream: Stream[Any]) -> None:
    """Have stop() called in the middle of the session's next request."""
    dial = session.get

    def stop_and_dial(url: str, **arguments: Any) -> Any:
        stream.stop()
        return dial(url, **arguments)

    session.get = stop_and_dial  # type: ignore[method-assign]


def where(stream: Stream[Any]) -> ConnectionState:
    """Asked through a function, for type checkers take a property to stay what it was."""
    return stream.connection


def last_trigger(stream: Stream[Any]) -> Trigger:
    return stream.history[-1].trigger


@pytest.mark.parametrize("framing", ["chunked", "close"])
def test_stop_wakes_a_blocked_read(
    trusting: requests.Session, tls: ssl.SSLContext | None, framing: Any
) -> None:
    with Simulator(script=[(Serve(2), Stall())], rate=0, tls=tls, framing=framing) as simulator:
        reading = threading.Event()
        config = StreamConfig(timeout=3 * GUARD, stall_timeout=None)
        stream = Stream[Post](trusting, "get", simulator.url + PATH, config)
        received = []

        def consume() -> None:
            for item in stream:
                received.append(item)
                if len(received) == 2:
                    reading.set()

        join = in_thread(consume)
        assert reading.wait(GUARD)
        stream.stop()
        join()
        assert ids(received) == [entry.id for entry in simulator.log]
        assert stream.connection is ConnectionState.DISCONNECTED
        assert last_trigger(stream) is Trigger.STOP
        assert stream.state.last_error is None
    assert simulator.visits[0].outcome == "silent until the client left"


def test_stop_wakes_a_backoff_wait(session: requests.Session) -> None:
    waiting = threading.Event()
    config = StreamConfig(initial_backoff=3 * GUARD, on_reconnect=lambda attempt, delay: waiting.set())
    with Simulator(script=[(UNAVAILABLE,)]) as simulator:
        stream = Stream[Post](session, "get", simulator.url + PATH, config)
        join = in_thread(lambda: list(stream))
        assert waiting.wait(GUARD)
        stream.stop()
        join()
    assert stream.connection is ConnectionState.DISCONNECTED
    assert len(simulator.visits) == 1


def test_stop_while_dialling_keeps_a_stream_from_opening(clock: FakeClock) -> None:
    connected: list[None] = []
    session = MemorySession(clock, [(Serve(1), End())])
    config = StreamConfig(on_connect=lambda: connected.append(None))
    stream = Stream[Post](session, "get", "http://nowhere", config, clock=clock)  # type: ignore[arg-type]
    stop_while_dialling(session, stream)
    assert list(stream) == []
    assert [change.trigger for change in stream.history] == [Trigger.START, Trigger.STOP]
    assert not connected
    assert session.responses[0].closed


def test_stop_while_dialling_wins_over_a_refusal(clock: FakeClock) -> None:
    errors: list[StreamError] = []
    session = MemorySession(clock, [(Refuse(401),)])
    stream = Stream[Post](session, "get", "http://x", StreamConfig(on_error=errors.append), clock=clock)  # type: ignore[arg-type]
    stop_while_dialling(session, stream)
    assert list(stream) == []
    assert errors == []


def test_stop_wakes_an_error_body_that_never_ends(session: requests.Session) -> None:
    asked = threading.Event()

    def turn_into_refusal(response: requests.Response, **_: Any) -> None:
        response.status_code = 503
        asked.set()

    with Simulator(script=[(Stall(),)], rate=0) as simulator:
        stream = Stream[Post](session, "get", simulator.url + PATH, StreamConfig(stall_timeout=3 * GUARD))
        session.hooks["response"].append(turn_into_refusal)
        join = in_thread(lambda: list(stream))
        assert asked.wait(GUARD)
        stream.stop()
        join()
    assert last_trigger(stream) is Trigger.STOP


def test_stop_before_the_first_item_sticks(session: requests.Session) -> None:
    with Simulator() as simulator:
        stream = Stream[Post](session, "get", simulator.url + PATH)
        stream.stop()
        stream.stop()
        assert list(stream) == []
    assert not simulator.visits
    assert stream.history == ()


def test_stop_on_a_suspended_stream_is_seen_by_the_server_at_once(
    trusting: requests.Session, tls: ssl.SSLContext | None
) -> None:
    with Simulator(script=[(Serve(1), Stall())], rate=0, tls=tls) as simulator:
        stream = Stream[Post](trusting, "get", simulator.url + PATH)
        items = iter(stream)
        next(items)
        stream.stop()
        wait_until(lambda: simulator.visits[0].ended_at is not None)
        assert where(stream) is ConnectionState.STREAMING
        assert next(items, None) is None
        assert where(stream) is ConnectionState.DISCONNECTED


def test_items_read_but_not_yielded_are_counted_and_not_delivered(clock: FakeClock) -> None:
    batch = b"".join(b'{"data":{"id":"%d"}}\r\n' % number for number in range(5)) + b"\r\n"
    session = MemorySession(clock, [(Send(batch), Serve(3))])
    stream = Stream[Post](session, "get", "http://nowhere", clock=clock)  # type: ignore[arg-type]
    received = []
    for item in stream:
        received.append(item)
        if len(received) == 2:
            stream.stop()
    assert ids(received) == ["0", "1"]
    assert stream.state.total_items_received == 2
    assert stream.state.undelivered_items == 3


@pytest.mark.parametrize(
    ("callback", "expected"),
    [
        ("on_connect", [Trigger.START, Trigger.OPENED, Trigger.STOP]),
        ("on_disconnect", [Trigger.START, Trigger.OPENED, Trigger.ENDED, Trigger.STOP]),
        ("on_reconnect", [Trigger.START, Trigger.OPENED, Trigger.ENDED, Trigger.RETRY, Trigger.STOP]),
        ("on_state_change", [Trigger.START, Trigger.STOP]),
    ],
)
def test_stop_from_a_callback_wins_over_what_would_come_next(
    callback: str, expected: list[Trigger], clock: FakeClock
) -> None:
    session = MemorySession(clock, [(Serve(1), End())])
    config = StreamConfig(jitter=False)
    stream = Stream[Post](session, "get", "http://nowhere", config, clock=clock)  # type: ignore[arg-type]
    setattr(config, callback, lambda *_: stream.stop())
    list(stream)
    assert [change.trigger for change in stream.history] == expected
    assert stream.state.callback_errors == 0


def test_stop_from_on_error_wins_over_a_retry_but_not_over_failure(clock: FakeClock) -> None:
    for status, raises in ((503, False), (401, True)):
        config = StreamConfig()
        session = MemorySession(clock, [(Refuse(status),)])
        stream = Stream[Post](session, "get", "http://nowhere", config, clock=clock)  # type: ignore[arg-type]
        config.on_error = lambda error, stream=stream: stream.stop()
        if raises:
            with pytest.raises(StreamError, match="401"):
                list(stream)
        else:
            assert list(stream) == []
        assert stream.connection is (ConnectionState.FAILED if raises else ConnectionState.DISCONNECTED)


@pytest.mark.parametrize("callback", ["on_invalid", "on_notice"])
def test_stop_from_a_lines_callback_delivers_nothing_that_follows(callback: str, clock: FakeClock) -> None:
    odd = b'nonsense\r\n{"errors":[{"title":"odd"}]}\r\n{"data":{"id":"9"}}\r\n'
    session = MemorySession(clock, [(Send(odd), End())])
    config = StreamConfig()
    stream = Stream[Post](session, "get", "http://nowhere", config, clock=clock)  # type: ignore[arg-type]
    setattr(config, callback, lambda *_: stream.stop())
    assert list(stream) == []
    assert stream.state.undelivered_items == 1


def bombarded(signal_number: signal.Signals, handler: Callable[..., object]) -> Bombardment:
    """Send the signal to this thread, from another, from the moment `reading` is set until `ended` is.

    Again and again, a thousand times at least: one alone can fall between Python's last look at its
    signals and the system call, and then waits for that call to return.
    """
    main, reading, ended = threading.get_ident(), threading.Event(), threading.Event()
    previous = signal.signal(signal_number, handler)

    def bombard() -> None:
        assert reading.wait(GUARD)
        sent = 0
        while sent < 1000 or not ended.wait(0.001):
            signal.pthread_kill(main, signal_number)
            sent += 1

    join = in_thread(bombard)

    def finish() -> None:
        ended.set()
        join()
        signal.signal(signal_number, previous)

    return Bombardment(reading, finish)


class Bombardment(NamedTuple):
    reading: threading.Event
    finish: Callable[[], None]


def test_a_thousand_signals_neither_deadlock_nor_break_a_stream(session: requests.Session) -> None:
    """Each handler calls stop() on the thread that it interrupts, wherever that stands."""
    with Simulator(script=[(Serve(1), Stall())], rate=0) as simulator:
        stream = Stream[Post](session, "get", simulator.url + PATH, StreamConfig(stall_timeout=3 * GUARD))
        reading, finish = bombarded(signal.SIGUSR1, lambda *_: stream.stop())
        for _ in stream:
            reading.set()
        finish()
    assert last_trigger(stream) is Trigger.STOP


def interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def test_signals_wake_a_wait_on_the_thread_that_waits(session: requests.Session) -> None:
    config = StreamConfig(initial_backoff=3 * GUARD)
    with Simulator(script=[(UNAVAILABLE,)]) as simulator:
        stream = Stream[Post](session, "get", simulator.url + PATH, config)
        reading, finish = bombarded(signal.SIGUSR1, lambda *_: stream.stop())
        config.on_reconnect = lambda attempt, delay: reading.set()
        assert list(stream) == []
        finish()
    assert last_trigger(stream) is Trigger.STOP


@pytest.mark.parametrize("callback", ["on_connect", "on_disconnect", "on_reconnect", "on_state_change"])
def test_ctrl_c_in_a_callback_closes_and_goes_on_its_way(callback: str, clock: FakeClock) -> None:
    session = MemorySession(clock, [(Serve(1), End())])
    config = StreamConfig()
    setattr(config, callback, interrupt)
    stream = Stream[Post](session, "get", "http://nowhere", config, clock=clock)  # type: ignore[arg-type]
    with pytest.raises(KeyboardInterrupt):
        list(stream)
    assert stream.connection is ConnectionState.DISCONNECTED
    assert all(response.closed for response in session.responses)


def test_ctrl_c_in_a_wait_ends_the_stream(clock: FakeClock) -> None:
    session = MemorySession(clock, [(UNAVAILABLE,)])
    clock.during_wait = interrupt
    stream = Stream[Post](session, "get", "http://nowhere", clock=clock)  # type: ignore[arg-type]
    with pytest.raises(KeyboardInterrupt):
        list(stream)
    assert stream.connection is ConnectionState.DISCONNECTED


def test_ctrl_c_in_a_blocked_read_closes_the_socket(
    trusting: requests.Session, tls: ssl.SSLContext | None
) -> None:
    with Simulator(script=[(Serve(1), HEARTBEAT, Stall())], rate=0, tls=tls) as simulator:
        stream = Stream[Post](trusting, "get", simulator.url + PATH, StreamConfig(stall_timeout=3 * GUARD))
        presses = count()

        def press(*_: object) -> None:
            if next(presses) == 0:
                raise KeyboardInterrupt

        reading, finish = bombarded(signal.SIGINT, press)
        with pytest.raises(KeyboardInterrupt):
            for _ in stream:
                reading.set()
        finish()
    assert stream.connection is ConnectionState.DISCONNECTED
    assert simulator.visits[0].outcome == "silent until the client left"
