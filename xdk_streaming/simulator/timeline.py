"""When which item of the simulated world is published. Items are numbered from 0; time is Unix seconds."""

from __future__ import annotations

import math
import threading
import time
from bisect import bisect_left


class Timeline:
    """`rate` items a second from `start` on, or from when the first connection joins; the same for all.

    A connection joins at the present and gets what is published from then on; a script
    may also take items ahead of their time. No item is given out to a later joiner again.
    """

    def __init__(self, rate: float, start: float | None = None, length: float = math.inf) -> None:
        self._rate = rate
        self._begun = start is not None
        self._start = time.time() if start is None else start
        self._length = length
        self._next = 0
        self._early = 0, self._start
        self._lock = threading.Lock()

    def published(self, now: float) -> int:
        """How many items there are by `now`."""
        if not self._begun:
            return 0
        return int(min(max(0.0, now - self._start) * self._rate, self._length))

    def due_at(self, number: int) -> float:
        """When an item is published; infinite where that never happens."""
        if not self._rate or number >= self._length:
            return math.inf
        return self._start + (number + 1) / self._rate

    def dated(self, number: int) -> float:
        """The moment an item bears: when it is published, or a second after the last where nothing is."""
        early, start = self._early
        return (start if number < early else self._start) + (number + 1) / (self._rate or 1.0)

    def reached(self, now: float) -> int:
        """How many items there are by `now`, those included that were given out ahead of their time."""
        return max(self._next, self.published(now))

    def between(self, since: float, until: float, limit: int) -> range:
        """The items dated from `since` on and before `until`, of those before `limit`."""
        first, last = (bisect_left(range(limit), moment, key=self.dated) for moment in (since, until))
        return range(first, last)

    def join(self, now: float) -> int:
        """The number of the first item for a connection that joins now."""
        with self._lock:
            if not self._begun:
                # Whoever gets an item again must find the date and the id that it had.
                self._early = self._next, self._start
                self._begun, self._start = True, now
            self._next = max(self._next, self.published(now))
            return self._next

    def take(self, count: int) -> range:
        """The next items, whatever their time, as far as there are any."""
        with self._lock:
            first = self._next
            self._next = int(min(first + count, self._length))
            return range(first, self._next)

    def advance(self, position: int) -> None:
        """Items before `position` have been given out."""
        with self._lock:
            self._next = max(self._next, position)
