"""The facts that retrying depends on, as one frozen value. Each event makes a new value from the old one.

The value holds the attempts counted, the step of each ladder, the last loss, and whether the next attempt may
follow at once. It holds no clock, no random numbers, and no state of the connection.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from xdk_streaming.backoff import Backoff
from xdk_streaming.config import StreamConfig
from xdk_streaming.errors import RetriesExhausted, StreamError, StreamErrorType
from xdk_streaming.retry_policy import RetryPolicy

MAX_REQUESTED_DELAY = 3600.0
"""Seconds that a server can make the client wait, at most."""
THE_ONLY_LADDER = "the only one"
"""The name of the ladder if the settings give no policy."""


@dataclass(frozen=True)
class Retries:
    """The state of a stream's retrying."""

    count: int = 0
    """Attempts since the last progress, against `max_retries`."""
    steps: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    """The step of each ladder, by the ladder's name, counted since the last connection that settled."""
    loss: StreamError | None = None
    """The error of the last loss or refusal; None after a clean end."""
    settled: bool = False
    """Whether the open connection has settled: its loss then counts as the first."""
    at_once: bool = False
    """Whether the next attempt needs no delay of ours."""
    amended: bool = False
    """Whether the next attempt replaces one that failed because of a parameter. It is then always allowed."""
    at_top: bool = False
    """Whether the ladder gave its longest delay for the attempt that was announced last."""
    delay: float | None = None
    """Seconds until the attempt that was announced; None if no attempt is announced."""
    has_run: bool = False
    """Whether a stream was open before, and was one of X's."""
    renewals: int = 0
    """How often X was asked anew with another credential, since a stream was open."""
    intercepted_since: float | None = None
    """When the first of the last losses came that are all `intercepted`, in monotonic seconds; None if the
    last loss is not."""

    def after_opening(self) -> Retries:
        """A stream is open, so the credential was accepted."""
        return replace(self, renewals=0)

    def after_progress(self) -> Retries:
        """Data came: the budget is whole again."""
        return replace(self, count=0, has_run=True, intercepted_since=None)

    def after_settling(self) -> Retries:
        """The connection has settled: the budget is whole again, and all ladders start at the first step."""
        return replace(self.after_progress(), steps=MappingProxyType({}), settled=True)

    def after_loss(self, error: StreamError | None, *, opened: bool = False, now: float = 0.0) -> Retries:
        """A connection or an attempt failed with this error, or ended cleanly. `now` is monotonic.

        `opened` says whether a connection was open.

        X accepts an immediate return after X itself ended a settled connection. After a reset or a stall X
        still holds the slot for a while (github.com/plhery/node-twitter-api-v2/issues/92).
        """
        dismissed = error is None or error.problem_kind == "operational-disconnect"
        intercepted = error is not None and error.intercepted
        return replace(
            self,
            loss=error,
            at_once=self.settled and dismissed,
            settled=False,
            delay=None,
            has_run=self.has_run or (opened and not intercepted),
            intercepted_since=self._since(now) if intercepted else None,
        )

    def after_renewal(self) -> Retries:
        """The credential was refused, and there is another one: the next attempt needs no delay."""
        return replace(self, renewals=self.renewals + 1, at_once=True)

    def is_final(self, error: StreamError, now: float, policy: RetryPolicy) -> bool:
        """Whether the stream ends with this error, at this monotonic time."""
        if self.has_run and error.intercepted:
            return now - self._since(now) >= policy.patience
        return policy.is_final(error)

    def _since(self, now: float) -> float:
        return now if self.intercepted_since is None else self.intercepted_since

    def after_amending(self, error: StreamError | None) -> Retries:
        """A parameter was refused: the failed attempt does not count, and the next one needs no delay."""
        return replace(self.after_loss(error), count=max(0, self.count - 1), at_once=True, amended=True)

    def exhausted(self, max_retries: int) -> bool:
        """Whether no attempt is left. A negative limit allows any number of attempts."""
        return not self.amended and 0 <= max_retries <= self.count

    def planned(self, config: StreamConfig, rng: Callable[[], float]) -> Retries:
        """The next attempt is counted, and its delay is the longer of the ladder's and the server's."""
        delay, steps, at_top = 0.0, self.steps, False
        if not self.at_once:
            name, ladder = _ladder(config, self.loss)
            step = steps.get(name, 0)
            delay, at_top = ladder.delay(step, rng if config.jitter else None), ladder.is_top(step)
            steps = MappingProxyType({**steps, name: step + 1})
        return replace(
            self,
            count=self.count + 1,
            steps=steps,
            at_top=at_top,
            at_once=False,
            amended=False,
            delay=max(delay, min(self.requested_delay, MAX_REQUESTED_DELAY)),
        )

    def exhaustion(self) -> RetriesExhausted:
        """The error to end with when no attempt is left."""
        spent, loss = f"Max retries exceeded after {self.count} attempts", self.loss
        if loss is None:
            return RetriesExhausted(
                f"{spent}. The server had ended the last connection cleanly", StreamErrorType.FATAL_ERROR
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

    @property
    def requested_delay(self) -> float:
        """Seconds that the server asked the client to wait, with the last loss; 0 if it did not ask."""
        return (self.loss and self.loss.retry_after) or 0.0


def _ladder(config: StreamConfig, loss: StreamError | None) -> tuple[str, Backoff]:
    """The ladder for a loss, and its name."""
    if config.backoff is None:
        return THE_ONLY_LADDER, Backoff(config.initial_backoff, config.backoff_multiplier, config.max_backoff)
    name = config.backoff.name_for(loss)
    ladder: Backoff = getattr(config.backoff, name)
    return name, ladder.capped(config.max_backoff)
