"""The queue between the driver's thread and the consumer's: parcels, their bytes, and their lag."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from xdk_streaming.clock import Clock
from xdk_streaming.config import Buffer
from xdk_streaming.driver.parcel import Parcel
from xdk_streaming.state import Lag, StreamState


class ParcelQueue:
    """Parcels in order, without a lock: the driver's thread puts and drops, the consumer's thread takes.

    Only one thread writes each counter. Every hand-over writes the lag into the state. `on_lag` is called
    when the lag passes a watermark.
    """

    def __init__(
        self,
        buffer: Buffer,
        state: StreamState,
        clock: Clock,
        on_lag: Callable[[Lag], object] | None = None,
    ) -> None:
        self.bytes_in = 0
        """Bytes of the lines put, less those dropped. Written by the driver's thread."""
        self.bytes_out = 0
        """Bytes of the lines taken. Written by the consumer's thread."""
        self._items_in = self._items_out = 0
        self._parcels: deque[Parcel] = deque()
        self._hand: Parcel | None = None
        self._buffer = buffer
        self._state = state
        self._clock = clock
        self._on_lag = on_lag
        self._behind = False

    # The driver's side

    def put(self, parcel: Parcel) -> None:
        """Append a parcel."""
        self._items_in += len(parcel.items)
        self.bytes_in += parcel.size
        self._parcels.append(parcel)

    def advance(self, position: float | None, now: float) -> None:
        """Note that nothing else comes before this position.

        If the last parcel is taken meanwhile, the next call notes the later position instead.
        """
        try:
            self._parcels[-1].position_after = position
        except IndexError:
            mark = Parcel()
            mark.since = mark.until = now
            mark.position = mark.position_after = position
            self.put(mark)

    def is_worth(self, wanted: int) -> bool:
        """Whether the consumer is to be woken: so many items wait, or much of the room is taken."""
        if not self._parcels:
            return False
        if wanted <= 1 or self._items_in - self._items_out >= wanted:
            return True
        return 4 * (self.bytes_in - self.bytes_out) >= self._buffer.max_bytes

    def drop_oldest(self) -> Parcel | None:
        """Remove the oldest parcel, as if it had never been put; None if the consumer has just taken it."""
        try:
            parcel = self._parcels.popleft()
        except IndexError:
            return None
        self._items_in -= len(parcel.items)
        self.bytes_in -= parcel.size
        return parcel

    def look_at_lag(self) -> bool:
        """Report the lag if it has passed a watermark. Returns whether it is at most the low one."""
        self._show_lag()
        state, buffer = self._state, self._buffer
        queued = self.bytes_in - self.bytes_out
        low = queued <= buffer.low_watermark * buffer.max_bytes
        if low if self._behind else queued > buffer.high_watermark * buffer.max_bytes:
            self._behind = not self._behind
            if self._on_lag is not None:
                self._on_lag(Lag(self._behind, state.lag_items, state.lag_bytes, state.lag_seconds))
        return low

    # The consumer's side

    def take(self) -> Parcel | None:
        """Take the oldest parcel; None if none waits. `lag_seconds` counts it until the next `take`."""
        self._hand = None
        try:
            parcel = self._hand = self._parcels.popleft()
        except IndexError:
            return None
        else:
            self._items_out += len(parcel.items)
            self.bytes_out += parcel.size
            return parcel
        finally:
            self._show_lag()

    def clear(self) -> int:
        """Discard all parcels, once the driver puts no more. Returns how many items were discarded."""
        left = self._items_in - self._items_out
        self._hand = None
        self._parcels.clear()
        self._items_out, self.bytes_out = self._items_in, self.bytes_in
        self._show_lag()
        return left

    # Both sides

    def _show_lag(self) -> None:
        """Write the lag into the state, and repeat if the other thread has changed the lag meanwhile."""
        state, seen = self._state, None
        while True:
            try:
                since = (self._hand or self._parcels[0]).since
            except IndexError:  # the consumer has no parcel in hand, and no parcel waits
                since = None
            now = self._items_in - self._items_out, self.bytes_in - self.bytes_out, since
            if now == seen:
                return
            seen = state.lag_items, state.lag_bytes, _ = now
            state.lag_seconds = 0.0 if since is None else max(0.0, self._clock.monotonic() - since)
