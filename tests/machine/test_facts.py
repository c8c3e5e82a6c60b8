"""What is true of a stream after each transition."""

from __future__ import annotations

import pytest

from helpers.harness import (
    BROKE,
    ENDED,
    EVENTS,
    FAILED,
    OPENED,
    PROGRESSED,
    REFUSED,
    RETRY,
    SETTLED,
    SITUATIONS,
    START,
    STOP,
    WAITED,
    Harness,
    fatal,
    fault,
    reach,
    refusals,
)
from xdk_streaming.errors import StreamError
from xdk_streaming.machine.machine import IllegalEvent
from xdk_streaming.state import RateLimit, StreamState

# The facts.


def test_nothing_is_connected_known_or_counted_before_the_start() -> None:
    harness = Harness()
    assert harness.state == StreamState()
    assert harness.machine.failure is None
    harness.fire(START)
    assert harness.state == StreamState()


def test_it_is_connected_since_the_moment_it_opened_until_it_is_lost() -> None:
    harness = reach("connecting again")
    assert (harness.state.is_connected, harness.state.connected_at) == (False, None)
    harness.fire(OPENED)
    assert (harness.state.is_connected, harness.state.connected_at) == (True, harness.at)
    opened = harness.at
    harness.fire(PROGRESSED, SETTLED)
    assert harness.state.connected_at == opened


@pytest.mark.parametrize("event", ["ended", "broke", "broke for good", "stop"])
def test_it_is_not_connected_any_more_after_any_kind_of_loss(event: str) -> None:
    harness = reach("streaming")
    harness.fire(EVENTS[event])
    assert (harness.state.is_connected, harness.state.connected_at) == (False, None)


def test_reconnects_counts_the_connections_opened_after_the_first() -> None:
    harness = Harness()
    harness.fire(START)
    refusals(harness, 2)
    counted = []
    for _ in range(3):
        harness.fire(OPENED)
        counted.append(harness.state.reconnects)
        harness.fire(ENDED, RETRY, WAITED)
    harness.fire((REFUSED, fault()))
    assert [*counted, harness.state.reconnects] == [0, 1, 2, 2]


def test_the_last_error_is_the_last_one_and_outlives_clean_ends_and_new_connections() -> None:
    harness, refusal, break_off = Harness(max_retries=2), fault(), fault()
    harness.fire(START)
    assert harness.state.last_error is None
    harness.fire((REFUSED, refusal), RETRY, WAITED, OPENED, PROGRESSED, ENDED)
    assert harness.state.last_error is refusal
    harness.fire(RETRY, WAITED, OPENED, (BROKE, break_off))
    assert harness.state.last_error is break_off
    harness.fire(RETRY, WAITED, OPENED, SETTLED, STOP)
    assert harness.state.last_error is break_off


@pytest.mark.parametrize("situation", ["refused for good", "broken for good", "exhausted"])
def test_the_last_error_of_a_failed_machine_is_why_it_failed(situation: str) -> None:
    harness = reach(situation)
    assert harness.machine.failure is not None
    assert harness.state.last_error is harness.machine.failure
    assert harness.machine.history[-1].error is harness.machine.failure


@pytest.mark.parametrize(
    "situation", [name for name, (_, _, state) in SITUATIONS.items() if state is not FAILED]
)
def test_what_has_not_failed_has_no_failure(situation: str) -> None:
    assert reach(situation).machine.failure is None


def test_current_backoff_is_the_first_delay_until_one_was_announced_and_that_one_since() -> None:
    harness = Harness(initial_backoff=2.5)
    shown = [harness.state.current_backoff]
    for event in (START, OPENED, PROGRESSED, (BROKE, fault()), RETRY, WAITED, (REFUSED, fault()), RETRY):
        harness.fire(event)
        shown.append(harness.state.current_backoff)
    assert shown == [2.5, 2.5, 2.5, 2.5, 2.5, 2.5, 2.5, 2.5, 5.0]


def test_current_backoff_is_the_delay_as_it_was_announced_jitter_and_the_servers_wish_included() -> None:
    harness = Harness(jitter=True, rng=lambda: 0.0)
    harness.fire(START, (REFUSED, fault()))
    assert harness.delay() == harness.state.current_backoff == 0.5
    harness.fire(WAITED, (REFUSED, fault(retry_after=90.0)))
    assert harness.delay() == harness.state.current_backoff == 90


def test_current_backoff_survives_progress_and_is_the_first_delay_again_after_settling() -> None:
    harness = Harness()
    harness.fire(START)
    refusals(harness, 4)
    harness.fire(OPENED, PROGRESSED)
    assert harness.state.current_backoff == 8
    harness.fire(SETTLED)
    assert harness.state.current_backoff == 1


def test_the_counters_of_what_came_through_are_not_the_machines_business() -> None:
    harness = Harness(max_retries=1)
    harness.state.total_items_received = 5
    harness.state.bytes_received = 500
    harness.state.heartbeats = 3
    harness.state.invalid_items = 2
    harness.fire(START, OPENED, PROGRESSED, SETTLED, ENDED, RETRY, WAITED, OPENED, (BROKE, fault()), RETRY)
    assert harness.machine.connection_state is FAILED
    kept = (harness.state.total_items_received, harness.state.bytes_received)
    assert kept == (5, 500)
    assert (harness.state.heartbeats, harness.state.invalid_items) == (3, 2)


# The server's limit on connecting.

LIMIT, LATER = RateLimit(50, 48, 1_700_000_900.0), RateLimit(50, 0, 1_700_001_800.0)


def test_no_rate_limit_is_known_before_an_answer_told_of_one() -> None:
    harness = reach("streaming")
    assert harness.state.rate_limit is None


def test_the_rate_limit_is_known_from_the_answer_that_opened_the_stream() -> None:
    harness = reach("connecting")
    harness.answer(OPENED, LIMIT)
    assert harness.state.rate_limit == LIMIT


@pytest.mark.parametrize("error", [fault(), fatal()], ids=["retryable", "fatal"])
def test_the_rate_limit_is_known_from_the_answer_that_refused_it(error: StreamError) -> None:
    harness = reach("connecting")
    harness.answer(REFUSED, LIMIT, error)
    assert harness.state.rate_limit == LIMIT


def test_callbacks_see_the_rate_limit_of_the_answer_they_are_told_of() -> None:
    harness = reach("connecting")
    seen = []
    harness.config.on_error = lambda error: seen.append(harness.state.rate_limit)
    harness.answer(REFUSED, LIMIT, fault())
    assert seen == [LIMIT]


def test_an_answer_that_tells_nothing_of_the_rate_limit_leaves_what_is_known() -> None:
    harness = reach("connecting")
    harness.answer(REFUSED, LIMIT, fault())
    harness.fire(RETRY, WAITED)
    harness.answer(REFUSED, None, fault())
    harness.fire(RETRY, WAITED)
    harness.answer(OPENED, None)
    harness.fire(PROGRESSED, SETTLED, ENDED, RETRY, STOP)
    assert harness.state.rate_limit == LIMIT


def test_the_last_answer_that_told_of_the_rate_limit_counts() -> None:
    harness = reach("connecting")
    harness.answer(OPENED, LIMIT)
    harness.fire(ENDED, RETRY, WAITED)
    harness.answer(REFUSED, LATER, fault())
    assert harness.state.rate_limit == LATER


def test_giving_up_keeps_the_rate_limit() -> None:
    harness = Harness(max_retries=0)
    harness.fire(START)
    harness.answer(REFUSED, LIMIT, fault())
    harness.fire(RETRY)
    assert harness.machine.connection_state is FAILED
    assert harness.state.rate_limit == LIMIT


def test_an_illegal_answer_changes_no_rate_limit() -> None:
    harness = reach("streaming")
    with pytest.raises(IllegalEvent):
        harness.answer(OPENED, LIMIT)
    assert harness.state.rate_limit is None
