"""The clock that a stream uses, and the wait between two attempts. Tests pass a clock of their own."""

from __future__ import annotations

import time
from typing import Protocol


class Wake(Protocol):
    """What ends a wait early: `Stream.stop()` does."""

    woken: bool
    """Whether the wait is over."""

    def pause(self, seconds: float) -> object:
        """Wait at most `seconds`; return earlier if woken, after a second at the latest, or for no reason."""


class Clock(Protocol):
    """What a stream needs of a clock. The stream's thread calls it."""

    def time(self) -> float:
        """Unix seconds of this machine's wall clock, which may step: for reports, and beside a server's."""

    def monotonic(self) -> float:
        """Seconds of a clock that never steps, from an arbitrary start: for all durations and deadlines.

        Seconds in which the machine was suspended count, on each system that has a clock for this.
        """

    def wait(self, seconds: float, wake: Wake) -> None:
        """Return after `seconds`, or as soon as `wake.woken` is true."""


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

    monotonic = staticmethod(monotonic)

    def wait(self, seconds: float, wake: Wake) -> None:
        # In pauses of a second at most, so that the time a machine slept counts soon after it wakes up.
        ends_at = self.monotonic() + seconds
        while not wake.woken and (left := ends_at - self.monotonic()) > 0:
            wake.pause(left)
