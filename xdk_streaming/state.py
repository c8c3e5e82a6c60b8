"""The states of a connection, the events that change them, and the records that users see."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from xdk_streaming.errors import StreamError


class ConnectionState(Enum):
    """The five states of a connection's life. FAILED is final."""

    DISCONNECTED = "disconnected"
    CONNECTING = "connecting"
    STREAMING = "streaming"
    BACKOFF = "backoff"
    FAILED = "failed"


class Trigger(Enum):
    """What the driver reports to the machine. Commands are imperative, facts are in the past tense."""

    START = "start"
    OPENED = "opened"
    REFUSED = "refused"
    PROGRESSED = "progressed"
    SETTLED = "settled"
    ENDED = "ended"
    BROKE = "broke"
    RETRY = "retry"
    WAITED = "waited"
    STOP = "stop"


@dataclass(frozen=True)
class RateLimit:
    """How often an app may connect in a window of 15 minutes, from the headers of the server's last answer.

    A field is None if the answer had no such header (docs.x.com/x-api/fundamentals/rate-limits).
    """

    limit: int | None
    """Attempts to connect that a window allows."""
    remaining: int | None
    """Attempts to connect that are left in the present window."""
    reset: float | None
    """When the next window begins, in Unix seconds of X's clock."""


@dataclass(frozen=True)
class Lag:
    """How far the consumer is behind, as `on_lag` and the observers get it."""

    behind: bool
    """True if the lag has risen above the buffer's high watermark, False if it has fallen to the low one."""
    items: int
    """Items that wait in the buffer, to within a batch."""
    bytes: int
    """Bytes of the lines of these items."""
    seconds: float
    """Seconds since the oldest of these items was received, by the monotonic clock."""


@dataclass
class StreamState:
    """The present facts and counters of a stream. Read it from any thread; only the stream writes it.

    Times are Unix seconds of this machine's wall clock. The first five fields are those of `xdk.streaming`.
    """

    retry_count: int = 0
    """Reconnection attempts since the last progress."""
    current_backoff: float = 1.0
    """`initial_backoff` until the first loss, then the delay last announced, in seconds."""
    is_connected: bool = False
    """Whether a stream is open."""
    total_items_received: int = 0
    """Items handed to the consumer, or to the buffer if there is one."""
    last_error: StreamError | None = None
    """The last error; None if there was none."""

    connected_at: float | None = field(default=None, kw_only=True)
    """When the present connection opened; None while there is no connection."""
    last_activity_at: float | None = field(default=None, kw_only=True)
    """When the last bytes were received, heartbeats included; None before the first byte."""
    bytes_received: int = field(default=0, kw_only=True)
    """Bytes of the bodies, decompressed."""
    heartbeats: int = field(default=0, kw_only=True)
    """Heartbeats received."""
    reconnects: int = field(default=0, kw_only=True)
    """Connections opened after the first."""
    invalid_items: int = field(default=0, kw_only=True)
    """Lines that were no item, or that the response model refused. Each went to `on_invalid`."""
    undelivered_items: int = field(default=0, kw_only=True)
    """Items read from the socket but not handed over, because the stream was stopped or left."""
    callback_errors: int = field(default=0, kw_only=True)
    """Exceptions that callbacks and observers raised. Each was logged; none changed the stream."""
    rate_limit: RateLimit | None = field(default=None, kw_only=True)
    """The limit on connecting, from the last answer that had such headers."""
    gaps: int = field(default=0, kw_only=True)
    """Gaps that are over. Each went to `on_gap`."""
    gap_seconds: float = field(default=0.0, kw_only=True)
    """Seconds of these gaps that no backfill covers."""
    duplicate_items: int = field(default=0, kw_only=True)
    """Items that came again and were not delivered a second time."""
    dropped_items: int = field(default=0, kw_only=True)
    """Items that the buffer dropped."""
    lag_items: int = field(default=0, kw_only=True)
    """Items that wait in the buffer, to within a batch."""
    lag_bytes: int = field(default=0, kw_only=True)
    """Bytes of the lines of these items."""
    lag_seconds: float = field(default=0.0, kw_only=True)
    """Seconds since the oldest of these items was received, as of the last hand-over."""


@dataclass(frozen=True)
class Transition:
    """One transition, as `on_state_change` and `Stream.history` show it."""

    source: ConnectionState
    dest: ConnectionState
    trigger: Trigger
    reason: str
    """Why this transition exists, from its row of the transition table."""
    at: float
    """When it happened, in Unix seconds of this machine's wall clock."""
    attempt: int | None = None
    """The reconnection attempt that this transition announces, 1-based; None unless the trigger is RETRY."""
    delay: float | None = None
    """Seconds from this transition to that attempt."""
    error: StreamError | None = None
    """The error that caused this transition; None if no error did."""

    def __str__(self) -> str:
        what = self.reason if self.error is None else self.error
        if self.attempt is not None:
            what = f"attempt {self.attempt} in {self.delay:.1f} s"
        return f"{self.dest.name}: {what} ({self.source.name}, {self.trigger.value})"


@dataclass(frozen=True)
class InvalidLine:
    """A line that is no item, or that the response model refused, as observers get it."""

    line: bytes
    """The line without its LF; only the beginning of a line longer than `max_item_bytes`."""
    reason: str
    """Why the line is no item. Quotes the item if the response model refused the item."""


@dataclass(frozen=True)
class NoticeReceived:
    """An object that is about the stream and does not end the stream, as observers get it."""

    content: dict[str, Any]
    """The whole object, as X sent it."""
