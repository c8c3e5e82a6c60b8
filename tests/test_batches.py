"""Items in lists: handed over in time, delivered as a whole or not at all, whatever else is set."""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import requests
from pydantic import BaseModel

from helpers.clients import GUARD, Until, wait_for
from helpers.consumers import LONG, PATH, sees_the_client_leave, simulated
from helpers.servers import Trust
from helpers.shortcuts import ids
from helpers.streams import STREAM_TYPES, Foreign, StreamType
from xdk_streaming import AsyncStream, Buffer, Recovery, Stream, StreamConfig, StreamError, StreamErrorType
from xdk_streaming.simulator import Cut, End, Refuse, Script, Send, Serve, Simulator, Stall
from xdk_streaming.simulator.body import Encoding

pytestmark = pytest.mark.usefixtures("nothing_is_left", "no_thread_complains")

Store = Callable[[list[Any]], object]
FINAL: Script = (Refuse(401),)
each_type = pytest.mark.parametrize("stream_type", STREAM_TYPES)


class Failing(Exception):
    """A store that fails."""


def play(stream: Stream[Any] | AsyncStream[Any], store: Store, *limits: float) -> None:
    """Give each batch to `store`, as the pages show it."""
    arguments: Any = limits
    if isinstance(stream, Stream):
        with stream:
            for batch in stream.batches(*arguments):
                store(batch)
    else:
        asyncio.run(play_in_loop(stream, store, arguments))


async def play_in_loop(stream: AsyncStream[Any], store: Store, limits: Any) -> None:
    async with stream:
        async for batch in stream.batches(*limits):
            store(batch)


def counted(
    stream: Stream[Any] | AsyncStream[Any],
    total: int,
    *limits: float,
    meanwhile: Callable[[int], object] = lambda count: None,
) -> list[int]:
    """The lengths of the batches, up to so many items; `meanwhile` gets how many came so far."""
    counts: list[int] = []

    def store(batch: list[Any]) -> None:
        counts.append(len(batch))
        meanwhile(sum(counts))
        if sum(counts) >= total:
            stream.stop()

    play(stream, store, *limits)
    assert sum(counts) == total
    return counts


def config(**settings: Any) -> StreamConfig:
    return StreamConfig(**{"initial_backoff": 0.0, "stall_timeout": GUARD, **settings})


def stored(
    stream_type: StreamType, session: requests.Session, simulator: Simulator, *limits: float, **settings: Any
) -> list[list[Any]]:
    """All batches, until the stream fails."""
    batches: list[list[Any]] = []
    stream = stream_type(session, "get", simulator.url + PATH, config(**settings))
    with suppress(StreamError):
        play(stream, batches.append, *limits)
    return batches


@pytest.fixture(params=STREAM_TYPES)
def stream_type(request: pytest.FixtureRequest) -> Any:
    return request.param


# When a batch is handed over


def test_batches_are_full_across_connections(session: requests.Session, stream_type: StreamType) -> None:
    cut = (Serve(70), Cut(half=False))
    with simulated(session, None, cut, cut, cut, then=FINAL) as simulator:
        batches = stored(stream_type, session, simulator, 50, GUARD)
        assert [len(batch) for batch in batches] == [50, 50, 50, 50, 10]
        assert [id_ for batch in batches for id_ in ids(batch)] == [sent.id for sent in simulator.log]


@pytest.mark.usefixtures("route")
def test_a_batch_is_handed_over_in_silence(
    session: requests.Session, stream_type: StreamType, tls: Trust | None
) -> None:
    with simulated(session, tls, (Send(post_lines(7)), Stall(None))) as simulator:
        stream = stream_type(session, "get", simulator.url + PATH, config())
        seen: list[tuple[int, float]] = []

        def store(batch: list[Any]) -> None:
            seen.append((len(batch), time.monotonic()))
            if len(seen) == 2:
                stream.stop()

        began = time.monotonic()
        play(stream, store, 5, 0.2)
        assert [count for count, _ in seen] == [5, 2]
        assert seen[1][1] - began < GUARD / 2


def test_silence_ends_a_batch_at_its_moment_and_not_before(session: requests.Session) -> None:
    with simulated(session, None, (Send(post_lines(2)), Stall(None))) as simulator:
        stream = Stream[Any](session, "get", simulator.url + PATH, config())
        began = time.monotonic()
        with stream:
            assert len(next(iter(stream.batches(5, 0.3)))) == 2
        assert 0.3 <= time.monotonic() - began < GUARD / 2


@pytest.mark.usefixtures("route")
@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_after_a_silence_the_same_connection_goes_on(
    session: requests.Session, encoding: Encoding, stream_type: StreamType
) -> None:
    more = threading.Event()
    script = (Serve(3), Until(more), Serve(4), Stall(None))
    with Simulator(script=[script], rate=0, encoding=encoding) as simulator:
        stream = stream_type(session, "get", simulator.url + PATH, config())
        counted(stream, 7, 500, 0.05, meanwhile=lambda count: more.set() if count >= 3 else None)
        assert len(simulator.requests) == 1


def test_a_batch_comes_in_time_though_a_session_hides_how_it_reads(
    session: requests.Session,
) -> None:
    with simulated(session, None, (Serve(7), Stall(None))) as simulator:
        foreign: Any = Foreign(session)
        stream = Stream[Any](foreign, "get", simulator.url + PATH, config(chunk_size=1))
        assert max(counted(stream, 7, 5, 0.2)) <= 5


@pytest.mark.parametrize("leave", ["stop", "break"])
def test_who_leaves_while_an_attempt_goes_on_leaves_nothing(session: requests.Session, leave: str) -> None:
    mute = (Stall(None, head=False),)
    with simulated(session, None, (Send(post_lines(3)), Cut(half=False)), then=mute) as simulator:
        began = time.monotonic()
        with Stream[Any](session, "get", simulator.url + PATH, config()) as stream:
            for batch in stream.batches(500, 0.1):
                assert len(batch) == 3
                wait_for(lambda: len(simulator.requests) == 2)
                if leave == "break":
                    break
                stream.stop()
        assert time.monotonic() - began < GUARD / 2
        sees_the_client_leave(simulator)


def test_an_attempt_that_goes_on_while_a_batch_is_stored_is_the_one_that_streams(
    session: requests.Session, stream_type: StreamType
) -> None:
    stored = threading.Event()
    late = (Until(stored), Serve(4), Stall(None))
    with simulated(session, None, (Serve(3), Cut(half=False)), late) as simulator:
        stream = stream_type(session, "get", simulator.url + PATH, config())
        counted(stream, 7, 500, 0.05, meanwhile=lambda _: stored.set())
        assert len(simulator.requests) == 2


def test_callbacks_run_on_the_thread_that_takes_batches(session: requests.Session) -> None:
    called_on: list[threading.Thread] = []
    note = lambda *_: called_on.append(threading.current_thread())  # noqa: E731
    with simulated(session, None, (Serve(3), Cut(half=False)), then=FINAL) as simulator:
        settings = config(on_connect=note, on_disconnect=note, on_error=note, on_state_change=note)
        with suppress(StreamError):
            play(Stream[Any](session, "get", simulator.url + PATH, settings), list)
    assert set(called_on) == {threading.current_thread()}


@pytest.mark.parametrize(
    "then",
    [
        pytest.param((Stall(None, head=False),), id="while it waits for an answer"),
        pytest.param((Refuse(503, headers={"Retry-After": "60"}),), id="while it waits for the next attempt"),
    ],
)
def test_a_batch_is_handed_over_while_no_connection_stands(
    session: requests.Session, stream_type: StreamType, then: Script
) -> None:
    with simulated(session, None, (Send(post_lines(3)), Cut(half=False)), then=then) as simulator:
        stream = stream_type(session, "get", simulator.url + PATH, config())
        counts: list[int] = []

        def store(batch: list[Any]) -> None:
            counts.append(len(batch))
            stream.stop()

        began = time.monotonic()
        play(stream, store, 500, 0.1)
        assert counts == [3]
        assert time.monotonic() - began < GUARD / 2


def test_a_batch_that_comes_in_silence_does_not_make_the_silence_longer(session: requests.Session) -> None:
    with simulated(session, None, (Send(post_lines(2)), Stall(None)), then=FINAL) as simulator:
        stream = Stream[Any](session, "get", simulator.url + PATH, config(stall_timeout=1.0))
        at: list[float] = []
        with suppress(StreamError):
            play(stream, lambda _: at.append(time.monotonic()), 5, 0.8)
        assert time.monotonic() - at[0] < 0.8
        errors = [change.error for change in stream.history if change.error is not None]
        assert errors[0].error_type is StreamErrorType.TIMEOUT


def test_the_time_for_which_a_batch_is_stored_is_no_silence(session: requests.Session) -> None:
    more = threading.Event()
    script = (Send(post_lines(2)), Until(more), Send(post_lines(2)), Stall(None))
    with simulated(session, None, script) as simulator:
        stream = Stream[Any](session, "get", simulator.url + PATH, config(stall_timeout=0.5))
        counts: list[int] = []

        def store(batch: list[Any]) -> None:
            counts.append(len(batch))
            time.sleep(0.6)
            more.set()
            if len(counts) == 2:
                stream.stop()

        play(stream, store, 5, 0.1)
        assert counts == [2, 2]
        assert len(simulator.requests) == 1


def test_the_time_for_which_a_batch_is_stored_counts_for_the_delay(session: requests.Session) -> None:
    later = (Refuse(503, headers={"Retry-After": "1"}),)
    script = (Send(post_lines(2)), Cut(half=False))
    with simulated(session, None, script, later, (Send(post_lines(2)), Stall(None))) as simulator:
        stream = Stream[Any](session, "get", simulator.url + PATH, config())
        at: list[float] = []

        def store(batch: list[Any]) -> None:
            at.append(time.monotonic())
            time.sleep(0.8)
            if len(at) == 2:
                stream.stop()

        play(stream, store, 5, 0.1)
        assert at[1] - at[0] < 1.6


def test_a_stop_while_it_waits_for_the_next_attempt_hands_over_what_was_gathered(
    session: requests.Session, stream_type: StreamType
) -> None:
    later = (Refuse(503, headers={"Retry-After": "60"}),)
    with simulated(session, None, (Serve(3), Cut(half=False)), then=later) as simulator:
        stream = stream_type(session, "get", simulator.url + PATH, config())
        counts: list[int] = []
        thread = threading.Thread(
            target=play, args=[stream, lambda batch: counts.append(len(batch)), 500, LONG]
        )
        thread.start()
        wait_for(lambda: stream.state.current_backoff > 1)
        began = time.monotonic()
        stream.stop()
        thread.join(GUARD)
        assert counts == [3]
        assert time.monotonic() - began < GUARD / 4


def test_a_batch_of_large_lines_is_handed_over_before_it_is_full(
    session: requests.Session, stream_type: StreamType
) -> None:
    line = b'{"data":{"id":"1","text":"' + b"x" * 2**20 + b'"}}\n'
    with simulated(session, None, (*[Send(line)] * 40, End()), then=FINAL) as simulator:
        batches = stored(stream_type, session, simulator, 500, GUARD)
    assert [len(batch) for batch in batches] == [16, 16, 8]


def test_who_asks_for_more_items_gets_larger_batches(session: requests.Session) -> None:
    line = b'{"data":{"id":"1","text":"' + b"x" * 2**20 + b'"}}\n'
    with simulated(session, None, (*[Send(line)] * 40, End()), then=FINAL) as simulator:
        batches = stored(Stream, session, simulator, 6_000, GUARD)
    assert [len(batch) for batch in batches] == [24, 16]


def test_a_consumer_that_comes_back_late_gets_what_came_meanwhile_at_once(session: requests.Session) -> None:
    arrived = threading.Event()
    script = (Serve(1), Until(arrived), Serve(30), Stall(None))
    with simulated(session, None, script) as simulator:
        stream = Stream[Any](session, "get", simulator.url + PATH, config())
        counts: list[int] = []

        def store(batch: list[Any]) -> None:
            counts.append(len(batch))
            if len(counts) == 1:
                arrived.set()
                wait_for(lambda: len(simulator.log) == 31)
                time.sleep(0.05)
            else:
                stream.stop()

        play(stream, store, 500, 0.3)
        assert counts == [1, 30]


@pytest.mark.parametrize("max_seconds", [math.inf, 5])
def test_a_batch_may_wait_until_it_is_full(session: requests.Session, max_seconds: float) -> None:
    with simulated(session, None, (Serve(7), End()), then=FINAL) as simulator:
        assert [len(batch) for batch in stored(Stream, session, simulator, 5, max_seconds)] == [5, 2]


# How a stream ends


def test_what_was_gathered_comes_before_the_error(session: requests.Session, stream_type: StreamType) -> None:
    with simulated(session, None, (Serve(3), End()), then=FINAL) as simulator:
        stream = stream_type(session, "get", simulator.url + PATH, config())
        batches: list[list[Any]] = []
        with pytest.raises(StreamError, match="401"):
            play(stream, batches.append, 500, GUARD)
        assert [len(batch) for batch in batches] == [3]
        assert stream.state.undelivered_items == 0


def test_what_was_gathered_is_handed_over_after_a_stop(
    session: requests.Session, stream_type: StreamType
) -> None:
    with simulated(session, None, (Serve(3), Stall(None))) as simulator:
        stream = stream_type(session, "get", simulator.url + PATH, config())
        batches: list[list[Any]] = []
        thread = threading.Thread(target=play, args=[stream, batches.append, 500, math.inf])
        thread.start()
        wait_for(lambda: stream.state.total_items_received == 3 and stream.state.lag_items == 0)
        stream.stop()
        thread.join(GUARD)
        handed_over = sum(map(len, batches))
        assert handed_over + stream.state.undelivered_items == 3
        assert handed_over == 3 or stream_type is AsyncStream  # whose thread may not have put them all yet
        assert len(batches) <= 1


def test_after_a_stop_in_the_loop_nothing_else_is_handed_over(
    session: requests.Session, stream_type: StreamType
) -> None:
    with simulated(session, None, (Serve(100), Stall(None))) as simulator:
        stream = stream_type(session, "get", simulator.url + PATH, config())
        counts: list[int] = []

        def store(batch: list[Any]) -> None:
            wait_for(lambda: len(simulator.log) == 100)
            counts.append(len(batch))
            stream.stop()

        play(stream, store, 10, GUARD)
        assert counts == [10]
        assert max(1, stream.state.total_items_received - 10) <= stream.state.undelivered_items <= 90


def test_a_stream_that_was_stopped_before_hands_over_nothing(
    session: requests.Session, stream_type: StreamType
) -> None:
    with simulated(session, None) as simulator:
        stream = stream_type(session, "get", simulator.url + PATH, config())
        stream.stop()
        play(stream, lambda batch: pytest.fail("a batch came"))
        assert not simulator.requests


# What counts as delivered


def restarted(session: requests.Session, simulator: Simulator, path: Path) -> list[str]:
    """The ids that come after a restart with this checkpoint."""
    found: list[str] = []
    with suppress(StreamError):
        for item in Stream(session, "get", simulator.url + PATH, config(recovery=Recovery(checkpoint=path))):
            found.append(item["data"]["id"])
    return found


def post_lines(count: int) -> bytes:
    return b"".join(b'{"data":{"id":"%d"}}\n' % number for number in range(1, count + 1))


@pytest.mark.parametrize("buffer", [None, Buffer(), Buffer(overflow="drop_oldest"), Buffer(overflow="fail")])
def test_no_item_of_a_batch_that_was_not_stored_counts_as_delivered(
    session: requests.Session, stream_type: StreamType, tmp_path: Path, buffer: Buffer | None
) -> None:
    again = (Send(post_lines(250)), End())
    settings = config(recovery=Recovery(checkpoint=tmp_path / "seen"), buffer=buffer)
    with simulated(session, None, (Send(post_lines(250)), Stall(None)), again, then=FINAL) as simulator:
        stream = stream_type(session, "get", simulator.url + PATH, settings)
        kept: list[str] = []

        def store(batch: list[Any]) -> None:
            if kept:
                raise Failing
            kept.extend(ids(batch))

        with pytest.raises(Failing):
            play(stream, store, 100, GUARD)
        assert kept == [str(number) for number in range(1, 101)]
        assert restarted(session, simulator, tmp_path / "seen") == [str(n) for n in range(101, 251)]


def test_a_batch_in_hand_counts_if_the_stream_is_left_cleanly(
    session: requests.Session, stream_type: StreamType, tmp_path: Path
) -> None:
    settings = config(recovery=Recovery(checkpoint=tmp_path / "seen"))
    again = (Send(post_lines(250)), End())
    with simulated(session, None, (Send(post_lines(250)), Stall(None)), again, then=FINAL) as simulator:
        stream = stream_type(session, "get", simulator.url + PATH, settings)

        async def one_in_loop(stream: AsyncStream[Any]) -> None:
            async with stream:
                assert len(await anext(stream.batches(100))) == 100

        if isinstance(stream, Stream):
            with stream:
                assert len(next(iter(stream.batches(100)))) == 100
        else:
            asyncio.run(one_in_loop(stream))
        assert restarted(session, simulator, tmp_path / "seen") == [str(n) for n in range(101, 251)]


# Beside every other setting


class Post(BaseModel):
    data: dict[str, Any]


@pytest.mark.parametrize("recovery", [None, Recovery(), Recovery(dedupe=False)])
@pytest.mark.parametrize("model", [None, bytes, Post])
@pytest.mark.parametrize(
    "buffer", [None, Buffer(), Buffer(overflow="drop_oldest"), Buffer(max_bytes=1, overflow="block")]
)
def test_batches_hold_every_item_beside_any_setting(
    session: requests.Session,
    stream_type: StreamType,
    recovery: Recovery | None,
    model: Any,
    buffer: Buffer | None,
) -> None:
    lines = post_lines(200).replace(b'{"data":{"id":"77"}}\n', b'{"data":{"id":"77"\n{"data":{"id":"77"}}\n')
    with simulated(session, None, (Send(lines), End()), then=FINAL) as simulator:
        settings = config(recovery=recovery, buffer=buffer)
        stream = stream_type(session, "get", simulator.url + PATH, settings, response_model=model)
        batches: list[list[Any]] = []
        with suppress(StreamError):
            play(stream, batches.append, 30, GUARD)
        items = [item for batch in batches for item in batch]
        assert [len(batch) for batch in batches] == [30] * 6 + [20]
        kinds = {None: dict, bytes: bytes, Post: Post}
        assert {type(item) for item in items} == {kinds[model]}
        assert stream.state.total_items_received == 200
        assert stream.state.invalid_items == 1


# What cannot be asked for


@pytest.mark.parametrize("max_items", [0, -1, 1.5, True, "5", None])
def test_a_number_of_items_that_is_none_is_refused(stream_type: StreamType, max_items: Any) -> None:
    stream = stream_type(requests.Session(), "get", "https://api.x.example/")
    with pytest.raises(ValueError, match=r"max_items is .*must be a whole number, 1 or more"):
        stream.batches(max_items)


@pytest.mark.parametrize("max_seconds", [0, -1.0, math.nan, True, "5", None])
def test_a_number_of_seconds_that_is_none_is_refused(stream_type: StreamType, max_seconds: Any) -> None:
    stream = stream_type(requests.Session(), "get", "https://api.x.example/")
    with pytest.raises(ValueError, match=r"max_seconds is .*must be a number above 0"):
        stream.batches(500, max_seconds)


def test_a_stream_hands_over_items_or_batches_and_not_both(session: requests.Session) -> None:
    with simulated(session, None, (Serve(5), Stall(None))) as simulator:
        with Stream[Any](session, "get", simulator.url + PATH, config()) as stream:
            next(iter(stream))
            with pytest.raises(RuntimeError, match="item by item; call batches"):
                stream.batches()
        batched = Stream[Any](session, "get", simulator.url + PATH, config())
        batched.batches()
        with pytest.raises(RuntimeError, match="iterate what batches"):
            iter(batched)


def test_a_stream_of_asyncio_hands_over_items_or_batches_and_not_both(session: requests.Session) -> None:
    async def try_both(url: str) -> None:
        async with AsyncStream[Any](session, "get", url, config()) as stream:
            await anext(aiter(stream))
            with pytest.raises(RuntimeError, match="item by item; call batches"):
                stream.batches()
        batched = AsyncStream[Any](session, "get", url, config())
        batched.batches()
        with pytest.raises(RuntimeError, match="iterate what batches"):
            aiter(batched)

    with simulated(session, None, (Serve(5), Stall(None))) as simulator:
        asyncio.run(try_both(simulator.url + PATH))


def test_a_second_call_goes_on_with_new_limits(session: requests.Session) -> None:
    with simulated(session, None, (Serve(100), Stall(None))) as simulator:
        with Stream[Any](session, "get", simulator.url + PATH, config()) as stream:
            assert len(next(iter(stream.batches(10)))) == 10
            assert len(next(iter(stream.batches(20)))) == 20

        async def twice() -> None:
            async with AsyncStream[Any](session, "get", simulator.url + PATH, config()) as stream:
                assert len(await anext(stream.batches(10))) == 10
                assert len(await anext(stream.batches(20))) == 20

    with simulated(session, None, (Serve(100), Stall(None))) as simulator:
        asyncio.run(twice())
