"""The true time by evidence: the local clock, the dates of answers, and the monotonic clock."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xdk_streaming.recovery.true_time import MAX_DISAGREEMENT, TrueTime
from xdk_streaming.testing import FakeClock

T0 = 1_700_000_000.0


class Case:
    """A clock, and answers to requests that took no time."""

    def __init__(self, wrong: float = 0.0) -> None:
        self.clock = FakeClock(T0)
        self.clock.step(wrong)
        self.time = TrueTime(self.clock)

    def answer(self, date: float | None, *, after: float | None = None, took: float = 0.0) -> float:
        self.time.sending()
        self.clock.now += took
        return self.time.answered(self.clock.now, date, after=after)

    def span(self) -> tuple[float, float]:
        """What the time is, at the earliest and at the latest."""
        return self.time.earliest(self.clock.now), self.time.latest(self.clock.now)


def test_before_any_answer_the_local_clock_counts_as_it_is_when_a_request_is_sent() -> None:
    case = Case()
    case.clock.step(50.0)
    case.time.sending()
    assert case.span() == (T0 + 50, T0 + 50)
    assert case.time.monotonic(T0 + 50) == T0


@pytest.mark.parametrize("wrong", [-0.5, 0.0, 0.5])
def test_a_local_clock_that_the_date_confirms_is_taken(wrong: float) -> None:
    case = Case(wrong)
    case.clock.now += 0.5
    assert case.answer(T0) == 0.0
    assert case.span() == (T0 + 0.5 + wrong,) * 2


@pytest.mark.parametrize("wrong", [-1e9, -300.0, -2.0, 2.0, 300.0, 1e9])
@pytest.mark.parametrize("took", [0.0, 20.0])
def test_a_local_clock_that_the_date_belies_is_not(wrong: float, took: float) -> None:
    if abs(wrong) <= took:
        wrong *= 20
    case = Case(wrong)
    assert case.answer(math.floor(T0 + took / 2), took=took) == 0.0
    earliest, latest = case.span()
    assert earliest <= case.clock.now <= latest
    assert latest - earliest == pytest.approx(1.0 + took)


def test_a_second_date_narrows_what_the_first_left_open() -> None:
    case = Case(-300.0)
    case.answer(T0)
    case.clock.now += 10.75
    case.answer(T0 + 10)
    assert case.span() == (T0 + 10.75, T0 + 11)


def test_a_step_of_the_local_clock_moves_nothing_once_a_date_has_come() -> None:
    case = Case()
    case.answer(T0)
    case.clock.step(-170.0)
    case.clock.now += 180.0
    assert case.answer(T0 + 180) == 0.0
    assert case.span() == (T0 + 180, T0 + 180)
    assert case.answer(None) == 0.0
    assert case.span() == (T0 + 180, T0 + 180)


def test_without_any_date_the_local_clock_of_the_last_answer_counts() -> None:
    case = Case()
    case.answer(None)
    case.clock.step(-170.0)
    assert case.answer(None) == 0.0
    assert case.span() == (T0 - 170, T0 - 170)


@pytest.mark.parametrize("local", [0.0, 600.0])
def test_seconds_that_only_the_server_has_counted_are_missed(local: float) -> None:
    case = Case()
    case.answer(T0)
    case.clock.step(local)  # a guest that was paused for 600 s; then its wall clock may be set right
    assert case.answer(T0 + 600) == 600.0
    assert case.span()[0] == T0 + 600


@pytest.mark.parametrize("agrees", [True, False])
def test_a_date_that_goes_back_far_is_an_old_answers(agrees: bool) -> None:
    case = Case(-400.0)
    case.answer(T0)
    case.clock.step(0.0 if agrees else 5_000.0)
    assert case.answer(T0 - 3_600) == 0.0
    assert case.span() == (T0, T0 + 1)


def test_two_servers_that_disagree_by_seconds_leave_both_possible() -> None:
    case = Case(-400.0)
    case.answer(T0)
    assert case.answer(T0 - MAX_DISAGREEMENT) == 0.0
    assert case.span() == (T0 - MAX_DISAGREEMENT, T0 + 1)


def test_a_date_before_what_has_passed_is_ignored_if_the_local_clock_is_later() -> None:
    case = Case()
    case.answer(T0 - 3_600, after=T0 - 60)
    assert case.span() == (T0, T0)


def test_a_date_before_what_has_passed_counts_if_the_local_clock_is_no_better() -> None:
    case = Case(-7_200.0)
    case.answer(T0 - 3_600, after=T0 - 60)
    assert case.span()[0] == T0 - 3_600


STEPS = st.lists(
    st.tuples(st.floats(-1e6, 1e6), st.floats(0.0, 1e5), st.floats(0.0, 30.0), st.booleans()), max_size=8
)


@given(STEPS, st.floats(-1e8, 1e8))
def test_the_true_time_is_always_within_the_bounds(
    steps: list[tuple[float, float, float, bool]], wrong: float
) -> None:
    case, known = Case(wrong), False
    for step, passes, took, has_date in steps:
        case.clock.step(step)
        case.clock.now += passes
        case.answer(math.floor(case.clock.now) if has_date else None, took=took)
        known = known or has_date
        earliest, latest = case.span()
        assert earliest <= latest
        if known:
            assert earliest - took - 1.001 <= case.clock.now <= latest + took + 1.001
