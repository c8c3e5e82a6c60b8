"""A sink: the destination to which a stream's items are written as lines.

When `write` returns, the operating system has the line, even if this process is killed next. Checkpoints rely
on this order: an item counts as delivered when the next item is asked for. All sinks raise `OSError` if a
line cannot be written completely; no sink leaves half a line behind.
"""

from __future__ import annotations

from typing import Protocol


class Sink(Protocol):
    """A destination for items. Only one thread at a time may use a sink."""

    name: str
    """The name to show to the user."""

    @property
    def size(self) -> int:
        """Bytes that were written to the destination, all its files together."""

    @property
    def files(self) -> int:
        """Files that were written to, one after the other; 0 if the destination is not a file."""

    def write(self, line: bytes) -> None:
        """Write a line, including the line end."""

    def tick(self) -> None:
        """Do what is due even if no item comes; called a few times a second."""

    def close(self) -> None:
        """Complete and close the output."""
