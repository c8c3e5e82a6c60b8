"""Items on their way from a driver's thread to the thread that consumes them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from xdk_streaming.recovery.tracker import Position


class Lines(NamedTuple):
    """A read's worth of items that are still lines, to be decoded where they are consumed."""

    lines: list[Any]
    size: int
    """Bytes of these lines."""


class Receipt(NamedTuple):
    """What a producer knows of the item, or the lines, that it has yielded last."""

    size: int
    """Bytes of its line."""
    received_at: float
    """It was not sent before this, in Unix seconds."""
    position: Position | None
    """What to say of it once it is delivered; None if nobody notes that."""


@dataclass(eq=False)
class Batch:
    """Items that go from one thread to the other together."""

    items: list[Any] = field(default_factory=list)
    positions: list[Position] = field(default_factory=list)
    """One for each item, if it is noted what was delivered."""
    size: int = 0
    """Bytes of their lines."""
    since: float = 0.0
    """When the first was received, in Unix seconds."""
    until: float = 0.0
    """When the last was."""
    read: Callable[[Iterator[Any]], Iterator[Any]] | None = None
    """What makes items of them, if they are still lines."""
