"""Items on their way from a driver's thread to the thread that consumes them."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, field
from typing import Any


@dataclass(eq=False)
class Parcel:
    """Items that are handed from one thread to the other together; without items, only a position."""

    items: list[Any] = field(default_factory=list)
    keys: list[Hashable] = field(default_factory=list)
    """The key of each item, if deliveries are recorded; empty otherwise."""
    size: int = 0
    """Bytes of the items' lines."""
    since: float = 0.0
    """When the first item was received at the earliest, in seconds of the monotonic clock."""
    until: float = 0.0
    """The same of the last item."""
    made_at: float = 0.0
    """When the first item was put in, in seconds of the monotonic clock."""
    position: float | None = None
    """The stream's position while these items are being delivered, in Unix seconds."""
    position_after: float | None = None
    """The stream's position once all these items are delivered. The driver's thread may still advance it."""
    read: Callable[[Iterator[Any]], Iterator[Any]] | None = None
    """The function that decodes `items` if they are still lines; None if they are items."""
