"""What one thread waits for and another hands over: a bare lock, which signal handlers may release."""

from __future__ import annotations

import threading
from contextlib import suppress


class Baton:
    """Handed over by `give`, and waited for by one thread."""

    def __init__(self) -> None:
        self.wanted = False
        """Set by the thread that is about to wait, for those who give only what is wanted."""
        self._lock = threading.Lock()
        self._lock.acquire()

    def take(self, seconds: float = -1) -> None:
        """Wait for it, at most for so many seconds."""
        self._lock.acquire(timeout=seconds)

    def give(self) -> None:
        """Let the thread that waits go on; if none waits, let the next wait return at once."""
        with suppress(RuntimeError):  # it was given before, and no thread has waited since
            self._lock.release()
