from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from xdk_streaming.backoff import X_LADDERS, Backoff, BackoffPolicy
from xdk_streaming.errors import Problem, StreamError, StreamErrorType

seconds = st.floats(min_value=0, max_value=1e6)
factors = st.floats(min_value=1, max_value=1e3)
steps = st.integers(min_value=0, max_value=10_000)
ladders = st.builds(
    Backoff, first=seconds, factor=factors, cap=seconds | st.just(math.inf), increment=seconds, floor=seconds
)
chances = st.floats(min_value=0, max_value=1, exclude_max=True)


def delays(ladder: Backoff, count: int) -> list[float]:
    return [ladder.delay(step) for step in range(count)]


def always(chance: float) -> Callable[[], float]:
    return lambda: chance


# A ladder without jitter.


def test_the_ladder_of_the_defaults_doubles_from_one_second_to_sixty_four() -> None:
    assert delays(Backoff(first=1.0, factor=2.0, cap=64.0), 9) == [1, 2, 4, 8, 16, 32, 64, 64, 64]


def test_a_ladder_may_climb_evenly() -> None:
    assert delays(Backoff(0.25, increment=0.5, cap=2), 6) == [0.25, 0.75, 1.25, 1.75, 2, 2]


def test_a_ladder_may_grow_in_both_ways_at_once() -> None:
    assert delays(Backoff(1, factor=2, increment=10, cap=50), 5) == [1, 12, 24, 38, 50]


def test_a_ladder_with_only_a_first_delay_stays_at_that_delay() -> None:
    assert delays(Backoff(3.0), 3) == [3, 3, 3]
    assert Backoff(3.0) == Backoff(first=3.0, factor=1.0, cap=math.inf, increment=0.0, floor=0.0)


@given(ladders, steps)
def test_a_delay_is_never_negative_and_never_above_the_cap(ladder: Backoff, step: int) -> None:
    assert 0 <= ladder.delay(step) <= ladder.cap


@given(ladders, steps)
def test_without_jitter_no_step_is_shorter_than_the_one_before(ladder: Backoff, step: int) -> None:
    assert ladder.delay(step) <= ladder.delay(step + 1)


@given(ladders)
def test_the_first_step_is_the_first_delay_or_the_cap(ladder: Backoff) -> None:
    assert ladder.delay(0) == min(ladder.first, ladder.cap)


@given(st.floats(0.001, 1e3), st.floats(1, 10), st.integers(0, 20))
def test_below_the_cap_each_step_is_the_factor_times_the_one_before(
    first: float, factor: float, step: int
) -> None:
    ladder = Backoff(first, factor, math.inf)
    assert ladder.delay(step + 1) == pytest.approx(ladder.delay(step) * factor)


@given(seconds, seconds, st.integers(0, 1000))
def test_below_the_cap_each_step_is_the_increment_more_than_the_one_before(
    first: float, increment: float, step: int
) -> None:
    ladder = Backoff(first, increment=increment)
    assert ladder.delay(step + 1) == pytest.approx(ladder.delay(step) + increment)


@given(factors, seconds, seconds, steps)
@example(2.0, 64.0, 0.0, 10_000)
def test_no_factor_lifts_a_ladder_that_starts_at_zero(
    factor: float, cap: float, increment: float, step: int
) -> None:
    assert Backoff(0.0, factor, cap, increment).delay(step) == min(increment * step, cap)


@pytest.mark.parametrize("factor", [2, 2.0, 1000.0])
@pytest.mark.parametrize("cap", [64.0, math.inf])
@pytest.mark.parametrize("increment", [0, 0.0, 1e300], ids="increment {}".format)
@pytest.mark.parametrize("chance", [None, always(0.5)], ids=["plain", "jitter"])
def test_ten_thousand_steps_do_not_overflow(
    factor: float, cap: float, increment: float, chance: Callable[[], float] | None
) -> None:
    delay = Backoff(1, factor, cap, increment).delay(10_000, chance)
    assert delay == cap * (1 if chance is None else 0.75)


# Jitter.


@given(ladders, steps, chances)
def test_jitter_stays_between_half_the_delay_and_all_of_it(ladder: Backoff, step: int, chance: float) -> None:
    whole = ladder.delay(step)
    assert whole / 2 <= ladder.delay(step, always(chance)) <= whole


@given(ladders, steps, chances)
def test_no_jitter_takes_a_delay_below_the_floor_nor_above_what_it_would_be_without(
    ladder: Backoff, step: int, chance: float
) -> None:
    whole = ladder.delay(step)
    assert min(ladder.floor, whole) <= ladder.delay(step, always(chance)) <= whole


@given(ladders, steps, st.lists(chances, min_size=2, max_size=2, unique=True))
def test_more_chance_never_means_a_shorter_wait(ladder: Backoff, step: int, two: list[float]) -> None:
    less, more = sorted(two)
    assert ladder.delay(step, always(less)) <= ladder.delay(step, always(more))


@given(st.integers(6, 10_000))
def test_jitter_spreads_the_delays_at_the_cap_over_its_upper_half(step: int) -> None:
    ladder = Backoff(first=1.0, factor=2.0, cap=64.0)
    tenths = [ladder.delay(step, always(tenth / 10)) for tenth in range(10)]

    assert tenths == pytest.approx([32.0 + 3.2 * tenth for tenth in range(10)])
    assert ladder.delay(step, always(0.999_999)) == pytest.approx(64.0, rel=1e-5)


def test_a_floor_takes_its_share_of_the_spread_and_leaves_the_rest() -> None:
    ladder = Backoff(first=60, factor=2, cap=320, floor=60)
    assert [ladder.delay(step, always(0.0)) for step in range(4)] == [60, 60, 120, 160]
    assert [ladder.delay(step, always(0.9)) for step in range(4)] == pytest.approx([60, 114, 228, 304])


@given(st.floats(0, 10), st.floats(0, 10), chances)
def test_a_floor_above_the_cap_is_no_more_than_the_cap(first: float, cap: float, chance: float) -> None:
    ladder = Backoff(first, cap=cap, floor=100)
    assert ladder.delay(0, always(chance)) == min(first, cap)


def test_each_delay_draws_one_random_number_if_there_is_a_source() -> None:
    drawn = iter([0.0, 0.5])
    ladder = Backoff(8)
    assert [ladder.delay(0, lambda: next(drawn)), ladder.delay(0), ladder.delay(0, lambda: next(drawn))] == [
        4,
        8,
        6,
    ]


# The value.


def test_a_ladder_is_a_value_that_compares_and_prints_and_does_not_change() -> None:
    ladder = Backoff(1.0, 2.0, 64.0)
    assert ladder == Backoff(first=1.0, factor=2.0, cap=64.0)
    assert repr(ladder) == "Backoff(first=1.0, factor=2.0, cap=64.0, increment=0.0, floor=0.0)"
    with pytest.raises(dataclasses.FrozenInstanceError):
        ladder.cap = 128.0  # type: ignore[misc]  # that is what is tried


BAD = [
    ("first", -0.1, "0"),
    ("first", math.inf, "0"),
    ("first", math.nan, "0"),
    ("factor", 0.9, "1"),
    ("factor", -2, "1"),
    ("factor", math.inf, "1"),
    ("factor", math.nan, "1"),
    ("cap", -1, "0"),
    ("cap", -math.inf, "0"),
    ("cap", math.nan, "0"),
    ("increment", -0.25, "0"),
    ("increment", math.inf, "0"),
    ("increment", math.nan, "0"),
    ("floor", -60, "0"),
    ("floor", math.inf, "0"),
    ("floor", math.nan, "0"),
]


@pytest.mark.parametrize(("name", "value", "least"), BAD)
def test_a_bad_number_is_refused_with_its_name_itself_and_what_is_allowed(
    name: str, value: float, least: str
) -> None:
    numbers: dict[str, float] = {"first": 1.0, name: value}
    with pytest.raises(ValueError, match=rf"^{name} is {value}, must be a finite number from {least}$"):
        Backoff(**numbers)


@pytest.mark.parametrize(
    "numbers",
    [{"first": 0}, {"factor": 1}, {"cap": 0}, {"cap": math.inf}, {"increment": 0}, {"floor": 0}],
    ids=str,
)
def test_the_least_of_each_number_is_allowed(numbers: dict[str, float]) -> None:
    ladder = Backoff(**{"first": 1.0, **numbers})
    assert {name: getattr(ladder, name) for name in numbers} == numbers


@given(ladders, seconds, steps)
def test_capped_is_the_same_ladder_no_higher_than_that(ladder: Backoff, cap: float, step: int) -> None:
    assert ladder.capped(cap).delay(step) == min(ladder.delay(step), cap)
    assert dataclasses.replace(ladder.capped(cap), cap=ladder.cap) == ladder


# X's ladders.

A_MINUTE_DOUBLING = [60, 120, 240, 320, 320]


@pytest.mark.parametrize(
    ("name", "published"),
    [
        ("network", [0.25 * step for step in range(1, 65)] + [16.0] * 3),
        ("server", [5, 10, 20, 40, 80, 160, 320, 320]),
        ("rate_limit", A_MINUTE_DOUBLING),
        ("connections", A_MINUTE_DOUBLING),
    ],
)
def test_xs_ladders_are_the_published_ones_step_by_step(name: str, published: list[float]) -> None:
    assert delays(getattr(X_LADDERS, name), len(published)) == published


@pytest.mark.parametrize("name", ["rate_limit", "connections"])
@given(step=steps, chance=chances)
def test_after_a_429_no_jitter_makes_the_wait_shorter_than_a_minute(
    name: str, step: int, chance: float
) -> None:
    assert 60 <= getattr(X_LADDERS, name).delay(step, always(chance)) <= 320


@pytest.mark.parametrize("name", ["network", "server"])
def test_the_other_ladders_are_spread_from_their_first_step(name: str) -> None:
    ladder: Backoff = getattr(X_LADDERS, name)
    assert ladder.delay(0, always(0.0)) == ladder.first / 2


# Which ladder a loss climbs.


def loss(error_type: str, status: int | None = None, **problem: Any) -> StreamError:
    said = Problem("streaming-connection", "A title", "", problem) if problem else None
    return StreamError("It went wrong.", StreamErrorType[error_type], None, status, problem=said)


@pytest.mark.parametrize(
    ("lost", "name"),
    [
        (None, "server"),
        (loss("CONNECTION_ERROR"), "network"),
        (loss("TIMEOUT"), "network"),
        (loss("STREAM_INTERRUPTED"), "network"),
        (loss("STREAM_INTERRUPTED", disconnect_type="SlowReader"), "network"),
        (loss("SERVER_ERROR", 500), "server"),
        (loss("SERVER_ERROR", 204), "server"),
        (loss("SERVER_ERROR", connection_issue="ProvisioningSubscription"), "server"),
        (loss("TIMEOUT", 408), "server"),
        (loss("RATE_LIMITED", 429), "rate_limit"),
        (loss("RATE_LIMITED", 420), "rate_limit"),
        (loss("RATE_LIMITED", 429, connection_issue="SomethingNew"), "rate_limit"),
        (loss("RATE_LIMITED", 429, connection_issue="TooManyConnections"), "connections"),
        (loss("RATE_LIMITED", connection_issue="TooManyConnections"), "connections"),
        (loss("SERVER_ERROR", 503, connection_issue="TooManyConnections"), "server"),
    ],
    ids=[
        "clean end",
        "no connection",
        "silence",
        "reset",
        "slow reader",
        "500",
        "204",
        "still being set up",
        "408",
        "429",
        "420",
        "429 for a new reason",
        "429 for too many connections",
        "too many connections in a stream",
        "503 that speaks of connections",
    ],
)
def test_a_loss_belongs_to_the_ladder_of_its_class(lost: StreamError | None, name: str) -> None:
    one_of_each = BackoffPolicy(Backoff(1), Backoff(2), Backoff(3), Backoff(4))
    assert one_of_each.name_for(lost) == name
    assert isinstance(getattr(one_of_each, name), Backoff)


def test_ladders_are_a_value_that_compares_and_does_not_change() -> None:
    same = BackoffPolicy(X_LADDERS.network, X_LADDERS.server, X_LADDERS.rate_limit, X_LADDERS.connections)
    assert same == X_LADDERS
    with pytest.raises(dataclasses.FrozenInstanceError):
        same.network = Backoff(1)  # type: ignore[misc]  # that is what is tried
