"""The clock that a stream uses, and the wait between two attempts. Tests pass a clock of their own."""

from __future__ import annotations

import threading
import time
from typing import Protocol


class Clock(Protocol):
    """What a stream needs of a clock. The stream's thread calls it."""

    def time(self) -> float:
        """Unix seconds of this machine's wall clock: for reports, and to compare with a server's dates."""

    def monotonic(self) -> float:
        """Seconds of a clock that never jumps, from an arbitrary start: for measuring durations."""

    def wait(self, seconds: float, wake: threading.Lock) -> None:
        """Return after `seconds`, or as soon as another thread releases `wake`, which the caller holds."""


class SystemClock:
    """This machine's clocks: `time.time()` and `time.monotonic()`."""

    def time(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()

    def wait(self, seconds: float, wake: threading.Lock) -> None:
        # A bare lock, because its release() is safe in a signal handler that interrupts this very acquire().
        # threading.Event deadlocks there. SimpleQueue.get() of CPython 3.10 and 3.11 can wait for ever: if
        # its timeout passes within the call, the remaining time is negative, which means no timeout.
        wake.acquire(timeout=min(seconds, threading.TIMEOUT_MAX))
