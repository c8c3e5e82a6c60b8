"""How long the machine waits, how often, and what it says when that is enough."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest

from helpers.harness import (
    BACKOFF,
    BROKE,
    CONNECTING,
    ENDED,
    FAILED,
    OPENED,
    PROGRESSED,
    REFUSED,
    RETRY,
    SETTLED,
    START,
    WAITED,
    Happening,
    Harness,
    climb,
    dismissal,
    fault,
    reach,
    refusals,
)
from xdk_streaming.backoff import X_LADDERS, Backoff, BackoffPolicy
from xdk_streaming.config import StreamConfig
from xdk_streaming.errors import Problem, RetriesExhausted, StreamError, StreamErrorType
from xdk_streaming.state import Trigger

# Delays.


def test_the_delays_climb_from_the_first_by_the_factor_to_the_cap() -> None:
    harness = Harness(max_retries=-1)
    harness.fire(START)
    assert refusals(harness, 9) == [1, 2, 4, 8, 16, 32, 64, 64, 64]


def test_the_ladder_is_that_of_the_four_numbers() -> None:
    harness = Harness(initial_backoff=0.5, backoff_multiplier=3, max_backoff=10)
    harness.fire(START)
    assert refusals(harness, 4) == [0.5, 1.5, 4.5, 10]


def test_a_cap_below_the_first_delay_caps_it() -> None:
    harness = Harness(initial_backoff=10, max_backoff=3)
    harness.fire(START)
    assert refusals(harness, 3) == [3, 3, 3]


def test_a_ladder_of_zeros_never_waits() -> None:
    harness = Harness(initial_backoff=0)
    harness.fire(START)
    assert refusals(harness, 3) == [0, 0, 0]


def test_jitter_takes_at_most_half_of_each_delay_the_capped_ones_too() -> None:
    harness = Harness(jitter=True, rng=lambda: 0.0)
    harness.fire(START)
    assert refusals(harness, 8) == [0.5, 1, 2, 4, 8, 16, 32, 32]


def test_jitter_never_lengthens_a_delay_and_never_exceeds_the_cap() -> None:
    harness = Harness(jitter=True, rng=lambda: 0.999)
    harness.fire(START)
    delays = refusals(harness, 8)
    assert delays == pytest.approx([1, 2, 4, 8, 16, 32, 64, 64], rel=0.001)
    assert all(delay < full for delay, full in zip(delays, [1, 2, 4, 8, 16, 32, 64, 64], strict=True))


def test_each_delay_has_a_chance_of_its_own() -> None:
    chances = iter([0.0, 0.5, 0.0])
    harness = Harness(jitter=True, rng=lambda: next(chances), backoff_multiplier=1)
    harness.fire(START)
    assert refusals(harness, 3) == [0.5, 0.75, 0.5]


def test_a_hundred_attempts_do_not_exceed_the_cap_nor_overflow() -> None:
    harness = Harness(max_retries=-1, backoff_multiplier=1e9)
    harness.fire(START)
    assert refusals(harness, 100)[-1] == 64


@pytest.mark.parametrize("jitter", [False, True])
def test_what_the_server_asks_for_lengthens_the_delay_beyond_the_cap_to_the_second(jitter: bool) -> None:
    harness = Harness(max_backoff=2, jitter=jitter, rng=lambda: 0.0)
    harness.fire(START, (REFUSED, fault(retry_after=300.5)))
    assert harness.delay() == 300.5


def test_what_the_server_asks_for_does_not_shorten_the_delay() -> None:
    harness = Harness(initial_backoff=8)
    harness.fire(START, (REFUSED, fault(retry_after=3.0)))
    assert harness.delay() == 8


def test_what_the_server_asked_for_once_does_not_count_for_the_next_loss() -> None:
    harness = Harness()
    harness.fire(START, (REFUSED, fault(retry_after=300.0)), RETRY, WAITED, (REFUSED, fault()))
    assert harness.delay() < 300


def test_what_the_server_asked_for_does_not_count_for_a_clean_end_either() -> None:
    harness = Harness()
    harness.fire(START, (REFUSED, fault(retry_after=300.0)), RETRY, WAITED, OPENED, ENDED)
    assert harness.delay() < 300


def warnings(log: list[tuple[int, str]]) -> list[str]:
    return [line for level, line in log if level == logging.WARNING]


@pytest.mark.parametrize("asked", [3601.0, 86_400.0, float("inf")])
def test_more_than_an_hour_is_not_waited_and_that_is_warned_of(
    asked: float, log: Callable[[], list[tuple[int, str]]]
) -> None:
    harness = Harness()
    harness.fire(START, (REFUSED, fault(retry_after=asked)))
    assert harness.delay() == 3600
    assert warnings(log()) == [f"The server asks for a wait of {asked:.0f} s; the stream waits 3600 s"]


def test_an_hour_to_the_second_is_waited_without_a_warning(log: Callable[[], list[tuple[int, str]]]) -> None:
    harness = Harness()
    harness.fire(START, (REFUSED, fault(retry_after=3600.0)))
    assert harness.delay() == 3600
    assert warnings(log()) == []


# The first delay, which may be zero.

RESET = fault(StreamErrorType.STREAM_INTERRUPTED)
STALL = fault(StreamErrorType.TIMEOUT)
OTHER_NOTICE = fault(StreamErrorType.STREAM_INTERRUPTED, kind="client-disconnected")


@pytest.mark.parametrize("loss", [ENDED, (BROKE, dismissal())], ids=["clean end", "operational disconnect"])
def test_x_takes_a_settled_connection_back_at_once_after_it_ended_it_itself(loss: Happening) -> None:
    harness = Harness(jitter=True, initial_backoff=5)
    harness.fire(START, OPENED, SETTLED, loss)
    assert harness.delay() == 0
    assert harness.state.current_backoff == 0
    assert harness.state.retry_count == 1


@pytest.mark.parametrize("loss", [RESET, STALL, OTHER_NOTICE], ids=["reset", "stall", "other notice"])
def test_after_any_other_loss_of_a_settled_connection_the_ladder_begins_at_its_first_step(
    loss: StreamError,
) -> None:
    harness = Harness()
    harness.fire(START, OPENED, SETTLED, (BROKE, loss))
    assert harness.delay() == 1


@pytest.mark.parametrize("before", [(), (PROGRESSED,)], ids=["silent", "progressed"])
@pytest.mark.parametrize(
    "loss",
    [ENDED, (BROKE, dismissal()), (BROKE, RESET)],
    ids=["clean end", "operational disconnect", "reset"],
)
def test_a_connection_that_had_not_settled_is_never_taken_back_at_once(
    loss: Happening, before: tuple[Trigger, ...]
) -> None:
    harness = Harness()
    harness.fire(START, OPENED, *before, loss)
    assert harness.delay() == 1


def test_a_refusal_is_never_tried_again_at_once_even_where_it_speaks_of_an_operational_disconnect() -> None:
    harness = Harness()
    harness.fire(START, (REFUSED, dismissal()))
    assert harness.delay() == 1


def test_such_a_refusal_is_not_tried_again_at_once_after_a_settled_connection_either() -> None:
    harness = Harness()
    harness.fire(START, OPENED, SETTLED, (BROKE, RESET), RETRY, WAITED, (REFUSED, dismissal()))
    assert harness.delay() == 2


def test_the_zero_delay_is_announced_once_even_where_no_attempt_follows() -> None:
    harness = Harness()
    harness.fire(START, OPENED, SETTLED, ENDED)
    assert [harness.delay(), harness.delay()] == [0, 1]


def test_the_zero_delay_comes_once_and_uses_no_step_where_the_return_is_refused() -> None:
    harness = Harness()
    harness.fire(START, OPENED, SETTLED, ENDED)
    assert harness.delay() == 0
    harness.fire(WAITED)
    assert refusals(harness, 3) == [1, 2, 4]


def test_the_zero_delay_comes_once_and_uses_no_step_where_the_next_connection_ends_as_well() -> None:
    harness = Harness()
    harness.fire(START, OPENED, SETTLED, ENDED)
    delays = [harness.delay()]
    for _ in range(3):
        harness.fire(WAITED, OPENED, PROGRESSED, ENDED)
        delays.append(harness.delay())
    assert delays == [0, 1, 2, 4]


def test_each_settled_connection_has_a_zero_delay_of_its_own() -> None:
    harness = Harness()
    harness.fire(START, OPENED, SETTLED, ENDED)
    delays = [harness.delay()]
    harness.fire(WAITED, OPENED, SETTLED, ENDED)
    delays.append(harness.delay())
    assert delays == [0, 0]


def test_what_the_server_asks_for_lengthens_the_zero_delay_too() -> None:
    harness = Harness()
    harness.fire(START, OPENED, SETTLED, (BROKE, dismissal(retry_after=7.0)))
    assert harness.delay() == 7


def test_the_ladder_goes_on_after_mere_progress_and_starts_anew_only_after_settling() -> None:
    harness = Harness()
    harness.fire(START, OPENED, PROGRESSED, (BROKE, RESET))
    delays = [harness.delay()]
    for _ in range(3):
        harness.fire(WAITED, OPENED, PROGRESSED, (BROKE, RESET))
        delays.append(harness.delay())
    harness.fire(WAITED, OPENED, SETTLED, (BROKE, RESET))
    delays.append(harness.delay())
    assert delays == [1, 2, 4, 8, 1]


# A ladder for each class of loss.

NO_CONNECTION = fault()
OVER_CAPACITY = fault(StreamErrorType.SERVER_ERROR, status=503)
TOO_OFTEN = fault(StreamErrorType.RATE_LIMITED, status=429)
TOO_MANY = fault(
    StreamErrorType.RATE_LIMITED, status=429, kind="streaming-connection", issue="TooManyConnections"
)
CLASSES: dict[str, tuple[StreamError, list[float]]] = {
    # name of the ladder: a loss that climbs it, and X's published delays
    "network": (NO_CONNECTION, [0.25, 0.5, 0.75, 1.0]),
    "server": (OVER_CAPACITY, [5, 10, 20, 40, 80, 160, 320, 320]),
    "rate_limit": (TOO_OFTEN, [60, 120, 240, 320, 320]),
    "connections": (TOO_MANY, [60, 120, 240, 320, 320]),
}
each_class = pytest.mark.parametrize("name", CLASSES)


def like_x(**settings: Any) -> Harness:
    """A machine on the settings that X publishes, on its first attempt."""
    harness = Harness(make=StreamConfig.for_x, **settings)
    harness.fire(START)
    return harness


@each_class
def test_losses_of_one_class_climb_xs_ladder_step_by_step(name: str) -> None:
    loss, published = CLASSES[name]
    assert refusals(like_x(), len(published), loss) == published


def test_the_ladder_of_the_network_climbs_to_sixteen_seconds_in_even_steps() -> None:
    delays = refusals(like_x(), 70)
    assert delays == [0.25 * step for step in range(1, 65)] + [16] * 6


def test_a_server_that_keeps_ending_streams_soon_is_asked_no_more_often_than_one_that_refuses() -> None:
    harness = like_x()
    delays = []
    for _ in range(8):
        harness.fire(OPENED, PROGRESSED, ENDED)
        delays.append(harness.delay())
        harness.fire(WAITED)
    assert delays == [5, 10, 20, 40, 80, 160, 320, 320]


@pytest.mark.parametrize("loss", [(BROKE, RESET), (BROKE, STALL)], ids=["reset", "stall"])
def test_a_stream_that_was_lost_climbs_the_ladder_of_the_network(loss: Happening) -> None:
    harness = like_x()
    delays = []
    for _ in range(3):
        harness.fire(OPENED, PROGRESSED, loss)
        delays.append(harness.delay())
        harness.fire(WAITED)
    assert delays == [0.25, 0.5, 0.75]


def test_mixed_losses_climb_each_their_own_ladder() -> None:
    harness = like_x()
    mixed = [NO_CONNECTION, OVER_CAPACITY, TOO_OFTEN, TOO_MANY, OVER_CAPACITY, NO_CONNECTION]
    assert climb(harness, *mixed, *mixed) == [0.25, 5, 60, 60, 10, 0.5, 0.75, 20, 120, 120, 40, 1]


def test_too_many_connections_do_not_lengthen_the_wait_for_the_rate_nor_the_other_way_round() -> None:
    assert climb(like_x(), TOO_MANY, TOO_MANY, TOO_MANY, TOO_OFTEN, TOO_MANY) == [60, 120, 240, 60, 320]


def test_settling_takes_every_ladder_back_to_its_first_step() -> None:
    harness = like_x()
    losses = [loss for loss, _ in CLASSES.values()]
    firsts = [published[0] for _, published in CLASSES.values()]
    assert climb(harness, *losses) == firsts
    harness.fire(OPENED, SETTLED, (BROKE, RESET))
    assert harness.delay() == 0.25
    harness.fire(WAITED)
    assert climb(harness, *losses) == [0.5, *firsts[1:]]


def test_progress_takes_no_ladder_back() -> None:
    harness = like_x()
    climb(harness, OVER_CAPACITY, TOO_OFTEN)
    harness.fire(OPENED, PROGRESSED, (BROKE, RESET), RETRY, WAITED)
    assert climb(harness, OVER_CAPACITY, TOO_OFTEN) == [10, 120]


def test_the_return_at_once_uses_no_step_of_any_ladder() -> None:
    harness = like_x()
    harness.fire(OPENED, SETTLED, ENDED)
    assert harness.delay() == 0
    harness.fire(WAITED)
    assert climb(harness, NO_CONNECTION, OVER_CAPACITY, TOO_OFTEN) == [0.25, 5, 60]


def test_one_that_x_dismissed_and_then_finds_its_place_taken_waits_a_minute() -> None:
    harness = like_x(jitter=True, rng=lambda: 0.0)
    harness.fire(OPENED, SETTLED, (BROKE, dismissal()))
    assert harness.delay() == 0
    harness.fire(WAITED)
    assert refusals(harness, 2, TOO_MANY) == [60, 60]


@pytest.mark.parametrize("asked", [None, 1.0, 59.0])
@pytest.mark.parametrize("issue", [None, "TooManyConnections"])
def test_after_a_429_neither_jitter_nor_the_server_makes_the_wait_shorter_than_a_minute(
    asked: float | None, issue: str | None
) -> None:
    harness = like_x(jitter=True, rng=lambda: 0.0)
    loss = fault(
        StreamErrorType.RATE_LIMITED, status=429, retry_after=asked, kind="streaming-connection", issue=issue
    )
    assert refusals(harness, 5, loss) == [60, 60, 120, 160, 160]


def test_without_for_x_there_is_no_floor_under_a_429() -> None:
    harness = Harness()
    harness.fire(START)
    assert climb(harness, fault(StreamErrorType.RATE_LIMITED, status=429, retry_after=1.0)) == [1]


@each_class
@pytest.mark.parametrize("asked", [321.0, 900.0, 3600.0])
def test_what_the_server_asks_for_is_waited_on_any_ladder(name: str, asked: float) -> None:
    loss, published = CLASSES[name]
    harness = like_x(jitter=True, rng=lambda: 0.0)
    asking = fault(
        loss.error_type,
        status=loss.status_code,
        retry_after=asked,
        kind=loss.problem_kind,
        issue=loss.problem.issue if loss.problem else None,
    )
    assert climb(harness, asking) == [asked]
    delay = climb(harness, loss)[0]
    assert published[1] / 2 <= delay <= published[1]  # and the step was used


@each_class
@pytest.mark.parametrize("cap", [0, 0.125, 30.0])
def test_max_backoff_caps_every_ladder(name: str, cap: float) -> None:
    loss, published = CLASSES[name]
    for jitter in (False, True):
        delays = refusals(like_x(max_backoff=cap, jitter=jitter), len(published), loss)
        assert all(delay <= min(cap, full) for delay, full in zip(delays, published, strict=True))
    assert refusals(like_x(max_backoff=cap), len(published), loss) == [min(cap, full) for full in published]


def test_max_backoff_raises_no_ladders_own_cap() -> None:
    assert refusals(like_x(max_backoff=1e9), 9, OVER_CAPACITY)[-1] == 320


def test_a_users_own_ladders_are_climbed_in_the_same_way() -> None:
    ladders = BackoffPolicy(Backoff(1), Backoff(2, factor=3), Backoff(4, increment=4), Backoff(8))
    harness = Harness(backoff=ladders, initial_backoff=99, backoff_multiplier=99)
    harness.fire(START)
    mixed = [NO_CONNECTION, OVER_CAPACITY, TOO_OFTEN, TOO_MANY]
    assert climb(harness, *mixed, *mixed) == [1, 2, 4, 8, 1, 6, 8, 8]


def test_without_ladders_losses_of_every_class_climb_the_only_one() -> None:
    harness = Harness()
    harness.fire(START)
    assert climb(harness, NO_CONNECTION, OVER_CAPACITY, TOO_OFTEN, TOO_MANY) == [1, 2, 4, 8]
    harness.fire(OPENED, (BROKE, RESET))
    assert harness.delay() == 16


def test_ladders_that_are_given_meanwhile_are_climbed_from_their_first_step() -> None:
    harness = Harness()
    harness.fire(START)
    climb(harness, NO_CONNECTION, OVER_CAPACITY)
    harness.config.backoff = X_LADDERS
    assert climb(harness, OVER_CAPACITY, NO_CONNECTION) == [5, 0.25]


def test_settings_as_x_publishes_them_never_give_up() -> None:
    harness = like_x()
    refusals(harness, 200)
    assert harness.machine.connection_state is CONNECTING


# The budget.


@pytest.mark.parametrize("limit", [1, 3, 10])
def test_so_many_attempts_are_made_and_no_more(limit: int) -> None:
    harness = Harness(max_retries=limit)
    harness.fire(START)
    refusals(harness, limit)
    assert harness.state.retry_count == limit
    harness.fire((REFUSED, fault()), RETRY)
    assert harness.machine.connection_state is FAILED
    assert [attempt for attempt, _ in harness.arguments("on_reconnect")] == list(range(1, limit + 1))


@pytest.mark.parametrize("loss", [(), ((OPENED, ENDED))], ids=["refused", "ended"])
def test_with_no_retries_the_first_loss_fails(loss: tuple[Trigger, ...]) -> None:
    harness = Harness(max_retries=0)
    harness.fire(START, *(loss or [(REFUSED, fault())]), RETRY)
    assert harness.machine.connection_state is FAILED
    assert harness.arguments("on_reconnect") == []


@pytest.mark.parametrize("limit", [-1, -5, float("inf")])
def test_a_negative_or_infinite_limit_is_none(limit: float) -> None:
    harness = Harness(max_retries=limit)
    harness.fire(START)
    refusals(harness, 200)
    assert harness.machine.connection_state is CONNECTING
    assert harness.state.retry_count == 200


@pytest.mark.parametrize("event", [PROGRESSED, SETTLED], ids=str)
def test_progress_and_settling_give_the_whole_budget_back(event: Trigger) -> None:
    harness = Harness(max_retries=2)
    harness.fire(START)
    refusals(harness, 2)
    harness.fire(OPENED)
    assert harness.state.retry_count == 2
    harness.fire(event)
    assert harness.state.retry_count == 0
    harness.fire((BROKE, fault()))
    harness.delay()
    assert harness.arguments("on_reconnect")[-1][0] == 1
    assert harness.machine.connection_state is BACKOFF


def test_connecting_alone_gives_nothing_of_the_budget_back() -> None:
    harness = Harness(max_retries=2)
    harness.fire(START, *(OPENED, ENDED, RETRY, WAITED) * 2, OPENED, ENDED, RETRY)
    assert harness.machine.connection_state is FAILED


def test_a_limit_that_is_lowered_meanwhile_counts_at_once() -> None:
    harness = reach("waiting")
    harness.config.max_retries = 1
    harness.fire(WAITED, (REFUSED, fault()), RETRY)
    assert harness.machine.connection_state is FAILED


# What exhaustion says.


def exhausted(*losses: Happening, max_retries: int) -> RetriesExhausted:
    """The failure after these losses, the last of which is one too many."""
    harness = Harness(max_retries=max_retries)
    harness.fire(START)
    for loss in losses:
        if loss is ENDED or (isinstance(loss, tuple) and loss[0] is BROKE):
            harness.fire(OPENED)
        harness.fire(loss, RETRY)
        if harness.machine.connection_state is BACKOFF:
            harness.fire(WAITED)
    assert harness.machine.connection_state is FAILED
    failure = harness.machine.failure
    assert isinstance(failure, RetriesExhausted)
    return failure


@pytest.mark.parametrize("limit", [0, 1, 3])
@pytest.mark.parametrize("loss", [(REFUSED, RESET), (BROKE, RESET), ENDED], ids=["refused", "broke", "ended"])
def test_exhaustion_begins_with_the_words_users_match_on(loss: Happening, limit: int) -> None:
    failure = exhausted(*[loss] * (limit + 1), max_retries=limit)
    assert str(failure).startswith(f"Max retries exceeded after {limit} attempts")
    assert failure.error_type is StreamErrorType.FATAL_ERROR
    assert failure.is_retryable is False


def test_exhaustion_carries_what_is_known_of_the_last_loss_and_is_chained_to_it() -> None:
    cause = OSError("gone")
    problem = Problem("about-capacity", "Over capacity", "Later.")
    last = StreamError(
        "X is over capacity.",
        StreamErrorType.SERVER_ERROR,
        cause,
        503,
        "a body",
        problem=problem,
        retry_after=5,
    )
    failure = exhausted((REFUSED, fault()), (REFUSED, last), max_retries=1)

    assert failure.original_exception is cause
    assert failure.status_code == 503
    assert failure.response_body == "a body"
    assert failure.problem is problem
    assert failure.retry_after == 5
    assert failure.__cause__ is last
    assert "X is over capacity." in str(failure)


def test_exhaustion_after_a_clean_end_knows_of_no_error_and_says_so() -> None:
    earlier = StreamError("It broke.", StreamErrorType.SERVER_ERROR, OSError("gone"), 503, "a body")
    failure = exhausted((REFUSED, earlier), ENDED, max_retries=1)

    assert failure.original_exception is None
    assert failure.status_code is None
    assert failure.response_body is None
    assert failure.problem is None
    assert failure.retry_after is None
    assert failure.__cause__ is None
    assert "cleanly" in str(failure)
    assert "It broke." not in str(failure)
