"""How often an app connects to each stream in a window, and the headers in which X says so.

The simulator counts and does not refuse: a client under test may connect more often than X would let it.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping

from xdk_streaming.simulator.present import present
from xdk_streaming.x import (
    LIMIT_HEADER,
    RATE_LIMIT_WINDOW,
    REMAINING_HEADER,
    RESET_HEADER,
    connects_per_window,
)


class Connects:
    """The attempts of an app to connect. For any thread."""

    def __init__(self) -> None:
        self._windows: dict[str, tuple[float, int]] = {}
        self._lock = threading.Lock()

    def headers(self, path: str) -> Mapping[str, str]:
        """Count an attempt to connect to this stream. Returns the headers of the answer."""
        now, limit = present(), connects_per_window(path)
        with self._lock:
            began, count = self._windows.get(path, (now, 0))
            if now >= began + RATE_LIMIT_WINDOW:
                began, count = now, 0
            self._windows[path] = began, count + 1
        return {
            LIMIT_HEADER: str(limit),
            REMAINING_HEADER: str(max(0, limit - count - 1)),
            RESET_HEADER: str(int(began + RATE_LIMIT_WINDOW) + 1),
        }
