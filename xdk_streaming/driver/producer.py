"""The interface between a driver and `Threaded`, which runs the driver in a separate thread."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from typing import Any, NamedTuple, Protocol

from xdk_streaming.errors import StreamError
from xdk_streaming.recovery.tracker import Position


class Lines(NamedTuple):
    """The items of one read, still as lines. The consumer's thread decodes them."""

    lines: list[Any]
    size: int
    """Bytes of these lines."""


class Receipt(NamedTuple):
    """The facts about the item, or the `Lines`, that a producer yielded last."""

    size: int
    """Bytes of the item's line."""
    received_at: float
    """The item was not received before this, in seconds of the monotonic clock."""
    position: Position | None
    """The position to report once the item was delivered; None if deliveries are not recorded."""


class Producer(Protocol):
    """The methods of a driver that `Threaded` uses. They are called on the driver's thread unless noted."""

    def run(self, before_wait: Callable[[], object], *, hands_over_lines: bool) -> Generator[Any, None, None]:
        """The items. `before_wait` is called before any step that may take time."""

    def receipt(self) -> Receipt:
        """The receipt of the item that `run` yielded last."""

    def dropped(self, count: int, since: float, until: float) -> None:
        """`count` items were dropped, which were received between these times of the monotonic clock."""

    def fail(self, error: StreamError) -> None:
        """Make `run` raise this error soon."""

    def stop(self) -> None:
        """End the run soon. Takes no lock, so any thread and any signal handler may call it."""

    def read(self, lines: Iterator[Any]) -> Iterator[Any]:
        """The items of lines that `run` yielded as `Lines`. On the consumer's thread."""

    def position(self) -> Position:
        """The stream's position with the item that `run` yielded last."""

    def delivered(self, position: Position) -> None:
        """Record that the item of this position was delivered. On the consumer's thread."""
