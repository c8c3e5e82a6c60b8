"""How long a server asks the client to wait: `Retry-After`, and X's rate-limit headers.

Reads headers (names in lower case). `now` is Unix seconds of this machine's wall clock. A moment that the
server names is compared with the answer's own `Date`, and with the local clock only if there is no `Date`.
Has no clock of its own, and never waits.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from xdk_streaming import x
from xdk_streaming.log import logger
from xdk_streaming.state import RateLimit
from xdk_streaming.wire import dates


def rate_limit(headers: Mapping[str, str]) -> RateLimit | None:
    """The limit on connecting in an answer's headers; None if there is none."""
    limit, remaining, reset = (
        _number(headers.get(name, "")) for name in (x.LIMIT_HEADER, x.REMAINING_HEADER, x.RESET_HEADER)
    )
    if limit is remaining is reset is None:
        return None
    return RateLimit(_whole(limit), _whole(remaining), reset)


def retry_after(headers: Mapping[str, str], now: float, waited: float = 0.0) -> float | None:
    """Seconds to wait by `Retry-After`, in either form of RFC 9110 section 10.2.3; None if not asked.

    `waited` seconds have passed since the answer came.
    """
    value = headers.get("retry-after", "")
    seconds = _number(value)
    if seconds is not None:
        waited = math.floor(waited)  # "Retry-After: 30" is 30 to the user, and no wait becomes too short
    else:
        moment, date = dates.parsed(value), dates.answered(headers)
        seconds = None if moment is None else moment - (now if date is None else date)
    return seconds - waited if seconds is not None and seconds > waited else None


def until_reset(limit: RateLimit | None, now: float, *, dated: bool = False) -> float | None:
    """Seconds until the next window; None if that is unknown, or impossible, which logs a warning.

    `now` is the answer's `Date` if `dated`, else the local clock's time, and the seconds since the answer
    came. A `Date` is rounded down to whole seconds.
    """
    if limit is None or limit.reset is None:
        return None
    seconds = limit.reset - now
    if 0 < seconds <= x.RATE_LIMIT_WINDOW + dated:  # no reset is further away
        return seconds
    logger.warning(
        "The server says that its rate limit resets %.0f s %s, but a window lasts %.0f s: its clock and %s "
        "disagree. The reset is ignored, and the usual backoff applies%s",
        abs(seconds),
        "from now" if seconds > 0 else "ago",
        x.RATE_LIMIT_WINDOW,
        *(("the Date of its answer", "") if dated else ("this machine's", "; check this machine's clock")),
    )
    return None


def _number(value: str) -> float | None:
    try:
        number = float(value.replace("_", "x"))  # 1_000 is a number in Python, but not in HTTP
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _whole(number: float | None) -> int | None:
    return None if number is None else int(number)
