"""The transition table, executed by `transitions`: guards, actions and notifications.

Knows no socket, no clock and no sleep: the driver measures, fires, and waits. The order
inside one transition is: the row's action (facts, all or nothing), the state, one log
line, `on_state_change`, the row's callbacks. Actions run before the state changes and
notifications after, so a failing action leaves no trace, and every callback sees the new
state.
"""

from __future__ import annotations

import logging
import random
import re
from collections import Counter, deque
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from transitions import EventData, Machine, MachineError

from xdk_streaming.backoff import Backoff
from xdk_streaming.callbacks import Callbacks
from xdk_streaming.config import StreamConfig
from xdk_streaming.errors import RetriesExhausted, StreamError, StreamErrorType
from xdk_streaming.machine.table import FINAL, INITIAL, TABLE, Row
from xdk_streaming.state import ConnectionState, RateLimit, StreamState, Transition, Trigger

logger = logging.getLogger("xdk_streaming")

NAMING = (400, 403)
"""Statuses of a refusal that can be for a parameter."""
LONGEST_WAIT = 3600.0
"""Seconds that a server can make us stay away, at most."""


class IllegalEvent(RuntimeError):
    """A trigger that the table does not allow here. Nothing was changed."""


class ConnectionMachine:
    """One connection's life, from the first attempt to the last. Not for use by several threads at once.

    `fire` is the only way in. The machine owns the `StreamState` and calls the callbacks
    of the `StreamConfig`; `rng` gives the jitter.
    """

    def __init__(
        self,
        config: StreamConfig,
        state: StreamState,
        *,
        rng: Callable[[], float] = random.random,
        table: tuple[Row, ...] = TABLE,
    ) -> None:
        self.state = state
        self.history: deque[Transition] = deque(maxlen=config.history)
        self.failure: StreamError | None = None
        """Why it FAILED."""
        self.withdrawn: str | None = None
        """The parameter that was refused, and is not sent again."""
        self.callbacks = Callbacks(config, state)
        self._config = config
        self._rng = rng
        self._started = False
        self._ever_open = False
        self._settled = False
        self._at_once = False
        self._amended = False
        self._planned = False
        self._steps: Counter[str] = Counter()
        self._loss: StreamError | None = None
        state.current_backoff = config.initial_backoff
        self._connection_state = INITIAL
        self._engine = Machine(
            model=self,
            model_attribute="_connection_state",
            states=[{"name": connection, "final": connection is FINAL} for connection in ConnectionState],
            initial=INITIAL,
            auto_transitions=False,
            send_event=True,
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
        """The machine's state. Only `fire` changes it."""
        return self._connection_state

    def fire(
        self,
        trigger: Trigger,
        *,
        at: float,
        error: StreamError | None = None,
        rate_limit: RateLimit | None = None,
        parameter: str | None = None,
        bounded: bool = False,
    ) -> None:
        """Tell what happened, or what to do, at Unix time `at`.

        `error` is the fault, where it is one; `rate_limit` what an answer told of it; `parameter`
        one of the request's that it can do without; `bounded` whether the request has an end time.
        Raises `IllegalEvent` where the table has no row for it. A `BaseException` that a
        callback raised, such as `KeyboardInterrupt`, comes out after the transition.
        """
        try:
            taken = self._engine.events[trigger.value].trigger(
                self, at=at, error=error, rate_limit=rate_limit, parameter=parameter, bounded=bounded
            )
        except MachineError as refusal:
            raise self._illegal(trigger) from refusal
        if not taken:
            raise self._illegal(trigger)

    def _illegal(self, trigger: Trigger) -> IllegalEvent:
        where = self.connection_state.name
        return IllegalEvent(f"{trigger.name} is not allowed in {where}; see the transition table")

    # Guards: may this row be taken?

    def fresh(self, event: EventData) -> bool:
        """It has not run before."""
        return not self._started

    def fatal(self, event: EventData) -> bool:
        """No retry can cure the error."""
        error: StreamError = event.kwargs["error"]
        return not error.is_retryable

    def amendable(self, event: EventData) -> bool:
        """It is refused for a parameter that it can do without."""
        name: str | None = event.kwargs["parameter"]
        error: StreamError = event.kwargs["error"]
        named = name is not None and re.search(rf"\b{re.escape(name)}\b", error.response_body or "")
        return bool(named) and error.status_code in NAMING

    def finished(self, event: EventData) -> bool:
        """The request had an end, and this is it."""
        bounded: bool = event.kwargs["bounded"]
        return bounded

    def exhausted(self, event: EventData) -> bool:
        """The retry budget is spent."""
        return not self._amended and 0 <= self._config.max_retries <= self.state.retry_count

    def planned(self, event: EventData) -> bool:
        """The next attempt has been announced."""
        return self._planned

    # Actions: which facts change with it?

    def begin(self, event: EventData) -> None:
        """It runs, and will not run again."""
        self._started = True

    def mark_open(self, event: EventData) -> None:
        """Connected, since now."""
        self.state.reconnects += self._ever_open
        self._ever_open = True
        self.state.is_connected = True
        self.state.connected_at = event.kwargs["at"]
        self._note_rate_limit(event)

    def clear_budget(self, event: EventData) -> None:
        """All attempts are to be had again."""
        self.state.retry_count = 0

    def settle(self, event: EventData) -> None:
        """As if nothing had ever gone wrong: the next loss is a first one."""
        self._settled = True
        self._steps.clear()
        self.state.retry_count = 0
        self.state.current_backoff = self._config.initial_backoff

    def note_loss(self, event: EventData) -> None:
        """What was lost, and whether X takes us back at once."""
        self._loss = event.kwargs["error"]
        # X accepts an immediate return after it ended a standing connection itself; after a reset or a
        # stall it still holds the slot for a while (github.com/plhery/node-twitter-api-v2/issues/92).
        self._at_once = self._settled and (
            self._loss is None or self._loss.problem_kind == "operational-disconnect"
        )
        self._settled = False
        self._planned = False
        self.release(event)
        self._note_rate_limit(event)
        self.state.last_error = self._loss or self.state.last_error

    def amend_request(self, event: EventData) -> None:
        """The parameter is not sent again, and the attempt that it spoiled does not count."""
        self.note_loss(event)
        self.withdrawn = event.kwargs["parameter"]
        self._at_once = self._amended = True
        self.state.retry_count = max(0, self.state.retry_count - 1)
        logger.warning(
            "X refuses %s; the stream goes on without it, and what outages miss is not brought back. "
            "The parameter needs an entitlement",
            self.withdrawn,
        )

    def plan_retry(self, event: EventData) -> None:
        """The next attempt is counted and its delay chosen."""
        delay = self._next_delay()
        self._at_once = self._amended = False
        self._planned = True
        self.state.retry_count += 1
        self.state.current_backoff = delay

    def give_up(self, event: EventData) -> None:
        """Why it failed: the error, or that the retries are spent."""
        failure: StreamError = event.kwargs["error"] or self._exhaustion()
        self.failure = failure
        self.release(event)
        self._note_rate_limit(event)
        self.state.last_error = failure

    def release(self, event: EventData) -> None:
        """Not connected any more."""
        self.state.is_connected = False
        self.state.connected_at = None

    # What the actions reckon with.

    def _note_rate_limit(self, event: EventData) -> None:
        self.state.rate_limit = event.kwargs["rate_limit"] or self.state.rate_limit

    def _next_delay(self) -> float:
        """The ladder's delay, or longer where the server asked for it; 0 where an immediate return works."""
        delay = 0.0 if self._at_once else self._climb()
        asked = (self._loss and self._loss.retry_after) or 0.0
        if asked > LONGEST_WAIT:
            logger.warning("The server asks for a wait of %.0f s; %.0f s are waited", asked, LONGEST_WAIT)
        return max(delay, min(asked, LONGEST_WAIT))

    def _climb(self) -> float:
        """The delay at the present step of the last loss's ladder, and a step up on it."""
        config = self._config
        if config.backoff is None:
            name = "the only one"
            ladder = Backoff(config.initial_backoff, config.backoff_multiplier, config.max_backoff)
        else:
            name = config.backoff.name_for(self._loss)
            ladder = getattr(config.backoff, name).capped(config.max_backoff)
        delay = ladder.delay(self._steps[name], self._rng if config.jitter else None)
        self._steps[name] += 1
        return delay

    def _exhaustion(self) -> RetriesExhausted:
        spent, loss = f"Max retries exceeded after {self.state.retry_count} attempts", self._loss
        if loss is None:
            return RetriesExhausted(
                f"{spent}. The server had ended the last connection in good order",
                StreamErrorType.FATAL_ERROR,
            )
        failure = RetriesExhausted(
            f"{spent}. Last error: {loss}",
            StreamErrorType.FATAL_ERROR,
            loss.original_exception,
            loss.status_code,
            loss.response_body,
            problem=loss.problem,
            retry_after=loss.retry_after,
        )
        failure.__cause__ = loss
        return failure

    # Notifications: who is told?

    def _announce(self, row: Row, event: EventData) -> None:
        change = self._change(row, event)
        if row.internal and not row.notify:
            logger.debug("%s", change)
            return
        logger.log(logging.ERROR if row.dest is FINAL else logging.INFO, "%s", change)
        self.history.append(change)
        interrupts: list[BaseException] = []
        for name, arguments in self._calls(row, change):
            try:
                self.callbacks.call(name, *arguments)
            except BaseException as interrupt:  # noqa: BLE001 - the row's other callbacks are told first
                interrupts.append(interrupt)
        if interrupts:
            raise interrupts[0]

    def _change(self, row: Row, event: EventData) -> Transition:
        announced = row.trigger is Trigger.RETRY and row.internal
        return Transition(
            source=row.source,
            dest=row.dest,
            trigger=row.trigger,
            reason=row.reason,
            at=event.kwargs["at"],
            attempt=self.state.retry_count if announced else None,
            delay=self.state.current_backoff if announced else None,
            error=self.failure if row.dest is FINAL else event.kwargs["error"],
        )

    def _calls(self, row: Row, change: Transition) -> Iterator[tuple[str, tuple[Any, ...]]]:
        yield "on_state_change", (change,)
        error = change.error
        arguments: dict[str, tuple[Any, ...]] = {
            "on_connect": (),
            "on_error": (error,),
            "on_disconnect": (error and (error.original_exception or error),),
            "on_reconnect": (change.attempt, change.delay),
        }
        for name in row.notify:
            yield name, arguments[name]
