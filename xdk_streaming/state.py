"""Where a connection can be, what can happen to it, and what is known of it."""

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
    """What the driver tells the machine: commands are imperative, facts are in the past tense."""

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
    """How often an app may connect in a window of 15 minutes, as the server's last answer told it.

    Each is None where the answer did not tell it (docs.x.com/x-api/fundamentals/rate-limits).
    """

    limit: int | None
    """Connects allowed in a window."""
    remaining: int | None
    """Connects left in this one."""
    reset: float | None
    """When the next window begins, in Unix seconds by X's clock."""


@dataclass(frozen=True)
class Lag:
    """How far the consumer is behind, as `on_lag` is told."""

    behind: bool
    """Whether it has risen above the buffer's high mark; else it has fallen to the low one."""
    items: int
    bytes: int
    seconds: float
    """Since the oldest of these items was received."""


@dataclass
class StreamState:
    """What is true of a stream right now. Read it from any thread; only the stream writes it.

    Times are Unix seconds. The first five fields are those of `xdk.streaming`.
    """

    retry_count: int = 0
    """Reconnection attempts since the last progress."""
    current_backoff: float = 1.0
    """`initial_backoff` until the first loss, then the delay last announced, in seconds."""
    is_connected: bool = False
    total_items_received: int = 0
    """Items handed to the consumer, or to the buffer where there is one."""
    last_error: StreamError | None = None

    connected_at: float | None = field(default=None, kw_only=True)
    """When the present connection opened; None while there is none."""
    last_activity_at: float | None = field(default=None, kw_only=True)
    """When the last bytes came, heartbeats included."""
    bytes_received: int = field(default=0, kw_only=True)
    """Bytes of the body, decompressed."""
    heartbeats: int = field(default=0, kw_only=True)
    reconnects: int = field(default=0, kw_only=True)
    """Connections opened after the first."""
    invalid_items: int = field(default=0, kw_only=True)
    """Lines that were no item, or not a valid one: each went to `on_invalid`."""
    undelivered_items: int = field(default=0, kw_only=True)
    """Items read from the socket but not handed over, because the stream was stopped or left."""
    callback_errors: int = field(default=0, kw_only=True)
    """Exceptions that callbacks raised: each was logged, none changed the stream."""
    rate_limit: RateLimit | None = field(default=None, kw_only=True)
    """As the last answer that told of it had it."""
    gaps: int = field(default=0, kw_only=True)
    """Gaps that are over: each went to `on_gap`."""
    gap_seconds: float = field(default=0.0, kw_only=True)
    """Seconds of them that no backfill covers."""
    duplicate_items: int = field(default=0, kw_only=True)
    """Items that were yielded before, and were not yielded again."""
    dropped_items: int = field(default=0, kw_only=True)
    """Items that the buffer dropped."""
    lag_items: int = field(default=0, kw_only=True)
    """Items in the buffer, to within a batch."""
    lag_bytes: int = field(default=0, kw_only=True)
    """Bytes of their lines."""
    lag_seconds: float = field(default=0.0, kw_only=True)
    """Since the oldest of them was received, as of the last hand-over."""


@dataclass(frozen=True)
class Transition:
    """One transition, as `on_state_change` and `Stream.history` show it."""

    source: ConnectionState
    dest: ConnectionState
    trigger: Trigger
    reason: str
    """The reason the transition table gives for this arrow."""
    at: float
    """Unix seconds."""
    attempt: int | None = None
    """The reconnection attempt that is announced, 1-based; set where the trigger is RETRY."""
    delay: float | None = None
    """Seconds until that attempt."""
    error: StreamError | None = None
    """What was lost or refused, where it was an error."""

    def __str__(self) -> str:
        parts = [f"{self.source.name} -> {self.dest.name} ({self.trigger.value}: {self.reason})"]
        if self.attempt is not None:
            parts.append(f"attempt {self.attempt} in {self.delay:.2f} s")
        if self.error is not None:
            parts.append(str(self.error))
        return "; ".join(parts)


@dataclass(frozen=True)
class InvalidLine:
    """A line that is no item, or that the response model refused, as `on_invalid` is told."""

    line: bytes
    """The line without its LF; of a line longer than `max_item_bytes`, its beginning."""
    reason: str
    """Why it is no item. Quotes the item if the response model refused it."""


@dataclass(frozen=True)
class NoticeReceived:
    """An object about the stream that does not end it, as `on_notice` is told."""

    content: dict[str, Any]
    """The whole object, as X sent it."""
