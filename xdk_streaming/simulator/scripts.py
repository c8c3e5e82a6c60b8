"""What the connections of a simulator do, in turn."""

from __future__ import annotations

import threading
from collections.abc import Iterable

from xdk_streaming.simulator.script import Script


class Scripts:
    """A script for each of the first connections; `then` is every later one's. For any thread."""

    def __init__(self, first: Iterable[Script], then: Script) -> None:
        self._first = iter(first)
        self._then = then
        self._lock = threading.Lock()

    def next(self) -> Script:
        """What the connection does that gets its stream now."""
        with self._lock:
            return next(self._first, self._then)
