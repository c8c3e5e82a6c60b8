"""A position, stored beside the items: a later stream that goes on from it misses nothing."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from helpers.clients import wait_for
from helpers.machines import post
from helpers.streams import STREAM_TYPES, StreamType, take_all
from xdk_streaming import AsyncStream, Buffer, Gap, Recovery, Stream, StreamConfig, item_key
from xdk_streaming.simulator import Cut, End, Open, Script, Send, Stall
from xdk_streaming.testing import FakeClock, NoMoreConnections, ScriptedSession
from xdk_streaming.x import HEARTBEAT_LINE

T0 = 1_700_000_000.0
URL = "https://api.x.example/2/tweets/search/stream"
CHUNKED = Open(200, {"Content-Type": "application/json", "Transfer-Encoding": "chunked"})
CUT = Cut(half=False)


HEARTBEAT = Send(HEARTBEAT_LINE)


def heartbeats(count: int) -> Script:
    """So many, one each 20 seconds."""
    return [step for _ in range(count) for step in (Stall(20.0), HEARTBEAT)]


class Process:
    """One process: a stream of either type, what it delivered, and the gaps that it reported."""

    def __init__(
        self, clock: FakeClock, *scripts: Script, stream_type: StreamType = Stream, **rest: Any
    ) -> None:
        self.clock = clock
        self.session: Any = ScriptedSession(scripts, clock=clock)
        self.gaps: list[Gap] = []
        params = rest.pop("params", None)
        config = StreamConfig(
            jitter=False, initial_backoff=1.0, backoff_multiplier=1.0, on_gap=self.gaps.append, **rest
        )
        self.stream = stream_type(self.session, "get", URL, config, params, clock=clock)
        self.items: list[Any] = []

    def run(self) -> Process:
        with suppress(NoMoreConnections):
            take_all(self.stream, self.items)
        return self

    def minutes(self) -> list[Any]:
        """What each attempt asked for."""
        return [call["params"].get("backfill_minutes") for call in self.session.calls]


@pytest.fixture(params=STREAM_TYPES)
def stream_type(request: pytest.FixtureRequest) -> Any:
    return request.param


# What it says


def positions_of_items(process: Process) -> list[float]:
    """The position that each item leaves."""
    seen: list[float] = []
    stream: Any = process.stream
    with suppress(NoMoreConnections):
        for _ in stream:
            seen.append(stream.position)
    return seen


def test_there_is_none_before_the_first_connection(stream_type: StreamType) -> None:
    assert Process(FakeClock(T0), stream_type=stream_type).stream.position is None


def test_before_the_first_connection_it_is_what_the_stream_goes_on_from(stream_type: StreamType) -> None:
    process = Process(FakeClock(T0), stream_type=stream_type, recovery=Recovery(resume_from=T0 - 90))
    assert process.stream.position == T0 - 90


def test_it_is_the_moment_up_to_which_all_was_received() -> None:
    clock = FakeClock(T0)
    script = (CHUNKED, Stall(3.0), Send(post(T0 + 3)), Stall(4.0), Send(post(T0 + 7)), CUT)
    seen = positions_of_items(Process(clock, script))
    assert seen == [pytest.approx(T0, abs=0.01), pytest.approx(T0 + 3, abs=0.01)]


def test_heartbeats_move_it() -> None:
    clock = FakeClock(T0)
    script: Script = (CHUNKED, Send(post(T0)), *heartbeats(3), Send(post(T0 + 60, 1)), CUT)
    seen = positions_of_items(Process(clock, script))
    assert seen[1] == pytest.approx(T0 + 60, abs=0.01)


def test_it_stands_still_while_a_backfill_is_under_way(stream_type: StreamType) -> None:
    clock = FakeClock(T0)
    old, older = post(T0 - 100, 1), post(T0 - 99, 2)
    process = Process(
        clock,
        (CHUNKED, Send(old), Stall(1.0), Send(older), CUT),
        stream_type=stream_type,
        recovery=Recovery(resume_from=T0 - 100),
    )
    process.run()
    assert len(process.items) == 2
    assert process.stream.position == pytest.approx(T0 - 100, abs=0.01)


def test_a_request_with_an_end_in_time_has_none(stream_type: StreamType) -> None:
    params = {"start_time": "2023-11-14T22:00:00Z", "end_time": "2023-11-14T22:10:00Z"}
    process = Process(FakeClock(T0), (CHUNKED, Send(post(T0)), End()), stream_type=stream_type, params=params)
    process.run()
    assert process.items
    assert process.stream.position is None


@pytest.mark.parametrize("buffer", [None, Buffer()])
def test_it_never_passes_an_item_that_waits_to_be_handed_over(buffer: Buffer | None) -> None:
    clock = FakeClock(T0)
    steps = [step for n in range(50) for step in (Stall(1.0), Send(post(T0 + n + 1, n)))]
    process = Process(clock, (CHUNKED, *steps, CUT), buffer=buffer)
    stream: Any = process.stream
    for number, _ in zip(range(50), stream, strict=False):
        assert stream.position <= T0 + number + 1.01
    stream.close()


async def positions_in_loop(stream: AsyncStream[Any], found: list[tuple[int, Any]]) -> None:
    async for batch in stream.batches(4, 60.0):
        found.append((len(batch), stream.position))


def positions_of_batches(stream: Stream[Any] | AsyncStream[Any]) -> list[tuple[int, float]]:
    """The length of each batch, and the position that it leaves."""
    found: list[tuple[int, Any]] = []
    with suppress(NoMoreConnections):
        if isinstance(stream, Stream):
            for batch in stream.batches(4, 60.0):
                found.append((len(batch), stream.position))
        else:
            asyncio.run(positions_in_loop(stream, found))
    return found


def test_a_batch_leaves_the_position_after_its_last_item(stream_type: StreamType) -> None:
    steps = [step for n in range(10) for step in (Stall(1.0), Send(post(T0 + n + 1, n)))]
    stream = Process(FakeClock(T0), (CHUNKED, *steps, CUT), stream_type=stream_type).stream
    found = positions_of_batches(stream)
    assert [count for count, _ in found] == [4, 4, 2]
    for (_, position), end in zip(found, [T0 + 4, T0 + 8, T0 + 10], strict=True):
        assert end - 1.01 <= position <= end + 0.01


@pytest.mark.parametrize("buffer", [None, Buffer()])
def test_a_batch_of_part_of_a_read_leaves_the_position_before_that_read(
    stream_type: StreamType, buffer: Buffer | None
) -> None:
    together = b"".join(post(T0 + 9, n) for n in range(10))
    script = (CHUNKED, Stall(10.0), Send(together), Stall(10.0), HEARTBEAT, CUT)
    stream = Process(FakeClock(T0), script, stream_type=stream_type, buffer=buffer).stream
    found = positions_of_batches(stream)
    assert [count for count, _ in found] == [4, 4, 2]
    assert [position for _, position in found[:2]] == pytest.approx([T0, T0], abs=0.01)


# Going on from it


def test_a_later_process_asks_for_what_came_since(stream_type: StreamType) -> None:
    clock = FakeClock(T0)
    first = Process(clock, (CHUNKED, Stall(5.0), Send(post(T0 + 5)), CUT), stream_type=stream_type).run()
    position = first.stream.position
    assert position is not None
    clock.now += 130.0
    missed = [post(T0 + 50, n) for n in range(3)]
    later = Process(
        clock,
        (CHUNKED, *map(Send, missed), Stall(1.0), Send(post(T0 + 200)), CUT),
        stream_type=stream_type,
        recovery=Recovery(resume_from=position),
    ).run()
    assert later.minutes()[0] == 3
    assert [item_key(item) for item in later.items] == [
        str(int(line.split(b'"')[5])) for line in [*missed, post(T0 + 200)]
    ]
    (gap, *_) = later.gaps
    assert gap.lost_at == pytest.approx(position)
    assert gap.uncovered is None


def test_what_a_backfill_cannot_cover_is_reported(stream_type: StreamType) -> None:
    clock = FakeClock(T0)
    process = Process(
        clock, (CHUNKED, CUT), stream_type=stream_type, recovery=Recovery(resume_from=T0 - 3_600)
    ).run()
    assert process.minutes()[0] == 5
    assert process.gaps[0].uncovered == (T0 - 3_600, T0 - 300)
    assert process.gaps[0].why == "too long"


def test_a_position_that_lies_ahead_says_that_a_clock_is_wrong(
    stream_type: StreamType, caplog: pytest.LogCaptureFixture
) -> None:
    clock = FakeClock(T0)
    process = Process(
        clock, (CHUNKED, CUT), stream_type=stream_type, recovery=Recovery(resume_from=T0 + 500)
    ).run()
    assert process.gaps[0].why == "unknown length"
    assert "position" in caplog.text


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"resume_from": 1.7e12}, "less than or equal"),
        ({"resume_from": -1.0}, "greater than or equal"),
        ({"resume_from": float("nan")}, "finite|less than|greater than"),
        ({"resume_from": 1.7e9, "checkpoint": "seen"}, "set only one of them"),
        ({"key": len, "dedupe": False}, "no keys are kept"),
    ],
)
def test_what_says_no_moment_or_two_is_refused(settings: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        Recovery(**settings)


# Without dedupe


@pytest.mark.parametrize("buffer", [None, Buffer()])
def test_without_dedupe_repeats_come_and_no_key_is_kept(
    stream_type: StreamType, buffer: Buffer | None
) -> None:
    clock = FakeClock(T0)
    line = post(T0)
    process = Process(
        clock,
        (CHUNKED, Send(line * 10), CUT),
        stream_type=stream_type,
        buffer=buffer,
        recovery=Recovery(dedupe=False),
    ).run()
    assert len(process.items) == 10
    assert process.stream.state.duplicate_items == 0
    assert process.stream._parts.tracker._dedupe is None


def test_without_dedupe_the_end_of_a_backfill_is_found_by_the_last_post() -> None:
    clock = FakeClock(T0)
    process = Process(
        clock,
        (CHUNKED, Send(post(T0 - 60)), Send(post(T0 + 1)), Stall(5.0), HEARTBEAT, CUT),
        recovery=Recovery(resume_from=T0 - 60, dedupe=False),
    ).run()
    assert process.stream.position == pytest.approx(T0 + 5, abs=0.01)


def test_a_checkpoint_without_dedupe_keeps_the_position_alone(
    tmp_path: Path, stream_type: StreamType
) -> None:
    clock = FakeClock(T0)
    recovery = Recovery(checkpoint=tmp_path / "seen", dedupe=False)
    script = (CHUNKED, Stall(5.0), Send(post(T0 + 5)), CUT)
    Process(clock, script, stream_type=stream_type, recovery=recovery).run()
    clock.now += 130.0
    later = Process(
        clock, (CHUNKED, Send(post(T0 + 5)), CUT), stream_type=stream_type, recovery=recovery
    ).run()
    assert later.minutes()[0] == 3
    assert len(later.items) == 1


# A quiet stream


class Quiet:
    """How a quiet stream is consumed."""

    def __init__(self, stream_type: StreamType, buffer: Buffer | None, *, batches: bool) -> None:
        self.stream_type, self.buffer, self.batches = stream_type, buffer, batches

    def live(self, clock: FakeClock, path: Path, *scripts: Script) -> Process:
        process = Process(
            clock,
            *scripts,
            stream_type=self.stream_type,
            buffer=self.buffer,
            recovery=Recovery(checkpoint=path),
        )
        stream = process.stream
        if not self.batches:
            return process.run()
        with suppress(NoMoreConnections):
            if isinstance(stream, Stream):
                for batch in stream.batches(10, 0.01):
                    process.items += batch
            else:
                asyncio.run(self._live(stream, process.items))
        return process

    async def _live(self, stream: AsyncStream[Any], items: list[Any]) -> None:
        async for batch in stream.batches(10, 0.01):
            items += batch


QUIET = {
    "plain": Quiet(Stream, None, batches=False),
    "buffered": Quiet(Stream, Buffer(), batches=False),
    "in batches": Quiet(Stream, None, batches=True),
    "asyncio": Quiet(AsyncStream, None, batches=False),
    "asyncio, in batches": Quiet(AsyncStream, None, batches=True),
}


@pytest.mark.parametrize("quiet", QUIET.values(), ids=QUIET)
@pytest.mark.parametrize("items", [0, 1])
def test_after_heartbeats_a_restart_misses_no_more_than_the_pause(
    quiet: Quiet, items: int, tmp_path: Path
) -> None:
    clock = FakeClock(T0)
    sent = [Send(post(T0))] * items
    script: Script = (CHUNKED, *sent, *heartbeats(4), Stall(1.0), CUT)
    quiet.live(clock, tmp_path / "seen", script)
    restarted_at = clock.now + 30.0
    clock.now = restarted_at
    later = quiet.live(clock, tmp_path / "seen", (CHUNKED, CUT))
    assert later.gaps[0].lost_at >= T0 + 79.9
    assert later.minutes()[0] == 1


def test_a_heartbeat_behind_an_item_that_is_not_delivered_moves_nothing(tmp_path: Path) -> None:
    clock = FakeClock(T0)
    script: Script = (CHUNKED, Send(post(T0)), *heartbeats(4), CUT)
    process = Process(clock, script, buffer=Buffer(), recovery=Recovery(checkpoint=tmp_path / "seen"))
    stream: Any = process.stream
    next(iter(stream))
    wait_for(lambda: clock.now > T0 + 79)
    stream.close()
    later = Process(clock, (CHUNKED, CUT), recovery=Recovery(checkpoint=tmp_path / "seen")).run()
    assert later.gaps[0].lost_at == pytest.approx(T0, abs=0.01)
