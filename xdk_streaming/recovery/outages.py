"""Outages, measured: how far everything has been received, what to ask for, what remains.

Knows times and no socket. The driver tells it when it was up to date, when a connection opened and
when it was lost.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable
from typing import Any

from xdk_streaming.config import Recovery
from xdk_streaming.errors import StreamError
from xdk_streaming.gap import Gap, Reason, Span

MINUTE = 60.0
BEHIND = 5.0
"""Seconds behind, at a loss, from which it was the consumer's slowness that lost what waited."""
SLOW = frozenset({"SlowReader", "FullBuffer"})
"""How X names a reader that it cuts off for its slowness."""
SNOWFLAKE_EPOCH = 1_288_834_974_657
"""Milliseconds of Unix time at which X's ids begin (docs.x.com/resources/fundamentals/x-ids)."""


class Outages:
    """What one stream has received, in time, and what it has missed. All times are Unix seconds.

    `reached` is the moment up to which everything has come. While a backfill is under way it stands
    still, so that another loss asks for all of it again: X marks no backfill's end. That it is over
    shows in an item that was published after the connection had opened.
    """

    def __init__(self, recovery: Recovery | None, refill: Callable[[Span], Any] | None = None) -> None:
        self.reached: float | None = None
        self._most_minutes = 0 if recovery is None else recovery.most_minutes
        self._refill = refill
        self._lost_at: float | None = None
        self._pending: float | None = None
        self._asked: int | None = None
        self._slow = False

    @property
    def pending(self) -> bool:
        """Whether a backfill is under way."""
        return self._pending is not None

    def resume_from(self, received_at: float) -> float:
        """From when on a restart has to ask, where what was received then is the last that was delivered."""
        return received_at if self._pending is None or self.reached is None else self.reached

    def resume(self, received_at: float | None) -> None:
        """What an earlier process delivered last was received then; None for nothing."""
        self.reached = self._lost_at = received_at

    def minutes(self, now: float, *, wanted: bool) -> int | None:
        """What to ask for at this attempt; None for nothing."""
        self._asked = None
        if wanted and self.reached is not None:
            whole = math.ceil((now - self.reached) / MINUTE)
            self._asked = min(max(whole, 1), self._most_minutes)
        return self._asked

    def behind(self, now: float) -> float:
        """Seconds since all that had come was read."""
        return 0.0 if self._lost_at is None else now - self._lost_at

    def up_to_date(self, at: float) -> None:
        """All that had come by then was read."""
        self._lost_at = at
        if self._pending is None:
            self.reached = at

    def delivered(self, moment: float | None, *, lasting: bool) -> None:
        """An item came while a backfill is under way, published then: one of the live part ends it.

        Items that bear no date end it once the connection is `lasting`.
        """
        live = lasting if moment is None else self._pending is not None and moment >= self._pending
        if live:
            self.complete()

    def complete(self) -> None:
        """The backfill is over, by whatever shows it."""
        if self._pending is not None:
            self._pending = None
            self.reached = self._lost_at

    def lost(self, error: StreamError | None, last_byte_at: float | None) -> None:
        """The connection is lost, for this reason; the last byte was received then."""
        behind = last_byte_at is not None and self._lost_at is not None and last_byte_at - self._lost_at
        issue = error.problem.issue if error is not None and error.problem is not None else ""
        self._slow = bool(behind and behind > BEHIND) or issue in SLOW

    def over(self, now: float, *, refused: bool = False) -> Gap | None:
        """A connection has opened: what was missed before it; None for the first, before which nothing was.

        `refused` where X has refused to backfill.
        """
        lost_at, reached, asked = self._lost_at, self.reached, self._asked
        self._lost_at = now
        if lost_at is None or reached is None:
            self.reached = now
            return None
        start = now if asked is None else max(reached, now - asked * MINUTE)
        covered = None if asked is None else (start, now)
        uncovered = (reached, start) if start > reached else None
        if asked is None:
            self.reached = now
        else:
            self._pending = now
            self.reached = start
        why = None if uncovered is None else self._why(asked, refused=refused)
        return Gap(lost_at, now, covered, uncovered, why, refill=self._refill)

    def unproven(self, span: Span, now: float) -> Gap:
        """What may be missing of a bounded request."""
        return Gap(now, now, None, span, "unproven end", refill=self._refill)

    def _why(self, asked: int | None, *, refused: bool) -> Reason:
        if self._slow:
            return "slow reader"
        if refused:
            return "not entitled"
        return "not asked" if asked is None else "too long"


def published(key: Hashable) -> float | None:
    """When the post of this id was published; None where the key is no such id."""
    text = str(key) if isinstance(key, (str, int)) else ""
    if not text.isascii() or not text.isdigit() or len(text) < 15:
        return None
    return ((int(text) >> 22) + SNOWFLAKE_EPOCH) / 1e3
