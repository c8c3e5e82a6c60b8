"""The transition table, executed by `transitions`: guards, actions and notifications.

Knows no socket, no clock and no sleep: the driver measures, fires, and waits. One transition runs the row's
action (facts, all or nothing), changes the state, writes one log record, calls the observers and
`on_state_change`, and then the row's callbacks. The action runs before the state changes, so an action that
fails leaves no trace. Callbacks run after the change, so every callback sees the new state.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from transitions import Machine, MachineError

from xdk_streaming.callbacks import ROW_CALLBACKS, Callbacks
from xdk_streaming.config import StreamConfig
from xdk_streaming.errors import StreamError
from xdk_streaming.log import calm, logger
from xdk_streaming.machine.event import Event, can_be_fired, event_error
from xdk_streaming.machine.retries import MAX_REQUESTED_DELAY, Retries
from xdk_streaming.machine.table import FINAL, INITIAL, TABLE, Row
from xdk_streaming.machine.transition_log import TransitionLog
from xdk_streaming.state import ConnectionState, StreamState, Transition, Trigger

calm("transitions.core")  # it logs each of its steps at INFO, beside the one record of a transition here

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
    """An event that the table does not allow in the present state. Nothing was changed."""


class ConnectionMachine:
    """The life of a stream's connections, from the first attempt to the last. For one thread at a time.

    Only `fire` changes the machine. The machine writes the `StreamState`, and reports each transition to
    `callbacks`, by default those of `config`. `rng` (0 <= x < 1) gives the jitter. Raises `ValueError` if a
    row of `table` names a guard, an action or a callback that does not exist.
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
        """Why the machine is FAILED; None unless it is."""
        self.withdrawn: str | None = None
        """The parameter that X refused, and that is not sent again."""
        self._callbacks = callbacks or Callbacks(config, state)
        self._config = config
        self._rng = rng
        self._started = False
        self._ever_open = False
        self._retries = Retries(state.retry_count)
        self._log = TransitionLog()
        state.current_backoff = config.initial_backoff
        self._connection_state = INITIAL
        for row in table:
            self._check_names(row)
        self._engine = Machine(
            model=self,
            model_attribute="_connection_state",
            states=[{"name": each, "final": each is FINAL} for each in ConnectionState],
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
        """The present state. Only `fire` changes it."""
        return self._connection_state

    def fire(self, event: Event) -> None:
        """Take the event to the table, and carry out the transition that the table gives.

        Raises `IllegalEvent` if the table has no row for the event in the present state, `TypeError` if this
        is no `Event` with a `Trigger`, `ValueError` if the event lacks its error; nothing is then changed.
        A `BaseException` from a callback, such as `KeyboardInterrupt`, is raised after the transition.
        """
        if not can_be_fired(event):
            raise event_error(event)
        known = self._engine.events.get(event.trigger.value)
        try:
            taken = known is not None and known.trigger(self, event)
        except MachineError as illegal:
            raise self._illegal(event.trigger) from illegal
        if not taken:
            raise self._illegal(event.trigger)

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
                        f"{kind} {name!r}, which does not exist; there are {', '.join(sorted(known))}"
                    )

    # Guards: may this row be taken?

    @guard
    def fresh(self, event: Event) -> bool:
        """The machine has not been started before."""
        return not self._started

    @guard
    def fatal(self, event: Event) -> bool:
        """The event has an error that the settings or the retry policy make final."""
        if event.demanded or event.error is None:
            return event.demanded
        return self._retries.is_final(event.error, event.monotonic, self._config.retry_policy)

    @guard
    def renewable(self, event: Event) -> bool:
        """The credential was refused, and the retry policy allows an attempt with the new one."""
        return event.renewed and self._retries.renewals < self._config.retry_policy.renewals

    @guard
    def amendable(self, event: Event) -> bool:
        """The request was refused for a parameter that the stream can do without."""
        return event.refuses_parameter

    @guard
    def finished(self, event: Event) -> bool:
        """The request had an end time, so the end of the stream completes it."""
        return event.bounded

    @guard
    def exhausted(self, event: Event) -> bool:
        """The retry budget is spent."""
        return self._retries.exhausted(self._config.max_retries)

    @guard
    def planned(self, event: Event) -> bool:
        """The next attempt has been announced."""
        return self._retries.delay is not None

    # Actions: which facts change with the transition?

    @action
    def begin(self, event: Event) -> None:
        """Record that the machine was started, so that it cannot be started again."""
        self._started = True

    @action
    def mark_open(self, event: Event) -> None:
        """Record that a connection is open, and since when."""
        self.state.reconnects += self._ever_open
        self._ever_open = True
        self.state.is_connected = True
        self.state.connected_at = event.at
        self._retries = self._retries.after_opening()
        self._note_rate_limit(event)

    @action
    def clear_budget(self, event: Event) -> None:
        """Restore the retry budget."""
        self._retry_as(self._retries.after_progress())

    @action
    def settle(self, event: Event) -> None:
        """Restore the retry budget and reset all ladders, so that the next loss counts as the first."""
        self._retry_as(self._retries.after_settling())
        self.state.current_backoff = self._config.initial_backoff

    @action
    def note_loss(self, event: Event) -> None:
        """Record the loss, and whether X accepts an immediate return."""
        opened, now = self.state.is_connected, event.monotonic
        self._retry_as(self._retries.after_loss(event.error, opened=opened, now=now))
        self.release(event)
        self._note_rate_limit(event)
        self.state.last_error = event.error or self.state.last_error

    @action
    def amend_request(self, event: Event) -> None:
        """Withdraw the refused parameter. The attempt that failed because of it does not count."""
        retries = self._retries.after_amending(event.error)
        self.note_loss(event)
        self._retry_as(retries)
        self.withdrawn = event.parameter
        logger.warning(
            "X refused %s; the stream goes on without it, and items missed in outages are not brought back. "
            "The parameter needs an entitlement",
            self.withdrawn,
        )

    @action
    def renew_credential(self, event: Event) -> None:
        """Record that X is asked anew, with another credential."""
        self.note_loss(event)
        self._retry_as(self._retries.after_renewal())

    @action
    def plan_retry(self, event: Event) -> None:
        """Count the next attempt and choose its delay."""
        asked = self._retries.requested_delay
        if asked > MAX_REQUESTED_DELAY:
            longest = MAX_REQUESTED_DELAY
            logger.warning("The server asks for a wait of %.0f s; the stream waits %.0f s", asked, longest)
        self._retry_as(self._retries.planned(self._config, self._rng))
        self.state.current_backoff = self._retries.delay or 0.0

    @action
    def give_up(self, event: Event) -> None:
        """Record why the machine failed: the error, or that no attempt is left."""
        failure = event.error or self._retries.exhaustion()
        self.failure = failure
        self.release(event)
        self._note_rate_limit(event)
        self.state.last_error = failure

    @action
    def release(self, event: Event) -> None:
        """Record that no connection is open."""
        self.state.is_connected = False
        self.state.connected_at = None

    def _retry_as(self, retries: Retries) -> None:
        self._retries = retries
        self.state.retry_count = retries.count

    def _note_rate_limit(self, event: Event) -> None:
        self.state.rate_limit = event.rate_limit or self.state.rate_limit

    # Notifications: the log, the history and the callbacks.

    def _announce(self, row: Row, event: Event) -> None:
        transition = self._transition(row, event)
        self._log.take(transition, event.monotonic, at_top=self._retries.at_top)
        if row.internal and not row.notify:
            return
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
