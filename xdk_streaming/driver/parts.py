"""The parts of one stream. The assembly puts them together; a driver and its connections share them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from xdk_streaming.callbacks import Callbacks
from xdk_streaming.clock import Clock
from xdk_streaming.config import StreamConfig
from xdk_streaming.driver.invalid_lines import InvalidLines
from xdk_streaming.gap import Refill
from xdk_streaming.machine.machine import ConnectionMachine
from xdk_streaming.recovery.tracker import Tracker
from xdk_streaming.state import StreamState
from xdk_streaming.wire.decoder import Decoder
from xdk_streaming.wire.request import Request


@dataclass(frozen=True)
class Parts:
    """The parts of one stream. Each part belongs to this stream alone, and lives as long as the stream."""

    request: Request
    config: StreamConfig
    state: StreamState
    clock: Clock
    callbacks: Callbacks
    machine: ConnectionMachine
    decoder: Decoder
    tracker: Tracker
    invalid_lines: InvalidLines
    unix: Callable[[float], float]
    """Turns a moment of the monotonic clock into Unix seconds, for reports."""
    refill: Refill | None = None
    """The function that makes a stream of the uncovered span of a gap; None if there is no such function."""

    @property
    def has_own_key(self) -> bool:
        """Whether the user gave a `Recovery.key` function."""
        return self.config.recovery is not None and self.config.recovery.key is not None
