"""Gathers the items of a driver that runs on the consumer's own thread into batches."""

from __future__ import annotations

from collections.abc import Generator, Hashable
from contextlib import closing
from typing import Any

from xdk_streaming.clock import monotonic
from xdk_streaming.driver.batch_limits import BatchLimits
from xdk_streaming.driver.driver import DUE, Driver
from xdk_streaming.driver.parts import Parts
from xdk_streaming.errors import StreamError
from xdk_streaming.recovery.tracker import Position


class Gatherer:
    """The batches of one driver. For the consumer's thread; `limits` may be changed between two batches."""

    def __init__(self, driver: Driver, parts: Parts, limits: BatchLimits) -> None:
        self.limits = limits
        self.last_counts = False
        """Whether the batch in hand counts as delivered, although the next is not asked for."""
        self._driver = driver
        self._parts = parts
        self._batch: list[Any] = []
        self._keys: list[Hashable] = []

    def batches(self) -> Generator[list[Any], None, None]:
        """The batches, then the driver's error, if any."""
        driver, parts, failure = self._driver, self._parts, None
        try:
            with closing(driver.run(gathered=True)) as items:
                try:
                    yield from self._gathered(items)
                except StreamError as error:
                    failure = error
                if self._batch:
                    yield from self._handed_over()
                if failure is not None:
                    raise failure
        finally:
            del failure  # the exception's traceback holds this frame
            parts.state.undelivered_items += len(self._batch)
            self._batch = []
            parts.tracker.close()

    def _gathered(self, items: Generator[Any, None, None]) -> Generator[list[Any], None, None]:
        driver, tracker, size = self._driver, self._parts.tracker, 0
        for item in items:
            if item is not DUE:
                batch, limits = self._batch, self.limits
                if not batch:
                    size, driver.holding = 0, True
                    driver.wait.due_at = monotonic() + limits.max_seconds
                batch.append(item)
                size += len(driver.line)
                if tracker.delivered is not None:
                    self._keys.append(tracker.position().key)
                if len(batch) < limits.max_items and size < limits.max_bytes:
                    continue
            yield from self._handed_over()

    def _handed_over(self) -> Generator[list[Any], None, None]:
        self._driver.wait.due_at = None
        batch, keys, position = self._batch, self._keys, self._parts.tracker.position().moment
        self._batch, self._keys = [], []
        try:
            yield batch
        except GeneratorExit:
            if self.last_counts:
                self._deliver(keys, position)
            raise
        self._deliver(keys, position)
        self._driver.holding = False

    def _deliver(self, keys: list[Hashable], moment: float | None) -> None:
        note = self._parts.tracker.delivered
        if note is not None:
            for key in keys or [None]:
                note(Position(key, moment))
