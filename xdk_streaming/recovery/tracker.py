"""What a stream has received, what it has missed, and what was delivered: the door of this room.

Decides nothing about the connection, and does no I/O but the checkpoint's. In what order the facts of a
read are noted inside is the tracker's own affair.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from xdk_streaming import x
from xdk_streaming.config import Recovery
from xdk_streaming.errors import StreamError
from xdk_streaming.gap import Gap, Refill
from xdk_streaming.recovery.bounds import Bounds
from xdk_streaming.recovery.checkpoint import Checkpoint
from xdk_streaming.recovery.dedupe import Dedupe, item_key
from xdk_streaming.recovery.gaps import Gaps

HEARTBEAT_LINES = (x.HEARTBEAT_LINE.removesuffix(b"\n"), b"", b"{}", b"{}\r")
"""As lines without their LF: X's own, and what the SDK takes for one as well."""


class Position(NamedTuple):
    """Up to where a stream has come with the item it accepted last."""

    key: Hashable
    """The item's key; None if it has none."""
    resume_from: float
    """From when on a restart has to ask, in Unix seconds, if this item is the last that was delivered."""


class Tracker:
    """The facts of one stream's recovery, over as many connections as it takes.

    The driver tells them on its thread: `params` before each attempt; `opened` when it has brought a stream;
    `before_read` and `after_read` around each read; `lost` when the connection is gone; `close` at the end.
    Of each item it asks `accepts`, and then `position`. `delivered` may also be told on the consumer's
    thread, with the position of an item that went there. `accepts` and `delivered` are None as long as there
    is nothing to ask or to note: the loop then skips them.

    Times are Unix seconds by this machine's clock; `monotonic` gives seconds that never jump.
    """

    def __init__(
        self,
        recovery: Recovery | None,
        *,
        monotonic: Callable[[], float],
        refill: Refill | None = None,
    ) -> None:
        self.accepts: Callable[[Any], bool] | None = None
        """Whether an item is new. It is remembered from then on."""
        self.delivered: Callable[..., None] | None = None
        """The item of this position, or else the one accepted last, was delivered."""
        self.received_at = 0.0
        """No item at hand was sent before this."""
        self._recovery = recovery
        self._monotonic = monotonic
        self._gaps = Gaps(recovery, refill)
        self._dedupe: Dedupe | None = None
        self._bounds: Bounds | None = None
        self._checkpoint: Checkpoint | None = None
        self._begun = False
        self._refused = False
        self._dated = False
        self._newest: float | None = None
        # Of the present connection's last read.
        self._idle_at: float | None = None
        self._up_to_date_at: float | None = None
        self._last_line: Any = None
        self._last_byte_at: float | None = None
        self._heartbeat_came = False

    def params(self, now: float, withdrawn: str | None) -> dict[str, Any]:
        """What this attempt asks for besides; `withdrawn` is the parameter that X has refused.

        At first it takes up where an earlier process stopped. Raises `StreamError` if that cannot be read.
        """
        if not self._begun:
            self._begin()
        self._refused = withdrawn is not None
        if self._bounds is not None:
            return self._bounds.resumed(self._newest)
        name = self._recovery.parameter if self._recovery is not None else None
        minutes = self._gaps.minutes(now, wanted=name not in (None, withdrawn))
        return {} if minutes is None or name is None else {name: minutes}

    def opened(self, now: float, params: Mapping[str, Any]) -> Gap | None:
        """A connection has opened that was asked for with these params: the gap that it ends, if any."""
        self.received_at = now
        self._idle_at = self._up_to_date_at = self._last_line = None
        self._bounds = self._bounds or Bounds.of(params)
        if self._bounds is None:
            return self._gaps.over(now, refused=self._refused)
        if self._dedupe is None:
            self._remember_items(Recovery())
        return None

    def before_read(self, now: float, *, idle: bool, holds: bool, settled: bool) -> None:
        """The items of the last read are delivered, and another one begins.

        `idle`: nothing waited to be read at `now`. `holds`: part of a line has come. `settled`: the
        connection has lasted, so that a backfill without dates must be over.
        """
        self._idle_at = now if idle else None
        self._note_last_read(now if idle and not holds else self._up_to_date_at, settled=settled)

    def after_read(self, now: float, lines: Sequence[Any], *, holds: bool) -> None:
        """A read has ended at `now` and completed these lines; `holds`: part of another one has come."""
        self._last_byte_at = now
        if self._idle_at is not None:
            self.received_at = self._idle_at
            self._up_to_date_at = self._idle_at if holds else now
        if lines:
            self._last_line = lines[-1]
            if self._gaps.pending_since is not None:
                self._heartbeat_came = any(line in HEARTBEAT_LINES for line in lines)

    def lost(self, now: float, error: StreamError | None, *, proven: bool, settled: bool) -> Gap | None:
        """The connection is lost to this error, or ended cleanly: the gap that this alone proves, if any.

        `proven`: the end of the body could be told from a break. If it could not, something may be missing
        of a bounded request, for no later connection will bring it.
        """
        self._note_last_read(self._up_to_date_at, settled=settled)
        self._gaps.lost(error, self._last_byte_at)
        if proven or error is not None or self._bounds is None or self._bounds.end is None:
            return None
        start = self._newest or self._bounds.start or self._bounds.end
        return self._gaps.unproven((min(start, self._bounds.end), self._bounds.end), now)

    def position(self) -> Position:
        """Of the item accepted last."""
        moment = self._gaps.resume_from()
        return Position(
            None if self._dedupe is None else self._dedupe.last_key,
            self.received_at if moment is None else moment,
        )

    def close(self) -> None:
        """Have everything delivered on disk. May be called again, and on another thread than the rest."""
        checkpoint, self._checkpoint, self.delivered = self._checkpoint, None, None
        if checkpoint is not None:
            checkpoint.close()

    def _begin(self) -> None:
        recovery = self._recovery
        if recovery is not None:
            self._remember_items(recovery)
            if recovery.checkpoint is not None:
                self._take_up(recovery, recovery.checkpoint)
        self._begun = True

    def _remember_items(self, recovery: Recovery) -> None:
        self._dedupe = Dedupe(recovery.key or item_key, window=recovery.window, max_keys=recovery.max_ids)
        self.accepts = self._dedupe.is_new

    def _take_up(self, recovery: Recovery, path: Path | str) -> None:
        # Kept before it is opened: Ctrl-C may come at any line, and close() must find it.
        checkpoint = self._checkpoint = Checkpoint(
            path, window=recovery.window, max_keys=2 * recovery.max_ids
        )
        delivered = checkpoint.load()
        self._gaps.resume(delivered.received_at)
        assert self._dedupe is not None
        self._dedupe.restore(delivered.keys)
        self.delivered = self._note_delivered

    def _note_delivered(self, position: Position | None = None) -> None:
        assert self._checkpoint is not None  # close() takes this function away with it
        self._checkpoint.note(*(position or self.position()))

    def _note_last_read(self, up_to_date_at: float | None, *, settled: bool) -> None:
        """What the last read has shown, now that its items are delivered."""
        if self._heartbeat_came and settled:
            self._gaps.complete()  # the server had nothing else to send
        self._heartbeat_came = False
        if self._dedupe is not None:
            self._note_items(self._dedupe, settled=settled)
            self._dedupe.turn(self._monotonic())
        if up_to_date_at is not None:
            self._note_up_to_date(up_to_date_at)
        self._up_to_date_at = None

    def _note_items(self, dedupe: Dedupe, *, settled: bool) -> None:
        """Whether the items of the last read were the end of a backfill, and how far they went."""
        if self._bounds is None and self._gaps.pending_since is None:
            return
        moment = x.published(dedupe.last_key)
        if moment is not None:
            self._newest = max(moment, self._newest or moment)
        if self._gaps.pending_since is not None:
            self._gaps.delivered(moment, lasting=settled)

    def _note_up_to_date(self, at: float) -> None:
        """All that had come by then has been read.

        Among items with dates, only they and heartbeats tell how far: a notice may overtake what waits.
        """
        line = self._last_line
        moment = x.dated(line)
        if moment is None and self._dated and line is not None and line not in HEARTBEAT_LINES:
            return
        self._dated = self._dated or moment is not None
        self._gaps.up_to_date(at, moment)
