"""When each item is published. Items are numbered from 0; times are Unix seconds by the wall clock."""

from __future__ import annotations

import math
import threading
from bisect import bisect_left

from xdk_streaming.simulator.present import present


class Timeline:
    """Publishes `rate` items per second from `start` on, or from when the first connection joins.

    All connections share one timeline. A connection joins at the present and gets the items published from
    then on; a script can also take items ahead of their time. A connection that joins later gets no item
    that was already sent.
    """

    def __init__(self, rate: float, start: float | None = None, length: float = math.inf) -> None:
        self._rate = rate
        self._begun = start is not None
        self._start = present() if start is None else start
        self._length = length
        self._next = 0
        self._early = 0, self._start
        self._lock = threading.Lock()

    def published(self, now: float) -> int:
        """The number of items published by `now`."""
        if not self._begun:
            return 0
        return int(min(max(0.0, now - self._start) * self._rate, self._length))

    def due_at(self, number: int) -> float:
        """When an item is published; infinite if never."""
        if not self._rate or number >= self._length:
            return math.inf
        return self._start + (number + 1) / self._rate

    def dated(self, number: int) -> float:
        """The date of an item: its publication, or, at rate 0, one second after the item before."""
        early, start = self._early
        return (start if number < early else self._start) + (number + 1) / (self._rate or 1.0)

    def reached(self, now: float) -> int:
        """The number of items published by `now`, including those taken ahead of their time."""
        return max(self._next, self.published(now))

    def between(self, since: float, until: float, limit: int) -> range:
        """The items dated from `since` to before `until`, among those before number `limit`."""
        first, last = (bisect_left(range(limit), moment, key=self.dated) for moment in (since, until))
        return range(first, last)

    def join(self, now: float) -> int:
        """The number of the first item for a connection that joins now."""
        with self._lock:
            if not self._begun:
                # An item that is sent again must keep its date and id.
                self._early = self._next, self._start
                self._begun, self._start = True, now
            self._next = max(self._next, self.published(now))
            return self._next

    def take(self, count: int) -> range:
        """Take the next items regardless of their time; fewer if the timeline ends."""
        with self._lock:
            first = self._next
            self._next = int(min(first + count, self._length))
            return range(first, self._next)

    def advance(self, position: int) -> None:
        """Note that items before `position` have been sent."""
        with self._lock:
            self._next = max(self._next, position)
