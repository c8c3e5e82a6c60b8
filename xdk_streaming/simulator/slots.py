"""Slots: how many streams an app may have at a time, and which requests hold one."""

from __future__ import annotations

import math
import threading
import time


class Slots:
    """A limited number of slots for connections; no limit if `connections` is None.

    X takes a while to notice an abrupt loss: the slot stays taken for `zombie` seconds.
    """

    def __init__(self, connections: int | None, zombie: float) -> None:
        self._connections = math.inf if connections is None else connections
        self._zombie = zombie
        self._until: dict[int, float] = {}
        self._lock = threading.Lock()

    def enter(self, request: int) -> bool:
        """Take a slot, if one is free. Returns whether one was."""
        now = time.monotonic()
        with self._lock:
            self._until = {other: until for other, until in self._until.items() if until > now}
            if len(self._until) >= self._connections:
                return False
            self._until[request] = math.inf
            return True

    def leave(self, request: int, *, abrupt: bool) -> None:
        """Give the slot back, unless it was given back before."""
        with self._lock:
            if self._until.get(request) == math.inf:
                del self._until[request]
                if abrupt and self._zombie:
                    self._until[request] = time.monotonic() + self._zombie

    def holders(self) -> set[int]:
        """The requests that hold a slot: open ones, and lost ones whose loss is not noticed yet."""
        now = time.monotonic()
        with self._lock:
            return {request for request, until in self._until.items() if until > now}

    def free(self, request: int) -> bool:
        """Take the slot away from a request. Returns whether the request held one."""
        with self._lock:
            return self._until.pop(request, 0.0) > time.monotonic()
