"""Measures gaps: up to when everything was received, what to ask for, and what remains uncovered.

Knows times and no socket. The tracker reports when everything was read, when a connection opened and when a
connection was lost.

All is measured by the monotonic clock, so a wall clock that steps changes no duration. Unix seconds are made
only for what leaves this file, with the true time that the last answer showed.
"""

from __future__ import annotations

import math

from xdk_streaming.config import Recovery
from xdk_streaming.errors import StreamError
from xdk_streaming.gap import Gap, Reason, Refill, Span
from xdk_streaming.log import logger
from xdk_streaming.recovery.true_time import TrueTime

MINUTE = 60.0
BEHIND_SECONDS = 5.0
"""If reading was further behind at a loss, in seconds, the consumer's slowness lost the items that waited."""
MAX_ITEM_AGE = 600.0
"""Seconds from an item's publication to its arrival, at most. An older id is that of a part of the item."""
MAX_AHEAD = 2.0
"""Seconds by which a checkpoint may be ahead of the true time: one server's clock is not another's."""
SLOW_READER_ISSUES = frozenset({"SlowReader", "FullBuffer"})
"""X's words for the disconnection of a reader that is too slow."""


class Gaps:
    """The spans of time that one stream has received and missed. For one thread.

    All times are seconds of the monotonic clock, unless they are called Unix seconds.

    `reached` is the moment up to which everything was received. It is the moment at which all arrived bytes
    had been read, or the publication of the last item if that is earlier. The reason is that an older item
    may still be on its way, or wait at the server for a slow client. While a backfill is under way, `reached`
    does not move, so that another loss asks for the whole backfill again. X does not mark the end of a
    backfill. An item that was published after the connection opened shows that the backfill is over.
    """

    def __init__(self, recovery: Recovery | None, time: TrueTime, refill: Refill | None = None) -> None:
        self.reached: float | None = None
        self._max_minutes = 0 if recovery is None else recovery.max_minutes
        self._time = time
        self._refill = refill
        self._drained_at: float | None = None
        self._sure_to: float | None = None
        self.pending_since: float | None = None
        """When the connection with the present backfill opened; None if no backfill is under way."""
        self._asked: int | None = None
        self._slow = False
        self._resumed: float | None = None

    def resume_from(self) -> float | None:
        """The moment from which a restart has to ask, while items of the last read are being delivered."""
        return self._sure_to if self.pending_since is None else self.reached

    def resume(self, received_at: float | None) -> None:
        """Continue after an earlier process that received its last delivered item then, in Unix seconds.

        None if there was no item. The local clock may be wrong, so this moment has no place on the monotonic
        clock until an answer has shown the true time.
        """
        self._resumed = received_at

    def minutes(self, now: float, *, wanted: bool) -> int | None:
        """Minutes of backfill to ask for at this attempt; None to ask for none.

        A local clock that is behind the checkpoint is wrong, and says nothing of the outage: the most is
        asked for.
        """
        self._asked = None
        since = self.reached if self._resumed is None else self._time.monotonic(self._resumed)
        if wanted and since is not None:
            whole = math.ceil((now - since) / MINUTE) if since <= now else self._max_minutes
            self._asked = min(max(whole, 1), self._max_minutes)
        return self._asked

    def up_to_date(self, at: float, published: float | None = None) -> None:
        """Everything that had arrived at `at` was read.

        The last item was published at `published`, in Unix seconds by X's clock, if known.
        """
        moment = at if published is None else self._time.monotonic(published)
        self._drained_at = at
        self._sure_to = at if moment < at - MAX_ITEM_AGE else min(at, moment)
        if self.pending_since is None:
            self.reached = self._sure_to

    def delivered(self, published: float | None, *, lasting: bool) -> None:
        """An item was delivered while a backfill is under way. `published` is in Unix seconds by X's clock.

        An item published after the connection opened ends the backfill. If items have no date, the backfill
        ends once the connection is `lasting`.
        """
        assert self.pending_since is not None
        if lasting if published is None else self._time.monotonic(published) >= self.pending_since:
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

    def reconnected(self, now: float, date: float | None, *, refused: bool = False) -> Gap | None:
        """A connection opened at `now`. Returns the gap before it; None if it is the first connection.

        `date` is the answer's `Date` in Unix seconds, if there is one. `refused` says that X has refused the
        backfill.
        """
        resumed, self._resumed = self._resumed, None
        missed = self._time.answered(now, date, after=resumed)
        if resumed is None:
            self._put_back(missed)
        elif resumed > self._time.latest(now) + MAX_AHEAD:
            return self._unknown(resumed, now)
        else:
            self._put_at(min(now, self._time.monotonic(resumed)))
        lost_at, reached, asked = self._drained_at, self.reached, self._asked
        self._drained_at = self._sure_to = now
        if lost_at is None or reached is None:
            self.reached = now
            return None
        start = now if asked is None else max(reached, now - asked * MINUTE)
        self._begin_at(start, now)
        earliest, latest = self._time.earliest, self._time.latest
        # A checkpoint's moment is the true one, however uncertain its place on the monotonic clock is.
        lost, missing = (earliest(lost_at), earliest(reached)) if resumed is None else (resumed, resumed)
        begun, back_at = latest(start) if start > reached else missing, max(lost, latest(now))
        covered = None if asked is None else (begun, back_at)
        if start == reached:
            return Gap(lost, back_at, covered, refill=self._refill)
        why = self._why(asked, refused=refused)
        return Gap(lost, back_at, covered, (missing, begun), why, refill=self._refill)

    def unproven(self, span: Span, now: float) -> Gap:
        """The gap for the span, in Unix seconds, of a bounded request that may be missing."""
        at = self._time.latest(now)
        return Gap(at, at, None, span, "unproven end", refill=self._refill)

    def _unknown(self, resumed: float, now: float) -> Gap:
        """The gap after a checkpoint that is ahead of every clock: nobody knows how long the outage was."""
        logger.warning(
            "The position to go on from is %.0f s ahead of this machine's clock, and no date of the server's "
            "explains it. How long no stream ran is unknown, so items may be missing; check the clock",
            resumed - self._time.latest(now),
        )
        self._drained_at = self._sure_to = now
        self._begin_at(now if self._asked is None else now - self._asked * MINUTE, now)
        moment = resumed, resumed
        covered = None if self._asked is None else moment
        return Gap(resumed, resumed, covered, moment, "unknown length", refill=self._refill)

    def _begin_at(self, start: float, now: float) -> None:
        """What is older than `start` will not come: a connection opened, with a backfill or without."""
        self.reached = start
        self.pending_since = None if self._asked is None else now

    def _put_at(self, moment: float) -> None:
        self.reached = self._drained_at = self._sure_to = moment

    def _put_back(self, seconds: float) -> None:
        """Move what happened before the outage back, for the seconds that the monotonic clock missed."""
        if self.reached is not None and self._drained_at is not None:
            self.reached -= seconds
            self._drained_at -= seconds

    def _why(self, asked: int | None, *, refused: bool) -> Reason:
        if self._slow:
            return "slow reader"
        if refused:
            return "not entitled"
        return "not asked" if asked is None else "too long"
