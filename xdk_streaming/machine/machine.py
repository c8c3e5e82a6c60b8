"""The transition table, executed by `transitions`: guards, actions and notifications.

Knows no socket, no clock and no sleep: the driver measures, fires, and waits. The order inside one
transition is: the row's action (facts, all or nothing), the state, one log record, the observers and
`on_state_change`, the row's callbacks. Actions run before the state changes and notifications after it, so
an action that fails leaves no trace, and every callback sees the new state.
"""

from __future__ import annotations

import logging
import random
import re
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from transitions import Machine, MachineError

from xdk_streaming.callbacks import ROW_CALLBACKS, Callbacks
from xdk_streaming.config import StreamConfig
from xdk_streaming.errors import StreamError
from xdk_streaming.machine.event import Event
from xdk_streaming.machine.retries import MAX_REQUESTED_DELAY, Retries
from xdk_streaming.machine.table import FINAL, INITIAL, TABLE, Row
from xdk_streaming.state import ConnectionState, StreamState, Transition, Trigger

logger = logging.getLogger("xdk_streaming")

PARAMETER_STATUSES = (400, 403)
"""Statuses of a refusal that can be for a parameter."""
NEEDS_ERROR = (Trigger.REFUSED, Trigger.BROKE)

M = TypeVar("M", bound=Callable[..., Any])
GUARDS: set[str] = set()
ACTIONS: set[str] = set()


def guard(method: M) -> M:
    """Mark a method that a row may name as its guard."""
    GUARDS.add(method.__name__)
    return method


def action(method: M) -> M:
    """Mark a method that a row may name as its action."""
    ACTIONS.add(method.__name__)
    return method


class IllegalEvent(RuntimeError):
    """An event that the table does not allow here. Nothing was changed."""


class ConnectionMachine:
    """One connection's life, from the first attempt to the last. Not for use by several threads at once.

    `fire` is the only way in. The machine owns the `StreamState` and tells `callbacks`, by default those of
    `config`; `rng` (0 <= x < 1) gives the jitter. Raises `ValueError` if a row of `table` names a guard, an
    action or a callback that there is not.
    """

    def __init__(
        self,
        config: StreamConfig,
        state: StreamState,
        callbacks: Callbacks | None = None,
        *,
        rng: Callable[[], float] = random.random,
        table: tuple[Row, ...] = TABLE,
    ) -> None:
        self.state = state
        self.history: deque[Transition] = deque(maxlen=config.history)
        self.failure: StreamError | None = None
        """Why the machine is FAILED."""
        self.withdrawn: str | None = None
        """The parameter that was refused, and is not sent again."""
        self._callbacks = callbacks or Callbacks(config, state)
        self._config = config
        self._rng = rng
        self._started = False
        self._ever_open = False
        self._retries = Retries(state.retry_count)
        state.current_backoff = config.initial_backoff
        self._connection_state = INITIAL
        for row in table:
            self._check_names(row)
        self._engine = Machine(
            model=self,
            model_attribute="_connection_state",
            states=[{"name": state, "final": state is FINAL} for state in ConnectionState],
            initial=INITIAL,
            auto_transitions=False,
            transitions=[
                {
                    "trigger": row.trigger.value,
                    "source": row.source,
                    "dest": None if row.internal else row.dest,
                    "conditions": row.guard,
                    "before": row.action,
                    "after": partial(self._announce, row),
                }
                for row in table
            ],
        )

    @property
    def connection_state(self) -> ConnectionState:
        """Where the connection stands. Only `fire` changes it."""
        return self._connection_state

    def fire(self, event: Event) -> None:
        """Tell the machine what happened, or what to do.

        Raises `IllegalEvent` if the table has no row for it here, `TypeError` or `ValueError` if it is no
        `Event` or lacks its error; nothing is changed then. A `BaseException` that a callback raised, such
        as `KeyboardInterrupt`, comes out after the transition.
        """
        trigger = getattr(event, "trigger", None)
        if not isinstance(trigger, Trigger) or (event.error is None and trigger in NEEDS_ERROR):
            raise _refusal(event)
        try:
            taken = self._engine.events[trigger.value].trigger(self, event)
        except (MachineError, KeyError) as refusal:
            raise self._illegal(trigger) from refusal
        if not taken:
            raise self._illegal(trigger)

    def _illegal(self, trigger: Trigger) -> IllegalEvent:
        state = self.connection_state
        return IllegalEvent(f"{trigger.name} is not allowed in {state.name}; see the transition table")

    def _check_names(self, row: Row) -> None:
        named = (
            ("guard", [row.guard] if row.guard else [], {name for name in GUARDS if hasattr(self, name)}),
            ("action", [row.action] if row.action else [], {name for name in ACTIONS if hasattr(self, name)}),
            ("callback", row.notify, ROW_CALLBACKS.keys()),
        )
        for kind, names, known in named:
            for name in names:
                if name not in known:
                    raise ValueError(
                        f"The row of {row.trigger.name} from {row.source.name} to {row.dest.name} names the "
                        f"{kind} {name!r}, which there is not; there are {', '.join(sorted(known))}"
                    )

    # Guards: may this row be taken?

    @guard
    def fresh(self, event: Event) -> bool:
        """It has not run before."""
        return not self._started

    @guard
    def fatal(self, event: Event) -> bool:
        """No retry can cure the error."""
        return event.error is not None and not event.error.is_retryable

    @guard
    def amendable(self, event: Event) -> bool:
        """It is refused for a parameter that it can do without."""
        name, error = event.parameter, event.error
        if name is None or error is None or error.status_code not in PARAMETER_STATUSES:
            return False
        return re.search(rf"\b{re.escape(name)}\b", error.response_body or "") is not None

    @guard
    def finished(self, event: Event) -> bool:
        """The request had an end, and this is it."""
        return event.bounded

    @guard
    def exhausted(self, event: Event) -> bool:
        """The retry budget is spent."""
        return self._retries.exhausted(self._config.max_retries)

    @guard
    def planned(self, event: Event) -> bool:
        """The next attempt has been announced."""
        return self._retries.delay is not None

    # Actions: which facts change with it?

    @action
    def begin(self, event: Event) -> None:
        """It runs, and will not run again."""
        self._started = True

    @action
    def mark_open(self, event: Event) -> None:
        """Connected, since now."""
        self.state.reconnects += self._ever_open
        self._ever_open = True
        self.state.is_connected = True
        self.state.connected_at = event.at
        self._note_rate_limit(event)

    @action
    def clear_budget(self, event: Event) -> None:
        """All attempts are to be had again."""
        self._retry_as(self._retries.after_progress())

    @action
    def settle(self, event: Event) -> None:
        """As if nothing had ever gone wrong: the next loss is a first one."""
        self._retry_as(self._retries.after_settling())
        self.state.current_backoff = self._config.initial_backoff

    @action
    def note_loss(self, event: Event) -> None:
        """What was lost, and whether X takes us back at once."""
        self._retry_as(self._retries.after_loss(event.error))
        self.release(event)
        self._note_rate_limit(event)
        self.state.last_error = event.error or self.state.last_error

    @action
    def amend_request(self, event: Event) -> None:
        """The parameter is not sent again, and the attempt that it spoiled does not count."""
        self.note_loss(event)
        self._retry_as(self._retries.after_amending(event.error))
        self.withdrawn = event.parameter
        logger.warning(
            "X refuses %s; the stream goes on without it, and what outages miss is not brought back. "
            "The parameter needs an entitlement",
            self.withdrawn,
        )

    @action
    def plan_retry(self, event: Event) -> None:
        """The next attempt is counted and its delay chosen."""
        asked = self._retries.requested_delay
        if asked > MAX_REQUESTED_DELAY:
            longest = MAX_REQUESTED_DELAY
            logger.warning("The server asks for a wait of %.0f s; %.0f s are waited", asked, longest)
        self._retry_as(self._retries.planned(self._config, self._rng))
        self.state.current_backoff = self._retries.delay or 0.0

    @action
    def give_up(self, event: Event) -> None:
        """Why it failed: the error, or that the retries are spent."""
        failure = event.error or self._retries.exhaustion()
        self.failure = failure
        self.release(event)
        self._note_rate_limit(event)
        self.state.last_error = failure

    @action
    def release(self, event: Event) -> None:
        """Not connected any more."""
        self.state.is_connected = False
        self.state.connected_at = None

    def _retry_as(self, retries: Retries) -> None:
        self._retries = retries
        self.state.retry_count = retries.count

    def _note_rate_limit(self, event: Event) -> None:
        self.state.rate_limit = event.rate_limit or self.state.rate_limit

    # Notifications: who is told?

    def _announce(self, row: Row, event: Event) -> None:
        transition = self._transition(row, event)
        if row.internal and not row.notify:
            logger.debug("%s", transition)
            return
        logger.log(logging.ERROR if row.dest is FINAL else logging.INFO, "%s", transition)
        self.history.append(transition)
        self._callbacks.report(transition, row.notify)

    def _transition(self, row: Row, event: Event) -> Transition:
        announced = row.trigger is Trigger.RETRY and row.internal
        return Transition(
            source=row.source,
            dest=row.dest,
            trigger=row.trigger,
            reason=row.reason,
            at=event.at,
            attempt=self._retries.count if announced else None,
            delay=self._retries.delay if announced else None,
            error=self.failure if row.dest is FINAL else event.error,
        )


def _refusal(event: object) -> Exception:
    """What to say of something that cannot be fired."""
    if not isinstance(event, Event):
        return TypeError(f"fire takes an Event, not {event!r}; write fire(Event(Trigger.START, at=...))")
    if not isinstance(event.trigger, Trigger):
        known = ", ".join(trigger.name for trigger in Trigger)
        return TypeError(
            f"An Event begins with a Trigger, not with {event.trigger!r}; "
            f"take Trigger.NAME, where NAME is one of {known}"
        )
    name = event.trigger.name
    return ValueError(
        f"{name} was fired without its error; write fire(Event(Trigger.{name}, error=StreamError(...)))"
    )
