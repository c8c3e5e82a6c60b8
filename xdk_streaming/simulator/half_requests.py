"""Connections whose request has not come whole: they are ended after a while."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

REQUEST_SECONDS = 30.0
"""Seconds from the connection to the end of the request's head."""


class HalfRequests:
    """The connections that wait for a request. `end` ends one of them. For any thread."""

    def __init__(self, end: Callable[[Any], object]) -> None:
        self._end = end
        self._due: dict[Any, float] = {}
        self._lock = threading.Lock()

    def begun(self, connection: Any) -> None:
        """A client has connected."""
        with self._lock:
            self._due[connection] = time.monotonic() + REQUEST_SECONDS

    def whole(self, connection: Any) -> None:
        """The head of the request has come, or the connection is closed."""
        with self._lock:
            self._due.pop(connection, None)

    def end_those_due(self) -> None:
        """End the connections whose time is up. Called often."""
        if not self._due:
            return
        now = time.monotonic()
        with self._lock:
            due = [connection for connection, at in self._due.items() if at <= now]
            for connection in due:
                del self._due[connection]
        for connection in due:
            self._end(connection)
