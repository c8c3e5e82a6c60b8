"""A driver as the `Producer` of `Threaded`: runs ahead of its consumer, who says later what was delivered."""

from __future__ import annotations

from collections.abc import Callable, Generator
from functools import partial
from typing import Any

from xdk_streaming.driver.driver import Driver
from xdk_streaming.driver.line_reader import LineReader
from xdk_streaming.driver.parts import Parts
from xdk_streaming.driver.producer import Receipt
from xdk_streaming.gap import Gap
from xdk_streaming.recovery.tracker import Position


class ReadAhead:
    """A `Producer`. The class of that name says which method belongs to which thread."""

    def __init__(self, driver: Driver, parts: Parts) -> None:
        self._driver = driver
        self._parts = parts
        self._reader = LineReader(parts.decoder, parts.invalid_lines, parts.state)
        self.stop, self.fail = driver.stop, driver.fail
        self.position = parts.tracker.position
        self.read = self._reader.read

    def run(self, before_wait: Callable[[], object], *, hands_over_lines: bool) -> Generator[Any, None, None]:
        """The driver's items, or its `Lines`."""
        return self._driver.run(partial(self._before_wait, before_wait), hands_over_lines=hands_over_lines)

    def receipt(self) -> Receipt:
        """The receipt of the item that was yielded last."""
        tracker = self._parts.tracker
        position = None if tracker.delivered is None else tracker.position()
        return Receipt(len(self._driver.line), tracker.received_at, position)

    def delivered(self, position: Position) -> None:
        """The item of this position was delivered."""
        note = self._parts.tracker.delivered
        if note is not None:
            note(position)

    def dropped(self, count: int, since: float, until: float) -> None:
        """A buffer dropped `count` items, received between these times of the monotonic clock."""
        span = self._parts.unix(since), self._parts.unix(until)
        self._driver.report(Gap(*span, None, span, "dropped", count, self._parts.refill))

    def finish(self) -> None:
        """After the run: report what `read` refused, and write all that was delivered to disk."""
        try:
            self._reader.report()
        finally:
            self._parts.tracker.close()

    @property
    def unfinished(self) -> bool:
        """Whether `finish` has anything to do."""
        return bool(self._reader.refused) or self._parts.tracker.delivered is not None

    def _before_wait(self, before_wait: Callable[[], object]) -> None:
        before_wait()
        if self._reader.refused:
            self._reader.report()
