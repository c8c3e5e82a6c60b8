"""The machine in a harness: every situation it can be in, and all that it reports there."""

from __future__ import annotations

import copy
import logging
import random
from collections.abc import Callable
from dataclasses import replace
from itertools import product
from typing import Any, NamedTuple

from helpers.expected import expected
from xdk_streaming.config import StreamConfig
from xdk_streaming.errors import Problem, StreamError, StreamErrorType
from xdk_streaming.machine.event import Event
from xdk_streaming.machine.machine import ConnectionMachine
from xdk_streaming.state import ConnectionState, RateLimit, StreamState, Trigger

AT = 1_700_000_000.0

CALLBACKS = ("on_connect", "on_disconnect", "on_reconnect", "on_error", "on_state_change")
ACTIONS = (
    "begin",
    "mark_open",
    "clear_budget",
    "settle",
    "note_loss",
    "amend_request",
    "renew_credential",
    "plan_retry",
    "give_up",
    "release",
)

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

Happening = Trigger | tuple[Trigger, StreamError] | Event


def fault(
    error_type: StreamErrorType = StreamErrorType.CONNECTION_ERROR,
    cause: Exception | None = None,
    *,
    status: int | None = None,
    retry_after: float | None = None,
    kind: str | None = None,
    issue: str | None = None,
) -> StreamError:
    fields = {} if issue is None else {"connection_issue": issue}
    problem = None if kind is None else Problem(kind, "A problem", "Of some kind.", fields)
    return StreamError("It went wrong.", error_type, cause, status, problem=problem, retry_after=retry_after)


def fatal(cause: Exception | None = None) -> StreamError:
    return fault(StreamErrorType.AUTHENTICATION_ERROR, cause)


def dismissal(retry_after: float | None = None) -> StreamError:
    """X ends a connection by itself and says so."""
    return fault(StreamErrorType.STREAM_INTERRUPTED, kind="operational-disconnect", retry_after=retry_after)


class Harness:
    """A machine, and everything it says: callback, arguments, and the state it stood in meanwhile."""

    def __init__(
        self,
        *,
        rng: Callable[[], float] = random.random,
        make: Callable[..., StreamConfig] = StreamConfig,
        **settings: Any,
    ) -> None:
        self.received: list[tuple[str, tuple[Any, ...]]] = []
        self.seen: list[ConnectionState] = []
        self.raises: dict[str, BaseException] = {}
        listeners: dict[str, Any] = {name: self._listener(name) for name in CALLBACKS}
        self.config = make(**{"jitter": False, **listeners, **settings})
        self.state = StreamState()
        self.machine = ConnectionMachine(self.config, self.state, rng=rng)
        self.at = AT

    def _listener(self, name: str) -> Callable[..., None]:
        def listen(*arguments: Any) -> None:
            self.received.append((name, arguments))
            self.seen.append(self.machine.connection_state)
            if name in self.raises:
                raise self.raises[name]

        return listen

    def fire(self, *events: Happening) -> None:
        """One event after the other, a second apart."""
        for event in events:
            self.at += 1.0
            if isinstance(event, Event):
                self.machine.fire(replace(event, at=self.at, monotonic=self.at))
                continue
            trigger, error = event if isinstance(event, tuple) else (event, None)
            self.machine.fire(Event(trigger, error, at=self.at, monotonic=self.at))

    def answer(
        self, trigger: Trigger, rate_limit: RateLimit | None, error: StreamError | None = None
    ) -> None:
        """A server's answer, and what it says of the limit on connecting."""
        self.at += 1.0
        self.machine.fire(Event(trigger, error, at=self.at, rate_limit=rate_limit))

    def names(self) -> list[str]:
        return [name for name, _ in self.received]

    def arguments(self, name: str) -> list[Any]:
        """The arguments of each call of one callback; bare where it takes but one."""
        calls = [arguments for called, arguments in self.received if called == name]
        return [arguments[0] if len(arguments) == 1 else arguments for arguments in calls]

    def clear(self) -> None:
        self.received.clear()
        self.seen.clear()

    def delay(self) -> float:
        """Fire RETRY; what it announced."""
        self.fire(RETRY)
        _, delay = self.arguments("on_reconnect")[-1]
        assert isinstance(delay, float)
        return delay

    def snapshot(self) -> dict[str, Any]:
        """The machine's facts, public and private."""
        copied = {"state", "history"}
        return {
            name: copy.copy(value) if name in copied else value for name, value in vars(self.machine).items()
        }


# Everything that can happen, everywhere.

SITUATIONS: dict[str, tuple[dict[str, Any], tuple[Happening, ...], ConnectionState]] = {
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

EVENTS: dict[str, Happening] = {
    "start": START,
    "opened": OPENED,
    "refused": (REFUSED, fault()),
    "refused for good": (REFUSED, fatal()),
    "refused with another credential": Event(REFUSED, fatal(), renewed=True),
    "progressed": PROGRESSED,
    "settled": SETTLED,
    "ended": ENDED,
    "broke": (BROKE, fault()),
    "broke for good": (BROKE, fatal()),
    "retry": RETRY,
    "waited": WAITED,
    "stop": STOP,
}


def trigger_of(happening: Happening) -> Trigger:
    if isinstance(happening, Event):
        return happening.trigger
    return happening[0] if isinstance(happening, tuple) else happening


class Shown(NamedTuple):
    """What one event does: new state, action, log level, and the callbacks called (none: no change)."""

    dest: ConnectionState
    action: str | None
    level: int
    callbacks: tuple[str, ...] = ()


SUMMED_UP = ("refused", "broke", "ended", "waited")
"""What the line of the next attempt says as well, so that its own line is for DEBUG."""


def shown(situation: str, event: str) -> Shown | None:
    """What the table that was typed by hand says of it; None if it is illegal."""
    happening, source = EVENTS[event], SITUATIONS[situation][-1]
    truth = {
        "fresh": situation in ("new", "stopped before it began"),
        "amendable": False,
        "renewable": event.endswith("another credential"),
        "fatal": event.endswith("for good"),
        "finished": False,
        "exhausted": situation.endswith("the budget spent"),
        "planned": situation.startswith("waiting"),
    }
    outcome = expected((trigger_of(happening), source), truth)
    if outcome is None:
        return None
    dest, action, notify = outcome
    if dest is source and not notify:
        return Shown(dest, action, logging.DEBUG)
    level = logging.ERROR if dest is FAILED else logging.INFO
    if dest is not FAILED and event.split()[0] in SUMMED_UP:
        level = logging.DEBUG
    return Shown(dest, action, level, ("on_state_change", *notify))


LEGAL: dict[str, dict[str, Shown]] = {
    situation: {event: legal for event in EVENTS if (legal := shown(situation, event)) is not None}
    for situation in SITUATIONS
}

LEGAL_CASES = [(situation, event) for situation, events in LEGAL.items() for event in events]
ILLEGAL_CASES = [
    (situation, event) for situation, event in product(SITUATIONS, EVENTS) if event not in LEGAL[situation]
]


def reach(situation: str) -> Harness:
    settings, events, state = SITUATIONS[situation]
    harness = Harness(**settings)
    harness.fire(*events)
    assert harness.machine.connection_state is state
    harness.clear()
    return harness


def refusals(harness: Harness, count: int, error: StreamError | None = None) -> list[float]:
    """The delays after so many refusals in a row."""
    return climb(harness, *[error or fault()] * count)


def climb(harness: Harness, *errors: StreamError) -> list[float]:
    """The delays after these refusals, one after the other."""
    delays = []
    for error in errors:
        harness.fire((REFUSED, error))
        delays.append(harness.delay())
        harness.fire(WAITED)
    return delays
