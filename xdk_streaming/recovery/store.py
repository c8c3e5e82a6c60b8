"""The interface of a checkpoint's store, which remembers delivered items."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

StoredKey = str | int | bytes
"""A key that a store can keep unchanged. An integer has 64 bits at most."""


@dataclass(frozen=True)
class Delivered:
    """The contents of a store when it was opened."""

    received_at: float | None
    """When the last delivered item was received, in Unix seconds of the wall clock of the machine that
    received it; None if no item was delivered."""
    keys: tuple[StoredKey, ...]
    """The keys of the items received in the last `window` seconds before that, oldest first."""


class Store(Protocol):
    """Remembers delivered items. All methods are called on one thread, the checkpoint's own.

    `checkpoint.py` makes a store with a path, the seconds for which keys are kept, and the most keys to keep.
    A lock file beside that path is held meanwhile. An error from `begin` ends the stream. After an error
    from `add`, the stream goes on, and `add` is tried again with the items that have come in the meantime.
    """

    def begin(self) -> Delivered:
        """Open the store, and return what it holds."""

    def add(self, keys: list[StoredKey], received_at: float) -> None:
        """Remember these keys too, all or nothing. `received_at` of the last item is in Unix seconds."""

    def close(self) -> None:
        """Close the store. May be called again."""
