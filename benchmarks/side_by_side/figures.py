"""The measured values, as passed between the processes and shown on the page."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


@dataclass(frozen=True)
class Task:
    """One fault and one client."""

    fault: str
    client: str
    lasting: bool = False
    """Whether the fault occurs on every connection, or only on the first."""
    seconds: float = 7.0
    """Seconds for which the client is watched."""
    patience: float = 5.0
    """Seconds that the client may take to stop."""


@dataclass(frozen=True)
class Order:
    """The instructions for the client's process."""

    client: str
    url: str
    """Scheme, host and port."""
    patience: float
    silence: float | None = None
    """Seconds of silence to allow, if the client has such a setting; None for its default."""
    longest: int | None = None
    """Maximum bytes of a line, if the client has such a setting; None for its default."""


@dataclass(frozen=True)
class Told:
    """Something that a client reports to its user."""

    channel: str
    """How it was reported: the name of the callback, "raised", "logged", or "an item" if yielded as one."""
    text: str


@dataclass(frozen=True)
class Report:
    """What the client's process saw."""

    ids: list[str]
    """The ids of the items received, in order."""
    told: list[Told]
    """Reports until the client was asked to stop."""
    memory: int | None
    """Maximum growth of resident memory in bytes; None if the system does not report memory."""
    ended: bool
    """Whether the iteration had ended before the request to stop."""
    stop: float | None
    """Seconds from the request to stop until the iteration ended; None if it had ended, or never did."""
    overflow: bool = False
    """Whether the process was ended because of its memory."""


class Outcome(Enum):
    """The outcome for a client."""

    WENT_ON = "went on"
    """The stream continued on the same connection."""
    BACK = "back"
    """The stream continued on a new connection."""
    WAITING = "not back"
    """The connection is lost; the client was about to retry, or had retried and failed."""
    HUNG = "hung"
    """The connection is open but silent, and the client does nothing."""
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
    """Seconds from the first connection to the next one with a stream."""
    lost: int
    doubled: int
    strays: int
    """Objects yielded as items that are not items."""
    memory: int | None
    stop: float | None
    """Seconds until the client stopped; None if the client did not stop, or had ended before."""
    told: tuple[Told, ...]

    @property
    def running(self) -> bool:
        """Whether the client was still running when asked to stop."""
        return self.outcome not in (Outcome.RAISED, Outcome.SILENT_END, Outcome.OVERFLOW)
