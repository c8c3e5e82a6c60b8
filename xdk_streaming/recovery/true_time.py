"""The true time, by evidence: what the monotonic clock is worth in Unix seconds.

Durations are measured by the monotonic clock alone. Unix seconds are needed to report an outage, to go on
from a checkpoint, and beside the publication times of posts. A local wall clock may step, and may be wrong at
boot; the `Date` of a server's answer shows whether it is right.
"""

from __future__ import annotations

from typing import NamedTuple

from xdk_streaming.clock import Clock

DATE_RESOLUTION = 1.0
"""Seconds: a `Date` gives whole ones, rounded down (RFC 9110 section 5.6.7)."""
MAX_DISAGREEMENT = 60.0
"""Seconds between two servers' clocks, at most. A `Date` that is further back is an old answer's."""


class Offset(NamedTuple):
    """Unix seconds minus monotonic seconds: the true value lies between these two."""

    low: float
    high: float

    def allows(self, offset: float) -> bool:
        """Whether this may be the true value."""
        return self.low <= offset <= self.high


class TrueTime:
    """Turns moments of the monotonic clock into Unix seconds, and back. For one thread.

    A server writes the `Date` after the request was sent and before the answer came: this bounds the true
    time from both sides. The local wall clock counts if it lies between the bounds, and if there is no
    `Date`. Otherwise `earliest` and `latest` differ by the uncertainty: a second, and the seconds that the
    answer took.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._sent_at = clock.monotonic()
        self._offset = self._local()
        self._dated = False
        self._begun = False

    def now(self) -> float:
        """Seconds of the monotonic clock."""
        return self._clock.monotonic()

    def sending(self) -> None:
        """A request is about to be sent."""
        self._sent_at = self._clock.monotonic()
        if not self._begun:
            self._offset = self._local()

    def answered(self, received: float, date: float | None, *, after: float | None = None) -> float:
        """An answer came at `received`, and its `Date` says `date`, in Unix seconds; None if it says nothing.

        `after` is a moment, in Unix seconds, that is known to have passed. Returns the seconds that the
        monotonic clock has missed since the last answer, for example while a hypervisor paused its guest.
        """
        before, local = self._offset, self._local()
        if date is not None and after is not None and date + DATE_RESOLUTION < after <= received + local.low:
            date = None  # two witnesses against one
        if date is not None:
            shown = Offset(date - received, date + DATE_RESOLUTION - self._sent_at)
            self._offset = self._weighed(shown, local)
        elif not self._dated:
            self._offset = local
        missed = self._offset.low - before.high if self._begun and date is not None else 0.0
        self._dated = self._dated or date is not None
        self._begun = True
        return max(0.0, missed)

    def earliest(self, moment: float) -> float:
        """A moment of the monotonic clock in Unix seconds, at the earliest."""
        return moment + self._offset.low

    def latest(self, moment: float) -> float:
        """A moment of the monotonic clock in Unix seconds, at the latest."""
        return moment + self._offset.high

    def monotonic(self, unix: float) -> float:
        """A moment in Unix seconds by the monotonic clock, at the earliest."""
        return unix - self._offset.high

    def _weighed(self, shown: Offset, local: Offset) -> Offset:
        """The offset, from what a `Date` shows, the local clock, and what earlier dates have shown."""
        known = self._offset if self._dated else shown
        both = Offset(max(known.low, shown.low), min(known.high, shown.high))
        if both.low <= both.high:
            return local if both.allows(local.low) else both
        if shown.allows(local.low):
            return local
        if known.high < shown.low:
            return shown
        if known.low > shown.high + MAX_DISAGREEMENT:
            return known
        return Offset(shown.low, known.high)  # which of the two servers' clocks is right is unknown

    def _local(self) -> Offset:
        offset = self._clock.time() - self._clock.monotonic()
        return Offset(offset, offset)
