"""Outages under clocks that step, sleep, or are wrong at a restart: whole lives, in memory."""

from __future__ import annotations

from contextlib import suppress
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest

from helpers.machines import Happens, Machine, post
from xdk_streaming import Buffer, Gap, Recovery, Stream, StreamConfig
from xdk_streaming.recovery.bounds import stamp
from xdk_streaming.simulator import Cut, Open, Refuse, Send, Stall
from xdk_streaming.simulator.script import Limited
from xdk_streaming.testing import FakeClock, NoMoreConnections, ScriptedSession

T0 = 1_700_000_000.0
URL = "https://api.x.example/2/tweets/search/stream"
UNDATED = Open(200, {"Content-Type": "application/json", "Date": ""})
DATED = Open(200, {"Content-Type": "application/json"})
CUT = Cut(half=False)


class Life:
    """One process: a stream on a machine, and what it reported."""

    def __init__(
        self, clock: FakeClock, scripts: Any, *, recovery: Recovery | None = None, **more: Any
    ) -> None:
        self.clock = clock
        self.session: Any = ScriptedSession(scripts, clock=clock)
        self.gaps: list[Gap] = []
        settings = {"initial_backoff": 10.0, "backoff_multiplier": 1.0, "max_backoff": 10_000.0, **more}
        config = StreamConfig(
            jitter=False, max_retries=-1, recovery=recovery, on_gap=self.gaps.append, **settings
        )
        self.stream = Stream[Any](self.session, "get", URL, config, clock=clock)

    def run(self) -> Life:
        with suppress(NoMoreConnections):
            for _ in self.stream:
                pass
        return self

    @property
    def asked(self) -> list[Any]:
        return [call["params"].get("backfill_minutes") for call in self.session.calls]


def outage(
    *, step: float, wait: float = 180.0, opening: Open = UNDATED, recovery: Recovery | None = None
) -> Life:
    """A loss, and a step of the wall clock while no connection is open."""
    clock = Machine(T0)
    clock.during_wait = lambda: clock.step(step)
    scripts = [(opening, Send(post(T0)), CUT), (opening, Send(post(T0 + wait)), CUT)]
    return Life(clock, scripts, recovery=recovery, initial_backoff=wait).run()


steps = pytest.mark.parametrize("step", [-1e6, -3_600.0, -180.0, -170.0, 0.0, 170.0, 3_600.0, 1e6])
openings = pytest.mark.parametrize("opening", [UNDATED, DATED], ids=["undated", "dated"])


@steps
@openings
def test_a_step_of_the_wall_clock_changes_neither_the_outage_nor_what_is_asked_for(
    step: float, opening: Open
) -> None:
    life = outage(step=step, opening=opening, recovery=Recovery())
    assert life.asked[:2] == [None, 3]
    gap = life.gaps[0]
    assert gap.back_at - gap.lost_at == 180.0
    assert gap.covered == (gap.lost_at, gap.back_at)
    assert gap.uncovered is None


@steps
def test_with_a_date_the_gap_is_in_true_time(step: float) -> None:
    (gap, *_) = outage(step=step, opening=DATED).gaps
    assert gap == Gap(T0, T0 + 180, None, (T0, T0 + 180), "not asked")


@steps
def test_without_a_date_the_gap_ends_by_the_wall_clock_and_is_as_long_as_it_was(step: float) -> None:
    (gap, *_) = outage(step=step).gaps
    assert (gap.lost_at, gap.back_at) == (T0 + step, T0 + 180 + step)
    assert gap.seconds == 180.0


def test_a_step_within_a_connection_changes_nothing() -> None:
    clock = Machine(T0)
    standing = (
        DATED,
        Send(post(T0)),
        Happens(lambda: clock.step(-3_600.0)),
        Stall(5.0),
        Send(post(T0 + 5)),
        CUT,
    )
    life = Life(clock, [standing, (DATED,)], recovery=Recovery()).run()
    assert life.gaps == [Gap(T0 + 5, T0 + 15, (T0 + 5, T0 + 15))]


@pytest.mark.parametrize("asleep", [3_600.0, 86_400.0])
def test_a_machine_that_slept_asks_for_the_most_and_reports_the_rest(asleep: float) -> None:
    clock = Machine(T0)
    standing = (DATED, Send(post(T0)), Stall(asleep), CUT)
    life = Life(clock, [standing, (DATED,)], recovery=Recovery()).run()
    back = T0 + asleep + 10
    assert life.asked[1] == 5
    assert life.gaps == [Gap(T0, back, (back - 300, back), (T0, back - 300), "too long")]


def test_a_guest_that_was_paused_has_missed_what_the_servers_date_shows() -> None:
    clock = Machine(T0)

    def pause() -> None:
        clock.now += 600.0
        clock.booted += 600.0  # the monotonic clock stood still
        clock.stepped -= 600.0  # and the wall clock, too

    standing = (DATED, Send(post(T0)), Happens(pause), CUT)
    life = Life(clock, [standing, (DATED,)], recovery=Recovery()).run()
    (gap,) = life.gaps
    assert gap.lost_at == pytest.approx(T0, abs=1.0)
    assert gap.uncovered is not None
    assert gap.uncovered[0] <= T0
    assert gap.uncovered[1] >= T0 + 610 - 60 * life.asked[1]
    assert T0 + 610 <= gap.back_at <= T0 + 612


def test_an_old_date_shrinks_no_gap() -> None:
    old = Open(200, {"Date": formatdate(T0 - 3_600, usegmt=True)})
    clock = Machine(T0)
    life = Life(clock, [(DATED, Send(post(T0)), CUT), (old,)]).run()
    assert life.gaps == [Gap(T0, T0 + 10, None, (T0, T0 + 10), "not asked")]


@pytest.mark.parametrize("date", ["soon", "Thu, 01 Jan 1970 00:00:00 GMT", "Fri, 31 Dec 9999 23:59:59 GMT"])
def test_a_date_that_cannot_be_true_is_as_good_as_none(date: str) -> None:
    life = Life(Machine(T0), [(DATED, Send(post(T0)), CUT), (Open(200, {"Date": date}),)]).run()
    assert life.gaps == [Gap(T0, T0 + 10, None, (T0, T0 + 10), "not asked")]


def test_a_callback_that_takes_its_time_does_not_lengthen_the_outage() -> None:
    clock = Machine(T0)

    def slow() -> None:
        clock.now += 7.0

    life = Life(clock, [(DATED, CUT), (DATED,)], on_connect=slow).run()
    assert [gap.back_at - gap.lost_at for gap in life.gaps] == [10.0]


def test_what_a_buffer_dropped_is_reported_in_true_time() -> None:
    clock = Machine(T0, wrong=-5_000.0)
    lines = [post(T0 + number, number) for number in range(100)]
    life = Life(
        clock, [(DATED, Send(b"".join(lines)), CUT)], buffer=Buffer(max_bytes=200, overflow="drop_oldest")
    )
    with suppress(NoMoreConnections):
        for _ in life.stream:
            while life.stream.state.dropped_items == 0 and not life.gaps:
                pass
    (gap, *_) = (gap for gap in life.gaps if gap.why == "dropped")
    assert gap.uncovered is not None
    assert T0 - 1 <= gap.lost_at <= gap.back_at <= T0 + 1


def test_the_lag_does_not_jump_with_the_wall_clock() -> None:
    clock = Machine(T0)
    scripts = [(DATED, Send(post(T0)), Happens(lambda: clock.step(1e6)), Send(post(T0 + 1)), CUT)]
    life = Life(clock, scripts, buffer=Buffer()).run()
    assert life.stream.state.lag_seconds <= 10.0


def test_the_stream_of_a_gap_asks_for_true_time() -> None:
    clock = Machine(T0, wrong=-9_000.0)
    life = Life(clock, [(DATED, Send(post(T0)), CUT), (DATED,)]).run()
    (gap,) = life.gaps
    life.session._scripts = iter([(DATED,)])
    list(gap.stream())
    params = life.session.calls[-1]["params"]
    assert params["start_time"] <= stamp(T0)
    assert params["end_time"] >= stamp(T0 + 10)


# Restarts.


def first(path: Path, *, wrong: float = 0.0, opening: Open = DATED) -> None:
    """A process that got one post, at T0."""
    clock = Machine(T0, wrong=wrong)
    Life(clock, [(opening, Send(post(T0)), CUT)], recovery=Recovery(checkpoint=path)).run()


def second(path: Path, at: float, *, wrong: float, opening: Open = DATED) -> Life:
    scripts = [(opening, Send(post(at)), CUT)]
    return Life(Machine(at, wrong=wrong), scripts, recovery=Recovery(checkpoint=path)).run()


@pytest.mark.parametrize("wrong", [-1e9, -86_400.0, -600.0, -301.0])
@pytest.mark.parametrize("away", [180.0, 300.0, 7_200.0])
def test_a_clock_that_is_behind_the_checkpoint_asks_for_the_most_and_the_date_decides(
    tmp_path: Path, wrong: float, away: float
) -> None:
    first(tmp_path / "seen")
    life = second(tmp_path / "seen", T0 + away, wrong=min(wrong, -away - 1))
    assert life.asked[0] == 5
    gap = life.gaps[0]
    assert gap.lost_at == T0
    assert T0 + away <= gap.back_at <= T0 + away + 1
    assert (gap.uncovered is None) == (away < 300)
    if gap.uncovered is not None:
        assert gap.uncovered[0] == T0
        assert gap.uncovered[1] >= T0 + away - 300


@pytest.mark.parametrize("wrong", [600.0, 86_400.0, 1e9])
def test_a_clock_that_is_far_ahead_is_corrected_by_the_date(tmp_path: Path, wrong: float) -> None:
    first(tmp_path / "seen")
    life = second(tmp_path / "seen", T0 + 180, wrong=wrong)
    assert life.asked[0] == 5
    gap = life.gaps[0]
    assert gap.lost_at == T0
    assert T0 + 180 <= gap.back_at <= T0 + 181
    assert gap.uncovered is None


def test_a_clock_that_is_slow_asks_for_too_little_and_the_rest_is_reported(tmp_path: Path) -> None:
    first(tmp_path / "seen")
    life = second(tmp_path / "seen", T0 + 180, wrong=-170.0)
    assert life.asked[0] == 1
    gap = life.gaps[0]
    assert gap.uncovered is not None
    assert (gap.uncovered[0], gap.why) == (T0, "too long")
    assert gap.uncovered[1] >= T0 + 120


def test_a_wrong_clock_in_the_first_process_does_not_enter_the_checkpoint(tmp_path: Path) -> None:
    first(tmp_path / "seen", wrong=-86_400.0)
    life = second(tmp_path / "seen", T0 + 180, wrong=0.0)
    assert T0 - 1 <= life.gaps[0].lost_at <= T0
    assert life.gaps[0].back_at == T0 + 180
    assert life.gaps[0].uncovered is None


def test_if_nothing_shows_how_long_the_outage_was_the_gap_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first(tmp_path / "seen")
    life = second(tmp_path / "seen", T0 + 900, wrong=-7_200.0, opening=UNDATED)
    assert life.asked[0] == 5
    assert life.gaps[0] == Gap(T0, T0, (T0, T0), (T0, T0), "unknown length")
    assert "How long no stream ran is unknown" in caplog.text


def test_an_outage_of_unknown_length_is_reported_without_a_backfill_as_well(tmp_path: Path) -> None:
    first(tmp_path / "seen")
    recovery = Recovery(checkpoint=tmp_path / "seen", parameter=None)
    life = Life(Machine(T0 + 900, wrong=-7_200.0), [(UNDATED,)], recovery=recovery).run()
    assert life.gaps == [Gap(T0, T0, None, (T0, T0), "unknown length")]


def test_a_checkpoint_a_second_ahead_of_the_true_time_is_no_riddle(tmp_path: Path) -> None:
    first(tmp_path / "seen")
    life = second(tmp_path / "seen", T0 + 0.5, wrong=-2.0, opening=UNDATED)
    gap = life.gaps[0]
    assert gap.lost_at == gap.back_at == T0
    assert gap.uncovered is None


# Waits for a named moment.


@steps
def test_the_wait_for_a_reset_ends_at_the_reset_whatever_the_clock_says(step: float) -> None:
    clock = Machine(T0, wrong=step)
    Life(clock, [(Limited(reset=600),), (DATED,)]).run()
    assert clock.waits[0] == 600.0


@steps
def test_the_wait_for_a_date_ends_at_that_date_whatever_the_clock_says(step: float) -> None:
    clock = Machine(T0, wrong=step)
    refusal = Refuse(503, b"{}", {"Retry-After": formatdate(T0 + 240, usegmt=True)})
    dated = Refuse(503, b"{}", {"Date": formatdate(T0, usegmt=True), **refusal.headers})
    Life(clock, [(dated,), (DATED,)]).run()
    assert clock.waits[0] == 240.0
