"""Items on their way from a driver's thread to the thread that consumes them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from xdk_streaming.recovery.tracker import Position


@dataclass(eq=False)
class Batch:
    """Items that are handed from one thread to the other together."""

    items: list[Any] = field(default_factory=list)
    positions: list[Position] = field(default_factory=list)
    """The position of each item, if deliveries are recorded; empty otherwise."""
    size: int = 0
    """Bytes of the items' lines."""
    since: float = 0.0
    """When the first item was received, in seconds of the monotonic clock."""
    until: float = 0.0
    """When the last item was received, by the same clock."""
    read: Callable[[Iterator[Any]], Iterator[Any]] | None = None
    """The function that decodes `items` if they are still lines; None if they are items."""
