"""Recent throughput of a stream, sampled from `StreamState` a few times a second."""

from __future__ import annotations

from collections import deque
from itertools import islice

from xdk_streaming.state import StreamState

MINUTES = 5
RATE_SECONDS = 2.0
"""Seconds over which the rate is averaged."""


class Meter:
    """Counts items per second, and notes when things happened, to within a tick.

    All times are seconds of the monotonic clock: neither a rate nor an age changes if the wall clock is set.
    """

    def __init__(self, state: StreamState, now: float) -> None:
        self.began_at = now
        self.written = 0
        """Items written to the sink; a buffer may hold more that were received."""
        self.item_at: float | None = None
        """When an item was last received; None before the first."""
        self.heartbeat_at: float | None = None
        self.byte_at: float | None = None
        """When bytes were last received; None before the first."""
        self.opened_at: float | None = None
        """When the present connection opened; None while there is no connection."""
        self.seconds: deque[int] = deque(maxlen=60 * MINUTES)
        """Items in each whole second, oldest first."""
        self._state = state
        self._heartbeats = self._bytes = 0
        self._connected_at: float | None = None
        self._recent: deque[tuple[float, int]] = deque([(now, 0)])
        self._second = now
        self._total = 0

    def tick(self, now: float) -> None:
        """Take a sample."""
        total = self._state.total_items_received
        if total != self._recent[-1][1]:
            self.item_at = now
        if self._state.heartbeats != self._heartbeats:
            self._heartbeats = self._state.heartbeats
            self.heartbeat_at = now
        if self._state.bytes_received != self._bytes:
            self._bytes = self._state.bytes_received
            self.byte_at = now
        if self._state.connected_at != self._connected_at:
            self._connected_at = self._state.connected_at
            self.opened_at = None if self._connected_at is None else now
        self._recent.append((now, total))
        while len(self._recent) > 2 and now - self._recent[1][0] >= RATE_SECONDS:
            self._recent.popleft()
        whole = min(int(now - self._second), self.seconds.maxlen or 0)
        if whole > 0:
            share, rest = divmod(total - self._total, whole)
            self.seconds.extend([share] * (whole - 1) + [share + rest])
            self._second, self._total = now, total

    @property
    def now(self) -> float:
        """When the last sample was taken."""
        return self._recent[-1][0]

    def rate(self) -> float:
        """Items per second, averaged over the last seconds."""
        (since, before), (now, total) = self._recent[0], self._recent[-1]
        return (total - before) / (now - since) if now > since else 0.0

    def bars(self, width: int) -> list[float]:
        """The last minutes as up to `width` averages, oldest first; fewer if the stream is younger."""
        each = -(-(self.seconds.maxlen or 0) // width)
        backwards = list(islice(reversed(self.seconds), width * each))
        groups = [backwards[start : start + each] for start in range(0, len(backwards), each)]
        return [sum(group) / len(group) for group in reversed(groups)]
