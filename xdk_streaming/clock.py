"""The clock that a stream uses, and the wait between two attempts. Tests pass a clock of their own."""

from __future__ import annotations

import threading
import time
from typing import Protocol


class Clock(Protocol):
    """What a stream needs of a clock. The stream's thread calls it."""

    def time(self) -> float:
        """Unix seconds of this machine's wall clock, which may step: for reports, and beside a server's."""

    def monotonic(self) -> float:
        """Seconds of a clock that never steps, from an arbitrary start: for all durations and deadlines.

        Seconds in which the machine was suspended count, on each system that has a clock for this.
        """

    def wait(self, seconds: float, wake: threading.Lock) -> None:
        """Return after `seconds`, or as soon as another thread releases `wake`, which the caller holds."""


def _counting_clock() -> int | None:
    """The id of the clock that counts a suspend; None if `time.monotonic()` is the best that there is."""
    # Linux's CLOCK_MONOTONIC_RAW would not count a suspend, but there CLOCK_BOOTTIME comes first.
    found: int | None = getattr(time, "CLOCK_BOOTTIME", getattr(time, "CLOCK_MONOTONIC_RAW", None))
    try:
        if found is not None:
            time.clock_gettime(found)
    except OSError:  # a sandbox that knows fewer clocks than its system
        return None
    return found


COUNTING_CLOCK = _counting_clock()


def monotonic() -> float:
    """Seconds of this machine's monotonic clock, those of a suspend included.

    CLOCK_BOOTTIME on Linux and CLOCK_MONOTONIC_RAW on macOS. Elsewhere it is `time.monotonic()`, which counts
    a suspend on Windows. No clock counts the seconds for which a hypervisor paused its guest.
    """
    return time.monotonic() if COUNTING_CLOCK is None else time.clock_gettime(COUNTING_CLOCK)


class SystemClock:
    """This machine's clocks: `time.time()`, and the monotonic clock that counts a suspend."""

    def time(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return monotonic()

    def wait(self, seconds: float, wake: threading.Lock) -> None:
        # A bare lock, because its release() is safe in a signal handler that interrupts this very acquire().
        # threading.Event deadlocks there. SimpleQueue.get() of CPython 3.10 and 3.11 can wait for ever: if
        # its timeout passes within the call, the remaining time is negative, which means no timeout.
        wake.acquire(timeout=min(seconds, threading.TIMEOUT_MAX))
