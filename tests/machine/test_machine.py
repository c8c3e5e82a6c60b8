"""Everything that can be fired at a machine, in every situation, and what it never lets happen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from transitions import EventData, Machine
from transitions.core import Transition

from helpers.harness import (
    BROKE,
    DISCONNECTED,
    EVENTS,
    FAILED,
    ILLEGAL_CASES,
    LEGAL,
    LEGAL_CASES,
    REFUSED,
    RETRY,
    SITUATIONS,
    START,
    STOP,
    STREAMING,
    Harness,
    dismissal,
    fault,
    reach,
    trigger_of,
)
from xdk_streaming.config import StreamConfig
from xdk_streaming.machine.event import Event
from xdk_streaming.machine.machine import ConnectionMachine, IllegalEvent
from xdk_streaming.machine.table import TABLE
from xdk_streaming.state import ConnectionState, StreamState, Trigger


def test_every_state_and_every_trigger_is_among_the_situations_and_events() -> None:
    assert set(LEGAL) == set(SITUATIONS)
    assert {state for _, _, state in SITUATIONS.values()} == set(ConnectionState)
    assert {trigger_of(event) for event in EVENTS.values()} == set(Trigger)


@pytest.mark.parametrize(("situation", "event"), LEGAL_CASES)
def test_a_legal_event_leads_where_it_should_and_tells_whom_it_should(situation: str, event: str) -> None:
    harness, shown = reach(situation), LEGAL[situation][event]
    before = harness.machine.connection_state
    changes = len(harness.machine.history)
    harness.fire(EVENTS[event])

    assert harness.machine.connection_state is shown.dest
    assert harness.names() == list(shown.callbacks)
    if not shown.callbacks:
        assert len(harness.machine.history) == changes
        return
    assert len(harness.machine.history) == changes + 1
    change = harness.machine.history[-1]
    assert (change.source, change.dest) == (before, shown.dest)
    assert (change.trigger.value, change.at) == (event.split()[0], harness.at)
    assert change.reason
    assert harness.arguments("on_state_change") == [change]


@pytest.mark.parametrize(("situation", "event"), ILLEGAL_CASES)
def test_an_illegal_event_raises_and_leaves_no_trace(
    situation: str, event: str, log: Callable[[], list[tuple[int, str]]]
) -> None:
    harness = reach(situation)
    before, logged = harness.snapshot(), log()
    with pytest.raises(IllegalEvent) as raised:
        harness.fire(EVENTS[event])

    assert harness.snapshot() == before
    assert harness.received == []
    assert log() == logged
    assert event.split()[0].upper() in str(raised.value)
    assert harness.machine.connection_state.name in str(raised.value)


def test_the_snapshot_sees_each_fact_that_could_change() -> None:
    """The check above is worth as much as this."""
    harness = reach("streaming")
    before = harness.snapshot()
    harness.fire((BROKE, dismissal()), RETRY)
    changed = {name for name, value in harness.snapshot().items() if value != before[name]}
    assert changed == {"_connection_state", "_retries", "history", "state"}


@pytest.mark.parametrize(
    ("trigger", "situation"), [(REFUSED, "connecting"), (BROKE, "streaming")], ids=["refused", "broke"]
)
def test_a_fault_without_its_error_changes_nothing(trigger: Trigger, situation: str) -> None:
    harness = reach(situation)
    before = harness.snapshot()
    with pytest.raises(ValueError, match=f"{trigger.name} was fired without its error"):
        harness.fire(trigger)
    assert harness.snapshot() == before
    assert harness.received == []


def test_an_action_that_fails_changes_nothing() -> None:
    def no_luck() -> float:
        raise ZeroDivisionError

    harness = Harness(rng=no_luck, jitter=True)
    harness.fire(START, (REFUSED, fault()))
    harness.clear()
    before = harness.snapshot()
    with pytest.raises(ZeroDivisionError):
        harness.fire(RETRY)
    assert harness.snapshot() == before
    assert harness.received == []


def test_the_state_cannot_be_assigned() -> None:
    harness = Harness()
    with pytest.raises(AttributeError):
        harness.machine.connection_state = STREAMING  # type: ignore[misc]  # that is what is tried
    assert harness.machine.connection_state is DISCONNECTED


# Ends.


@pytest.mark.parametrize("situation", ["refused for good", "broken for good", "exhausted"])
def test_a_machine_that_failed_never_does_anything_again(situation: str) -> None:
    harness = reach(situation)
    failure, history = harness.machine.failure, list(harness.machine.history)
    for event in EVENTS.values():
        if trigger_of(event) is STOP:
            harness.fire(event)
        else:
            with pytest.raises(IllegalEvent):
                harness.fire(event)
        assert harness.machine.connection_state is FAILED
    assert harness.received == []
    assert harness.machine.failure is failure
    assert list(harness.machine.history) == history


@pytest.mark.parametrize(
    "situation", ["stopped while connecting", "stopped while streaming", "stopped in backoff"]
)
def test_a_machine_that_has_run_does_not_run_again(situation: str) -> None:
    harness = reach(situation)
    with pytest.raises(IllegalEvent, match="START is not allowed in DISCONNECTED"):
        harness.fire(START)
    assert harness.machine.connection_state is DISCONNECTED


# The library underneath.


@pytest.fixture
def executed(monkeypatch: pytest.MonkeyPatch) -> list[tuple[object, object, bool]]:
    """What `transitions` tried: source, destination (None is internal), and whether it went through."""
    tried: list[tuple[object, object, bool]] = []
    execute = Transition.execute

    def spied(self: Transition, event: EventData) -> bool:
        tried.append((self.source, self.dest, False))
        through = execute(self, event)
        tried[-1] = (self.source, self.dest, through)
        return through

    monkeypatch.setattr(Transition, "execute", spied)
    return tried


@pytest.mark.parametrize(("situation", "event"), LEGAL_CASES)
def test_every_transition_is_executed_by_transitions_and_only_once(
    situation: str, event: str, executed: list[tuple[object, object, bool]]
) -> None:
    harness, shown = reach(situation), LEGAL[situation][event]
    before = harness.machine.connection_state
    executed.clear()
    harness.fire(EVENTS[event])

    through = [(source, dest) for source, dest, went_through in executed if went_through]
    dest = None if shown.dest is before else shown.dest.name
    assert through == [(before.name, dest)]


@pytest.mark.parametrize(("situation", "event"), LEGAL_CASES)
def test_what_transitions_does_not_execute_does_not_happen(
    situation: str, event: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    harness = reach(situation)
    before = harness.snapshot()
    monkeypatch.setattr(Transition, "execute", lambda self, event: False)
    with pytest.raises(IllegalEvent):
        harness.fire(EVENTS[event])
    assert harness.snapshot() == before
    assert harness.received == []


def test_transitions_knows_failed_as_the_only_final_state() -> None:
    states = Harness().machine._engine.states
    assert list(states) == [state.name for state in ConnectionState]
    assert [name for name, state in states.items() if state.final] == ["FAILED"]


class Witness:
    """A model of `transitions` that writes down when it is called, and in which state."""

    state: str

    def __init__(self, failing: str = "", *, allowed: bool = True) -> None:
        self.calls: list[tuple[str, str]] = []
        self._failing = failing
        self._allowed = allowed
        self.machine = Machine(
            model=self,
            states=["old", {"name": "new", "final": True, "on_enter": "entered"}],
            initial="old",
            auto_transitions=False,
            send_event=True,
            on_final="ended",
            transitions=[
                {
                    "trigger": trigger,
                    "source": "old",
                    "dest": dest,
                    "conditions": "asked",
                    "before": "before",
                    "after": "after",
                }
                for trigger, dest in [("move", "new"), ("stay", None)]
            ],
        )

    def _witness(self, name: str) -> None:
        self.calls.append((name, self.state))
        if name == self._failing:
            raise ZeroDivisionError(name)

    def asked(self, event: EventData) -> bool:
        self._witness("asked")
        return self._allowed

    def before(self, event: EventData) -> None:
        self._witness("before")

    def entered(self, event: EventData) -> None:
        self._witness("entered")

    def ended(self, event: EventData) -> None:
        self._witness("ended")

    def after(self, event: EventData) -> None:
        self._witness("after")

    def fire(self, trigger: str) -> bool:
        return self.machine.events[trigger].trigger(self)


def test_transitions_calls_guard_and_before_in_the_old_state_and_after_last_in_the_new_one() -> None:
    witness = Witness()
    assert witness.fire("move") is True
    assert witness.calls == [
        ("asked", "old"),
        ("before", "old"),
        ("entered", "new"),
        ("ended", "new"),
        ("after", "new"),
    ]


def test_transitions_calls_before_and_after_of_an_internal_transition_too() -> None:
    witness = Witness()
    assert witness.fire("stay") is True
    assert witness.calls == [("asked", "old"), ("before", "old"), ("after", "old")]


@pytest.mark.parametrize(("failing", "left_in"), [("asked", "old"), ("before", "old"), ("after", "new")])
def test_transitions_keeps_the_old_state_if_before_raises_and_the_new_one_if_after_does(
    failing: str, left_in: str
) -> None:
    witness = Witness(failing)
    with pytest.raises(ZeroDivisionError):
        witness.fire("move")
    assert witness.state == left_in


def test_transitions_returns_false_and_does_nothing_if_no_guard_holds() -> None:
    witness = Witness(allowed=False)
    assert witness.fire("move") is False
    assert witness.state == "old"
    assert witness.calls == [("asked", "old")]


# What cannot be right is refused, in a sentence.


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"guard": "frash"}, "names the guard 'frash', which does not exist; there are amendable, exhausted"),
        (
            {"action": "begyn"},
            "names the action 'begyn', which does not exist; there are amend_request, begin",
        ),
        (
            {"notify": ("on_conect",)},
            "names the callback 'on_conect', which does not exist; there are on_conn",
        ),
        ({"guard": "begin"}, "names the guard 'begin'"),
        ({"guard": "fire"}, "names the guard 'fire'"),
        ({"action": "fresh"}, "names the action 'fresh'"),
    ],
    ids=str,
)
def test_a_name_that_a_row_gets_wrong_is_refused_when_the_machine_is_built(
    change: dict[str, Any], words: str
) -> None:
    table = (replace(TABLE[0], **change), *TABLE[1:])
    with pytest.raises(ValueError, match="The row of START from DISCONNECTED to CONNECTING") as raised:
        ConnectionMachine(StreamConfig(), StreamState(), table=table)
    assert words in str(raised.value)


@pytest.mark.parametrize("wrong", ["start", Trigger.START, None, {"trigger": Trigger.START}], ids=repr)
def test_fire_takes_an_event_and_nothing_else(wrong: Any) -> None:
    harness = Harness()
    before = harness.snapshot()
    with pytest.raises(TypeError, match="fire takes an Event, not "):
        harness.machine.fire(wrong)
    assert harness.snapshot() == before


@pytest.mark.parametrize("wrong", ["start", "START", None, ConnectionState.FAILED], ids=repr)
def test_an_event_begins_with_a_trigger(wrong: Any) -> None:
    with pytest.raises(TypeError, match=r"An Event begins with a Trigger, not with .*START, OPENED"):
        Harness().machine.fire(Event(wrong))


def test_a_trigger_that_a_table_has_no_row_for_is_illegal() -> None:
    table = tuple(row for row in TABLE if row.trigger is not Trigger.SETTLED)
    machine = ConnectionMachine(StreamConfig(), StreamState(), table=table)
    with pytest.raises(IllegalEvent, match="SETTLED is not allowed in DISCONNECTED"):
        machine.fire(Event(Trigger.SETTLED))


def test_a_machine_without_callbacks_handed_down_tells_those_of_its_config() -> None:
    heard: list[Any] = []
    machine = ConnectionMachine(StreamConfig(on_state_change=heard.append), StreamState())
    machine.fire(Event(Trigger.START, at=1.0))
    assert heard == list(machine.history)


def test_a_record_of_a_transition_is_no_event_and_leaves_no_trace() -> None:
    harness = Harness()
    harness.fire(START)
    before = harness.snapshot()
    with pytest.raises(TypeError, match="fire takes an Event, not Transition"):
        harness.machine.fire(harness.machine.history[-1])  # type: ignore[arg-type]  # that is what is tried
    assert harness.snapshot() == before


def test_what_a_users_function_raises_is_not_taken_for_an_illegal_event() -> None:
    def broken() -> float:
        raise KeyError("luck")

    harness = Harness(rng=broken, jitter=True)
    harness.fire(START, (REFUSED, fault()))
    with pytest.raises(KeyError, match="luck"):
        harness.fire(RETRY)
