"""How many streams an app may have at once, and who holds which of them."""

from __future__ import annotations

import math
import threading
import time


class Slots:
    """So many places for connections, or as many as come where `connections` is None.

    After an abrupt loss X takes a while to notice: for `zombie` seconds the place stays taken.
    """

    def __init__(self, connections: int | None, zombie: float) -> None:
        self._connections = math.inf if connections is None else connections
        self._zombie = zombie
        self._until: dict[int, float] = {}
        self._lock = threading.Lock()

    def enter(self, request: int) -> bool:
        """Take a place, if there is one."""
        now = time.monotonic()
        with self._lock:
            self._until = {other: until for other, until in self._until.items() if until > now}
            if len(self._until) >= self._connections:
                return False
            self._until[request] = math.inf
            return True

    def leave(self, request: int, *, abrupt: bool) -> None:
        """Give the place back, if it was not given back before."""
        with self._lock:
            if self._until.get(request) == math.inf:
                del self._until[request]
                if abrupt and self._zombie:
                    self._until[request] = time.monotonic() + self._zombie

    def holders(self) -> set[int]:
        """The visits that hold a place: those that go on, and those of which the loss is not noticed yet."""
        now = time.monotonic()
        with self._lock:
            return {request for request, until in self._until.items() if until > now}

    def free(self, request: int) -> bool:
        """Take a place away from who holds it. Was it held?"""
        with self._lock:
            return self._until.pop(request, 0.0) > time.monotonic()
