"""The door of a checkpoint's store: what a place must offer in which delivered items are remembered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

StoredKey = str | int | bytes
"""A key that a store can keep as it is; an integer of 64 bits at most."""


@dataclass(frozen=True)
class Delivered:
    """What the store held when it was opened."""

    received_at: float | None
    """When the last delivered item was received, in Unix seconds; None if none ever was."""
    keys: tuple[StoredKey, ...]
    """Of the items of the last `window` seconds before that, oldest first."""


class Store(Protocol):
    """Remembers delivered items. All of it happens on one thread, the checkpoint's own.

    Made by `checkpoint.py` with a path, the seconds for which keys are kept, and how many at most; a lock
    file beside that path is held meanwhile. If `begin` raises, the stream ends. If `add` raises, the stream
    goes on, and `add` is tried again with what has come in the meantime.
    """

    def begin(self) -> Delivered:
        """Open it; what it holds."""

    def add(self, keys: list[StoredKey], received_at: float) -> None:
        """Remember these too, the last of them received at this moment: all of it, or nothing."""

    def close(self) -> None:
        """Let go of it. May be called again."""
