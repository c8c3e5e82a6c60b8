from __future__ import annotations

import dataclasses
import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from xdk_streaming.backoff import Backoff, jittered

seconds = st.floats(min_value=0, max_value=1e6)
factors = st.floats(min_value=1, max_value=1e3)
steps = st.integers(min_value=0, max_value=10_000)
ladders = st.builds(Backoff, first=seconds, factor=factors, cap=seconds)
chances = st.floats(min_value=0, max_value=1, exclude_max=True)


def test_the_ladder_of_the_defaults_doubles_from_one_second_to_sixty_four() -> None:
    ladder = Backoff(first=1.0, factor=2.0, cap=64.0)
    assert [ladder.delay(step) for step in range(9)] == [1, 2, 4, 8, 16, 32, 64, 64, 64]


@given(ladders, steps)
def test_a_delay_is_never_negative_and_never_above_the_cap(ladder: Backoff, step: int) -> None:
    assert 0 <= ladder.delay(step) <= ladder.cap


@given(ladders, steps)
def test_without_jitter_no_step_is_shorter_than_the_one_before(ladder: Backoff, step: int) -> None:
    assert ladder.delay(step) <= ladder.delay(step + 1)


@given(seconds, factors, seconds)
def test_the_first_step_is_the_first_delay_or_the_cap(first: float, factor: float, cap: float) -> None:
    assert Backoff(first, factor, cap).delay(0) == min(first, cap)


@given(st.floats(0.001, 1e3), st.floats(1, 10), st.integers(0, 20))
def test_below_the_cap_each_step_is_the_factor_times_the_one_before(
    first: float, factor: float, step: int
) -> None:
    ladder = Backoff(first, factor, math.inf)
    assert ladder.delay(step + 1) == pytest.approx(ladder.delay(step) * factor)


@given(seconds, factors)
def test_a_factor_of_one_keeps_every_step_at_the_first(first: float, cap: float) -> None:
    assert Backoff(first, 1.0, cap).delay(10_000) == min(first, cap)


@given(factors, st.floats(0, 1e6), steps)
@example(2.0, 64.0, 10_000)
def test_a_ladder_that_starts_at_zero_stays_there(factor: float, cap: float, step: int) -> None:
    assert Backoff(0.0, factor, cap).delay(step) == 0


@given(st.floats(1, 1e6), factors, steps, chances)
def test_a_cap_below_the_first_delay_still_caps(
    first: float, factor: float, step: int, chance: float
) -> None:
    ladder = Backoff(first, factor, cap=first / 2)
    assert ladder.delay(step) == first / 2
    assert jittered(ladder.delay(step), lambda: chance) <= first / 2


@pytest.mark.parametrize("factor", [2, 2.0, 1000.0])
@pytest.mark.parametrize("cap", [64.0, math.inf])
def test_ten_thousand_steps_do_not_overflow(factor: float, cap: float) -> None:
    assert Backoff(1.0, factor, cap).delay(10_000) == cap


@given(seconds, chances)
def test_jitter_stays_between_half_the_delay_and_all_of_it(delay: float, chance: float) -> None:
    assert delay / 2 <= jittered(delay, lambda: chance) <= delay


@given(ladders, st.lists(chances, min_size=2, max_size=2, unique=True))
def test_more_chance_never_means_a_shorter_wait(ladder: Backoff, two: list[float]) -> None:
    less, more = sorted(two)
    delay = ladder.delay(3)
    assert jittered(delay, lambda: less) <= jittered(delay, lambda: more)


@given(st.integers(6, 10_000))
def test_jitter_spreads_the_delays_at_the_cap_over_its_upper_half(step: int) -> None:
    delay = Backoff(first=1.0, factor=2.0, cap=64.0).delay(step)
    tenths = [jittered(delay, lambda tenth=tenth: tenth / 10) for tenth in range(10)]  # type: ignore[misc]  # mypy infers no type for the default

    assert tenths == pytest.approx([32.0 + 3.2 * tenth for tenth in range(10)])
    assert jittered(delay, lambda: 0.999_999) == pytest.approx(64.0, rel=1e-5)


def test_a_ladder_is_a_value_that_compares_and_prints_and_does_not_change() -> None:
    ladder = Backoff(1.0, 2.0, 64.0)
    assert ladder == Backoff(first=1.0, factor=2.0, cap=64.0)
    assert repr(ladder) == "Backoff(first=1.0, factor=2.0, cap=64.0)"
    with pytest.raises(dataclasses.FrozenInstanceError):
        ladder.cap = 128.0  # type: ignore[misc]  # that is what is tried
