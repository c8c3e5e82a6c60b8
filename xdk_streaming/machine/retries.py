"""What retrying needs to know, as one frozen value: each fact about a connection makes a new one of it.

No clock, no chance of its own, no state of the connection: what is counted, where each ladder stands, what
was lost, and whether the next attempt may come at once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from xdk_streaming.backoff import Backoff
from xdk_streaming.config import StreamConfig
from xdk_streaming.errors import StreamError

MAX_REQUESTED_DELAY = 3600.0
"""Seconds that a server can make us stay away, at most."""
THE_ONLY_LADDER = "the only one"


@dataclass(frozen=True)
class Retries:
    """Where a stream stands in its retrying."""

    count: int = 0
    """Attempts since the last progress, against `max_retries`."""
    steps: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    """How far each ladder has been climbed since the last connection that settled, by its name."""
    loss: StreamError | None = None
    """What was lost or refused last; None after a clean end."""
    settled: bool = False
    """The connection that stands has lasted: its loss is a first one."""
    at_once: bool = False
    """The next attempt needs no wait of ours."""
    amended: bool = False
    """The next attempt replaces one that a parameter had spoiled, and is always allowed."""
    delay: float | None = None
    """Seconds until the attempt that has been announced; None while none has been."""

    def after_progress(self) -> Retries:
        """Data came: all attempts are to be had again."""
        return replace(self, count=0)

    def after_settling(self) -> Retries:
        """The connection has lasted, as if nothing had ever gone wrong."""
        return replace(self, count=0, steps=MappingProxyType({}), settled=True)

    def after_loss(self, error: StreamError | None) -> Retries:
        """A connection or an attempt was lost to this error, or ended cleanly.

        X accepts an immediate return after it ended a connection that stood; after a reset or a stall it
        still holds the slot for a while (github.com/plhery/node-twitter-api-v2/issues/92).
        """
        dismissed = error is None or error.problem_kind == "operational-disconnect"
        return replace(self, loss=error, at_once=self.settled and dismissed, settled=False, delay=None)

    def after_amending(self, error: StreamError | None) -> Retries:
        """A parameter was refused: the attempt that it spoiled does not count, and the next needs no wait."""
        return replace(self.after_loss(error), count=max(0, self.count - 1), at_once=True, amended=True)

    def exhausted(self, max_retries: int) -> bool:
        """Whether no attempt is left. A negative limit is none."""
        return not self.amended and 0 <= max_retries <= self.count

    def planned(self, config: StreamConfig, rng: Callable[[], float]) -> Retries:
        """The next attempt, counted, with its delay: the ladder's, or longer if the server asked for it."""
        delay, steps = 0.0, self.steps
        if not self.at_once:
            name, ladder = _ladder(config, self.loss)
            step = steps.get(name, 0)
            delay = ladder.delay(step, rng if config.jitter else None)
            steps = MappingProxyType({**steps, name: step + 1})
        return replace(
            self,
            count=self.count + 1,
            steps=steps,
            at_once=False,
            amended=False,
            delay=max(delay, min(self.requested_delay, MAX_REQUESTED_DELAY)),
        )

    @property
    def requested_delay(self) -> float:
        """Seconds that the server asked us to stay away, with the last loss."""
        return (self.loss and self.loss.retry_after) or 0.0


def _ladder(config: StreamConfig, loss: StreamError | None) -> tuple[str, Backoff]:
    """The ladder for a loss, and its name."""
    if config.backoff is None:
        return THE_ONLY_LADDER, Backoff(config.initial_backoff, config.backoff_multiplier, config.max_backoff)
    name = config.backoff.name_for(loss)
    ladder: Backoff = getattr(config.backoff, name)
    return name, ladder.capped(config.max_backoff)
