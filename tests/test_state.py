from __future__ import annotations

import dataclasses

import pytest

from xdk_streaming.errors import StreamError, StreamErrorType
from xdk_streaming.state import ConnectionState, RateLimit, StreamState, Transition, Trigger

FIRST_FIVE = [
    ("retry_count", 0),
    ("current_backoff", 1.0),
    ("is_connected", False),
    ("total_items_received", 0),
    ("last_error", None),
]


def lost(**more: object) -> Transition:
    known: dict[str, object] = {
        "source": ConnectionState.STREAMING,
        "dest": ConnectionState.BACKOFF,
        "trigger": Trigger.BROKE,
        "reason": "the stream broke",
        "at": 1_700_000_000.0,
    }
    return Transition(**{**known, **more})  # type: ignore[arg-type]  # each test gives what the field takes


def test_the_first_five_fields_are_those_of_the_original() -> None:
    names = [field.name for field in dataclasses.fields(StreamState)]
    assert names[:5] == [name for name, _ in FIRST_FIVE]


@pytest.mark.parametrize(("name", "default"), FIRST_FIVE)
def test_the_first_five_start_as_in_the_original(name: str, default: object) -> None:
    value = getattr(StreamState(), name)
    assert value == default
    assert type(value) is type(default)


def test_the_first_five_can_be_given_by_position() -> None:
    error = StreamError("It broke.", StreamErrorType.TIMEOUT)
    state = StreamState(2, 4.0, True, 17, error)
    assert [getattr(state, name) for name, _ in FIRST_FIVE] == [2, 4.0, True, 17, error]


def test_everything_counted_starts_at_zero_and_what_is_not_counted_is_unknown() -> None:
    ours = {field.name: field.default for field in dataclasses.fields(StreamState)[5:]}
    unknown = {"connected_at", "last_activity_at", "rate_limit"}
    assert {ours[name] for name in unknown} == {None}
    assert {ours[name] for name in set(ours) - unknown} == {0}


def test_a_rate_limit_is_a_value_that_compares_and_does_not_change() -> None:
    limit = RateLimit(50, 48, 1_700_000_900.0)
    assert limit == RateLimit(limit=50, remaining=48, reset=1_700_000_900.0)
    assert limit != RateLimit(50, None, 1_700_000_900.0)
    with pytest.raises(dataclasses.FrozenInstanceError):
        limit.remaining = 0  # type: ignore[misc]  # that is what is tried


def test_the_five_states_are_in_the_order_of_a_connections_life() -> None:
    names = [state.name for state in ConnectionState]
    assert names == ["DISCONNECTED", "CONNECTING", "STREAMING", "BACKOFF", "FAILED"]


@pytest.mark.parametrize("member", [*ConnectionState, *Trigger], ids=str)
def test_the_value_of_a_state_or_trigger_is_its_name_in_lower_case(member: ConnectionState | Trigger) -> None:
    assert member.value == member.name.lower()


def test_a_change_is_frozen() -> None:
    change = lost()
    with pytest.raises(dataclasses.FrozenInstanceError):
        change.dest = ConnectionState.STREAMING  # type: ignore[misc]  # that is what is tried
    assert change.dest is ConnectionState.BACKOFF


def test_a_change_without_an_announcement_or_error_has_neither() -> None:
    change = lost()
    assert (change.attempt, change.delay, change.error) == (None, None, None)


def test_a_transition_prints_its_state_its_reason_and_where_it_came_from() -> None:
    assert str(lost()) == "BACKOFF: the stream broke (STREAMING, broke)"


def test_a_change_prints_the_attempt_it_announces_and_its_delay() -> None:
    change = lost(
        source=ConnectionState.BACKOFF,
        trigger=Trigger.RETRY,
        reason="it is announced",
        attempt=3,
        delay=0.126,
    )
    assert str(change) == "BACKOFF: attempt 3 in 0.1 s (BACKOFF, retry)"


def test_a_change_prints_its_error() -> None:
    change = lost(error=StreamError("Nothing came for 30 s.", StreamErrorType.TIMEOUT))
    assert str(change) == "BACKOFF: Nothing came for 30 s. (STREAMING, broke)"
