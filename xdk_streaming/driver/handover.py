"""How items leave the parcels that came from the driver's thread: one by one, or in batches.

Both run on the consumer's thread. What is handed over counts as delivered when the next is asked for, or when
the consumer leaves cleanly with it in hand.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Generator, Hashable, Iterable
from dataclasses import dataclass
from operator import length_hint
from typing import Any, NamedTuple, Protocol

from xdk_streaming.clock import monotonic
from xdk_streaming.driver.batch_limits import BatchLimits
from xdk_streaming.driver.parcel import Parcel


@dataclass
class Hand:
    """What the consumer holds. Written by the consumer's thread."""

    position: float | None = None
    """From when a later stream has to ask if what was handed over last is the last that was stored."""
    last_counts: bool = False
    """Whether what was handed over last counts as delivered, although the next is not asked for."""
    left: int = 0
    """Items that were taken from the queue and not handed over."""
    wanted: int = 1
    """How many items have to wait before the consumer is woken."""


class Consumer(Protocol):
    """What a handover knows of the consumer. `Threaded` is one."""

    hand: Hand
    stopping: bool
    """Whether `stop` was called: nothing else is handed over."""

    def delivered(self, keys: Iterable[Hashable], position: float | None) -> None:
        """Record that the items of these keys were delivered, and with them all before this position."""


class Handover(Protocol):
    """Hands over what is in the parcels. Close each generator, also if it is not exhausted."""

    def patience(self) -> float:
        """Seconds after which `take(None)` has something to hand over, though nothing comes; may be inf."""

    def take(self, parcel: Parcel | None) -> Generator[Any, None, None]:
        """What is to be handed over now, with one parcel more or with none."""

    def rest(self) -> Generator[Any, None, None]:
        """What is left when no parcel will come."""


class OneByOne:
    """Hands over the items themselves."""

    def __init__(self, consumer: Consumer) -> None:
        self._consumer = consumer

    def patience(self) -> float:
        """Nothing comes without a parcel."""
        return math.inf

    def take(self, parcel: Parcel | None) -> Generator[Any, None, None]:
        """The items of the parcel."""
        if parcel is None:
            return
        consumer, rest = self._consumer, iter(parcel.items)
        consumer.hand.position = parcel.position
        try:
            for item in rest if parcel.read is None else parcel.read(rest):
                try:
                    yield item
                except GeneratorExit:
                    if consumer.hand.last_counts:
                        self._deliver(parcel, rest)
                    raise
                if parcel.keys:
                    self._deliver(parcel, rest)
                if consumer.stopping:
                    return
        finally:
            consumer.hand.left += length_hint(rest)
        consumer.hand.position = parcel.position_after
        consumer.delivered([None], parcel.position_after)

    def rest(self) -> Generator[Any, None, None]:
        """Nothing: no item is kept."""
        yield from ()

    def _deliver(self, parcel: Parcel, rest: Any) -> None:
        """The last item that was taken from `rest` is delivered."""
        last = parcel.keys[-1 - length_hint(rest)] if parcel.keys else None
        self._consumer.delivered([last], parcel.position)


class _Part(NamedTuple):
    """A parcel that is not wholly handed over, without its items."""

    end: int
    """How many items were taken, those of this parcel included."""
    size: int
    made_at: float
    position: float | None
    position_after: float | None


class InBatches:
    """Hands over lists of items: when one is full, or old enough, or takes too much memory.

    A batch's age is counted from the moment at which its first item was decoded.
    """

    def __init__(self, consumer: Consumer, limits: BatchLimits) -> None:
        self._consumer = consumer
        self.limits = limits
        self._items: list[Any] = []
        self._keys: list[Hashable] = []
        self._parts: deque[_Part] = deque()
        self._taken = self._given = self._size = 0

    def patience(self) -> float:
        """Seconds until the batch is old enough."""
        return max(0.0, self._due_at() - monotonic()) if self._items else math.inf

    def take(self, parcel: Parcel | None) -> Generator[list[Any], None, None]:
        """The batches that are full, or old or large enough."""
        if parcel is not None:
            self._add(parcel)
        while len(self._items) >= self.limits.max_items or (self._items and self._is_due()):
            yield from self._next()
        if not self._items and self._parts:  # no items, but a position
            self._advance()
            self._consumer.delivered([None], self._consumer.hand.position)
        self._consumer.hand.wanted = self.limits.max_items - len(self._items) if self._items else 1

    def rest(self) -> Generator[list[Any], None, None]:
        """What was gathered, as a last batch."""
        while self._items:
            yield from self._next()

    def _add(self, parcel: Parcel) -> None:
        before = len(self._items)
        items = iter(parcel.items)
        self._items.extend(items if parcel.read is None else parcel.read(items))
        self._keys.extend(parcel.keys)
        count = len(self._items) - before
        self._taken += count
        self._consumer.hand.left += count
        part = _Part(self._taken, parcel.size, parcel.made_at, parcel.position, parcel.position_after)
        if count == 0 and self._parts:
            self._parts[-1] = self._parts[-1]._replace(position_after=part.position_after)
        else:
            self._parts.append(part)
            self._size += part.size

    def _due_at(self) -> float:
        return self._parts[0].made_at + self.limits.max_seconds

    def _is_due(self) -> bool:
        return self._size >= self.limits.max_bytes or monotonic() >= self._due_at()

    def _next(self) -> Generator[list[Any], None, None]:
        """Hand over one batch."""
        consumer = self._consumer
        batch, keys = self._items[: self.limits.max_items], self._keys[: self.limits.max_items]
        del self._items[: self.limits.max_items], self._keys[: self.limits.max_items]
        self._given += len(batch)
        consumer.hand.left -= len(batch)
        self._advance()
        position = consumer.hand.position
        try:
            yield batch
        except GeneratorExit:
            if consumer.hand.last_counts:
                consumer.delivered(keys or [None], position)
            raise
        consumer.delivered(keys or [None], position)
        if consumer.stopping:
            self._items.clear()

    def _advance(self) -> None:
        """Set the consumer's position, now that `_given` items are handed over."""
        while self._parts and self._parts[0].end <= self._given:
            part = self._parts.popleft()
            self._size -= part.size
            self._consumer.hand.position = part.position_after
        if self._parts:
            self._consumer.hand.position = self._parts[0].position
