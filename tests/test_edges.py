"""The edges that a client makes by stopping, leaving or interrupting, over plain and TLS connections."""

from __future__ import annotations

import gc
import threading
import time
from typing import Any

import pytest
import requests

from helpers.clients import Until
from helpers.consumers import (
    GUARD,
    LONG,
    PATH,
    Consumer,
    Post,
    Recorder,
    all_once,
    consumed,
    ctrl_c,
    interrupt,
    reads,
    sees_the_client_leave,
    simulated,
    triggers,
    waits,
    where,
    witness,
)
from helpers.servers import Trust, until
from helpers.shortcuts import ids
from xdk_streaming import ConnectionState, Stream, StreamState, Trigger, stream_with_retry
from xdk_streaming.simulator import (
    HEARTBEAT,
    UNAVAILABLE,
    End,
    Notice,
    Refuse,
    Reset,
    Script,
    Send,
    Serve,
    Stall,
)

pytestmark = pytest.mark.usefixtures("nothing_stays_open")

ODD = Notice({"errors": [{"title": "Odd", "type": "x/odd"}]})
STANDING: Script = (Serve(2), HEARTBEAT, Stall())


# Stop


@pytest.mark.parametrize("outcome", [Serve(1), Refuse(401), Refuse(503)], ids=["stream", "401", "503"])
def test_stop_while_dialling_ends_it_without_a_word_whatever_the_dial_brings(
    session: requests.Session, tls: Trust | None, outcome: Any
) -> None:
    recorder, stopped = Recorder(), threading.Event()
    with simulated(session, tls, (Until(stopped), outcome, Stall())) as simulator:
        stream = Stream[Post](session, "get", simulator.url + PATH, recorder.config())
        consumer = Consumer(stream)
        until(lambda: simulator.requests and reads(consumer))
        assert where(stream) is ConnectionState.CONNECTING
        stream.stop()
        stopped.set()
        assert consumer.result() == []
        until(lambda: simulator.requests[0].ended_at)
    recorder.ended_with(stream)
    assert triggers(stream) == [Trigger.START, Trigger.STOP]
    assert recorder.errors == recorder.disconnects == []
    assert len(simulator.requests) == 1


@pytest.mark.parametrize("framing", ["chunked", "close"])
def test_stop_while_reading_is_a_disconnect_without_a_reason(
    session: requests.Session, tls: Trust | None, framing: Any
) -> None:
    recorder = Recorder()
    with simulated(session, tls, STANDING, framing=framing) as simulator:
        stream = Stream[Post](session, "get", simulator.url + PATH, recorder.config())
        consumer = Consumer(stream)
        until(lambda: stream.state.heartbeats and reads(consumer))
        stream.stop()
        assert all_once(consumer.result(), simulator)
        sees_the_client_leave(simulator)
    recorder.ended_with(stream)
    assert triggers(stream) == [Trigger.START, Trigger.OPENED, Trigger.STOP]
    assert recorder.disconnects == [None]
    assert recorder.errors == []


def test_stop_while_waiting_makes_no_further_attempt(session: requests.Session, tls: Trust | None) -> None:
    recorder = Recorder()
    with simulated(session, tls, (Serve(2), End())) as simulator:
        stream = Stream[Post](session, "get", simulator.url + PATH, recorder.config(initial_backoff=LONG))
        consumer = Consumer(stream)
        until(lambda: waits(consumer))
        assert where(stream) is ConnectionState.BACKOFF
        stream.stop()
        assert all_once(consumer.result(), simulator)
    recorder.ended_with(stream)
    assert triggers(stream)[-2:] == [Trigger.RETRY, Trigger.STOP]
    assert recorder.disconnects == [None]
    assert len(simulator.requests) == 1


# The consumer


def test_consumer_breaks_out_of_a_generator_and_the_connection_is_closed(
    session: requests.Session, tls: Trust | None
) -> None:
    recorder, state = Recorder(), StreamState()
    with simulated(session, tls, STANDING) as simulator:
        for _ in stream_with_retry(session, "get", simulator.url + PATH, recorder.config(), state=state):
            break
        sees_the_client_leave(simulator)
    assert not state.is_connected
    assert recorder.disconnects == [None]
    assert recorder.errors == []


def test_consumer_breaks_within_with_and_the_connection_is_closed(
    session: requests.Session, tls: Trust | None
) -> None:
    recorder = Recorder()
    with simulated(session, tls, STANDING) as simulator:
        with Stream[Post](session, "get", simulator.url + PATH, recorder.config()) as stream:
            for item in stream:
                assert item["data"]["id"] == simulator.log[0].id
                break
            assert where(stream) is ConnectionState.STREAMING
        sees_the_client_leave(simulator)
    recorder.ended_with(stream)
    assert recorder.disconnects == [None]


def test_consumer_breaks_and_may_go_on_with_the_next_item(
    session: requests.Session, tls: Trust | None
) -> None:
    with (
        simulated(session, tls, STANDING) as simulator,
        Stream[Post](session, "get", simulator.url + PATH) as stream,
    ):
        received = []
        for _ in range(2):
            for item in stream:
                received.append(item)
                break
        assert all_once(received, simulator)
    assert len(simulator.requests) == 1


def test_consumer_raises_within_with_and_the_server_sees_the_close_while_that_is_handled(
    session: requests.Session, tls: Trust | None
) -> None:
    recorder = Recorder()
    with simulated(session, tls, STANDING) as simulator:
        try:
            with Stream[Post](session, "get", simulator.url + PATH, recorder.config()) as stream:
                for _ in stream:
                    raise ZeroDivisionError
        except ZeroDivisionError:
            sees_the_client_leave(simulator)
        else:
            pytest.fail("the exception was held back")
    recorder.ended_with(stream)
    assert recorder.disconnects == [None]
    assert recorder.errors == []


@pytest.mark.parametrize("raised", [ZeroDivisionError, KeyboardInterrupt, GeneratorExit])
def test_exception_thrown_in_closes_the_connection_and_comes_out_again(
    session: requests.Session, tls: Trust | None, raised: type[BaseException]
) -> None:
    recorder = Recorder()
    with simulated(session, tls, STANDING) as simulator:
        stream = Stream[Post](session, "get", simulator.url + PATH, recorder.config())
        items: Any = iter(stream)
        next(items)
        with pytest.raises(raised) as held:
            items.throw(raised("thrown in"))
        sees_the_client_leave(simulator)
    assert held.value.args == ("thrown in",)
    recorder.ended_with(stream)
    assert recorder.disconnects == [None]
    assert recorder.errors == []


def test_exception_thrown_in_to_the_generator_of_stream_with_retry_does_the_same(
    session: requests.Session, tls: Trust | None
) -> None:
    recorder = Recorder()
    with simulated(session, tls, STANDING) as simulator:
        items = stream_with_retry(session, "get", simulator.url + PATH, recorder.config())
        next(items)
        with pytest.raises(ZeroDivisionError):
            items.throw(ZeroDivisionError())
        sees_the_client_leave(simulator)
        assert next(items, None) is None
    assert recorder.disconnects == [None]


# Not begun, or over


@pytest.mark.parametrize("end", ["dropped", "closed", "thrown into", "left with"])
def test_a_generator_never_started_neither_connects_nor_calls_back(
    session: requests.Session, end: str
) -> None:
    recorder = Recorder()
    with simulated(session, None, STANDING) as simulator:
        items: Any = stream_with_retry(session, "get", simulator.url + PATH, recorder.config())
        stream = Stream[Post](session, "get", simulator.url + PATH, recorder.config())
        if end == "closed":
            items.close()
            stream.close()
        elif end == "thrown into":
            for unstarted in (items, stream):
                iterator: Any = iter(unstarted)
                with pytest.raises(ZeroDivisionError):
                    iterator.throw(ZeroDivisionError())
        elif end == "left with":
            with stream:
                pass
        if end != "dropped":
            recorder.ended_with(stream)
        del items, stream
        gc.collect()
    assert not simulator.requests
    assert recorder.received == []


@pytest.mark.parametrize(
    "scripts", [(STANDING,), ((Serve(1), End()), (Refuse(401),))], ids=["open", "failed"]
)
def test_closed_twice_is_closed_once_and_stays_as_it_ended(
    session: requests.Session, tls: Trust | None, scripts: tuple[Script, ...]
) -> None:
    recorder = Recorder()
    failure = None
    with simulated(session, tls, *scripts) as simulator:
        stream = Stream[Post](session, "get", simulator.url + PATH, recorder.config())
        with stream:
            next(iter(stream))
            if len(scripts) > 1:
                _, failure = consumed(stream)
            stream.close()
            told = list(recorder.received)
            stream.close()
            stream.stop()
        if failure is None:
            sees_the_client_leave(simulator)
    assert recorder.received == told
    recorder.ended_with(stream, failure)
    assert recorder.disconnects == [None]


def test_closed_twice_from_other_threads_while_it_reads(session: requests.Session, tls: Trust | None) -> None:
    recorder = Recorder()
    with simulated(session, tls, STANDING) as simulator:
        stream = Stream[Post](
            session, "get", simulator.url + PATH, recorder.config(timeout=LONG, stall_timeout=None)
        )
        consumer = Consumer(stream)
        until(lambda: len(consumer.items) == 2 and reads(consumer))
        stream.close()
        stream.close()
        assert all_once(consumer.result(), simulator)
        stream.close()
        sees_the_client_leave(simulator)
    recorder.ended_with(stream)
    assert recorder.disconnects == [None]


# KeyboardInterrupt in each state


def test_keyboard_interrupt_while_connecting_closes_the_connection(
    session: requests.Session, tls: Trust | None
) -> None:
    recorder, main = Recorder(), threading.current_thread()
    asked = threading.Event()
    with witness(session, tls, lambda peer: asked.set()) as (url, left):
        stream = Stream[Post](session, "get", url, recorder.config())
        with (
            pytest.raises(KeyboardInterrupt) as held,
            ctrl_c(lambda: asked.is_set() and reads(main)),
        ):
            list(stream)
        assert left.wait(GUARD)
        assert held.value
    recorder.ended_with(stream)
    assert triggers(stream) == [Trigger.START, Trigger.STOP]
    assert recorder.errors == recorder.disconnects == []


def test_keyboard_interrupt_between_the_answer_and_the_stream_closes_the_connection(
    session: requests.Session, tls: Trust | None
) -> None:
    recorder = Recorder()
    session.hooks["response"].append(lambda *_, **__: interrupt())
    with simulated(session, tls, STANDING) as simulator:
        stream = Stream[Post](session, "get", simulator.url + PATH, recorder.config())
        with pytest.raises(KeyboardInterrupt) as held:
            list(stream)
        sees_the_client_leave(simulator)
        assert held.value
    recorder.ended_with(stream)


def test_keyboard_interrupt_while_streaming_closes_the_connection(
    session: requests.Session, tls: Trust | None
) -> None:
    recorder, main = Recorder(), threading.current_thread()
    received: list[Post] = []
    with simulated(session, tls, STANDING) as simulator:
        stream = Stream[Post](session, "get", simulator.url + PATH, recorder.config())
        with (
            pytest.raises(KeyboardInterrupt) as held,
            ctrl_c(lambda: stream.state.heartbeats and reads(main)),
        ):
            received.extend(iter(stream))
        sees_the_client_leave(simulator)
        assert held.value
        assert len(simulator.requests) == 1
    recorder.ended_with(stream)
    assert triggers(stream) == [Trigger.START, Trigger.OPENED, Trigger.STOP]
    assert recorder.errors == []
    assert recorder.disconnects == [None]


def test_keyboard_interrupt_in_a_backoff_wait_ends_it(session: requests.Session, tls: Trust | None) -> None:
    recorder, main = Recorder(), threading.current_thread()
    with simulated(session, tls, (UNAVAILABLE,)) as simulator:
        stream = Stream[Post](session, "get", simulator.url + PATH, recorder.config(initial_backoff=LONG))
        with pytest.raises(KeyboardInterrupt), ctrl_c(lambda: waits(main)):
            list(stream)
    recorder.ended_with(stream)
    assert triggers(stream) == [Trigger.START, Trigger.REFUSED, Trigger.RETRY, Trigger.STOP]
    assert [error.status_code for error in recorder.errors] == [503]
    assert len(simulator.requests) == 1


LINES: Script = (Serve(1), Send(b"nonsense\r\n"), ODD, Serve(1), Stall())
BROKEN: Script = (Serve(1), Reset())


CALLED: dict[str, tuple[Script, list[str]]] = {
    "on_state_change": (LINES, []),
    "on_connect": (LINES, ["on_disconnect"]),
    "on_invalid": (LINES, ["on_disconnect"]),
    "on_notice": (LINES, ["on_disconnect"]),
    "on_error": (BROKEN, ["on_disconnect"]),
    "on_disconnect": (BROKEN, []),
    "on_reconnect": (BROKEN, []),
}
"""Where each callback is called, and what is still reported after it raises KeyboardInterrupt."""


@pytest.mark.parametrize("callback", CALLED)
def test_ctrl_c_in_a_callback_is_raised_after_the_other_callbacks(
    session: requests.Session, tls: Trust | None, callback: str
) -> None:
    script, told_after = CALLED[callback]
    recorder = Recorder()
    with simulated(session, tls, script) as simulator:
        config = recorder.config(**{callback: recorder.callback(callback, interrupt)})
        stream = Stream[Post](session, "get", simulator.url + PATH, config)
        with pytest.raises(KeyboardInterrupt) as held:
            list(stream)
        if script is LINES and simulator.requests:
            sees_the_client_leave(simulator)
        assert held.value
    recorder.ended_with(stream)
    names = [name for name, _ in recorder.received]
    after = names[len(names) - names[::-1].index(callback) :]
    assert [name for name in after if name != "on_state_change"] == told_after
    assert stream.state.callback_errors == 0
    assert len(simulator.requests) == (callback != "on_state_change")


def test_keyboard_interrupt_between_two_items_closes_a_stream_that_with_holds(
    session: requests.Session, tls: Trust | None
) -> None:
    recorder = Recorder()
    received: list[Post] = []
    with simulated(session, tls, STANDING) as simulator:
        stream = Stream[Post](session, "get", simulator.url + PATH, recorder.config())
        with pytest.raises(KeyboardInterrupt), ctrl_c(lambda: received), stream:
            for item in stream:
                received.append(item)
                time.sleep(LONG)  # which Windows interrupts, unlike the wait for a lock
        sees_the_client_leave(simulator)
        assert ids(received) == [simulator.log[0].id]
    recorder.ended_with(stream)
    assert recorder.disconnects == [None]
