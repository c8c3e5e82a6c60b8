"""The scripts of a simulator's connections, in turn."""

from __future__ import annotations

import threading
from collections.abc import Iterable

from xdk_streaming.simulator.script import Script


class Scripts:
    """A script for each of the first connections, and `then` for all later ones. Any thread may use it."""

    def __init__(self, first: Iterable[Script], then: Script) -> None:
        self._first = iter(first)
        self._then = then
        self._lock = threading.Lock()

    def next(self) -> Script:
        """The script for the connection that opens a stream now."""
        with self._lock:
            return next(self._first, self._then)
