"""The simulator's time: that of the wall clock when the simulator was loaded, and no step of it since.

A server whose clock is set back would publish nothing and send no heartbeat until the old time comes again.
"""

from __future__ import annotations

import time

from xdk_streaming.clock import monotonic

LOADED_AT = time.time() - monotonic()
"""When the monotonic clock began, in Unix seconds."""


def present() -> float:
    """The present, in Unix seconds."""
    return LOADED_AT + monotonic()
