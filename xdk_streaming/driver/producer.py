"""The door between a driver and whoever runs it in a thread of its own: what the hand-over asks, and gets."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from typing import Any, NamedTuple, Protocol

from xdk_streaming.errors import StreamError
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


class Producer(Protocol):
    """What the hand-over asks of a driver. It runs on the driver's thread, except where another is named."""

    def run(self, before_wait: Callable[[], object], *, hands_over_lines: bool) -> Generator[Any, None, None]:
        """The items. `before_wait` is called before anything is done that may take its time."""

    def receipt(self) -> Receipt:
        """Of the item that `run` has yielded last."""

    def dropped(self, count: int, since: float, until: float) -> None:
        """So many items were dropped that had been received between these times, in Unix seconds."""

    def fail(self, error: StreamError) -> None:
        """Have `run` raise this soon."""

    def stop(self) -> None:
        """End the run soon. Takes no lock: for any thread and any signal handler."""

    def read(self, lines: Iterator[Any]) -> Iterator[Any]:
        """The items of lines that `run` has handed over. On the consumer's thread."""

    def delivered(self, position: Position) -> None:
        """The item of this position was delivered. On the consumer's thread."""
