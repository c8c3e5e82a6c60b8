"""Items on their way from a driver's thread to the thread that consumes them."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from typing import Any

Read = Callable[[Iterator[Any]], Iterator[Any]]


class Parcel:
    """Items that are handed from one thread to the other together; without items, only a position.

    `read` decodes `items` if they are still lines; it is None if they are items. `size` is the bytes of their
    lines.
    """

    def __init__(self, items: list[Any] | None = None, size: int = 0, read: Read | None = None) -> None:
        self.items: list[Any] = [] if items is None else items
        self.keys: list[Hashable] = []
        """The key of each item, if deliveries are recorded; empty otherwise."""
        self.size = size
        self.read = read
        self.since = 0.0
        """When the first item was received at the earliest, in seconds of the monotonic clock."""
        self.until = 0.0
        """The same of the last item."""
        self.made_at = 0.0
        """When the first item was put in, in seconds of this machine's monotonic clock."""
        self.position: float | None = None
        """The stream's position while these items are being delivered, in Unix seconds."""
        self.position_after: float | None = None
        """The same once all these items are delivered. The driver's thread may still advance it."""
