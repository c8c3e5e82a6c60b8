"""How long a stream waits for its server, computed from the user's settings."""

from __future__ import annotations

import logging

from xdk_streaming import x
from xdk_streaming.config import StreamConfig

logger = logging.getLogger("xdk_streaming")


def timeouts(config: StreamConfig) -> tuple[float | None, float | None]:
    """Seconds allowed for connecting, and for each wait for bytes; None for no limit."""
    timeout, stall = config.timeout, config.stall_timeout
    connect, each_read = timeout if isinstance(timeout, tuple) else (timeout, timeout)
    return _shorter(connect, stall), _shorter(each_read, stall)


def warn_of_short_timeout(config: StreamConfig) -> None:
    """Warn if silence counts as a fault sooner than X's next heartbeat can end the silence."""
    _, silence = timeouts(config)
    if silence is not None and silence < x.HEARTBEAT_SECONDS:
        logger.warning(
            "%.3g s of silence will count as a fault, but X's heartbeat comes only every %.0f s; "
            "raise timeout or stall_timeout above that",
            silence,
            x.HEARTBEAT_SECONDS,
        )


def _shorter(one: float | None, other: float | None) -> float | None:
    return min((bound for bound in (one, other) if bound is not None), default=None)
