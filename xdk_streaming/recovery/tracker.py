"""Tracks what a stream has received, missed and delivered. The only interface of this package to the driver.

Decides nothing about the connection, and does no I/O except the checkpoint's. The tracker alone decides in
what order it notes the facts of a read.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from xdk_streaming import x
from xdk_streaming.clock import Clock
from xdk_streaming.config import Recovery
from xdk_streaming.errors import StreamError
from xdk_streaming.gap import Gap, Refill
from xdk_streaming.recovery.bounds import Bounds
from xdk_streaming.recovery.checkpoint import Checkpoint
from xdk_streaming.recovery.dedupe import Dedupe, item_key
from xdk_streaming.recovery.gaps import Gaps
from xdk_streaming.recovery.true_time import TrueTime

HEARTBEAT_LINES = (x.HEARTBEAT_LINE.removesuffix(b"\n"), b"", b"{}", b"{}\r")
"""Heartbeats as lines without their LF: X's own, and the others that the SDK takes for heartbeats."""

MAX_DATED_LINE = 1024 * 1024
"""Bytes from which on a line is not kept until the next read, and counts as one without a date."""
UNDATED = b"a long line"


class Position(NamedTuple):
    """How far a stream has come with an item."""

    key: Hashable
    """The item's key; None if the item has no key, or if there is no item."""
    moment: float | None
    """From when a later stream has to ask if this item is the last that was delivered: Unix seconds.

    Before the first connection, what the stream goes on from; None if it begins anew.
    """


@dataclass
class _LastRead:
    """Facts of the last read on the present connection."""

    idle_at: float | None = None
    up_to_date_at: float | None = None
    byte_at: float | None = None
    line: Any = None
    """The last line; None before the first one."""
    has_heartbeat: bool = False
    """Whether a heartbeat came, if a backfill is under way."""
    ends_with_heartbeat: bool = False


class Tracker:
    """The facts of one stream's recovery, over all its connections.

    The driver calls the methods on its thread: `params` before each attempt; `opened` when an attempt has
    brought a stream; `before_read` and `after_read` around each read; `lost` when the connection is gone;
    `close` at the end. For each item the driver calls `accepts`, and then `position`. `delivered` may also be
    called on the consumer's thread, with the position of an item that was handed to that thread. `accepts`
    and `delivered` are None if there is nothing to ask or to note: the loop then skips the call.

    Times are seconds of the monotonic clock, unless they are called Unix seconds.
    """

    def __init__(
        self,
        recovery: Recovery | None,
        *,
        clock: Clock,
        refill: Refill | None = None,
    ) -> None:
        self.accepts: Callable[[Any], bool] | None = None
        """Whether an item is new. The item counts as seen from then on."""
        self.delivered: Callable[..., None] | None = None
        """Note that an item was delivered: the item of the given position, or else the one accepted last."""
        self.received_at = 0.0
        """No item at hand was received before this."""
        self._recovery = recovery
        self._time = TrueTime(clock)
        self._gaps = Gaps(recovery, self._time, refill)
        self._dedupe: Dedupe | None = None
        self._bounds: Bounds | None = None
        self._checkpoint: Checkpoint | None = None
        self._resumed = None if recovery is None else recovery.resume_from
        self._begun = self._opened = False
        self._refused = False
        self._dated = False
        self._newest: float | None = None
        self._last = _LastRead()

    def params(self, withdrawn: str | None) -> dict[str, Any]:
        """Further parameters for this attempt. `withdrawn` is the parameter that X has refused, if any.

        The first call reads the checkpoint of an earlier process. Raises `StreamError` if that fails.
        """
        if not self._begun:
            self._begin()
        self._refused = withdrawn is not None
        if self._bounds is not None:
            return self._bounds.resumed(self._newest)
        name = self._recovery.parameter if self._recovery is not None else None
        # The clock is looked at last: to read a checkpoint may have taken seconds.
        self._time.sending()
        minutes = self._gaps.minutes(self._time.now(), wanted=name not in (None, withdrawn))
        return {} if minutes is None or name is None else {name: minutes}

    @property
    def bounded(self) -> bool:
        """Whether the stream has an end in time, at which a clean end is its completion."""
        return self._bounds is not None

    def opened(self, now: float, params: Mapping[str, Any], date: float | None = None) -> Gap | None:
        """A connection opened, requested with these parameters. Returns the gap that ends with it, if any.

        `date` is the `Date` of the server's answer in Unix seconds; None if the answer had no usable one.
        """
        self.received_at = now
        self._last = _LastRead(byte_at=self._last.byte_at)
        self._bounds = self._bounds or Bounds.of(params)
        self._opened = True
        if self._bounds is None:
            return self._gaps.reconnected(now, date, refused=self._refused)
        if self._dedupe is None and self._recovery is None:
            self._remember_items(Recovery())
        return None

    def before_read(
        self, now: float, *, idle: bool, holds: bool, settled: bool, delivered: bool = False
    ) -> None:
        """The items of the last read were yielded, and the next read begins.

        `idle`: no bytes waited to be read at `now`. `holds`: part of a line was received. `settled`: the
        connection has settled, so a backfill of items without dates must be over. `delivered`: all items
        that were yielded are also delivered.
        """
        self._last.idle_at = now if idle else None
        self._note_last_read(now if idle and not holds else self._last.up_to_date_at, settled=settled)
        if delivered and self._last.ends_with_heartbeat and self.delivered is not None:
            self.delivered(Position(None, self._moment()))
        self._last.ends_with_heartbeat = False

    def after_read(self, now: float, lines: Sequence[Any], *, holds: bool) -> None:
        """A read ended at `now` and completed these lines. `holds`: part of a further line was received."""
        self._last.byte_at = now
        if self._last.idle_at is not None:
            self.received_at = self._last.idle_at
            self._last.up_to_date_at = self._last.idle_at if holds else now
        if lines:
            self._last.line = lines[-1] if len(lines[-1]) < MAX_DATED_LINE else UNDATED
            self._last.ends_with_heartbeat = self._last.line in HEARTBEAT_LINES
            if self._gaps.pending_since is not None:
                self._last.has_heartbeat = any(line in HEARTBEAT_LINES for line in lines)

    def lost(self, now: float, error: StreamError | None, *, proven: bool, settled: bool) -> Gap | None:
        """The connection was lost to this error, or ended cleanly. Returns a gap if one is now certain.

        `proven`: the end of the body can be distinguished from a break. If it cannot, part of a bounded
        request may be missing, and no later connection will bring that part.
        """
        self._note_last_read(self._last.up_to_date_at, settled=settled)
        self._gaps.lost(error, self._last.byte_at)
        if proven or error is not None or self._bounds is None or self._bounds.end is None:
            return None
        start = self._newest or self._bounds.start or self._bounds.end
        return self._gaps.unproven((min(start, self._bounds.end), self._bounds.end), now)

    def position(self) -> Position:
        """The position of the item accepted last."""
        key = None if self._dedupe is None else self._dedupe.last_key
        return Position(key, self._moment() if self._opened else self._resumed)

    def unix(self, moment: float) -> float:
        """A moment in Unix seconds, as `received_at` is to be reported."""
        return self._time.earliest(moment)

    def close(self) -> None:
        """Write all that was delivered to disk. May be called again, and on any thread."""
        checkpoint, self._checkpoint, self.delivered = self._checkpoint, None, None
        if checkpoint is not None:
            checkpoint.close()

    def _begin(self) -> None:
        recovery = self._recovery
        if recovery is not None:
            if recovery.dedupe:
                self._remember_items(recovery)
            if recovery.checkpoint is not None:
                self._load_checkpoint(recovery, recovery.checkpoint)
            self._gaps.resume(self._resumed)
        self._begun = True

    def _remember_items(self, recovery: Recovery) -> None:
        self._dedupe = Dedupe(recovery.key or item_key, window=recovery.window, max_keys=recovery.max_ids)
        self.accepts = self._dedupe.is_new

    def _load_checkpoint(self, recovery: Recovery, path: Path | str) -> None:
        # Assigned before it is opened: Ctrl-C may come at any line, and close() must find the checkpoint.
        checkpoint = self._checkpoint = Checkpoint(
            path, window=recovery.window, max_keys=2 * recovery.max_ids
        )
        delivered = checkpoint.load()
        self._resumed = delivered.received_at
        if self._dedupe is not None:
            self._dedupe.restore(delivered.keys)
        self.delivered = self._note_delivered

    def _note_delivered(self, position: Position | None = None) -> None:
        assert self._checkpoint is not None  # close() removes this function together with the checkpoint
        key, moment = position or self.position()
        assert moment is not None  # a connection has opened
        self._checkpoint.note(key, moment)

    def _moment(self) -> float:
        moment = self._gaps.resume_from()
        return self._time.earliest(self.received_at if moment is None else moment)

    def _note_last_read(self, up_to_date_at: float | None, *, settled: bool) -> None:
        """Note the facts of the last read, now that its items were delivered."""
        if self._last.has_heartbeat and settled:
            self._gaps.complete()  # the server had nothing else to send
        self._last.has_heartbeat = False
        if self._bounds is not None or self._gaps.pending_since is not None:
            self._note_items(settled=settled)
        if self._dedupe is not None:
            self._dedupe.forget_old(self._time.now())
        if up_to_date_at is not None:
            self._note_up_to_date(up_to_date_at)
        self._last.up_to_date_at = None

    def _note_items(self, *, settled: bool) -> None:
        """Note how far the items of the last read went, and whether they ended a backfill."""
        moment = x.dated(self._last.line) if self._dedupe is None else x.published(self._dedupe.last_key)
        if moment is not None:
            self._newest = max(moment, self._newest or moment)
        if self._gaps.pending_since is not None:
            self._gaps.delivered(moment, lasting=settled)

    def _note_up_to_date(self, at: float) -> None:
        """Note that everything that had arrived at `at` was read.

        On a stream of items with dates, only such items and heartbeats show this: a notice may overtake items
        that wait.
        """
        line = self._last.line
        moment = x.dated(line)
        if moment is None and self._dated and line is not None and line not in HEARTBEAT_LINES:
            return
        self._dated = self._dated or moment is not None
        self._gaps.up_to_date(at, moment)
