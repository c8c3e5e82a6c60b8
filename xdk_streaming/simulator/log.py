"""What a simulator did, for those who compare it with what a client saw."""

from __future__ import annotations

import time
from dataclasses import dataclass

OPEN = "open"


@dataclass
class Visit:
    """One request: who came, what was asked, how it ended. Times are Unix seconds."""

    number: int
    path: str
    params: dict[str, str]
    opened_at: float
    outcome: str = OPEN
    """In words, once it is over."""
    ended_at: float | None = None
    live_since: float | None = None
    live_until: float | None = None
    """Between these two it sent every item that was published."""

    def close(self, outcome: str) -> None:
        """It is over, or as good as over."""
        self.outcome = outcome
        self.ended_at = time.time()


@dataclass(frozen=True)
class Sent:
    """One item on its way: its number in the simulated world, its id, and whether all of it was sent."""

    visit: int
    number: int
    id: str | None
    at: float
    whole: bool
