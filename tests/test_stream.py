"""The face: what a user of `Stream` and `stream_with_retry` can rely on."""

from __future__ import annotations

import gc
import inspect
import logging
import types
from collections.abc import Callable
from typing import Any

import pytest
import requests
from pydantic import BaseModel, TypeAdapter

from helpers.shortcuts import ids
from xdk_streaming import (
    ConnectionState,
    Stream,
    StreamConfig,
    StreamError,
    StreamErrorType,
    StreamState,
    Trigger,
    stream_with_retry,
)
from xdk_streaming.simulator import (
    HEARTBEAT,
    OPERATIONAL_DISCONNECT,
    Cut,
    End,
    Refuse,
    Send,
    Serve,
    Simulator,
    Stall,
)
from xdk_streaming.testing import FakeClock, ScriptedSession

Post = dict[str, Any]
PATH = "/2/tweets/sample/stream"
LAST = (Refuse(401),)


class Data(BaseModel):
    id: int


class Item(BaseModel):
    data: Data


Open = Callable[..., Stream[Any]]


@pytest.fixture
def opened(clock: FakeClock) -> Open:
    """A stream over scripts in memory; the session is its attribute `session`."""

    def open(*scripts: Any, config: StreamConfig | None = None, **arguments: Any) -> Stream[Any]:
        session = ScriptedSession(scripts, clock=clock)
        stream = Stream[Any](session, "get", "http://nowhere/path", config, clock=clock, **arguments)
        stream.session = session  # type: ignore[attr-defined]
        return stream

    return open


def drained(stream: Stream[Any]) -> list[Any]:
    """All items until the 401 with which the script ends."""
    items = []
    with pytest.raises(StreamError, match="401"):
        for item in stream:
            items.append(item)
    return items


class TestIteration:
    def test_nothing_connects_before_the_first_item_is_asked_for(self, opened: Open) -> None:
        stream = opened((Serve(1),))
        iter(stream)
        assert stream.session.calls == []  # type: ignore[attr-defined]
        assert stream.connection_state is ConnectionState.DISCONNECTED

    def test_a_second_iter_goes_on_where_the_first_stands(self, opened: Open) -> None:
        stream = opened((Serve(3), End()), LAST)
        assert ids([next(iter(stream)), next(iter(stream))]) == ["1", "2"]

    def test_leaving_with_closes_the_connection_though_the_iterator_is_kept(
        self, session: requests.Session
    ) -> None:
        with Simulator(script=[(Serve(1), Stall())], rate=0) as simulator:
            with Stream[Post](session, "get", simulator.url + PATH) as stream:
                items = iter(stream)
                next(items)
            assert stream.connection_state is ConnectionState.DISCONNECTED
            assert next(items, None) is None
        assert simulator.requests[0].outcome == "silent until the client left"

    def test_leaving_with_by_an_exception_lets_it_pass(self, opened: Open) -> None:
        stream = opened((Serve(2), End()))
        with pytest.raises(ZeroDivisionError), stream:
            for _ in stream:
                raise ZeroDivisionError
        assert stream.connection_state is ConnectionState.DISCONNECTED
        assert stream.history[-1].trigger is Trigger.STOP
        assert stream.state.undelivered_items == 0

    def test_closing_twice_and_before_the_start_is_harmless(self, opened: Open) -> None:
        never_started = opened((Serve(1),))
        never_started.close()
        never_started.close()
        assert list(never_started) == []
        started = opened((Serve(2), End()))
        next(iter(started))
        started.close()
        started.close()
        assert started.connection_state is ConnectionState.DISCONNECTED

    def test_close_within_the_iteration_ends_it(self, opened: Open) -> None:
        config = StreamConfig()
        stream = opened((Serve(2), End()), config=config)
        config.on_connect = stream.close  # runs while the generator does
        assert list(stream) == []
        assert stream.connection_state is ConnectionState.DISCONNECTED

    def test_an_exception_thrown_in_comes_out_again(self, opened: Open) -> None:
        items = iter(opened((Serve(2), End())))
        next(items)
        with pytest.raises(ZeroDivisionError):
            items.throw(ZeroDivisionError)  # type: ignore[attr-defined]
        assert next(items, None) is None

    def test_dropping_the_iterator_closes_the_connection(self, session: requests.Session) -> None:
        with Simulator(script=[(Serve(1), Stall())], rate=0) as simulator:
            next(stream_with_retry(session, "get", simulator.url + PATH))
            gc.collect()
        assert simulator.requests[0].outcome == "silent until the client left"


class TestStreamWithRetry:
    def test_it_is_a_generator(self, session: requests.Session) -> None:
        assert inspect.isgeneratorfunction(stream_with_retry)
        assert isinstance(stream_with_retry(session, "get", "http://x"), types.GeneratorType)

    def test_it_keeps_a_state_of_the_callers_up_to_date(self, session: requests.Session) -> None:
        state = StreamState()
        with Simulator(script=[(Serve(2), End())]) as simulator:
            items = stream_with_retry(session, "GET", simulator.url + PATH, state=state)
            next(items)
            assert state.is_connected
            assert state.total_items_received == 1
            items.close()
        assert not state.is_connected

    def test_it_takes_the_seeds_arguments_by_position(self, session: requests.Session) -> None:
        with Simulator() as simulator:
            items = stream_with_retry(
                session, "get", simulator.url + PATH, StreamConfig(), {"tweet.fields": "lang"}, {}, None, Item
            )
            assert isinstance(next(items), Item)
            items.close()
        assert simulator.requests[0].params == {"tweet.fields": "lang"}

    def test_an_unknown_method_is_refused_by_name(self, session: requests.Session) -> None:
        with pytest.raises(ValueError, match=r"method is 'fetch', must be one of .*get"):
            next(stream_with_retry(session, "fetch", "http://x"))


class TestRequest:
    def test_the_session_is_asked_as_a_requests_session_is(self, opened: Open) -> None:
        stream = opened(LAST, config=StreamConfig(timeout=25), params={"a": 1}, headers={"X-B": "2"})
        drained(stream)
        assert stream.session.calls == [  # type: ignore[attr-defined]
            {
                "method": "GET",
                "url": "http://nowhere/path",
                "params": {"a": 1},
                "headers": {"Connection": "close", "Cache-Control": "no-store", "X-B": "2"},
                "stream": True,
                "timeout": (25, 25),
            }
        ]

    @pytest.mark.parametrize(
        ("timeout", "stall", "expected"),
        [
            (None, 30.0, (30.0, 30.0)),
            (None, None, (None, None)),
            (60.0, 30.0, (30.0, 30.0)),
            (25.0, None, (25.0, 25.0)),
            ((3.0, None), 30.0, (3.0, 30.0)),
            ((None, 45.0), None, (None, 45.0)),
        ],
    )
    def test_silence_is_bounded_by_the_shorter_of_timeout_and_stall_timeout(
        self, timeout: Any, stall: float | None, expected: Any, opened: Open
    ) -> None:
        stream = opened(LAST, config=StreamConfig(timeout=timeout, stall_timeout=stall))
        drained(stream)
        assert stream.session.calls[0]["timeout"] == expected  # type: ignore[attr-defined]

    def test_callable_params_and_headers_are_asked_at_every_attempt(self, opened: Open) -> None:
        tokens = iter("abc")
        stream = opened(
            (End(),), (End(),), LAST, headers=lambda: {"Authorization": f"Bearer {next(tokens)}"}, params=dict
        )
        drained(stream)
        sent = [call["headers"]["Authorization"] for call in stream.session.calls]  # type: ignore[attr-defined]
        assert sent == ["Bearer a", "Bearer b", "Bearer c"]

    def test_a_callable_that_raises_is_a_fatal_error(self, opened: Open) -> None:
        def broken() -> dict[str, str]:
            raise LookupError("no token left")

        with pytest.raises(StreamError, match="no token left") as raised:
            list(opened((), headers=broken))
        assert raised.value.error_type is StreamErrorType.FATAL_ERROR
        assert isinstance(raised.value.original_exception, LookupError)

    def test_a_token_put_on_the_shared_session_later_does_not_change_the_stream(
        self, session: requests.Session
    ) -> None:
        with Simulator(script=[(Serve(1), End()), (Serve(1), End())], token="a-token") as simulator:
            stream = Stream[Post](session, "get", simulator.url + PATH, StreamConfig(initial_backoff=0))
            items = iter(stream)
            next(items)
            session.headers["Authorization"] = "Bearer of-another-call"
            next(items)
            stream.close()
        assert [visit.outcome for visit in simulator.requests][:1] == ["ended cleanly"]

    def test_a_stream_asks_for_a_connection_of_its_own(self, session: requests.Session) -> None:
        """Given back to the pool, one that the server is closing would refuse the next attempt."""
        with Simulator(script=[(Serve(1), End()), (Serve(1), End())]) as simulator:
            stream = Stream[Post](session, "get", simulator.url + PATH, StreamConfig(initial_backoff=0))
            sent: list[str | None] = []
            session.hooks["response"].append(
                lambda response, **_: sent.append(response.request.headers["Connection"])
            )
            items = iter(stream)
            next(items), next(items)
            stream.close()
        assert sent == ["close", "close"]

    @pytest.mark.parametrize(("silence", "warned"), [(5.0, True), (19.9, True), (20.0, False), (30.0, False)])
    def test_a_timeout_below_xs_heartbeat_is_warned_of_once(
        self, silence: float, warned: bool, opened: Open, caplog: pytest.LogCaptureFixture
    ) -> None:
        drained(opened((End(),), (End(),), LAST, config=StreamConfig(stall_timeout=silence)))
        assert sum("heartbeat" in record.getMessage() for record in caplog.records) == warned


class TestItems:
    def test_a_whole_object_without_a_newline_at_a_clean_end_is_an_item(self, opened: Open) -> None:
        stream = opened((Send(b'{"data":{"id":"1"}}'), End()), LAST)
        assert ids(drained(stream)) == ["1"]
        assert stream.state.invalid_items == 0

    def test_a_whole_object_at_a_reset_is_an_item(self, opened: Open) -> None:
        class Broken:
            def play(self, wire: Any) -> None:
                wire.cut()

        stream = opened((Send(b'{"data":{"id":"1"}}'), Broken()), LAST)
        assert ids(drained(stream)) == ["1"]

    def test_half_a_line_never_joins_the_next_connections_bytes(self, opened: Open) -> None:
        lost: list[tuple[bytes, str]] = []
        config = StreamConfig(on_invalid=lambda line, reason: lost.append((line, reason)))
        stream = opened((Serve(1), Cut()), (Send(b'":"x"}}\r\n'), Serve(1), End()), LAST, config=config)
        assert ids(drained(stream)) == ["1", "3"]
        assert lost[0] == (b'{"data":{"', "the connection ended inside this line")
        assert lost[1][0] == b'":"x"}}\r'
        assert stream.state.invalid_items == 2

    def test_a_malformed_line_costs_no_neighbour(self, opened: Open) -> None:
        stream = opened((Serve(1), Send(b"{oops\r\n[1]\r\n"), Serve(1), End()), LAST)
        assert ids(drained(stream)) == ["1", "2"]
        assert stream.state.invalid_items == 2

    def test_a_line_over_the_limit_is_reported_and_its_neighbours_come(self, opened: Open) -> None:
        lines: list[bytes] = []
        config = StreamConfig(max_item_bytes=100, on_invalid=lambda line, reason: lines.append(line))
        long = b'{"data":"' + b"x" * 200
        stream = opened((Serve(1), Send(long), Send(b'"}\r\n'), Serve(1), End()), LAST, config=config)
        assert ids(drained(stream)) == ["1", "2"]
        assert lines == [long + b'"}\r']

    def test_a_line_without_end_is_a_fault(self, opened: Open) -> None:
        config = StreamConfig(max_item_bytes=30, stall_timeout=None)
        stream = opened((Serve(1), *[Send(b"x" * 50)] * 5), LAST, config=config)
        assert len(drained(stream)) == 1
        broke = next(change for change in stream.history if change.trigger is Trigger.BROKE)
        assert broke.error is not None
        assert broke.error.error_type is StreamErrorType.STREAM_INTERRUPTED

    def test_heartbeats_and_bytes_and_the_time_of_the_last_are_told(
        self, opened: Open, clock: FakeClock
    ) -> None:
        stream = opened((HEARTBEAT, Send(b"{}\n"), Stall(7.0), Serve(1), End()), LAST)
        before = clock.now
        drained(stream)
        assert stream.state.heartbeats == 2
        assert stream.state.bytes_received == 2 + 3 + 21
        assert stream.state.last_activity_at == before + 7


class TestModels:
    BAD = Send(b'{"data":{"id":"none"}}\r\n')

    @pytest.mark.parametrize("model", [Item, TypeAdapter(Item)])
    def test_items_come_as_the_model(self, model: Any, opened: Open) -> None:
        stream = opened((Serve(2), End()), LAST, response_model=model)
        assert drained(stream) == [Item(data=Data(id=1)), Item(data=Data(id=2))]

    def test_report_hands_the_line_over_and_goes_on(self, opened: Open) -> None:
        lines: list[bytes] = []
        config = StreamConfig(on_invalid=lambda line, reason: lines.append(line))
        stream = opened((self.BAD, Serve(1), End()), LAST, response_model=Item, config=config)
        assert drained(stream) == [Item(data=Data(id=1))]
        assert lines == [b'{"data":{"id":"none"}}\r']

    def test_yield_gives_the_plain_dict(self, opened: Open) -> None:
        config = StreamConfig(on_model_error="yield")
        stream = opened((self.BAD, Serve(1), End()), LAST, response_model=Item, config=config)
        assert drained(stream) == [{"data": {"id": "none"}}, Item(data=Data(id=1))]

    def test_raise_fails_at_that_item_and_tells_what_was_left(self, opened: Open) -> None:
        config = StreamConfig(on_model_error="raise")
        batch = Send(b'{"data":{"id":"1"}}\n{"data":{"id":"none"}}\n{"data":{"id":"3"}}\n')
        stream = opened((batch, End()), response_model=Item, config=config)
        items = iter(stream)
        assert next(items) == Item(data=Data(id=1))
        with pytest.raises(StreamError, match="response model") as raised:
            next(items)
        assert raised.value.error_type is StreamErrorType.FATAL_ERROR
        assert isinstance(raised.value.original_exception, ValueError)
        assert raised.value.__cause__ is raised.value.original_exception
        assert stream.connection_state is ConnectionState.FAILED
        assert stream.state.undelivered_items == 1


class TestSettling:
    def test_a_settled_connection_that_ends_cleanly_is_taken_up_at_once_but_only_once(
        self, opened: Open, clock: FakeClock
    ) -> None:
        settled = (Serve(1), Stall(10.0), HEARTBEAT, End())
        drained(opened(settled, (End(),), LAST, config=StreamConfig(jitter=False)))
        assert clock.waits == [0.0, 1.0]

    def test_so_is_one_cut_off_for_operational_reasons(self, opened: Open, clock: FakeClock) -> None:
        settled = (Stall(10.0), HEARTBEAT, OPERATIONAL_DISCONNECT, End())
        drained(opened(settled, LAST, config=StreamConfig(jitter=False)))
        assert clock.waits == [0.0]

    def test_after_a_reset_it_is_not(self, opened: Open, clock: FakeClock) -> None:
        drained(opened((Stall(10.0), Serve(1), Cut()), LAST, config=StreamConfig(jitter=False)))
        assert clock.waits == [1.0]

    def test_less_than_ten_seconds_settle_nothing(self, opened: Open, clock: FakeClock) -> None:
        drained(opened((Stall(9.9), Serve(1), End()), LAST, config=StreamConfig(jitter=False)))
        assert clock.waits == [1.0]

    def test_a_quiet_stream_of_heartbeats_may_drop_as_often_as_it_likes(
        self, opened: Open, clock: FakeClock
    ) -> None:
        quiet = (Stall(20.0), HEARTBEAT, Cut())
        stream = opened(*[quiet] * 50, LAST, config=StreamConfig(max_retries=1, jitter=False))
        assert drained(stream) == []
        assert clock.waits == [1.0] * 50

    def test_connections_that_give_nothing_within_ten_seconds_end_in_failure(self, opened: Open) -> None:
        stream = opened(
            *[(Stall(9.0), HEARTBEAT, OPERATIONAL_DISCONNECT, End())] * 4, config=StreamConfig(max_retries=3)
        )
        with pytest.raises(StreamError, match=r"^Max retries exceeded after 3 attempts"):
            list(stream)

    def test_eleven_hundred_failures_in_a_row_overflow_nothing(self, opened: Open, clock: FakeClock) -> None:
        stream = opened(*[(Refuse(503),)] * 1100, LAST, config=StreamConfig(max_retries=-1))
        drained(stream)
        assert len(clock.waits) == stream.state.retry_count == 1100
        assert max(clock.waits) <= 64


class TestWatching:
    def test_history_keeps_the_last_changes(self, opened: Open) -> None:
        stream = opened(*[(End(),)] * 5, LAST, config=StreamConfig(history=4))
        drained(stream)
        assert len(stream.history) == 4
        assert stream.history[-1].dest is ConnectionState.FAILED

    def test_repr_shows_where_it_stands_and_no_secret(self, session: requests.Session) -> None:
        stream = Stream[Post](session, "get", "http://x/path?key=secret", headers={"A": "secret"})
        assert repr(stream) == "<Stream GET http://x/path DISCONNECTED>"

    def test_the_token_is_in_no_message_repr_or_log(
        self, session: requests.Session, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG)
        session.headers["Authorization"] = "Bearer s3cret-token"
        with Simulator(script=[(Serve(1), Cut()), (Refuse(401),)]) as simulator:
            stream = Stream[Post](session, "get", simulator.url + PATH, StreamConfig(initial_backoff=0))
            with pytest.raises(StreamError) as raised:
                list(stream)
        shown = [repr(stream), repr(stream.state), str(stream.history), str(raised.value), repr(raised.value)]
        assert "s3cret-token" not in " ".join([*shown, caplog.text])
        assert "FAILED: The server refused" in caplog.text


def test_a_stop_while_the_first_line_is_decoded_reports_no_progress_and_ends_the_stream() -> None:
    """The machine gets only the stop, even if a line of data has just been seen."""
    seen: list[str] = []

    def decode(line: bytes) -> bytes:
        stream.stop()
        return line

    session = ScriptedSession([(Serve(3),)])
    config = StreamConfig(on_state_change=lambda transition: seen.append(transition.trigger.name))
    stream = Stream(session, "get", "http://nowhere", config, response_model=decode)
    assert len(list(stream)) == 1
    assert seen == ["START", "OPENED", "STOP"]
