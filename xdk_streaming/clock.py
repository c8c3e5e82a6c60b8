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
        """Unix seconds of this machine's wall clock: for reports, and to compare with a server's dates."""

    def monotonic(self) -> float:
        """Seconds of a clock that never jumps, from an arbitrary start: for measuring durations."""

    def wait(self, seconds: float, wake: Wake) -> None:
        """Return after `seconds`, or as soon as `wake.woken` is true."""


def monotonic() -> float:
    """Seconds of this machine's monotonic clock."""
    return time.monotonic()


class SystemClock:
    """This machine's clocks: `time.time()` and `time.monotonic()`."""

    def time(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return monotonic()

    def wait(self, seconds: float, wake: Wake) -> None:
        # In pauses of a second at most, so that the time a machine slept counts soon after it wakes up.
        ends_at = self.monotonic() + seconds
        while not wake.woken and (left := ends_at - self.monotonic()) > 0:
            wake.pause(left)
