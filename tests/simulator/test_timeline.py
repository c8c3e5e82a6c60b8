from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor

from hypothesis import given
from hypothesis import strategies as st

from xdk_streaming.simulator.timeline import Timeline

START = 1_750_000_000.0
INSTANT = 1e-5
"""Seconds; a few times the resolution of Unix time as a float."""

rates = st.floats(0.01, 10_000)
numbers = st.integers(0, 100_000)
moments = st.floats(-10, 100_000).map(lambda seconds: START + seconds)


@given(rates, numbers)
def test_an_item_is_published_at_its_moment_and_not_before(rate: float, number: int) -> None:
    timeline = Timeline(rate, START)
    due = timeline.due_at(number)
    assert timeline.published(due + INSTANT) >= number + 1
    assert timeline.published(due - INSTANT) <= number + INSTANT * rate


@given(rates, moments, moments)
def test_more_time_never_makes_fewer_items(rate: float, one: float, other: float) -> None:
    timeline = Timeline(rate, START)
    assert timeline.published(min(one, other)) <= timeline.published(max(one, other))


@given(rates, numbers)
def test_an_item_bears_the_moment_of_its_publication(rate: float, number: int) -> None:
    timeline = Timeline(rate, START)
    assert timeline.dated(number) == timeline.due_at(number)
    assert timeline.dated(number) < timeline.dated(number + 1)


def test_two_a_second_are_published_every_half_second() -> None:
    timeline = Timeline(2.0, START)
    assert [timeline.due_at(number) - START for number in range(3)] == [0.5, 1.0, 1.5]
    assert [timeline.published(START + seconds) for seconds in (-1, 0, 0.4, 0.5, 0.9, 1.0, 10)] == [
        *(0, 0, 0, 1, 1, 2, 20)
    ]


def test_at_rate_zero_nothing_is_published_but_dates_rise() -> None:
    timeline = Timeline(0, START)
    assert timeline.published(START + 1e9) == 0
    assert timeline.due_at(0) == math.inf
    assert [timeline.dated(number) for number in range(3)] == [START + 1, START + 2, START + 3]


@given(rates, st.integers(0, 50))
def test_a_timeline_of_finite_length_ends(rate: float, length: int) -> None:
    timeline = Timeline(rate, START, length)
    assert timeline.published(START + 1e9) == length
    assert timeline.due_at(length) == math.inf
    if length:
        assert timeline.due_at(length - 1) < math.inf


def test_a_connection_gets_the_items_published_after_it_joins() -> None:
    timeline = Timeline(2.0, START)
    assert timeline.join(START + 0.4) == 0
    assert timeline.join(START + 5.2) == 10
    assert timeline.due_at(10) > START + 5.2


def test_a_world_without_a_start_begins_with_the_first_to_join() -> None:
    timeline = Timeline(2.0)
    assert timeline.published(START + 1e9) == 0
    assert timeline.join(START) == 0
    assert timeline.published(START + 1) == 2
    assert timeline.join(START + 1) == 2
    assert timeline.due_at(2) == START + 1.5


def test_items_taken_early_do_not_start_the_timeline() -> None:
    timeline = Timeline(2.0)
    assert timeline.take(2) == range(2)
    assert timeline.join(START) == 2
    assert timeline.published(START + 0.9) == 1
    assert timeline.due_at(2) == START + 1.5


def test_items_taken_early_are_not_sent_to_later_connections() -> None:
    timeline = Timeline(2.0, START)
    assert timeline.join(START) == 0
    assert timeline.take(3) == range(3)
    assert timeline.join(START + 0.6) == 3
    assert timeline.join(START + 50) == 100


def test_items_given_out_are_not_taken_again() -> None:
    timeline = Timeline(2.0, START)
    timeline.advance(5)
    assert timeline.take(2) == range(5, 7)
    timeline.advance(3)  # from a connection that lags behind
    assert timeline.take(1) == range(7, 8)


def test_no_more_can_be_taken_than_there_is() -> None:
    timeline = Timeline(2.0, START, length=3)
    assert timeline.take(2) == range(2)
    assert timeline.take(2) == range(2, 3)
    assert len(timeline.take(2)) == 0
    assert timeline.join(START + 100) == 3


steps = st.one_of(
    st.tuples(st.just("take"), st.integers(0, 5)),
    st.tuples(st.just("join"), st.integers(0, 20)),
    st.tuples(st.just("advance"), st.integers(0, 60)),
)


@given(st.lists(steps), st.one_of(st.just(math.inf), st.integers(0, 40)))
def test_no_item_is_taken_twice(asked: list[tuple[str, int]], length: float) -> None:
    timeline = Timeline(2.0, START, length)
    given_out = 0
    for what, amount in asked:
        if what == "take":
            taken = timeline.take(amount)
            assert taken.start >= given_out
            assert taken.stop <= length
            given_out = taken.stop
        elif what == "join":
            position = timeline.join(START + amount)
            assert position >= given_out
            given_out = position
        else:
            reached = min(amount, int(min(length, 60)))
            timeline.advance(reached)
            given_out = max(given_out, reached)


def test_takers_on_several_threads_never_get_the_same_item() -> None:
    timeline = Timeline(0, START)
    with ThreadPoolExecutor(8) as pool:
        taken = list(pool.map(timeline.take, [3] * 1_000))
    assert sorted(number for some in taken for number in some) == list(range(3_000))
