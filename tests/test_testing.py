"""The session and the clock that users test with."""

from __future__ import annotations

import asyncio
import doctest
import itertools
from typing import Any

import pytest
import requests

from xdk_streaming import AsyncStream, Stream, StreamConfig, StreamError, StreamErrorType, Trigger, testing
from xdk_streaming.simulator import (
    HEARTBEAT,
    UNAVAILABLE,
    Cut,
    End,
    Flood,
    Limited,
    Live,
    Open,
    Raw,
    Refuse,
    Serve,
    Stall,
    Step,
    Uncompressed,
)
from xdk_streaming.testing import FakeClock, NoMoreConnections, ScriptedSession
from xdk_streaming.wire.wait import Wait

URL = "https://api.x.example/2/tweets/sample/stream"


def followed(session: ScriptedSession, clock: FakeClock, config: StreamConfig | None = None) -> Stream[Any]:
    """A stream that has run as far as the session's scripts go."""
    stream: Stream[Any] = Stream(session, "get", URL, config, clock=clock)
    with pytest.raises(NoMoreConnections):
        list(stream)
    return stream


def test_the_example_runs_as_it_is_shown() -> None:
    outcome = doctest.testmod(testing)
    assert outcome.failed == 0
    assert outcome.attempted


def test_without_a_script_the_stream_ends_with_a_sentence(clock: FakeClock) -> None:
    stream = Stream(ScriptedSession([(UNAVAILABLE,)]), "get", URL, StreamConfig(max_retries=-1), clock=clock)
    with pytest.raises(NoMoreConnections) as ended:
        list(stream)
    assert str(ended.value) == (
        "Connection 2 was requested, but there are scripts for only 1; stop the stream, or end the scripts "
        "with a final refusal, such as Refuse(401)"
    )
    assert ended.value.error_type is StreamErrorType.FATAL_ERROR
    assert ended.value is stream.state.last_error


def test_every_call_is_noted_with_its_method_url_params_and_headers() -> None:
    session = ScriptedSession([(), (), ()])
    session.headers["Authorization"] = "Bearer a-token"
    session.get(URL)
    session.post(URL, json={"add": []}, headers={"A": "b"})
    session.request("GET", URL, {"a": "1"})
    assert session.calls == [
        {"method": "GET", "url": URL, "params": {}, "headers": {}},
        {"method": "POST", "url": URL, "params": {}, "headers": {"A": "b"}, "json": {"add": []}},
        {"method": "GET", "url": URL, "params": {"a": "1"}, "headers": {}},
    ]


def test_a_stream_sends_the_sessions_authorization(clock: FakeClock) -> None:
    session = ScriptedSession([(Serve(1),)])
    session.headers["Authorization"] = "Bearer a-token"
    followed(session, clock)
    assert session.calls[0]["headers"]["Authorization"] == "Bearer a-token"


def test_answers_are_responses_of_requests() -> None:
    session = ScriptedSession(
        [(Refuse(429, b"slowly", {"Retry-After": "7"}),), (Open(200, {"X-A": "b"}), Serve())]
    )
    refused, opened = session.get(URL), session.get(URL, stream=True)
    assert (refused.status_code, refused.text, refused.headers["retry-after"]) == (429, "slowly", "7")
    assert (opened.status_code, opened.headers["x-a"], opened.url) == (200, "b", URL)
    assert list(opened.iter_lines()) == [b'{"data":{"id":"1"}}']
    assert session.responses == [refused, opened]


def test_a_response_tells_whether_it_was_closed() -> None:
    session = ScriptedSession([(Serve(2),)])
    response = session.get(URL)
    assert not response.raw.closed
    response.close()
    assert response.raw.closed


@pytest.mark.parametrize("raised", [requests.ConnectionError("no route"), KeyboardInterrupt()])
def test_an_exception_is_raised_in_place_of_an_answer(raised: BaseException) -> None:
    with pytest.raises(type(raised)) as caught:
        ScriptedSession([raised]).get(URL)
    assert caught.value is raised


@pytest.mark.parametrize("step", [Live(), Raw(b"HTTP/1.1 200 OK\r\n"), Flood(b" ")])
def test_a_step_without_a_meaning_in_memory_is_refused(step: Step, clock: FakeClock) -> None:
    sentence = f"^{type(step).__name__} .* use (Serve|a Simulator)$"
    with pytest.raises(NotImplementedError, match=sentence):
        ScriptedSession([[step]]).get(URL)
    with pytest.raises(StreamError, match=f"in memory|{sentence}") as ended:
        list(Stream(ScriptedSession([[step]]), "get", URL, clock=clock))
    assert isinstance(ended.value.original_exception, NotImplementedError)


@pytest.mark.parametrize(
    "scripts", [[Serve(2), End()], ["text"], [(Serve(2), "text")], [None], [requests.ConnectionError]]
)
def test_what_is_no_script_is_refused_at_once(scripts: Any) -> None:
    with pytest.raises(TypeError, match=r" is not a script; a script is a sequence of steps"):
        ScriptedSession(scripts)


def test_scripts_may_be_endless(clock: FakeClock) -> None:
    stream = Stream(ScriptedSession(itertools.repeat((Serve(1), End()))), "get", URL, clock=clock)
    numbers = [item["data"]["id"] for item in itertools.islice(stream, 4)]
    stream.close()
    assert numbers == ["1", "2", "3", "4"]


def test_a_stall_lets_time_pass(clock: FakeClock) -> None:
    session = ScriptedSession([(Serve(1), Stall(12.0), HEARTBEAT, End())], clock=clock)
    stream = followed(session, clock)
    assert Trigger.ENDED in [transition.trigger for transition in stream.history]
    assert clock.now == 1_000_012.0
    assert clock.waits == [0.0]  # a connection that has lasted


def test_a_stall_of_some_seconds_wants_the_streams_clock() -> None:
    with pytest.raises(ValueError, match=r"^Stall\(12\.0\) needs the stream's clock"):
        ScriptedSession([(Stall(12.0),)]).get(URL)


def test_a_stall_without_an_end_is_a_timeout(clock: FakeClock) -> None:
    stream = followed(ScriptedSession([(Serve(1), Stall())]), clock)
    errors = [transition.error and transition.error.error_type for transition in stream.history]
    assert StreamErrorType.TIMEOUT in errors


def test_a_limit_counts_by_the_streams_clock(clock: FakeClock) -> None:
    config = StreamConfig(jitter=False)
    followed(ScriptedSession([(Limited(reset=300.0),)], clock=clock), clock, config)
    assert clock.waits == [300.0]


def test_a_limit_without_a_clock_counts_by_the_machines() -> None:
    response = ScriptedSession([(Limited(),)]).get(URL)
    assert response.status_code == 429
    assert int(response.headers["x-rate-limit-reset"]) > 1_700_000_000


def test_a_body_in_memory_is_never_compressed() -> None:
    assert ScriptedSession([(Uncompressed(b"as it is"),)]).get(URL).content == b"as it is"


def test_a_session_serves_an_async_stream_as_well(clock: FakeClock) -> None:
    async def follow() -> list[Any]:
        items = []
        session = ScriptedSession([(Serve(2), Cut()), (Serve(1),)])
        async with AsyncStream(session, "get", URL, clock=clock) as stream:
            async for item in stream:
                items.append(item["data"]["id"])
                if len(items) == 3:
                    stream.stop()
        return items

    assert asyncio.run(follow()) == ["1", "2", "4"]  # half of the third went with its connection


def test_the_clocks_time_passes_in_waits_alone() -> None:
    clock = FakeClock(now=5.0)
    clock.wait(60.0, Wait())
    assert clock.time() == clock.monotonic() == 65.0
    assert clock.waits == [60.0]


def test_a_wait_that_is_woken_takes_no_time() -> None:
    clock, wait = FakeClock(now=5.0), Wait()
    clock.during_wait = wait.wake
    clock.wait(60.0, wait)
    assert clock.now == 5.0
