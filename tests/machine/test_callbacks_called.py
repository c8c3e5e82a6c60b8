"""The notifications of a transition: their order, their arguments, and what happens if one raises."""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from helpers.harness import (
    ACTIONS,
    AT,
    BACKOFF,
    BROKE,
    CALLBACKS,
    ENDED,
    EVENTS,
    FAILED,
    LEGAL,
    LEGAL_CASES,
    OPENED,
    PROGRESSED,
    REFUSED,
    RETRY,
    SETTLED,
    START,
    STOP,
    STREAMING,
    WAITED,
    Harness,
    fatal,
    fault,
    reach,
)
from xdk_streaming.errors import RetriesExhausted, StreamError
from xdk_streaming.state import ConnectionState, StreamState, Trigger

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
def test_a_transition_keeps_its_order_from_the_action_to_the_callbacks(
    situation: str,
    event: str,
    monkeypatch: pytest.MonkeyPatch,
    listen: Callable[[Callable[[str], None]], None],
) -> None:
    harness, shown = reach(situation), LEGAL[situation][event]
    before = harness.machine.connection_state
    steps: list[tuple[str, ConnectionState]] = []

    def note(name: str) -> None:
        steps.append((name, harness.machine.connection_state))

    def noted(name: str, step: Callable[..., None]) -> Callable[..., None]:
        def act(*arguments: Any) -> None:
            note(name)
            step(*arguments)

        return act

    for name in ACTIONS:
        monkeypatch.setattr(harness.machine, name, noted(name, getattr(harness.machine, name)))
    for name in CALLBACKS:
        setattr(harness.config, name, noted(name, getattr(harness.config, name)))
    listen(note)
    harness.fire(EVENTS[event])

    if shown.action == "renew_credential":  # this one notes a loss
        assert steps.pop(1) == ("note_loss", before)
    if shown.action in ("note_loss", "give_up", "renew_credential"):  # these let go of the connection as well
        assert steps.pop(1) == ("release", before)
    expected = [] if shown.action is None else [(shown.action, before)]
    expected += [(name, shown.dest) for name in ("log", *shown.callbacks)]
    assert steps == expected


@pytest.mark.parametrize(("situation", "event"), LEGAL_CASES)
def test_every_callback_sees_the_new_state_and_the_new_facts(situation: str, event: str) -> None:
    harness, shown = reach(situation), LEGAL[situation][event]
    seen: list[StreamState] = []
    for name in CALLBACKS:
        setattr(harness.config, name, lambda *_: seen.append(copy.copy(harness.state)))
    harness.fire(EVENTS[event])

    assert seen == [harness.state] * len(shown.callbacks)
    assert harness.state.is_connected is (shown.dest is STREAMING)


# The log.


@pytest.mark.parametrize(("situation", "event"), LEGAL_CASES)
def test_each_transition_writes_one_log_line_at_its_level(
    situation: str, event: str, log: Callable[[], list[tuple[int, str]]]
) -> None:
    harness, shown = reach(situation), LEGAL[situation][event]
    before = harness.machine.connection_state
    logged = len(log())
    harness.fire(EVENTS[event])

    ((level, line),) = log()[logged:]
    again = line.startswith("STREAMING again")  # at the end of an outage
    assert level == (logging.INFO if again else shown.level)
    assert line.startswith((f"{shown.dest.name}: ", "STREAMING again"))
    assert before.name in line or event.split()[0] in ("retry", "progressed", "settled")


def test_a_retry_is_logged_with_its_attempt_and_its_delay(log: Callable[[], list[tuple[int, str]]]) -> None:
    harness = Harness(initial_backoff=0.75)
    harness.fire(START, (REFUSED, fault()), RETRY)
    level, line = log()[-1]
    assert level == logging.INFO
    assert line == "BACKOFF: attempt 1 in 0.8 s: It went wrong."


def test_a_loss_is_logged_with_its_error(log: Callable[[], list[tuple[int, str]]]) -> None:
    harness = Harness()
    harness.fire(START, (REFUSED, fault()))
    assert log()[-1] == (logging.DEBUG, "BACKOFF: It went wrong. (CONNECTING, refused)")


# The changes.


def test_a_retry_is_a_change_with_attempt_and_delay() -> None:
    harness = Harness()
    harness.fire(START, (REFUSED, fault()), RETRY, WAITED, (REFUSED, fault()), RETRY)
    announced = [
        (change.attempt, change.delay) for change in harness.machine.history if change.trigger is RETRY
    ]
    assert announced == [(1, 1.0), (2, 2.0)]


def test_no_other_change_has_an_attempt_or_a_delay() -> None:
    harness = Harness(max_retries=1)
    harness.fire(START, OPENED, ENDED, RETRY, WAITED, OPENED, (BROKE, fault()), RETRY)
    assert harness.machine.connection_state is FAILED
    others = [change for change in harness.machine.history if change.dest is not change.source]
    assert [(change.attempt, change.delay) for change in others] == [(None, None)] * len(others)
    assert others[-1].trigger is RETRY


def test_a_change_carries_the_error_of_its_event_and_a_failure_the_reason_of_the_failure() -> None:
    harness, refusal, break_off = Harness(max_retries=1), fault(), fault()
    harness.fire(START, (REFUSED, refusal), RETRY, WAITED, OPENED, (BROKE, break_off), RETRY)
    errors = [change.error for change in harness.machine.history]
    assert errors == [None, refusal, None, None, None, break_off, harness.machine.failure]


def test_the_history_is_empty_at_first_and_holds_the_changes_oldest_first() -> None:
    harness = Harness()
    assert list(harness.machine.history) == []
    harness.fire(START, OPENED, PROGRESSED, SETTLED, ENDED)
    assert list(harness.machine.history) == harness.arguments("on_state_change")
    assert [change.trigger for change in harness.machine.history] == [START, OPENED, ENDED]
    assert [change.at - AT for change in harness.machine.history] == [1.0, 2.0, 5.0]


@pytest.mark.parametrize("length", [0, 1, 3])
def test_the_history_keeps_as_many_changes_as_are_asked_for(length: int) -> None:
    harness = Harness(history=length)
    harness.fire(START, (REFUSED, fault()), RETRY, WAITED, OPENED, STOP)
    told = harness.arguments("on_state_change")
    assert len(told) == 6
    assert list(harness.machine.history) == told[6 - length :]


# Callbacks that raise.

LOUD_CASES = [(situation, event) for situation, event in LEGAL_CASES if LEGAL[situation][event].callbacks]


@pytest.mark.parametrize(("situation", "event"), LOUD_CASES)
def test_exceptions_of_callbacks_are_counted_and_change_nothing(situation: str, event: str) -> None:
    calm, troubled = reach(situation), reach(situation)
    troubled.raises = {name: ValueError(name) for name in CALLBACKS}
    calm.fire(EVENTS[event])
    troubled.fire(EVENTS[event])

    assert troubled.machine.connection_state is calm.machine.connection_state
    assert troubled.names() == calm.names()
    assert troubled.state.callback_errors == len(calm.received) > 0
    for name in ("retry_count", "current_backoff", "is_connected", "reconnects"):
        assert getattr(troubled.state, name) == getattr(calm.state, name)
    assert len(troubled.machine.history) == len(calm.machine.history)


def test_an_exception_of_a_callback_is_logged_with_its_name(caplog: pytest.LogCaptureFixture) -> None:
    harness = reach("connecting")
    mine = ValueError("mine")
    harness.raises = {"on_connect": mine}
    harness.fire(OPENED)
    (warning,) = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert "on_connect" in warning.getMessage()
    assert warning.exc_info is not None
    assert warning.exc_info[1] is mine


@pytest.mark.parametrize("interrupt", [KeyboardInterrupt(), SystemExit(3), GeneratorExit()], ids=repr)
@pytest.mark.parametrize(("situation", "event"), LOUD_CASES)
def test_an_interrupt_is_raised_after_the_other_callbacks_in_the_new_state(
    situation: str, event: str, interrupt: BaseException
) -> None:
    harness, shown = reach(situation), LEGAL[situation][event]
    harness.raises = {"on_state_change": interrupt}
    with pytest.raises(type(interrupt)) as raised:
        harness.fire(EVENTS[event])

    assert raised.value is interrupt
    assert harness.machine.connection_state is shown.dest
    assert harness.names() == list(shown.callbacks)
    assert harness.seen == [shown.dest] * len(shown.callbacks)
    assert harness.state.is_connected is (shown.dest is STREAMING)
    assert harness.state.callback_errors == 0
    assert harness.machine.history[-1].dest is shown.dest


def test_of_two_interrupts_the_first_comes_out() -> None:
    harness = reach("streaming")
    harness.raises = {"on_error": KeyboardInterrupt(), "on_disconnect": SystemExit()}
    with pytest.raises(KeyboardInterrupt):
        harness.fire((BROKE, fault()))
    assert harness.names() == ["on_state_change", "on_error", "on_disconnect"]


def test_after_an_interrupt_the_machine_goes_on_from_the_new_state() -> None:
    harness = reach("streaming")
    harness.raises = {"on_disconnect": KeyboardInterrupt()}
    with pytest.raises(KeyboardInterrupt):
        harness.fire(ENDED)
    harness.fire(RETRY, WAITED, OPENED)
    assert harness.machine.connection_state is STREAMING


# What the callbacks are given.


def test_on_connect_is_given_nothing() -> None:
    harness = reach("connecting")
    harness.fire(OPENED)
    assert harness.arguments("on_connect") == [()]


@pytest.mark.parametrize("event", [ENDED, STOP], ids=str)
def test_on_disconnect_is_given_none_for_a_clean_end_and_for_a_stop(event: Trigger) -> None:
    harness = reach("settled")
    harness.fire(event)
    assert harness.arguments("on_disconnect") == [None]


@pytest.mark.parametrize("make", [fault, fatal], ids=["retryable", "fatal"])
def test_on_disconnect_is_given_the_original_exception(make: Callable[..., StreamError]) -> None:
    harness, cause = reach("streaming"), OSError("gone")
    harness.fire((BROKE, make(cause=cause)))
    (given,) = harness.arguments("on_disconnect")
    assert given is cause


@pytest.mark.parametrize("make", [fault, fatal], ids=["retryable", "fatal"])
def test_on_disconnect_gets_the_stream_error_if_there_is_no_original(
    make: Callable[..., StreamError],
) -> None:
    harness, error = reach("streaming"), make()
    harness.fire((BROKE, error))
    (given,) = harness.arguments("on_disconnect")
    assert given is error


def test_on_disconnect_comes_once_for_each_on_connect_and_only_after_it() -> None:
    harness = Harness()
    harness.fire(
        START, (REFUSED, fault()), RETRY, WAITED, OPENED, (BROKE, fault()), RETRY, WAITED, OPENED, ENDED
    )
    harness.fire(RETRY, STOP)
    bracket = [name for name in harness.names() if name in ("on_connect", "on_disconnect")]
    assert bracket == ["on_connect", "on_disconnect"] * 2


def test_on_reconnect_is_given_the_attempt_and_the_delay_before_it_is_waited_for() -> None:
    harness = Harness()
    harness.fire(START, (REFUSED, fault()), RETRY)
    assert harness.arguments("on_reconnect") == [(1, 1.0)]
    assert harness.seen[-1] is BACKOFF


def test_each_error_passes_on_error_once_and_the_exhaustion_does_too() -> None:
    harness, refusal, break_off = Harness(max_retries=1), fault(), fault()
    harness.fire(START, (REFUSED, refusal), RETRY, WAITED, OPENED, (BROKE, break_off), RETRY, STOP)
    passed = harness.arguments("on_error")
    assert isinstance(passed[-1], RetriesExhausted)
    assert [id(error) for error in passed] == [id(refusal), id(break_off), id(harness.machine.failure)]


@pytest.mark.parametrize(("situation", "trigger"), [("connecting", REFUSED), ("streaming", BROKE)])
def test_an_error_that_ends_it_all_passes_on_error_once_as_it_is(situation: str, trigger: Trigger) -> None:
    harness, error = reach(situation), fatal()
    harness.fire((trigger, error))
    (passed,) = harness.arguments("on_error")
    assert passed is error
    assert harness.machine.failure is error


@pytest.mark.parametrize("situation", ["connecting", "streaming", "lost", "waiting", "exhausted"])
def test_a_stop_passes_no_error(situation: str) -> None:
    harness = reach(situation)
    harness.fire(STOP)
    assert harness.arguments("on_error") == []
