"""Whole lives of a stream, each written once and played twice: in memory, and over a real socket."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
import requests

from xdk_streaming import RetriesExhausted, Stream, StreamConfig, StreamError, StreamErrorType, Trigger
from xdk_streaming.simulator import (
    HEARTBEAT,
    OPERATIONAL_DISCONNECT,
    UNAVAILABLE,
    Cut,
    End,
    Notice,
    Refuse,
    Reset,
    Script,
    Send,
    Serve,
    Simulator,
    Stall,
)
from xdk_streaming.testing import FakeClock, ScriptedSession

START, OPENED, REFUSED, ENDED, BROKE, RETRY, WAITED = (
    Trigger.START,
    Trigger.OPENED,
    Trigger.REFUSED,
    Trigger.ENDED,
    Trigger.BROKE,
    Trigger.RETRY,
    Trigger.WAITED,
)
AGAIN = [RETRY, WAITED]
UNAUTHORIZED = Refuse(401)
LAST_WORD = [REFUSED]
"""Each story ends with a 401, so that it ends."""


@dataclass
class Story:
    scripts: Sequence[Script]
    items: int
    """How many come out, all in order and each once."""
    changes: list[Trigger]
    delays: list[float]
    errors: list[StreamErrorType]
    """Those that pass on_error."""
    settings: dict[str, Any] = field(default_factory=dict)
    halves: int = 0
    notices: int = 0


STORIES = {
    "server ends cleanly": Story(
        [(Serve(2), End()), (Serve(1), End()), (UNAUTHORIZED,)],
        items=3,
        changes=[START, OPENED, ENDED, *AGAIN, OPENED, ENDED, *AGAIN, *LAST_WORD],
        delays=[1.0, 2.0],
        errors=[StreamErrorType.AUTHENTICATION_ERROR],
    ),
    "ends cleanly for ever": Story(
        [(End(),)] * 4,
        items=0,
        changes=[START, OPENED, ENDED, *([*AGAIN, OPENED, ENDED] * 3), RETRY],
        delays=[1.0, 2.0, 4.0],
        errors=[StreamErrorType.FATAL_ERROR],
        settings={"max_retries": 3},
    ),
    "one item a connection for ever": Story(
        [*([(Serve(1), End())] * 9), (UNAUTHORIZED,)],
        items=9,
        changes=[START, *([OPENED, ENDED, *AGAIN] * 9), *LAST_WORD],
        delays=[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 64.0, 64.0],
        errors=[StreamErrorType.AUTHENTICATION_ERROR],
        settings={"max_retries": 2},
    ),
    "5xx before connect": Story(
        [(UNAVAILABLE,), (Refuse(500),), (Serve(1), End()), (UNAUTHORIZED,)],
        items=1,
        changes=[START, REFUSED, *AGAIN, REFUSED, *AGAIN, OPENED, ENDED, *AGAIN, *LAST_WORD],
        delays=[1.0, 2.0, 4.0],
        errors=[
            StreamErrorType.SERVER_ERROR,
            StreamErrorType.SERVER_ERROR,
            StreamErrorType.AUTHENTICATION_ERROR,
        ],
    ),
    "401": Story(
        [(UNAUTHORIZED,)],
        items=0,
        changes=[START, *LAST_WORD],
        delays=[],
        errors=[StreamErrorType.AUTHENTICATION_ERROR],
    ),
    "400": Story(
        [(Refuse(400, b'{"title":"Invalid Request","type":"about:blank"}'),)],
        items=0,
        changes=[START, REFUSED],
        delays=[],
        errors=[StreamErrorType.CLIENT_ERROR],
    ),
    "429 with Retry-After": Story(
        [(Refuse(429, b"", {"Retry-After": "90"}),), (UNAUTHORIZED,)],
        items=0,
        changes=[START, REFUSED, *AGAIN, *LAST_WORD],
        delays=[90.0],
        errors=[StreamErrorType.RATE_LIMITED, StreamErrorType.AUTHENTICATION_ERROR],
    ),
    "half a line at a reset": Story(
        [(Serve(2), Reset()), (Serve(1), End()), (UNAUTHORIZED,)],
        items=3,
        changes=[START, OPENED, BROKE, *AGAIN, OPENED, ENDED, *AGAIN, *LAST_WORD],
        delays=[1.0, 2.0],
        errors=[StreamErrorType.STREAM_INTERRUPTED, StreamErrorType.AUTHENTICATION_ERROR],
        halves=1,
    ),
    "cut off before the end of the body": Story(
        [(Serve(1), Cut()), (UNAUTHORIZED,)],
        items=1,
        changes=[START, OPENED, BROKE, *AGAIN, *LAST_WORD],
        delays=[1.0],
        errors=[StreamErrorType.STREAM_INTERRUPTED, StreamErrorType.AUTHENTICATION_ERROR],
        halves=1,
    ),
    "stall": Story(
        [(Serve(1), HEARTBEAT, Stall()), (UNAUTHORIZED,)],
        items=1,
        changes=[START, OPENED, BROKE, *AGAIN, *LAST_WORD],
        delays=[1.0],
        errors=[StreamErrorType.TIMEOUT, StreamErrorType.AUTHENTICATION_ERROR],
        settings={"stall_timeout": 0.15},
    ),
    "operational disconnect": Story(
        [(Serve(2), OPERATIONAL_DISCONNECT, End()), (UNAUTHORIZED,)],
        items=2,
        changes=[START, OPENED, BROKE, *AGAIN, *LAST_WORD],
        delays=[1.0],
        errors=[StreamErrorType.STREAM_INTERRUPTED, StreamErrorType.AUTHENTICATION_ERROR],
    ),
    "an unknown errors-only object": Story(
        [
            (Serve(1), Notice({"errors": [{"title": "Odd", "type": "x/odd"}]}), Serve(1), End()),
            (UNAUTHORIZED,),
        ],
        items=2,
        changes=[START, OPENED, ENDED, *AGAIN, *LAST_WORD],
        delays=[1.0],
        errors=[StreamErrorType.AUTHENTICATION_ERROR],
        notices=1,
    ),
    "a notice as the last word": Story(
        [(Serve(1), Notice({"errors": [{"title": "Odd", "type": "x/odd"}]}), End()), (UNAUTHORIZED,)],
        items=1,
        changes=[START, OPENED, BROKE, *AGAIN, *LAST_WORD],
        delays=[1.0],
        errors=[StreamErrorType.STREAM_INTERRUPTED, StreamErrorType.AUTHENTICATION_ERROR],
        notices=1,
    ),
    "a notice no retry can cure": Story(
        [(Serve(1), Notice({"errors": [{"title": "Rules", "type": "x/invalid-rules"}]}), End())],
        items=1,
        changes=[START, OPENED, BROKE],
        delays=[],
        errors=[StreamErrorType.CLIENT_ERROR],
    ),
    "retries exhausted by refusals": Story(
        [(UNAVAILABLE,)] * 3,
        items=0,
        changes=[START, REFUSED, *AGAIN, REFUSED, *AGAIN, REFUSED, RETRY],
        delays=[1.0, 2.0],
        errors=[*[StreamErrorType.SERVER_ERROR] * 3, StreamErrorType.FATAL_ERROR],
        settings={"max_retries": 2},
    ),
    "retries exhausted by resets": Story(
        [(Reset(),)] * 2,
        items=0,
        changes=[START, OPENED, BROKE, *AGAIN, OPENED, BROKE, RETRY],
        delays=[1.0],
        errors=[*[StreamErrorType.STREAM_INTERRUPTED] * 2, StreamErrorType.FATAL_ERROR],
        settings={"max_retries": 1},
        halves=2,
    ),
}


@dataclass
class Run:
    """What a story came to."""

    numbers: list[int]
    changes: list[Trigger]
    stream: Stream[dict[str, Any]]
    error: StreamError
    passed: list[StreamError]
    invalid: list[bytes]
    notices: list[dict[str, Any]]
    connects: int
    disconnects: list[Exception | None]
    clock: FakeClock


Play = Callable[[Story], Run]


def run(
    story: Story,
    session: Any,
    url: str,
    clock: FakeClock,
    number_of: Callable[[dict[str, Any]], int],
) -> Run:
    passed: list[StreamError] = []
    invalid: list[bytes] = []
    notices: list[dict[str, Any]] = []
    connects: list[None] = []
    disconnects: list[Exception | None] = []
    config = StreamConfig(
        jitter=False,
        on_error=passed.append,
        on_connect=lambda: connects.append(None),
        on_disconnect=disconnects.append,
        on_invalid=lambda line, reason: invalid.append(line),
        on_notice=notices.append,
        **story.settings,
    )
    stream = Stream[dict[str, Any]](session, "get", url, config, clock=clock)
    numbers = []
    with pytest.raises(StreamError) as raised:
        for item in stream:
            numbers.append(number_of(item))
    changes = [change.trigger for change in stream.history]
    return Run(
        numbers, changes, stream, raised.value, passed, invalid, notices, len(connects), disconnects, clock
    )


@pytest.fixture(params=["memory", "socket"])
def play(request: pytest.FixtureRequest, session: requests.Session, clock: FakeClock) -> Play:
    def in_memory(story: Story) -> Run:
        memory = ScriptedSession(story.scripts, clock=clock)
        return run(story, memory, "http://nowhere", clock, lambda item: int(item["data"]["id"]) - 1)

    def over_a_socket(story: Story) -> Run:
        with Simulator(script=story.scripts, rate=0) as simulator:
            url = f"{simulator.url}/2/tweets/sample/stream"

            def number_of(item: dict[str, Any]) -> int:
                whole = {entry.id: entry.number for entry in simulator.log if entry.whole}
                return whole[item["data"]["id"]]

            return run(story, session, url, clock, number_of)

    return in_memory if request.param == "memory" else over_a_socket


@pytest.mark.parametrize("name", STORIES)
def test_story(name: str, play: Play) -> None:
    story = STORIES[name]
    told = play(story)

    assert len(told.numbers) == story.items == told.stream.state.total_items_received
    assert told.numbers == sorted(set(told.numbers))
    assert told.changes == story.changes
    assert told.clock.waits == story.delays
    assert [error.error_type for error in told.passed] == story.errors
    assert told.passed[-1] is told.error is told.stream.state.last_error
    assert len(told.invalid) == story.halves == told.stream.state.invalid_items
    assert len(told.notices) == story.notices
    assert told.connects == len(told.disconnects) == story.changes.count(OPENED)
    assert told.disconnects.count(None) == story.changes.count(ENDED)
    assert not told.stream.state.is_connected


def test_exhaustion_says_what_was_lost_last(play: Play) -> None:
    told = play(STORIES["retries exhausted by refusals"])
    assert isinstance(told.error, RetriesExhausted)
    assert str(told.error).startswith("Max retries exceeded after 2 attempts")
    assert told.error.status_code == 503
    assert told.error.__cause__ is told.passed[-2]


def test_items_behind_an_ending_notice_in_the_same_read_are_delivered(clock: FakeClock) -> None:
    notice = b'{"title":"x","type":"https://x.com/problems/operational-disconnect"}\r\n'
    scripts = [(Send(notice + b'{"data":{"id":"7"}}\r\n'), End()), (UNAUTHORIZED,)]
    stream = Stream[dict[str, Any]](
        ScriptedSession(scripts, clock=clock), "get", "http://nowhere", clock=clock
    )
    with pytest.raises(StreamError, match="401"):
        assert list(stream) == [{"data": {"id": "7"}}]
    assert stream.state.total_items_received == 1
