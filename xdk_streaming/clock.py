"""Time, and the one wait a stream does by itself. Tests pass a clock of their own."""

from __future__ import annotations

import threading
import time
from queue import Empty, SimpleQueue
from typing import Protocol


class Clock(Protocol):
    """What a stream asks of time."""

    def time(self) -> float:
        """Unix seconds: for what is reported, and for what a server dates."""

    def monotonic(self) -> float:
        """Seconds that never jump: for what is measured."""

    def wait(self, seconds: float, wake: SimpleQueue[None]) -> None:
        """Return after `seconds`, or at once when something is in `wake`."""


class SystemClock:
    """The real one."""

    def time(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()

    def wait(self, seconds: float, wake: SimpleQueue[None]) -> None:
        # SimpleQueue, for its put() is safe inside a signal handler that interrupts this very get();
        # threading.Event deadlocks there.
        try:
            wake.get(timeout=min(seconds, threading.TIMEOUT_MAX))
        except Empty:
            return
