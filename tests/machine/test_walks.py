"""Random walks over the machine: whatever is fired at it, in any order, some things stay true."""

from __future__ import annotations

import copy
from itertools import pairwise
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from xdk_streaming.backoff import X_LADDERS, BackoffPolicy
from xdk_streaming.config import StreamConfig
from xdk_streaming.errors import Problem, StreamError, StreamErrorType
from xdk_streaming.machine.event import Event
from xdk_streaming.machine.machine import ConnectionMachine, IllegalEvent
from xdk_streaming.state import ConnectionState, StreamState, Transition, Trigger

FAULTS = {Trigger.REFUSED, Trigger.BROKE}

LIKELY = {
    ConnectionState.DISCONNECTED: [Trigger.START],
    ConnectionState.CONNECTING: [Trigger.OPENED, Trigger.REFUSED],
    ConnectionState.STREAMING: [
        *(Trigger.PROGRESSED, Trigger.SETTLED, Trigger.ENDED, Trigger.BROKE) * 2,
        Trigger.STOP,
    ],
    ConnectionState.BACKOFF: [Trigger.RETRY, Trigger.WAITED],
}

# Mostly such as pass: a fatal one ends the walk.
likely_types = st.sampled_from(
    [
        StreamErrorType.CONNECTION_ERROR,
        StreamErrorType.TIMEOUT,
        StreamErrorType.SERVER_ERROR,
        StreamErrorType.RATE_LIMITED,
        StreamErrorType.STREAM_INTERRUPTED,
        StreamErrorType.CLIENT_ERROR,
    ]
)
kinds = st.sampled_from(["operational-disconnect", "client-disconnected", None])


class Walk(RuleBasedStateMachine):
    """One machine and everything it ever said."""

    @initialize(
        max_retries=st.integers(-2, 4),
        initial_backoff=st.floats(0, 100),
        max_backoff=st.floats(0, 100),
        backoff=st.sampled_from([None, X_LADDERS]),
        jitter=st.booleans(),
        chance=st.floats(0, 1, exclude_max=True),
    )
    def begin(
        self,
        max_retries: int,
        initial_backoff: float,
        max_backoff: float,
        backoff: BackoffPolicy | None,
        jitter: bool,
        chance: float,
    ) -> None:
        self.connects = 0
        self.disconnects = 0
        self.fired = 0
        self.failed = False
        self.errors: list[StreamError] = []
        self.announced: list[tuple[int, float]] = []
        self.changes: list[Transition] = []
        self.config = StreamConfig(
            max_retries=max_retries,
            initial_backoff=initial_backoff,
            max_backoff=max_backoff,
            backoff=backoff,
            jitter=jitter,
            on_connect=self.connected,
            on_disconnect=self.disconnected,
            on_error=self.errors.append,
            on_reconnect=lambda attempt, delay: self.announced.append((attempt, delay)),
            on_state_change=self.changes.append,
        )
        self.state = StreamState()
        self.machine = ConnectionMachine(self.config, self.state, rng=lambda: chance)

    def connected(self) -> None:
        self.connects += 1

    def disconnected(self, reason: Exception | None) -> None:
        self.disconnects += 1

    # What happens.

    @rule(
        trigger=st.sampled_from(Trigger),
        error_type=st.sampled_from(StreamErrorType),
        kind=kinds,
        doubts=st.fixed_dictionaries(dict.fromkeys(("renewed", "demanded", "intercepted"), st.booleans())),
    )
    def anything_happens(
        self, trigger: Trigger, error_type: StreamErrorType, kind: str | None, doubts: dict[str, bool]
    ) -> None:
        before = self.facts()
        try:
            self.fire(trigger, error_type, kind, **doubts)
        except IllegalEvent:
            assert self.facts() == before

    @precondition(lambda self: self.machine.connection_state in LIKELY)
    @rule(choice=st.integers(0, 17), error_type=likely_types, kind=kinds)
    def something_likely_happens(self, choice: int, error_type: StreamErrorType, kind: str | None) -> None:
        likely = LIKELY[self.machine.connection_state]
        before = self.facts()
        try:
            self.fire(likely[choice % len(likely)], error_type, kind)
        except IllegalEvent:  # WAITED before that was planned, START for the second time
            assert self.facts() == before

    @precondition(lambda self: self.machine.connection_state is ConnectionState.BACKOFF)
    @rule()
    def it_is_retried(self) -> None:
        self.fire(Trigger.RETRY)
        if self.machine.connection_state is ConnectionState.BACKOFF:
            self.fire(Trigger.WAITED)

    def fire(
        self,
        trigger: Trigger,
        error_type: StreamErrorType = StreamErrorType.TIMEOUT,
        kind: str | None = None,
        *,
        intercepted: bool = False,
        renewed: bool = False,
        demanded: bool = False,
    ) -> None:
        problem = None if kind is None else Problem(kind, "A problem", "Of some kind.")
        error = None
        if trigger in FAULTS:
            error = StreamError("It broke.", error_type, problem=problem, intercepted=intercepted)
        at = float(self.fired)
        self.machine.fire(Event(trigger, error, at, monotonic=at, renewed=renewed, demanded=demanded))
        self.fired += 1

    def facts(self) -> dict[str, Any]:
        known = {**vars(self.machine), "connects": self.connects, "disconnects": self.disconnects}
        copied = {
            "state": copy.copy(self.state),
            "history": list(self.machine.history),
        }
        return {**known, **copied, "errors": len(self.errors), "announced": len(self.announced)}

    # What stays true.

    @invariant()
    def no_more_attempts_are_made_than_are_allowed(self) -> None:
        if self.config.max_retries >= 0:
            assert self.state.retry_count <= self.config.max_retries
            assert all(attempt <= self.config.max_retries for attempt, _ in self.announced)

    @invariant()
    def it_is_connected_exactly_while_it_streams(self) -> None:
        streaming = self.machine.connection_state is ConnectionState.STREAMING
        assert self.state.is_connected is streaming
        assert (self.state.connected_at is not None) is streaming

    @invariant()
    def there_is_one_connect_more_than_disconnects_exactly_while_it_streams(self) -> None:
        assert self.connects - self.disconnects == int(
            self.machine.connection_state is ConnectionState.STREAMING
        )

    @invariant()
    def the_reconnects_are_the_connects_but_the_first(self) -> None:
        assert self.state.reconnects == max(0, self.connects - 1)

    @invariant()
    def no_delay_is_negative_or_above_the_maximum(self) -> None:
        assert all(0 <= delay <= self.config.max_backoff for _, delay in self.announced)

    @invariant()
    def what_has_failed_stays_failed(self) -> None:
        self.failed = self.failed or self.machine.connection_state is ConnectionState.FAILED
        assert (self.machine.connection_state is ConnectionState.FAILED) is self.failed
        assert (self.machine.failure is not None) is self.failed

    @invariant()
    def it_starts_but_once(self) -> None:
        assert sum(change.trigger is Trigger.START for change in self.changes) <= 1

    @invariant()
    def no_error_is_told_twice(self) -> None:
        assert len({id(error) for error in self.errors}) == len(self.errors)

    @invariant()
    def each_change_begins_where_the_one_before_it_ended(self) -> None:
        changes = list(self.machine.history)
        assert changes == self.changes[-self.config.history :]
        assert all(before.dest is after.source for before, after in pairwise(changes))
        assert all(before.at < after.at for before, after in pairwise(changes))
        if self.changes:
            assert self.changes[0].source is ConnectionState.DISCONNECTED
            assert self.changes[-1].dest is self.machine.connection_state

    @invariant()
    def no_callback_raised(self) -> None:
        assert self.state.callback_errors == 0


TestWhateverHappens = Walk.TestCase
TestWhateverHappens.settings = settings(settings.get_profile("suite"), stateful_step_count=40)
