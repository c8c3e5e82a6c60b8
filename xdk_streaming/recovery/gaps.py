"""Measures gaps: up to when everything was received, what to ask for, and what remains uncovered.

Knows times and no socket. The tracker reports when everything was read, when a connection opened and when a
connection was lost.
"""

from __future__ import annotations

import math

from xdk_streaming.config import Recovery
from xdk_streaming.errors import StreamError
from xdk_streaming.gap import Gap, Reason, Refill, Span

MINUTE = 60.0
BEHIND_SECONDS = 5.0
"""If reading was further behind at a loss, in seconds, the consumer's slowness lost the items that waited."""
MAX_ITEM_AGE = 600.0
"""Seconds from an item's publication to its arrival, at most. An older id is that of a part of the item."""
SLOW_READER_ISSUES = frozenset({"SlowReader", "FullBuffer"})
"""X's words for the disconnection of a reader that is too slow."""


class Gaps:
    """The spans of time that one stream has received and missed. For one thread.

    All times are Unix seconds: of this machine's wall clock for arrivals, of X's clock for publication times.

    `reached` is the moment up to which everything was received. It is the moment at which all arrived bytes
    had been read, or the publication of the last item if that is earlier. The reason is that an older item
    may still be on its way, or wait at the server for a slow client. While a backfill is under way, `reached`
    does not move, so that another loss asks for the whole backfill again. X does not mark the end of a
    backfill. An item that was published after the connection opened shows that the backfill is over.
    """

    def __init__(self, recovery: Recovery | None, refill: Refill | None = None) -> None:
        self.reached: float | None = None
        self._max_minutes = 0 if recovery is None else recovery.max_minutes
        self._refill = refill
        self._drained_at: float | None = None
        self._sure_to: float | None = None
        self.pending_since: float | None = None
        """When the connection with the present backfill opened; None if no backfill is under way."""
        self._asked: int | None = None
        self._slow = False

    def resume_from(self) -> float | None:
        """The moment from which a restart has to ask, while items of the last read are being delivered."""
        return self._sure_to if self.pending_since is None else self.reached

    def resume(self, received_at: float | None) -> None:
        """Continue after an earlier process that received its last delivered item then; None for no item."""
        self.reached = self._drained_at = self._sure_to = received_at

    def minutes(self, now: float, *, wanted: bool) -> int | None:
        """Minutes of backfill to ask for at this attempt; None to ask for none."""
        self._asked = None
        if wanted and self.reached is not None:
            whole = math.ceil((now - self.reached) / MINUTE)
            self._asked = min(max(whole, 1), self._max_minutes)
        return self._asked

    def up_to_date(self, at: float, moment: float | None = None) -> None:
        """Everything that had arrived at `at` was read. The last item was published at `moment`, if known."""
        self._drained_at = at
        self._sure_to = at if moment is None or moment < at - MAX_ITEM_AGE else min(at, moment)
        if self.pending_since is None:
            self.reached = self._sure_to

    def delivered(self, moment: float | None, *, lasting: bool) -> None:
        """An item, published at `moment`, was delivered while a backfill is under way.

        An item published after the connection opened ends the backfill. If items have no date, the backfill
        ends once the connection is `lasting`.
        """
        assert self.pending_since is not None
        if lasting if moment is None else moment >= self.pending_since:
            self.complete()

    def complete(self) -> None:
        """The present backfill is over."""
        self.pending_since = None
        self.reached = self._sure_to

    def lost(self, error: StreamError | None, last_byte_at: float | None) -> None:
        """The connection was lost to this error, or ended cleanly. The last byte came at `last_byte_at`."""
        drained_at = self._drained_at
        behind = 0.0 if last_byte_at is None or drained_at is None else last_byte_at - drained_at
        issue = error.problem.issue if error is not None and error.problem is not None else ""
        self._slow = behind > BEHIND_SECONDS or issue in SLOW_READER_ISSUES

    def reconnected(self, now: float, *, refused: bool = False) -> Gap | None:
        """A connection opened at `now`. Returns the gap before it; None if it is the first connection.

        `refused` says that X has refused the backfill.
        """
        lost_at, reached, asked = self._drained_at, self.reached, self._asked
        self._drained_at = self._sure_to = now
        if lost_at is None or reached is None:
            self.reached = now
            return None
        start = now if asked is None else max(reached, now - asked * MINUTE)
        covered = None if asked is None else (start, now)
        uncovered = (reached, start) if start > reached else None
        if asked is None:
            self.reached = now
        else:
            self.pending_since = now
            self.reached = start
        why = None if uncovered is None else self._why(asked, refused=refused)
        return Gap(lost_at, now, covered, uncovered, why, refill=self._refill)

    def unproven(self, span: Span, now: float) -> Gap:
        """The gap for the span of a bounded request that may be missing."""
        return Gap(now, now, None, span, "unproven end", refill=self._refill)

    def _why(self, asked: int | None, *, refused: bool) -> Reason:
        if self._slow:
            return "slow reader"
        if refused:
            return "not entitled"
        return "not asked" if asked is None else "too long"
