"""Time, and the one wait a stream does by itself. Tests pass a clock of their own."""

from __future__ import annotations

import threading
import time
from typing import Protocol


class Clock(Protocol):
    """What a stream asks of time."""

    def time(self) -> float:
        """Unix seconds: for what is reported, and for what a server dates."""

    def monotonic(self) -> float:
        """Seconds that never jump: for what is measured."""

    def wait(self, seconds: float, wake: threading.Lock) -> None:
        """Return after `seconds`, or as soon as `wake`, which is held, is released."""


class SystemClock:
    """The real one."""

    def time(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()

    def wait(self, seconds: float, wake: threading.Lock) -> None:
        # A bare lock, for its release() is safe in a signal handler that interrupts this very acquire().
        # threading.Event deadlocks there, and SimpleQueue.get() of CPython 3.10 and 3.11 can outlast its
        # timeout for ever: where that passes within the call, what remains is negative, and means no end.
        wake.acquire(timeout=min(seconds, threading.TIMEOUT_MAX))
