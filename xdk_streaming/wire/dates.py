"""Dates in headers: when the server gave an answer, by the server's clock, and the moments that it names.

Reads headers (names in lower case). Has no clock of its own.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime

from xdk_streaming import x

FIRST_DATE = x.SNOWFLAKE_EPOCH / 1e3
LAST_DATE = datetime(2100, 1, 1, tzinfo=timezone.utc).timestamp()
"""A `Date` before X's epoch, or from the next century, is that of a clock that was never set."""


def parsed(value: str) -> float | None:
    """A date in any of HTTP's three forms (RFC 9110 section 5.6.7), in Unix seconds; None if garbled."""
    try:
        found = parsedate_to_datetime(value)
        return found.replace(tzinfo=found.tzinfo or timezone.utc).timestamp()
    except (ValueError, OverflowError):
        return None


def answered(headers: Mapping[str, str]) -> float | None:
    """When the server gave this answer, in Unix seconds by its clock; None if the answer does not say.

    Whole seconds, rounded down. The `Age` of a cached answer is added (RFC 9111 section 5.1). A `Date` that
    cannot be true is ignored.
    """
    date = parsed(headers.get("date", ""))
    if date is None:
        return None
    date += _age(headers.get("age", ""))
    return date if FIRST_DATE <= date < LAST_DATE else None


def _age(value: str) -> float:
    try:
        age = float(value)
    except ValueError:
        return 0.0
    return age if math.isfinite(age) and age > 0 else 0.0
