"""The runs, as values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Consumer = Literal["one by one", "batches", "position"]
"""How posts are stored: one by one or in batches, both with a checkpoint, or in batches with the position."""


@dataclass(frozen=True)
class Task:
    """One run: a rate, a number of posts, and minimum numbers of faults and kills."""

    title: str
    rate: float
    posts: int
    faults: int = 0
    kills: int = 0
    stops: int = 0
    """Additional restarts after a clean stop."""
    entitled: bool = True
    gzip: bool = False
    buffer: bool = False
    pause: float = 0.0
    """Seconds for which the consumer pauses, once, after its first `PAUSED_AFTER` posts."""
    queue: float | None = None
    """Seconds after which the server cuts off a client that reads nothing."""
    connections: int | None = None
    """Maximum number of connections."""
    consumer: Consumer = "one by one"
    told: str = ""
    """A reason that a gap must have."""
    seed: int = 1

    @property
    def restarts(self) -> list[bool]:
        """For each external restart, whether it is a kill; the stops come first."""
        return [False] * self.stops + [True] * self.kills


PAUSED_AFTER = 500

FULL = (
    Task("every fault", rate=2_000, posts=200_000, faults=240),
    Task("every fault, three kills", rate=2_000, posts=100_000, faults=120, kills=3, seed=2),
    Task("every fault, compressed", rate=2_000, posts=60_000, faults=90, gzip=True, seed=3),
    Task("faults, through a buffer", rate=2_000, posts=100_000, faults=120, kills=1, buffer=True, seed=4),
    Task("faults, without entitlement", rate=2_000, posts=100_000, faults=120, entitled=False, seed=5),
    Task("a hundred kills, ten stops", rate=1_000, posts=120_000, kills=100, stops=10, seed=6),
    Task(
        "every fault, in batches", rate=2_000, posts=200_000, faults=200, kills=10, consumer="batches", seed=7
    ),
    Task(
        "every fault, a position",
        rate=2_000,
        posts=200_000,
        faults=200,
        kills=10,
        consumer="position",
        seed=8,
    ),
    Task(
        "a pause, with a buffer",
        rate=500,
        posts=15_000,
        buffer=True,
        pause=20,
        queue=5,
        connections=1,
    ),
    Task(
        "a pause, without",
        rate=500,
        posts=15_000,
        entitled=False,
        pause=20,
        queue=5,
        told="slow reader",
    ),
)
SMALL = (
    Task("faults, a kill and a stop", rate=500, posts=2_500, faults=25, kills=1, stops=1),
    Task("faults, a kill, in batches", rate=500, posts=1_500, faults=15, kills=1, consumer="batches", seed=7),
    Task(
        "faults, a kill, a position", rate=500, posts=1_500, faults=15, kills=1, consumer="position", seed=8
    ),
    Task("faults, without the entitlement", rate=500, posts=2_000, faults=20, entitled=False, seed=4),
)
