"""What was missed: an outage in time, and how much of it a backfill brought back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

Span = tuple[float, float]
"""From, to, in Unix seconds."""
Refill = Callable[[Span], Any]
"""From the uncovered span of a gap to a stream of it."""
Reason = Literal["not asked", "not entitled", "too long", "slow reader", "dropped", "unproven end"]


@dataclass(frozen=True)
class Gap:
    """One outage, told when it is over. All times are Unix seconds by this machine's clock.

    `why` something remains uncovered: no backfill was configured ("not asked"), X refused it
    ("not entitled"), the outage was longer than X brings back ("too long"), X cut us off because
    the consumer was slow and threw away what waited ("slow reader"), our own buffer dropped items
    ("dropped"), or the end of a bounded request could not be told from a break ("unproven end").
    """

    lost_at: float
    """When the last byte before it was received; earlier where older bytes may have been lost with it."""
    back_at: float
    """When the next connection opened."""
    covered: Span | None = None
    """What the backfill covers that was asked for."""
    uncovered: Span | None = None
    """What remains."""
    why: Reason | None = None
    dropped_items: int = 0
    """Items that the buffer dropped, where it did."""
    refill: Refill | None = field(default=None, repr=False, compare=False)

    @property
    def seconds(self) -> float:
        """Of what remains uncovered."""
        return 0.0 if self.uncovered is None else self.uncovered[1] - self.uncovered[0]

    def stream(self) -> Any:
        """A `Stream` of what remains uncovered, bounded by start and end time; it ends when all has come.

        Iterate it where and when you like: it has a connection of its own, and connects when its
        first item is asked for. X serves 24 hours back, to those entitled to it, and counts time in
        whole seconds: the bounds are rounded outwards, so that some items may come a second time
        (docs.x.com/x-api/fundamentals/recovery-and-redundancy). Raises `ValueError` where nothing
        is uncovered.
        """
        if self.uncovered is None or self.refill is None:
            raise ValueError("Nothing of this gap is uncovered: there is nothing to stream")
        return self.refill(self.uncovered)
