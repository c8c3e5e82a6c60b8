"""Gaps, measured: how far everything has been received, what to ask for, what remains.

Knows times and no socket. The driver tells it when it was up to date, when a connection opened and
when it was lost.
"""

from __future__ import annotations

import math

from xdk_streaming.config import Recovery
from xdk_streaming.errors import StreamError
from xdk_streaming.gap import Gap, Reason, Refill, Span

MINUTE = 60.0
BEHIND_SECONDS = 5.0
"""Seconds behind, at a loss, from which it was the consumer's slowness that lost what waited."""
MAX_ITEM_AGE = 600.0
"""Seconds after its publication beyond which no item comes: an older id is that of something in it."""
SLOW_READER_ISSUES = frozenset({"SlowReader", "FullBuffer"})
"""How X names a reader that it cuts off for its slowness."""


class Gaps:
    """What one stream has received, in time, and what it has missed. All times are Unix seconds.

    `reached` is the moment up to which everything has come: when all was read that had come, but not
    after the publication of the last item of it. What was sent before may still be on its way, or wait
    at the server for a client that was slow. While a backfill is under way `reached` stands still, so
    that another loss asks for all of it again: X marks no backfill's end. That it is over shows in an
    item that was published after the connection had opened.
    """

    def __init__(self, recovery: Recovery | None, refill: Refill | None = None) -> None:
        self.reached: float | None = None
        self._max_minutes = 0 if recovery is None else recovery.max_minutes
        self._refill = refill
        self._drained_at: float | None = None
        self._sure_to: float | None = None
        self.pending_since: float | None = None
        """When the connection opened whose backfill is under way, in Unix seconds; None if none is."""
        self._asked: int | None = None
        self._slow = False

    def resume_from(self) -> float | None:
        """From when on a restart has to ask, while items of the last read are being delivered."""
        return self._sure_to if self.pending_since is None else self.reached

    def resume(self, received_at: float | None) -> None:
        """What an earlier process delivered last was received then; None for nothing."""
        self.reached = self._drained_at = self._sure_to = received_at

    def minutes(self, now: float, *, wanted: bool) -> int | None:
        """What to ask for at this attempt; None for nothing."""
        self._asked = None
        if wanted and self.reached is not None:
            whole = math.ceil((now - self.reached) / MINUTE)
            self._asked = min(max(whole, 1), self._max_minutes)
        return self._asked

    def up_to_date(self, at: float, moment: float | None = None) -> None:
        """All that had come by then was read, an item published at `moment` last, if that is known."""
        self._drained_at = at
        self._sure_to = at if moment is None or moment < at - MAX_ITEM_AGE else min(at, moment)
        if self.pending_since is None:
            self.reached = self._sure_to

    def delivered(self, moment: float | None, *, lasting: bool) -> None:
        """An item came while a backfill is under way, published then: one of the live part ends the backfill.

        Items that bear no date end it once the connection is `lasting`.
        """
        assert self.pending_since is not None
        if lasting if moment is None else moment >= self.pending_since:
            self.complete()

    def complete(self) -> None:
        """The backfill that is under way is over, by whatever shows it."""
        self.pending_since = None
        self.reached = self._sure_to

    def lost(self, error: StreamError | None, last_byte_at: float | None) -> None:
        """The connection is lost, for this reason; the last byte was received then."""
        drained_at = self._drained_at
        behind = 0.0 if last_byte_at is None or drained_at is None else last_byte_at - drained_at
        issue = error.problem.issue if error is not None and error.problem is not None else ""
        self._slow = behind > BEHIND_SECONDS or issue in SLOW_READER_ISSUES

    def over(self, now: float, *, refused: bool = False) -> Gap | None:
        """A connection has opened: what was missed before it; None for the first, before which nothing was.

        `refused` where X has refused to backfill.
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
        """What may be missing of a bounded request."""
        return Gap(now, now, None, span, "unproven end", refill=self._refill)

    def _why(self, asked: int | None, *, refused: bool) -> Reason:
        if self._slow:
            return "slow reader"
        if refused:
            return "not entitled"
        return "not asked" if asked is None else "too long"
