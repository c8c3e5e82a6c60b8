"""A log of what the simulator did, to compare with what a client saw."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import count
from typing import NamedTuple

from xdk_streaming.simulator.present import present

OPEN = "open"
KILLED = "killed through the connections endpoint"


@dataclass
class ServedRequest:
    """One request that the simulator served, and how it ended. Times are Unix seconds by the wall clock."""

    number: int
    path: str
    params: dict[str, str]
    opened_at: float
    outcome: str = OPEN
    """How the request ended, in words; "open" until then."""
    ended_at: float | None = None
    live_since: float | None = None
    live_until: float | None = None
    """Between these two times, the connection sent every item when the item was published."""
    killed: bool = False
    """Whether another request ended this one, through the connections endpoint."""

    def close(self, outcome: str) -> None:
        """Note that the request has ended, or is about to end."""
        self.outcome = outcome
        self.ended_at = present()


class Sent(NamedTuple):
    """One item that was sent: by which request, its number and id, when, and whether it was sent whole."""

    request: int
    number: int
    id: str | None
    at: float
    whole: bool


class SentLog(deque[Sent]):
    """The sent items, in order; if the log is full, the oldest are dropped."""

    def __init__(self, length: int) -> None:
        super().__init__(maxlen=length)
        self.total = 0
        """Items ever written, including those dropped from the log."""
        self._lock = threading.Lock()

    def write(self, entries: Iterable[Sent]) -> None:
        """Add these entries together."""
        with self._lock:
            written = list(entries)
            self.total += len(written)
            self.extend(written)

    def retract(self, request: int, count: int, *, half: bool) -> None:
        """Remove the last `count` items of a request, which were not sent after all.

        If `half`, part of the first of them was sent: it stays, marked as not whole.
        """
        with self._lock:
            place = len(self)
            while count and place:
                place -= 1
                entry = self[place]
                if entry.request != request:
                    continue
                count -= 1
                if half and not count:
                    self[place] = entry._replace(whole=False)
                else:
                    del self[place]


class Logbook:
    """Everything that the simulator did: the last `length` entries of each kind. Any thread may use it."""

    def __init__(self, length: int) -> None:
        self.requests: deque[ServedRequest] = deque(maxlen=length)
        """The requests for streams."""
        self.api_requests: deque[ServedRequest] = deque(maxlen=length)
        """The other requests."""
        self.log = SentLog(length)
        self.unmatched: deque[int] = deque(maxlen=length)
        """The numbers of the items that matched no rule."""
        self._stream_numbers = count()
        self._api_numbers = count()
        self._lock = threading.Lock()

    def add_stream_request(self, path: str, params: dict[str, str]) -> ServedRequest:
        """Add a request for a stream."""
        with self._lock:
            request = ServedRequest(next(self._stream_numbers), path, params, present())
            self.requests.append(request)
        return request

    def add_api_request(self, method: str, path: str, params: dict[str, str]) -> ServedRequest:
        """Add a request that is not for a stream."""
        request = ServedRequest(next(self._api_numbers), f"{method} {path}", params, present())
        self.api_requests.append(request)
        return request
