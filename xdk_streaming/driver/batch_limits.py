"""When a batch is handed over."""

from __future__ import annotations

from dataclasses import dataclass

MAX_BYTES = 16 * 2**20
"""Bytes of the lines of a batch from which on it is handed over before it is full."""
MAX_BYTES_AN_ITEM = 4 * 2**10
"""The same for each item that was asked for, if this gives more: who wants larger batches has the room."""


@dataclass(frozen=True)
class BatchLimits:
    """The most items of a batch, and the seconds from its first item on. Raises ValueError if one is none."""

    max_items: int
    max_seconds: float

    def __post_init__(self) -> None:
        items, seconds = self.max_items, self.max_seconds
        if not isinstance(items, int) or isinstance(items, bool) or items < 1:
            raise ValueError(f"max_items is {items!r}, must be a whole number, 1 or more")
        if not isinstance(seconds, (int, float)) or isinstance(seconds, bool) or not seconds > 0:
            raise ValueError(f"max_seconds is {seconds!r}, must be a number above 0")

    @property
    def max_bytes(self) -> int:
        """Bytes of the lines of a batch, about."""
        return max(MAX_BYTES, MAX_BYTES_AN_ITEM * self.max_items)
