"""The machine at work: what it shows, in which order, and what it never lets happen.

Every situation a machine can be in and everything that can be fired at it are typed by hand
in `LEGAL`; what is not there is illegal. The rest of the file is one sentence a test.
"""

from __future__ import annotations

import copy
import logging
import random
from collections.abc import Callable, Iterator
from itertools import product
from typing import Any, NamedTuple

import pytest
from transitions import EventData, Machine
from transitions.core import Transition

from xdk_streaming.config import StreamConfig
from xdk_streaming.errors import Problem, RetriesExhausted, StreamError, StreamErrorType
from xdk_streaming.machine.machine import ConnectionMachine, IllegalEvent
from xdk_streaming.state import ConnectionState, StreamState, Trigger

AT = 1_700_000_000.0

CALLBACKS = ("on_connect", "on_disconnect", "on_reconnect", "on_error", "on_state_change")
ACTIONS = ("begin", "mark_open", "clear_budget", "settle", "note_loss", "plan_retry", "give_up", "release")

DISCONNECTED = ConnectionState.DISCONNECTED
CONNECTING = ConnectionState.CONNECTING
STREAMING = ConnectionState.STREAMING
BACKOFF = ConnectionState.BACKOFF
FAILED = ConnectionState.FAILED

START, OPENED, REFUSED, ENDED, BROKE = (
    Trigger.START,
    Trigger.OPENED,
    Trigger.REFUSED,
    Trigger.ENDED,
    Trigger.BROKE,
)
PROGRESSED, SETTLED, RETRY, WAITED, STOP = (
    Trigger.PROGRESSED,
    Trigger.SETTLED,
    Trigger.RETRY,
    Trigger.WAITED,
    Trigger.STOP,
)

Event = Trigger | tuple[Trigger, StreamError]


def fault(
    error_type: StreamErrorType = StreamErrorType.CONNECTION_ERROR,
    cause: Exception | None = None,
    *,
    retry_after: float | None = None,
    kind: str | None = None,
) -> StreamError:
    problem = None if kind is None else Problem(kind, "A problem", "Of some kind.")
    return StreamError("It went wrong.", error_type, cause, problem=problem, retry_after=retry_after)


def fatal(cause: Exception | None = None) -> StreamError:
    return fault(StreamErrorType.AUTHENTICATION_ERROR, cause)


def dismissal(retry_after: float | None = None) -> StreamError:
    """X ends a connection by itself and says so."""
    return fault(StreamErrorType.STREAM_INTERRUPTED, kind="operational-disconnect", retry_after=retry_after)


class Stage:
    """A machine, and everything it says: callback, arguments, and the state it stood in meanwhile."""

    def __init__(self, *, chance: Callable[[], float] = random.random, **settings: Any) -> None:
        self.told: list[tuple[str, tuple[Any, ...]]] = []
        self.seen: list[ConnectionState] = []
        self.raises: dict[str, BaseException] = {}
        listeners: dict[str, Any] = {name: self._listener(name) for name in CALLBACKS}
        self.config = StreamConfig(**{"jitter": False, **listeners, **settings})
        self.state = StreamState()
        self.machine = ConnectionMachine(self.config, self.state, chance=chance)
        self.at = AT

    def _listener(self, name: str) -> Callable[..., None]:
        def listen(*arguments: Any) -> None:
            self.told.append((name, arguments))
            self.seen.append(self.machine.connection)
            if name in self.raises:
                raise self.raises[name]

        return listen

    def fire(self, *events: Event) -> None:
        """One event after the other, a second apart."""
        for event in events:
            trigger, error = event if isinstance(event, tuple) else (event, None)
            self.at += 1.0
            self.machine.fire(trigger, at=self.at, error=error)

    def names(self) -> list[str]:
        return [name for name, _ in self.told]

    def heard(self, name: str) -> list[Any]:
        """The arguments of each call of one callback; bare where it takes but one."""
        calls = [arguments for called, arguments in self.told if called == name]
        return [arguments[0] if len(arguments) == 1 else arguments for arguments in calls]

    def forget(self) -> None:
        self.told.clear()
        self.seen.clear()

    def delay(self) -> float:
        """Fire RETRY; what it announced."""
        self.fire(RETRY)
        _, delay = self.heard("on_reconnect")[-1]
        assert isinstance(delay, float)
        return delay

    def snapshot(self) -> dict[str, Any]:
        """The machine's facts, public and private."""
        copied = {"state", "history"}
        return {
            name: copy.copy(value) if name in copied else value for name, value in vars(self.machine).items()
        }


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> Callable[[], list[tuple[int, str]]]:
    """The level and text of the package's own log lines."""
    caplog.set_level(logging.DEBUG)
    return lambda: [
        (record.levelno, record.getMessage()) for record in caplog.records if record.name == "xdk_streaming"
    ]


# Everything that can happen, everywhere.

SITUATIONS: dict[str, tuple[dict[str, Any], tuple[Event, ...], ConnectionState]] = {
    # how it is configured, what has been fired, and where that leads
    "new": ({}, (), DISCONNECTED),
    "stopped before it began": ({}, (STOP,), DISCONNECTED),
    "stopped while connecting": ({}, (START, STOP), DISCONNECTED),
    "stopped while streaming": ({}, (START, OPENED, STOP), DISCONNECTED),
    "stopped in backoff": ({}, (START, (REFUSED, fault()), STOP), DISCONNECTED),
    "connecting": ({}, (START,), CONNECTING),
    "connecting again": ({}, (START, (REFUSED, fault()), RETRY, WAITED), CONNECTING),
    "streaming": ({}, (START, OPENED), STREAMING),
    "progressed": ({}, (START, OPENED, PROGRESSED), STREAMING),
    "settled": ({}, (START, OPENED, SETTLED), STREAMING),
    "streaming, the budget spent": (
        {"max_retries": 1},
        (START, (REFUSED, fault()), RETRY, WAITED, OPENED),
        STREAMING,
    ),
    "lost": ({}, (START, (REFUSED, fault())), BACKOFF),
    "lost after a wait": ({}, (START, (REFUSED, fault()), RETRY, WAITED, (REFUSED, fault())), BACKOFF),
    "waiting": ({}, (START, (REFUSED, fault()), RETRY), BACKOFF),
    "lost, the budget spent": ({"max_retries": 0}, (START, OPENED, ENDED), BACKOFF),
    "waiting, the budget spent": ({"max_retries": 1}, (START, (REFUSED, fault()), RETRY), BACKOFF),
    "refused for good": ({}, (START, (REFUSED, fatal())), FAILED),
    "broken for good": ({}, (START, OPENED, (BROKE, fatal())), FAILED),
    "exhausted": ({"max_retries": 0}, (START, (REFUSED, fault()), RETRY), FAILED),
}

EVENTS: dict[str, Event] = {
    "start": START,
    "opened": OPENED,
    "refused": (REFUSED, fault()),
    "refused for good": (REFUSED, fatal()),
    "progressed": PROGRESSED,
    "settled": SETTLED,
    "ended": ENDED,
    "broke": (BROKE, fault()),
    "broke for good": (BROKE, fatal()),
    "retry": RETRY,
    "waited": WAITED,
    "stop": STOP,
}


class Shown(NamedTuple):
    """What one event does: the new state, the action, the log level, and who is told (no one: no Change)."""

    dest: ConnectionState
    action: str | None
    level: int
    told: tuple[str, ...] = ()


def loud(dest: ConnectionState, action: str | None, *told: str, level: int = logging.INFO) -> Shown:
    return Shown(dest, action, level, ("on_state_change", *told))


def quiet(dest: ConnectionState, action: str | None = None) -> Shown:
    return Shown(dest, action, logging.DEBUG)


ERROR = logging.ERROR

WHEN_CONNECTING = {
    "opened": loud(STREAMING, "mark_open", "on_connect"),
    "refused": loud(BACKOFF, "note_loss", "on_error"),
    "refused for good": loud(FAILED, "give_up", "on_error", level=ERROR),
    "stop": loud(DISCONNECTED, "release"),
}
WHEN_STREAMING = {
    "progressed": quiet(STREAMING, "clear_budget"),
    "settled": quiet(STREAMING, "settle"),
    "ended": loud(BACKOFF, "note_loss", "on_disconnect"),
    "broke": loud(BACKOFF, "note_loss", "on_error", "on_disconnect"),
    "broke for good": loud(FAILED, "give_up", "on_error", "on_disconnect", level=ERROR),
    "stop": loud(DISCONNECTED, "release", "on_disconnect"),
}
WHEN_LOST = {
    "retry": loud(BACKOFF, "plan_retry", "on_reconnect"),
    "stop": loud(DISCONNECTED, "release"),
}
WHEN_SPENT = {
    "retry": loud(FAILED, "give_up", "on_error", level=ERROR),
    "stop": loud(DISCONNECTED, "release"),
}
WHEN_PLANNED = {"waited": loud(CONNECTING, None)}
WHEN_NEW = {"start": loud(CONNECTING, "begin"), "stop": quiet(DISCONNECTED)}

LEGAL: dict[str, dict[str, Shown]] = {
    "new": WHEN_NEW,
    "stopped before it began": WHEN_NEW,
    "stopped while connecting": {"stop": quiet(DISCONNECTED)},
    "stopped while streaming": {"stop": quiet(DISCONNECTED)},
    "stopped in backoff": {"stop": quiet(DISCONNECTED)},
    "connecting": WHEN_CONNECTING,
    "connecting again": WHEN_CONNECTING,
    "streaming": WHEN_STREAMING,
    "progressed": WHEN_STREAMING,
    "settled": WHEN_STREAMING,
    "streaming, the budget spent": WHEN_STREAMING,
    "lost": WHEN_LOST,
    "lost after a wait": WHEN_LOST,
    "waiting": {**WHEN_LOST, **WHEN_PLANNED},
    "lost, the budget spent": WHEN_SPENT,
    "waiting, the budget spent": {**WHEN_SPENT, **WHEN_PLANNED},
    "refused for good": {"stop": quiet(FAILED)},
    "broken for good": {"stop": quiet(FAILED)},
    "exhausted": {"stop": quiet(FAILED)},
}

LEGAL_CASES = [(situation, event) for situation, events in LEGAL.items() for event in events]
ILLEGAL_CASES = [
    (situation, event) for situation, event in product(SITUATIONS, EVENTS) if event not in LEGAL[situation]
]


def reach(situation: str) -> Stage:
    settings, events, state = SITUATIONS[situation]
    stage = Stage(**settings)
    stage.fire(*events)
    assert stage.machine.connection is state
    stage.forget()
    return stage


def test_every_state_and_every_trigger_is_among_the_situations_and_events() -> None:
    assert set(LEGAL) == set(SITUATIONS)
    assert {state for _, _, state in SITUATIONS.values()} == set(ConnectionState)
    assert {event[0] if isinstance(event, tuple) else event for event in EVENTS.values()} == set(Trigger)


@pytest.mark.parametrize(("situation", "event"), LEGAL_CASES)
def test_a_legal_event_leads_where_it_should_and_tells_whom_it_should(situation: str, event: str) -> None:
    stage, shown = reach(situation), LEGAL[situation][event]
    before = stage.machine.connection
    changes = len(stage.machine.history)
    stage.fire(EVENTS[event])

    assert stage.machine.connection is shown.dest
    assert stage.names() == list(shown.told)
    if not shown.told:
        assert len(stage.machine.history) == changes
        return
    assert len(stage.machine.history) == changes + 1
    change = stage.machine.history[-1]
    assert (change.source, change.dest) == (before, shown.dest)
    assert (change.trigger.value, change.at) == (event.split()[0], stage.at)
    assert change.why
    assert stage.heard("on_state_change") == [change]


@pytest.mark.parametrize(("situation", "event"), ILLEGAL_CASES)
def test_an_illegal_event_raises_and_leaves_no_trace(
    situation: str, event: str, log: Callable[[], list[tuple[int, str]]]
) -> None:
    stage = reach(situation)
    before, logged = stage.snapshot(), log()
    with pytest.raises(IllegalEvent) as raised:
        stage.fire(EVENTS[event])

    assert stage.snapshot() == before
    assert stage.told == []
    assert log() == logged
    assert event.split()[0].upper() in str(raised.value)
    assert stage.machine.connection.name in str(raised.value)


def test_the_snapshot_sees_each_fact_that_could_change() -> None:
    """The check above is worth as much as this."""
    stage = reach("streaming")
    before = stage.snapshot()
    stage.fire((BROKE, dismissal()), RETRY)
    changed = {name for name, value in stage.snapshot().items() if value != before[name]}
    assert changed == {"_connection", "_loss", "_planned", "_step", "history", "state"}


@pytest.mark.parametrize(
    ("trigger", "situation"), [(REFUSED, "connecting"), (BROKE, "streaming")], ids=["refused", "broke"]
)
def test_a_fault_without_its_error_changes_nothing(trigger: Trigger, situation: str) -> None:
    stage = reach(situation)
    before = stage.snapshot()
    with pytest.raises(AttributeError):
        stage.fire(trigger)
    assert stage.snapshot() == before
    assert stage.told == []


def test_an_action_that_fails_changes_nothing() -> None:
    def no_luck() -> float:
        raise ZeroDivisionError

    stage = Stage(chance=no_luck, jitter=True)
    stage.fire(START, (REFUSED, fault()))
    stage.forget()
    before = stage.snapshot()
    with pytest.raises(ZeroDivisionError):
        stage.fire(RETRY)
    assert stage.snapshot() == before
    assert stage.told == []


def test_the_state_cannot_be_assigned() -> None:
    stage = Stage()
    with pytest.raises(AttributeError):
        stage.machine.connection = STREAMING  # type: ignore[misc]  # that is what is tried
    assert stage.machine.connection is DISCONNECTED


# Order.


class Ear(logging.Handler):
    """Hears the log lines of the package as they are written."""

    def __init__(self, heard: Callable[[str], None]) -> None:
        super().__init__()
        self._heard = heard

    def emit(self, record: logging.LogRecord) -> None:
        self._heard("log")


@pytest.fixture
def listen(caplog: pytest.LogCaptureFixture) -> Iterator[Callable[[Callable[[str], None]], None]]:
    logger, ears = logging.getLogger("xdk_streaming"), []
    caplog.set_level(logging.DEBUG, logger.name)

    def put_on(heard: Callable[[str], None]) -> None:
        ears.append(Ear(heard))
        logger.addHandler(ears[-1])

    yield put_on
    for ear in ears:
        logger.removeHandler(ear)


@pytest.mark.parametrize(("situation", "event"), LEGAL_CASES)
def test_first_the_action_then_the_state_then_one_log_line_then_on_state_change_then_the_callbacks(
    situation: str,
    event: str,
    monkeypatch: pytest.MonkeyPatch,
    listen: Callable[[Callable[[str], None]], None],
) -> None:
    stage, shown = reach(situation), LEGAL[situation][event]
    before = stage.machine.connection
    steps: list[tuple[str, ConnectionState]] = []

    def note(name: str) -> None:
        steps.append((name, stage.machine.connection))

    def noted(name: str, step: Callable[..., None]) -> Callable[..., None]:
        def act(*arguments: Any) -> None:
            note(name)
            step(*arguments)

        return act

    for name in ACTIONS:
        monkeypatch.setattr(stage.machine, name, noted(name, getattr(stage.machine, name)))
    for name in CALLBACKS:
        setattr(stage.config, name, noted(name, getattr(stage.config, name)))
    listen(note)
    stage.fire(EVENTS[event])

    if shown.action in ("note_loss", "give_up"):  # these let go of the connection as well
        assert steps.pop(1) == ("release", before)
    expected = [] if shown.action is None else [(shown.action, before)]
    expected += [(name, shown.dest) for name in ("log", *shown.told)]
    assert steps == expected


@pytest.mark.parametrize(("situation", "event"), LEGAL_CASES)
def test_every_callback_sees_the_new_state_and_the_new_facts(situation: str, event: str) -> None:
    stage, shown = reach(situation), LEGAL[situation][event]
    seen: list[StreamState] = []
    for name in CALLBACKS:
        setattr(stage.config, name, lambda *_: seen.append(copy.copy(stage.state)))
    stage.fire(EVENTS[event])

    assert seen == [stage.state] * len(shown.told)
    assert stage.state.is_connected is (shown.dest is STREAMING)


# The log.


@pytest.mark.parametrize(("situation", "event"), LEGAL_CASES)
def test_each_transition_writes_one_log_line_at_its_level(
    situation: str, event: str, log: Callable[[], list[tuple[int, str]]]
) -> None:
    stage, shown = reach(situation), LEGAL[situation][event]
    before = stage.machine.connection
    logged = len(log())
    stage.fire(EVENTS[event])

    ((level, line),) = log()[logged:]
    assert level == shown.level
    assert line.startswith(f"{before.name} -> {shown.dest.name} ({event.split()[0]}: ")


def test_a_retry_is_logged_with_its_attempt_and_its_delay(log: Callable[[], list[tuple[int, str]]]) -> None:
    stage = Stage(initial_backoff=0.75)
    stage.fire(START, (REFUSED, fault()), RETRY)
    level, line = log()[-1]
    assert level == logging.INFO
    assert line.endswith("; attempt 1 in 0.75 s")


def test_a_loss_is_logged_with_its_error(log: Callable[[], list[tuple[int, str]]]) -> None:
    stage = Stage()
    stage.fire(START, (REFUSED, fault()))
    assert log()[-1][1].endswith("; It went wrong.")


# The changes.


def test_a_retry_is_a_change_with_attempt_and_delay() -> None:
    stage = Stage()
    stage.fire(START, (REFUSED, fault()), RETRY, WAITED, (REFUSED, fault()), RETRY)
    announced = [
        (change.attempt, change.delay) for change in stage.machine.history if change.trigger is RETRY
    ]
    assert announced == [(1, 1.0), (2, 2.0)]


def test_no_other_change_has_an_attempt_or_a_delay() -> None:
    stage = Stage(max_retries=1)
    stage.fire(START, OPENED, ENDED, RETRY, WAITED, OPENED, (BROKE, fault()), RETRY)
    assert stage.machine.connection is FAILED
    others = [change for change in stage.machine.history if change.dest is not change.source]
    assert [(change.attempt, change.delay) for change in others] == [(None, None)] * len(others)
    assert others[-1].trigger is RETRY


def test_a_change_carries_the_error_of_its_event_and_a_failure_the_reason_of_the_failure() -> None:
    stage, refusal, break_off = Stage(max_retries=1), fault(), fault()
    stage.fire(START, (REFUSED, refusal), RETRY, WAITED, OPENED, (BROKE, break_off), RETRY)
    errors = [change.error for change in stage.machine.history]
    assert errors == [None, refusal, None, None, None, break_off, stage.machine.failure]


def test_the_history_is_empty_at_first_and_holds_the_changes_oldest_first() -> None:
    stage = Stage()
    assert list(stage.machine.history) == []
    stage.fire(START, OPENED, PROGRESSED, SETTLED, ENDED)
    assert list(stage.machine.history) == stage.heard("on_state_change")
    assert [change.trigger for change in stage.machine.history] == [START, OPENED, ENDED]
    assert [change.at - AT for change in stage.machine.history] == [1.0, 2.0, 5.0]


@pytest.mark.parametrize("length", [0, 1, 3])
def test_the_history_keeps_as_many_changes_as_are_asked_for(length: int) -> None:
    stage = Stage(history=length)
    stage.fire(START, (REFUSED, fault()), RETRY, WAITED, OPENED, STOP)
    told = stage.heard("on_state_change")
    assert len(told) == 6
    assert list(stage.machine.history) == told[6 - length :]


# Callbacks that raise.

LOUD_CASES = [(situation, event) for situation, event in LEGAL_CASES if LEGAL[situation][event].told]


@pytest.mark.parametrize(("situation", "event"), LOUD_CASES)
def test_exceptions_of_callbacks_are_counted_and_change_nothing(situation: str, event: str) -> None:
    calm, troubled = reach(situation), reach(situation)
    troubled.raises = {name: ValueError(name) for name in CALLBACKS}
    calm.fire(EVENTS[event])
    troubled.fire(EVENTS[event])

    assert troubled.machine.connection is calm.machine.connection
    assert troubled.names() == calm.names()
    assert troubled.state.callback_errors == len(calm.told) > 0
    for name in ("retry_count", "current_backoff", "is_connected", "reconnects"):
        assert getattr(troubled.state, name) == getattr(calm.state, name)
    assert len(troubled.machine.history) == len(calm.machine.history)


def test_an_exception_of_a_callback_is_logged_with_its_name(caplog: pytest.LogCaptureFixture) -> None:
    stage = reach("connecting")
    mine = ValueError("mine")
    stage.raises = {"on_connect": mine}
    stage.fire(OPENED)
    (warning,) = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert "on_connect" in warning.getMessage()
    assert warning.exc_info is not None
    assert warning.exc_info[1] is mine


@pytest.mark.parametrize("interrupt", [KeyboardInterrupt(), SystemExit(3), GeneratorExit()], ids=repr)
@pytest.mark.parametrize(("situation", "event"), LOUD_CASES)
def test_an_interrupt_comes_out_after_the_other_callbacks_with_the_new_state_in_place(
    situation: str, event: str, interrupt: BaseException
) -> None:
    stage, shown = reach(situation), LEGAL[situation][event]
    stage.raises = {"on_state_change": interrupt}
    with pytest.raises(type(interrupt)) as raised:
        stage.fire(EVENTS[event])

    assert raised.value is interrupt
    assert stage.machine.connection is shown.dest
    assert stage.names() == list(shown.told)
    assert stage.seen == [shown.dest] * len(shown.told)
    assert stage.state.is_connected is (shown.dest is STREAMING)
    assert stage.state.callback_errors == 0
    assert stage.machine.history[-1].dest is shown.dest


def test_of_two_interrupts_the_first_comes_out() -> None:
    stage = reach("streaming")
    stage.raises = {"on_error": KeyboardInterrupt(), "on_disconnect": SystemExit()}
    with pytest.raises(KeyboardInterrupt):
        stage.fire((BROKE, fault()))
    assert stage.names() == ["on_state_change", "on_error", "on_disconnect"]


def test_after_an_interrupt_the_machine_goes_on_from_the_new_state() -> None:
    stage = reach("streaming")
    stage.raises = {"on_disconnect": KeyboardInterrupt()}
    with pytest.raises(KeyboardInterrupt):
        stage.fire(ENDED)
    stage.fire(RETRY, WAITED, OPENED)
    assert stage.machine.connection is STREAMING


# What the callbacks are given.


def test_on_connect_is_given_nothing() -> None:
    stage = reach("connecting")
    stage.fire(OPENED)
    assert stage.heard("on_connect") == [()]


@pytest.mark.parametrize("event", [ENDED, STOP], ids=str)
def test_on_disconnect_is_given_none_for_a_clean_end_and_for_a_stop(event: Trigger) -> None:
    stage = reach("settled")
    stage.fire(event)
    assert stage.heard("on_disconnect") == [None]


@pytest.mark.parametrize("make", [fault, fatal], ids=["retryable", "fatal"])
def test_on_disconnect_is_given_the_original_exception(make: Callable[..., StreamError]) -> None:
    stage, cause = reach("streaming"), OSError("gone")
    stage.fire((BROKE, make(cause=cause)))
    (given,) = stage.heard("on_disconnect")
    assert given is cause


@pytest.mark.parametrize("make", [fault, fatal], ids=["retryable", "fatal"])
def test_on_disconnect_is_given_the_stream_error_where_there_is_no_original(
    make: Callable[..., StreamError],
) -> None:
    stage, error = reach("streaming"), make()
    stage.fire((BROKE, error))
    (given,) = stage.heard("on_disconnect")
    assert given is error


def test_on_disconnect_comes_once_for_each_on_connect_and_only_after_it() -> None:
    stage = Stage()
    stage.fire(
        START, (REFUSED, fault()), RETRY, WAITED, OPENED, (BROKE, fault()), RETRY, WAITED, OPENED, ENDED
    )
    stage.fire(RETRY, STOP)
    bracket = [name for name in stage.names() if name in ("on_connect", "on_disconnect")]
    assert bracket == ["on_connect", "on_disconnect"] * 2


def test_on_reconnect_is_given_the_attempt_and_the_delay_before_it_is_waited_for() -> None:
    stage = Stage()
    stage.fire(START, (REFUSED, fault()), RETRY)
    assert stage.heard("on_reconnect") == [(1, 1.0)]
    assert stage.seen[-1] is BACKOFF


def test_each_error_passes_on_error_once_and_the_exhaustion_does_too() -> None:
    stage, refusal, break_off = Stage(max_retries=1), fault(), fault()
    stage.fire(START, (REFUSED, refusal), RETRY, WAITED, OPENED, (BROKE, break_off), RETRY, STOP)
    passed = stage.heard("on_error")
    assert isinstance(passed[-1], RetriesExhausted)
    assert [id(error) for error in passed] == [id(refusal), id(break_off), id(stage.machine.failure)]


@pytest.mark.parametrize(("situation", "trigger"), [("connecting", REFUSED), ("streaming", BROKE)])
def test_an_error_that_ends_it_all_passes_on_error_once_as_it_is(situation: str, trigger: Trigger) -> None:
    stage, error = reach(situation), fatal()
    stage.fire((trigger, error))
    (passed,) = stage.heard("on_error")
    assert passed is error
    assert stage.machine.failure is error


@pytest.mark.parametrize("situation", ["connecting", "streaming", "lost", "waiting", "exhausted"])
def test_a_stop_passes_no_error(situation: str) -> None:
    stage = reach(situation)
    stage.fire(STOP)
    assert stage.heard("on_error") == []


# Delays.


def refusals(stage: Stage, count: int) -> list[float]:
    """The delays after so many refusals in a row."""
    delays = []
    for _ in range(count):
        stage.fire((REFUSED, fault()))
        delays.append(stage.delay())
        stage.fire(WAITED)
    return delays


def test_the_delays_climb_from_the_first_by_the_factor_to_the_cap() -> None:
    stage = Stage(max_retries=-1)
    stage.fire(START)
    assert refusals(stage, 9) == [1, 2, 4, 8, 16, 32, 64, 64, 64]


def test_the_ladder_is_that_of_the_four_numbers() -> None:
    stage = Stage(initial_backoff=0.5, backoff_multiplier=3, max_backoff=10)
    stage.fire(START)
    assert refusals(stage, 4) == [0.5, 1.5, 4.5, 10]


def test_a_cap_below_the_first_delay_caps_it() -> None:
    stage = Stage(initial_backoff=10, max_backoff=3)
    stage.fire(START)
    assert refusals(stage, 3) == [3, 3, 3]


def test_a_ladder_of_zeros_never_waits() -> None:
    stage = Stage(initial_backoff=0)
    stage.fire(START)
    assert refusals(stage, 3) == [0, 0, 0]


def test_jitter_takes_at_most_half_of_each_delay_the_capped_ones_too() -> None:
    stage = Stage(jitter=True, chance=lambda: 0.0)
    stage.fire(START)
    assert refusals(stage, 8) == [0.5, 1, 2, 4, 8, 16, 32, 32]


def test_jitter_never_lengthens_a_delay_and_never_exceeds_the_cap() -> None:
    stage = Stage(jitter=True, chance=lambda: 0.999)
    stage.fire(START)
    delays = refusals(stage, 8)
    assert delays == pytest.approx([1, 2, 4, 8, 16, 32, 64, 64], rel=0.001)
    assert all(delay < full for delay, full in zip(delays, [1, 2, 4, 8, 16, 32, 64, 64], strict=True))


def test_each_delay_has_a_chance_of_its_own() -> None:
    chances = iter([0.0, 0.5, 0.0])
    stage = Stage(jitter=True, chance=lambda: next(chances), backoff_multiplier=1)
    stage.fire(START)
    assert refusals(stage, 3) == [0.5, 0.75, 0.5]


def test_a_hundred_attempts_do_not_exceed_the_cap_nor_overflow() -> None:
    stage = Stage(max_retries=-1, backoff_multiplier=1e9)
    stage.fire(START)
    assert refusals(stage, 100)[-1] == 64


@pytest.mark.parametrize("jitter", [False, True])
def test_what_the_server_asks_for_lengthens_the_delay_beyond_the_cap_to_the_second(jitter: bool) -> None:
    stage = Stage(max_backoff=2, jitter=jitter, chance=lambda: 0.0)
    stage.fire(START, (REFUSED, fault(retry_after=300.5)))
    assert stage.delay() == 300.5


def test_what_the_server_asks_for_does_not_shorten_the_delay() -> None:
    stage = Stage(initial_backoff=8)
    stage.fire(START, (REFUSED, fault(retry_after=3.0)))
    assert stage.delay() == 8


def test_what_the_server_asked_for_once_does_not_count_for_the_next_loss() -> None:
    stage = Stage()
    stage.fire(START, (REFUSED, fault(retry_after=300.0)), RETRY, WAITED, (REFUSED, fault()))
    assert stage.delay() < 300


def test_what_the_server_asked_for_does_not_count_for_a_clean_end_either() -> None:
    stage = Stage()
    stage.fire(START, (REFUSED, fault(retry_after=300.0)), RETRY, WAITED, OPENED, ENDED)
    assert stage.delay() < 300


def warnings(log: list[tuple[int, str]]) -> list[str]:
    return [line for level, line in log if level == logging.WARNING]


@pytest.mark.parametrize("asked", [3601.0, 86_400.0, float("inf")])
def test_more_than_an_hour_is_not_waited_and_that_is_warned_of(
    asked: float, log: Callable[[], list[tuple[int, str]]]
) -> None:
    stage = Stage()
    stage.fire(START, (REFUSED, fault(retry_after=asked)))
    assert stage.delay() == 3600
    (warning,) = warnings(log())
    assert f"{asked:.0f} s" in warning
    assert "3600 s" in warning


def test_an_hour_to_the_second_is_waited_without_a_warning(log: Callable[[], list[tuple[int, str]]]) -> None:
    stage = Stage()
    stage.fire(START, (REFUSED, fault(retry_after=3600.0)))
    assert stage.delay() == 3600
    assert warnings(log()) == []


# The first delay, which may be zero.

RESET = fault(StreamErrorType.STREAM_INTERRUPTED)
STALL = fault(StreamErrorType.TIMEOUT)
OTHER_NOTICE = fault(StreamErrorType.STREAM_INTERRUPTED, kind="client-disconnected")


@pytest.mark.parametrize("loss", [ENDED, (BROKE, dismissal())], ids=["clean end", "operational disconnect"])
def test_x_takes_a_settled_connection_back_at_once_after_it_ended_it_itself(loss: Event) -> None:
    stage = Stage(jitter=True, initial_backoff=5)
    stage.fire(START, OPENED, SETTLED, loss)
    assert stage.delay() == 0
    assert stage.state.current_backoff == 0
    assert stage.state.retry_count == 1


@pytest.mark.parametrize("loss", [RESET, STALL, OTHER_NOTICE], ids=["reset", "stall", "other notice"])
def test_after_any_other_loss_of_a_settled_connection_the_ladder_begins_at_its_first_step(
    loss: StreamError,
) -> None:
    stage = Stage()
    stage.fire(START, OPENED, SETTLED, (BROKE, loss))
    assert stage.delay() == 1


@pytest.mark.parametrize("before", [(), (PROGRESSED,)], ids=["silent", "progressed"])
@pytest.mark.parametrize(
    "loss",
    [ENDED, (BROKE, dismissal()), (BROKE, RESET)],
    ids=["clean end", "operational disconnect", "reset"],
)
def test_a_connection_that_had_not_settled_is_never_taken_back_at_once(
    loss: Event, before: tuple[Trigger, ...]
) -> None:
    stage = Stage()
    stage.fire(START, OPENED, *before, loss)
    assert stage.delay() == 1


def test_a_refusal_is_never_tried_again_at_once_even_where_it_speaks_of_an_operational_disconnect() -> None:
    stage = Stage()
    stage.fire(START, (REFUSED, dismissal()))
    assert stage.delay() == 1


def test_such_a_refusal_is_not_tried_again_at_once_after_a_settled_connection_either() -> None:
    stage = Stage()
    stage.fire(START, OPENED, SETTLED, (BROKE, RESET), RETRY, WAITED, (REFUSED, dismissal()))
    assert stage.delay() == 2


def test_the_zero_delay_is_announced_once_even_where_no_attempt_follows() -> None:
    stage = Stage()
    stage.fire(START, OPENED, SETTLED, ENDED)
    assert [stage.delay(), stage.delay()] == [0, 1]


def test_the_zero_delay_comes_once_and_uses_no_step_where_the_return_is_refused() -> None:
    stage = Stage()
    stage.fire(START, OPENED, SETTLED, ENDED)
    assert stage.delay() == 0
    stage.fire(WAITED)
    assert refusals(stage, 3) == [1, 2, 4]


def test_the_zero_delay_comes_once_and_uses_no_step_where_the_next_connection_ends_as_well() -> None:
    stage = Stage()
    stage.fire(START, OPENED, SETTLED, ENDED)
    delays = [stage.delay()]
    for _ in range(3):
        stage.fire(WAITED, OPENED, PROGRESSED, ENDED)
        delays.append(stage.delay())
    assert delays == [0, 1, 2, 4]


def test_each_settled_connection_has_a_zero_delay_of_its_own() -> None:
    stage = Stage()
    stage.fire(START, OPENED, SETTLED, ENDED)
    delays = [stage.delay()]
    stage.fire(WAITED, OPENED, SETTLED, ENDED)
    delays.append(stage.delay())
    assert delays == [0, 0]


def test_what_the_server_asks_for_lengthens_the_zero_delay_too() -> None:
    stage = Stage()
    stage.fire(START, OPENED, SETTLED, (BROKE, dismissal(retry_after=7.0)))
    assert stage.delay() == 7


def test_the_ladder_goes_on_after_mere_progress_and_starts_anew_only_after_settling() -> None:
    stage = Stage()
    stage.fire(START, OPENED, PROGRESSED, (BROKE, RESET))
    delays = [stage.delay()]
    for _ in range(3):
        stage.fire(WAITED, OPENED, PROGRESSED, (BROKE, RESET))
        delays.append(stage.delay())
    stage.fire(WAITED, OPENED, SETTLED, (BROKE, RESET))
    delays.append(stage.delay())
    assert delays == [1, 2, 4, 8, 1]


# The budget.


@pytest.mark.parametrize("limit", [1, 3, 10])
def test_so_many_attempts_are_made_and_no_more(limit: int) -> None:
    stage = Stage(max_retries=limit)
    stage.fire(START)
    refusals(stage, limit)
    assert stage.state.retry_count == limit
    stage.fire((REFUSED, fault()), RETRY)
    assert stage.machine.connection is FAILED
    assert [attempt for attempt, _ in stage.heard("on_reconnect")] == list(range(1, limit + 1))


@pytest.mark.parametrize("loss", [(), ((OPENED, ENDED))], ids=["refused", "ended"])
def test_with_no_retries_the_first_loss_fails(loss: tuple[Trigger, ...]) -> None:
    stage = Stage(max_retries=0)
    stage.fire(START, *(loss or [(REFUSED, fault())]), RETRY)
    assert stage.machine.connection is FAILED
    assert stage.heard("on_reconnect") == []


@pytest.mark.parametrize("limit", [-1, -5, float("inf")])
def test_a_negative_or_infinite_limit_is_none(limit: float) -> None:
    stage = Stage(max_retries=limit)
    stage.fire(START)
    refusals(stage, 200)
    assert stage.machine.connection is CONNECTING
    assert stage.state.retry_count == 200


@pytest.mark.parametrize("event", [PROGRESSED, SETTLED], ids=str)
def test_progress_and_settling_give_the_whole_budget_back(event: Trigger) -> None:
    stage = Stage(max_retries=2)
    stage.fire(START)
    refusals(stage, 2)
    stage.fire(OPENED)
    assert stage.state.retry_count == 2
    stage.fire(event)
    assert stage.state.retry_count == 0
    stage.fire((BROKE, fault()))
    stage.delay()
    assert stage.heard("on_reconnect")[-1][0] == 1
    assert stage.machine.connection is BACKOFF


def test_connecting_alone_gives_nothing_of_the_budget_back() -> None:
    stage = Stage(max_retries=2)
    stage.fire(START, *(OPENED, ENDED, RETRY, WAITED) * 2, OPENED, ENDED, RETRY)
    assert stage.machine.connection is FAILED


def test_a_limit_that_is_lowered_meanwhile_counts_at_once() -> None:
    stage = reach("waiting")
    stage.config.max_retries = 1
    stage.fire(WAITED, (REFUSED, fault()), RETRY)
    assert stage.machine.connection is FAILED


# What exhaustion says.


def exhausted(*losses: Event, max_retries: int) -> RetriesExhausted:
    """The failure after these losses, the last of which is one too many."""
    stage = Stage(max_retries=max_retries)
    stage.fire(START)
    for loss in losses:
        if loss is ENDED or (isinstance(loss, tuple) and loss[0] is BROKE):
            stage.fire(OPENED)
        stage.fire(loss, RETRY)
        if stage.machine.connection is BACKOFF:
            stage.fire(WAITED)
    assert stage.machine.connection is FAILED
    failure = stage.machine.failure
    assert isinstance(failure, RetriesExhausted)
    return failure


@pytest.mark.parametrize("limit", [0, 1, 3])
@pytest.mark.parametrize("loss", [(REFUSED, RESET), (BROKE, RESET), ENDED], ids=["refused", "broke", "ended"])
def test_exhaustion_begins_with_the_words_users_match_on(loss: Event, limit: int) -> None:
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
    assert "in good order" in str(failure)
    assert "It broke." not in str(failure)


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
    stage = Stage(jitter=True, chance=lambda: 0.0)
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
    assert stage.machine.connection is FAILED
    kept = (stage.state.total_items_received, stage.state.bytes_received)
    assert kept == (5, 500)
    assert (stage.state.heartbeats, stage.state.invalid_items) == (3, 2)


# Ends.


@pytest.mark.parametrize("situation", ["refused for good", "broken for good", "exhausted"])
def test_a_machine_that_failed_never_does_anything_again(situation: str) -> None:
    stage = reach(situation)
    failure, history = stage.machine.failure, list(stage.machine.history)
    for event in EVENTS.values():
        if event is STOP:
            stage.fire(event)
        else:
            with pytest.raises(IllegalEvent):
                stage.fire(event)
        assert stage.machine.connection is FAILED
    assert stage.told == []
    assert stage.machine.failure is failure
    assert list(stage.machine.history) == history


@pytest.mark.parametrize(
    "situation", ["stopped while connecting", "stopped while streaming", "stopped in backoff"]
)
def test_a_machine_that_has_run_does_not_run_again(situation: str) -> None:
    stage = reach(situation)
    with pytest.raises(IllegalEvent, match="START is not allowed in DISCONNECTED"):
        stage.fire(START)
    assert stage.machine.connection is DISCONNECTED


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
    stage, shown = reach(situation), LEGAL[situation][event]
    before = stage.machine.connection
    executed.clear()
    stage.fire(EVENTS[event])

    through = [(source, dest) for source, dest, went_through in executed if went_through]
    dest = None if shown.dest is before else shown.dest.name
    assert through == [(before.name, dest)]


@pytest.mark.parametrize(("situation", "event"), LEGAL_CASES)
def test_what_transitions_does_not_execute_does_not_happen(
    situation: str, event: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = reach(situation)
    before = stage.snapshot()
    monkeypatch.setattr(Transition, "execute", lambda self, event: False)
    with pytest.raises(IllegalEvent):
        stage.fire(EVENTS[event])
    assert stage.snapshot() == before
    assert stage.told == []


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
def test_transitions_keeps_the_old_state_where_before_raises_and_the_new_one_where_after_does(
    failing: str, left_in: str
) -> None:
    witness = Witness(failing)
    with pytest.raises(ZeroDivisionError):
        witness.fire("move")
    assert witness.state == left_in


def test_transitions_says_false_and_does_nothing_where_no_guard_holds() -> None:
    witness = Witness(allowed=False)
    assert witness.fire("move") is False
    assert witness.state == "old"
    assert witness.calls == [("asked", "old")]
