"""What is true of a stream after each transition."""

from __future__ import annotations

import pytest
from stage import (
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
    Stage,
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
    stage = Stage()
    assert stage.state == StreamState()
    assert stage.machine.failure is None
    stage.fire(START)
    assert stage.state == StreamState()


def test_it_is_connected_since_the_moment_it_opened_until_it_is_lost() -> None:
    stage = reach("connecting again")
    assert (stage.state.is_connected, stage.state.connected_at) == (False, None)
    stage.fire(OPENED)
    assert (stage.state.is_connected, stage.state.connected_at) == (True, stage.at)
    opened = stage.at
    stage.fire(PROGRESSED, SETTLED)
    assert stage.state.connected_at == opened


@pytest.mark.parametrize("event", ["ended", "broke", "broke for good", "stop"])
def test_it_is_not_connected_any_more_after_any_kind_of_loss(event: str) -> None:
    stage = reach("streaming")
    stage.fire(EVENTS[event])
    assert (stage.state.is_connected, stage.state.connected_at) == (False, None)


def test_reconnects_counts_the_connections_opened_after_the_first() -> None:
    stage = Stage()
    stage.fire(START)
    refusals(stage, 2)
    counted = []
    for _ in range(3):
        stage.fire(OPENED)
        counted.append(stage.state.reconnects)
        stage.fire(ENDED, RETRY, WAITED)
    stage.fire((REFUSED, fault()))
    assert [*counted, stage.state.reconnects] == [0, 1, 2, 2]


def test_the_last_error_is_the_last_one_and_outlives_clean_ends_and_new_connections() -> None:
    stage, refusal, break_off = Stage(max_retries=2), fault(), fault()
    stage.fire(START)
    assert stage.state.last_error is None
    stage.fire((REFUSED, refusal), RETRY, WAITED, OPENED, PROGRESSED, ENDED)
    assert stage.state.last_error is refusal
    stage.fire(RETRY, WAITED, OPENED, (BROKE, break_off))
    assert stage.state.last_error is break_off
    stage.fire(RETRY, WAITED, OPENED, SETTLED, STOP)
    assert stage.state.last_error is break_off


@pytest.mark.parametrize("situation", ["refused for good", "broken for good", "exhausted"])
def test_the_last_error_of_a_failed_machine_is_why_it_failed(situation: str) -> None:
    stage = reach(situation)
    assert stage.machine.failure is not None
    assert stage.state.last_error is stage.machine.failure
    assert stage.machine.history[-1].error is stage.machine.failure


@pytest.mark.parametrize(
    "situation", [name for name, (_, _, state) in SITUATIONS.items() if state is not FAILED]
)
def test_what_has_not_failed_has_no_failure(situation: str) -> None:
    assert reach(situation).machine.failure is None


def test_current_backoff_is_the_first_delay_until_one_was_announced_and_that_one_since() -> None:
    stage = Stage(initial_backoff=2.5)
    shown = [stage.state.current_backoff]
    for event in (START, OPENED, PROGRESSED, (BROKE, fault()), RETRY, WAITED, (REFUSED, fault()), RETRY):
        stage.fire(event)
        shown.append(stage.state.current_backoff)
    assert shown == [2.5, 2.5, 2.5, 2.5, 2.5, 2.5, 2.5, 2.5, 5.0]


def test_current_backoff_is_the_delay_as_it_was_announced_jitter_and_the_servers_wish_included() -> None:
    stage = Stage(jitter=True, rng=lambda: 0.0)
    stage.fire(START, (REFUSED, fault()))
    assert stage.delay() == stage.state.current_backoff == 0.5
    stage.fire(WAITED, (REFUSED, fault(retry_after=90.0)))
    assert stage.delay() == stage.state.current_backoff == 90


def test_current_backoff_survives_progress_and_is_the_first_delay_again_after_settling() -> None:
    stage = Stage()
    stage.fire(START)
    refusals(stage, 4)
    stage.fire(OPENED, PROGRESSED)
    assert stage.state.current_backoff == 8
    stage.fire(SETTLED)
    assert stage.state.current_backoff == 1


def test_the_counters_of_what_came_through_are_not_the_machines_business() -> None:
    stage = Stage(max_retries=1)
    stage.state.total_items_received = 5
    stage.state.bytes_received = 500
    stage.state.heartbeats = 3
    stage.state.invalid_items = 2
    stage.fire(START, OPENED, PROGRESSED, SETTLED, ENDED, RETRY, WAITED, OPENED, (BROKE, fault()), RETRY)
    assert stage.machine.connection_state is FAILED
    kept = (stage.state.total_items_received, stage.state.bytes_received)
    assert kept == (5, 500)
    assert (stage.state.heartbeats, stage.state.invalid_items) == (3, 2)


# The server's limit on connecting.

LIMIT, LATER = RateLimit(50, 48, 1_700_000_900.0), RateLimit(50, 0, 1_700_001_800.0)


def test_no_rate_limit_is_known_before_an_answer_told_of_one() -> None:
    stage = reach("streaming")
    assert stage.state.rate_limit is None


def test_the_rate_limit_is_known_from_the_answer_that_opened_the_stream() -> None:
    stage = reach("connecting")
    stage.answer(OPENED, LIMIT)
    assert stage.state.rate_limit == LIMIT


@pytest.mark.parametrize("error", [fault(), fatal()], ids=["retryable", "fatal"])
def test_the_rate_limit_is_known_from_the_answer_that_refused_it(error: StreamError) -> None:
    stage = reach("connecting")
    stage.answer(REFUSED, LIMIT, error)
    assert stage.state.rate_limit == LIMIT


def test_callbacks_see_the_rate_limit_of_the_answer_they_are_told_of() -> None:
    stage = reach("connecting")
    seen = []
    stage.config.on_error = lambda error: seen.append(stage.state.rate_limit)
    stage.answer(REFUSED, LIMIT, fault())
    assert seen == [LIMIT]


def test_an_answer_that_tells_nothing_of_the_rate_limit_leaves_what_is_known() -> None:
    stage = reach("connecting")
    stage.answer(REFUSED, LIMIT, fault())
    stage.fire(RETRY, WAITED)
    stage.answer(REFUSED, None, fault())
    stage.fire(RETRY, WAITED)
    stage.answer(OPENED, None)
    stage.fire(PROGRESSED, SETTLED, ENDED, RETRY, STOP)
    assert stage.state.rate_limit == LIMIT


def test_the_last_answer_that_told_of_the_rate_limit_counts() -> None:
    stage = reach("connecting")
    stage.answer(OPENED, LIMIT)
    stage.fire(ENDED, RETRY, WAITED)
    stage.answer(REFUSED, LATER, fault())
    assert stage.state.rate_limit == LATER


def test_giving_up_keeps_the_rate_limit() -> None:
    stage = Stage(max_retries=0)
    stage.fire(START)
    stage.answer(REFUSED, LIMIT, fault())
    stage.fire(RETRY)
    assert stage.machine.connection_state is FAILED
    assert stage.state.rate_limit == LIMIT


def test_an_illegal_answer_changes_no_rate_limit() -> None:
    stage = reach("streaming")
    with pytest.raises(IllegalEvent):
        stage.answer(OPENED, LIMIT)
    assert stage.state.rate_limit is None
