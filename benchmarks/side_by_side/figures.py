"""What is measured: values only, as they pass between the processes and onto the page."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


@dataclass(frozen=True)
class Task:
    """One fault and one client."""

    fault: str
    client: str
    lasting: bool = False
    """The fault on every connection; else on the first alone."""
    seconds: float = 7.0
    """How long the client is watched."""
    patience: float = 5.0
    """How long it may take to stop."""


@dataclass(frozen=True)
class Order:
    """What the client's process is told."""

    client: str
    url: str
    """Scheme, host and port."""
    patience: float
    silence: float | None = None
    """Seconds of silence to allow, where the client can be told; None for its default."""
    longest: int | None = None
    """Bytes of the longest line to keep, where the client can be told; None for its default."""


@dataclass(frozen=True)
class Told:
    """Something that the user of a client is told."""

    channel: str
    """How: the callback's name, "raised", "logged", or "an item" for an object handed over as one."""
    text: str


@dataclass(frozen=True)
class Report:
    """What the client's process saw."""

    ids: list[str]
    """Of the items received, in order."""
    told: list[Told]
    """Until it was asked to stop."""
    memory: int | None
    """Bytes by which the resident memory grew, at most; None where the system does not say."""
    ended: bool
    """The iteration had ended before anybody asked."""
    stop: float | None
    """Seconds from asking until the iteration ended; None where it had, or did not."""
    overflow: bool = False
    """It was ended for its memory."""


class Outcome(Enum):
    """What became of a client."""

    WENT_ON = "went on"
    """On the same connection."""
    BACK = "back"
    """On a new connection."""
    WAITING = "not back"
    """The connection is gone; the client was about to try again, or had, and failed."""
    HUNG = "hung"
    """The connection is open; nothing comes, and the client does nothing about it."""
    RAISED = "ended with an error"
    SILENT_END = "ended without a word"
    OVERFLOW = "took too much memory"


@dataclass(frozen=True)
class Figures:
    """One measurement."""

    fault: str
    client: str
    lasting: bool
    outcome: Outcome
    connections: int
    back: float | None
    """Seconds from the first connection until the next that had a stream."""
    lost: int
    doubled: int
    strays: int
    """Things handed over as items that are none."""
    memory: int | None
    stop: float | None
    """Seconds; None where it did not stop, or had ended before."""
    told: tuple[Told, ...]

    @property
    def running(self) -> bool:
        """There was something to stop."""
        return self.outcome not in (Outcome.RAISED, Outcome.SILENT_END, Outcome.OVERFLOW)
