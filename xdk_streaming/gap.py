"""The record of an outage: when it was, and which part of it a backfill covers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

Span = tuple[float, float]
"""Start and end, in Unix seconds."""
Refill = Callable[[Span], Any]
"""A function from the uncovered span of a gap to a stream of that span."""
Reason = Literal[
    "not asked", "not entitled", "too long", "slow reader", "dropped", "unproven end", "unknown length"
]
"""Why part of a gap is uncovered; `Gap` says what each reason means."""


@dataclass(frozen=True)
class Gap:
    """One outage, reported when it is over. All times are Unix seconds.

    An outage lasted at least what the monotonic clock says, which counts a suspended machine, and at least
    what the `Date` of the server's answers says. So a wall clock that steps in an outage changes no length,
    and `lost_at` is never later than `back_at`. The Unix seconds are those of this machine's wall clock if
    the `Date` of the answer agrees with this clock to a second, and those of the `Date` if not. The start of
    a span may also be when an item was published, by X's clock.

    `why` gives the reason if part of the outage remains uncovered:

    - "not asked": no backfill was configured.
    - "not entitled": X refused the backfill.
    - "too long": the outage was longer than the backfill.
    - "slow reader": X disconnected a consumer that was too slow, and discarded the items that waited for it.
    - "dropped": the stream's own buffer dropped items.
    - "unproven end": the end of a bounded request could not be distinguished from a break.
    - "unknown length": the checkpoint is ahead of this machine's clock, and the server gave no date. Both
      ends of the outage are then the checkpoint's last moment: items after this moment may be missing.
    """

    lost_at: float
    """When the last byte before the outage was received; earlier if older bytes may be lost, too."""
    back_at: float
    """When the next connection opened."""
    covered: Span | None = None
    """The span that the requested backfill covers; None if no backfill was requested."""
    uncovered: Span | None = None
    """The span that no backfill covers; None if nothing was missed."""
    why: Reason | None = None
    """Why that span is uncovered; None if there is no such span."""
    dropped_items: int = 0
    """Items that the buffer dropped."""
    refill: Refill | None = field(default=None, repr=False, compare=False)
    """The function behind `stream`; None if the stream offers none."""

    @property
    def seconds(self) -> float:
        """Length of the uncovered span, in seconds."""
        return 0.0 if self.uncovered is None else self.uncovered[1] - self.uncovered[0]

    def stream(self) -> Any:
        """A new stream of the uncovered span, of the same class; it ends when the whole span was delivered.

        Iterate it on any thread, at any time: it has a connection of its own, and connects when its first
        item is asked for. X goes back at most 24 hours, and only for apps with the entitlement. X counts time
        in whole seconds, so the bounds are rounded outwards and some items may be delivered a second time
        (docs.x.com/x-api/fundamentals/recovery-and-redundancy). Raises `ValueError` if no span is uncovered.
        """
        if self.uncovered is None or self.refill is None:
            raise ValueError("Nothing of this gap is uncovered: there is nothing to stream")
        return self.refill(self.uncovered)
