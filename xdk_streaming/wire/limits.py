"""When a server wants us back: `Retry-After`, and X's rate-limit headers.

Reads headers (names in lower case) and times given to it; has no clock and waits for nothing.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from datetime import timezone
from email.utils import parsedate_to_datetime

from xdk_streaming import x
from xdk_streaming.state import RateLimit

logger = logging.getLogger("xdk_streaming")


def rate_limit(headers: Mapping[str, str]) -> RateLimit | None:
    """What an answer tells of the limit on connecting; None where it tells nothing."""
    limit, remaining, reset = (
        _number(headers.get(name, "")) for name in (x.LIMIT_HEADER, x.REMAINING_HEADER, x.RESET_HEADER)
    )
    if limit is remaining is reset is None:
        return None
    return RateLimit(_whole(limit), _whole(remaining), reset)


def retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """The seconds that `Retry-After` asks for, in either form of RFC 9110 section 10.2.3; None for none."""
    value = headers.get("retry-after", "")
    seconds = _number(value)
    if seconds is None:
        seconds = _until_date(value, now)
    return seconds if seconds is not None and seconds > 0 else None


def until_reset(limit: RateLimit | None, now: float) -> float | None:
    """Seconds until the next window; None where that is unknown, or, with a warning, cannot be true."""
    if limit is None or limit.reset is None:
        return None
    seconds = limit.reset - now
    if 0 < seconds <= x.RATE_LIMIT_WINDOW:  # no reset lies further off
        return seconds
    logger.warning(
        "The server's rate limit is said to reset %.0f s %s, where a window lasts %.0f s: its clock and this "
        "machine's disagree. The reset is ignored, and the usual backoff waited; check this machine's clock",
        abs(seconds),
        "from now" if seconds > 0 else "ago",
        x.RATE_LIMIT_WINDOW,
    )
    return None


def _until_date(value: str, now: float) -> float | None:
    try:
        moment = parsedate_to_datetime(value)
        return moment.replace(tzinfo=moment.tzinfo or timezone.utc).timestamp() - now
    except (ValueError, OverflowError):
        return None


def _number(value: str) -> float | None:
    try:
        number = float(value.replace("_", "x"))  # Python takes 1_000 for a number, HTTP does not
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _whole(number: float | None) -> int | None:
    return None if number is None else int(number)
