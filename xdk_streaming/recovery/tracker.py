"""What a stream remembers of what has come: for the driver, all of this room in one.

Decides nothing about the connection, and does no I/O but the checkpoint's.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from typing import Any

from xdk_streaming.config import Recovery
from xdk_streaming.errors import StreamError
from xdk_streaming.gap import Gap, Span
from xdk_streaming.recovery.bounds import Bounds
from xdk_streaming.recovery.checkpoint import Checkpoint
from xdk_streaming.recovery.dedupe import Dedupe, item_key
from xdk_streaming.recovery.gaps import Gaps, dated, published

HEARTBEATS = (b"", b"\r", None)
"""As lines without their LF; None where there was no line yet."""


class Tracker:
    """Gaps, the seam where connections meet, the checkpoint, and the bounds of the request.

    Times are Unix seconds, but for `turn`. For the driver's thread, but for `note`.
    """

    def __init__(self, recovery: Recovery | None, refill: Callable[[Span], Any] | None = None) -> None:
        self.seam = None if recovery is None else _seam(recovery)
        self.bounds: Bounds | None = None
        self.received_at = 0.0
        """No item at hand was sent before this."""
        self._recovery = recovery
        self._outages = Gaps(recovery, refill)
        self._checkpoint: Checkpoint | None = None
        self._newest: float | None = None
        self._dated = False

    @property
    def resume_from(self) -> float:
        """From when on a restart has to ask, where the item at hand is the last that was delivered."""
        moment = self._outages.resume_from()
        return self.received_at if moment is None else moment

    def open(self) -> None:
        """Take up where an earlier process stopped. Raises `StreamError` where that cannot be read."""
        if self._recovery is None or self._recovery.checkpoint is None or self.seam is None:
            return
        checkpoint = Checkpoint(
            self._recovery.checkpoint, window=self._recovery.window, most=2 * self._recovery.max_ids
        )
        delivered = checkpoint.load()
        self._checkpoint = checkpoint
        self._outages.resume(delivered.received_at)
        self.seam.restore(delivered.keys)

    @property
    def note(self) -> Callable[[Hashable, float], None] | None:
        """Where to tell of a delivered item, by its key and `resume_from`; None where nobody asks."""
        return None if self._checkpoint is None else self._checkpoint.note

    def params(self, now: float, withdrawn: str | None) -> dict[str, Any]:
        """What this attempt asks for besides."""
        if self.bounds is not None:
            return self.bounds.resumed(self._newest)
        name = self._recovery.parameter if self._recovery is not None else None
        minutes = self._outages.minutes(now, wanted=name not in (None, withdrawn))
        return {} if minutes is None or name is None else {name: minutes}

    def opened(self, now: float, params: Mapping[str, Any], *, refused: bool) -> Gap | None:
        """A connection has opened, which was asked for with these: the outage that it ends."""
        self.received_at = now
        self.bounds = self.bounds or Bounds.of(params)
        if self.bounds is None:
            return self._outages.over(now, refused=refused)
        if self.seam is None:
            self.seam = _seam(Recovery())
        return None

    def up_to_date(self, at: float, last_line: object) -> None:
        """All that had come by then has been read; this line, if there was one, as the last.

        Among items with dates, only they and heartbeats tell how far: a notice may overtake what waits.
        """
        moment = dated(last_line)
        if moment is None and self._dated and last_line not in HEARTBEATS:
            return
        self._dated = self._dated or moment is not None
        self._outages.up_to_date(at, moment)

    def came(self, *, lasting: bool) -> None:
        """The lines at hand are delivered: whether that was the end of a backfill, and how far it went.

        `lasting`: the connection stands long enough for a backfill that cannot be dated to be over.
        """
        if self.seam is None or (self.bounds is None and not self._outages.pending):
            return
        moment = published(self.seam.last_key)
        if moment is not None:
            self._newest = max(moment, self._newest or moment)
        self._outages.delivered(moment, lasting=lasting)

    def idle(self) -> None:
        """The server has nothing to send, as a heartbeat tells."""
        self._outages.complete()

    def lost(self, error: StreamError | None, last_byte_at: float | None) -> None:
        """The connection is lost, for this reason; the last byte was received then."""
        self._outages.lost(error, last_byte_at)

    def unproven(self, now: float) -> Gap | None:
        """What may be missing of a bounded request whose end may have been a break."""
        if self.bounds is None or self.bounds.end is None:
            return None
        start = self._newest or self.bounds.start or self.bounds.end
        return self._outages.unproven((min(start, self.bounds.end), self.bounds.end), now)

    def turn(self, now: float) -> None:
        """Once a read, by a clock that never jumps: forget what is old."""
        if self.seam is not None:
            self.seam.turn(now)

    def close(self) -> None:
        """Have everything delivered on disk."""
        if self._checkpoint is not None:
            self._checkpoint.close()
            self._checkpoint = None


def _seam(recovery: Recovery) -> Dedupe:
    return Dedupe(recovery.key or item_key, window=recovery.window, most=recovery.max_ids)
