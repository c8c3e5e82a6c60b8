"""What a simulator did, for those who compare it with what a client saw."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import count
from typing import NamedTuple

OPEN = "open"
KILLED = "killed through the connections endpoint"


@dataclass
class ServedRequest:
    """One request: who came, what was asked, how it ended. Times are Unix seconds."""

    number: int
    path: str
    params: dict[str, str]
    opened_at: float
    outcome: str = OPEN
    """In words, once it is over."""
    ended_at: float | None = None
    live_since: float | None = None
    live_until: float | None = None
    """Between these two it sent every item that was published."""
    killed: bool = False
    """Somebody asked for its end, from another thread than its own."""

    def close(self, outcome: str) -> None:
        """It is over, or as good as over."""
        self.outcome = outcome
        self.ended_at = time.time()


class Sent(NamedTuple):
    """One item on its way: its number in the simulated world, its id, and whether all of it was sent."""

    request: int
    number: int
    id: str | None
    at: float
    whole: bool


class SentLog(deque[Sent]):
    """The items sent, in the order of their sending; the oldest make room where it is full."""

    def __init__(self, length: int) -> None:
        super().__init__(maxlen=length)
        self.total = 0
        """How many were ever written: the oldest may have made room."""
        self._lock = threading.Lock()

    def write(self, entries: Iterable[Sent]) -> None:
        """Add these, all at once."""
        with self._lock:
            written = list(entries)
            self.total += len(written)
            self.extend(written)

    def retract(self, request: int, count: int, *, half: bool) -> None:
        """The last so many of this visit were not sent after all, but, if `half`, a part of the first."""
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
    """All that a simulator did, the last `length` of each kind. For any thread."""

    def __init__(self, length: int) -> None:
        self.requests: deque[ServedRequest] = deque(maxlen=length)
        """The streams that were asked for."""
        self.api_requests: deque[ServedRequest] = deque(maxlen=length)
        """The other requests."""
        self.log = SentLog(length)
        self.unmatched: deque[int] = deque(maxlen=length)
        """The numbers of the items that matched no rule."""
        self._stream_numbers = count()
        self._api_numbers = count()
        self._lock = threading.Lock()

    def add_stream_request(self, path: str, params: dict[str, str]) -> ServedRequest:
        """Note a new request for a stream."""
        with self._lock:
            request = ServedRequest(next(self._stream_numbers), path, params, time.time())
            self.requests.append(request)
        return request

    def add_api_request(self, method: str, path: str, params: dict[str, str]) -> ServedRequest:
        """Note a request that asks for no stream."""
        request = ServedRequest(next(self._api_numbers), f"{method} {path}", params, time.time())
        self.api_requests.append(request)
        return request
