"""How long to wait before the next attempt: values, no clock and no chance of their own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Backoff:
    """An exponential ladder: `first` seconds, times `factor` at each step, never above `cap`."""

    first: float
    factor: float
    cap: float

    def delay(self, step: int) -> float:
        """Seconds to wait at `step` (0-based), before jitter."""
        if self.first == 0:
            return 0.0
        try:
            ladder = self.first * self.factor**step
        except OverflowError:  # a float ends near factor 2, step 1024: far above any cap
            return self.cap
        return min(ladder, self.cap)


def jittered(delay: float, chance: Callable[[], float]) -> float:
    """`delay` spread evenly over its upper half, at the cap as well; `chance` gives 0 <= x < 1.

    The lower half is left out so that a ladder still climbs; nothing is added on top, so
    that a cap is a cap.
    """
    return delay * (0.5 + 0.5 * chance())
