"""Ids and times in X's formats, and the random bits from which everything else is generated.

Pure arithmetic, without a clock or a random generator: the same arguments give the same result, in every
process and at any time.
"""

from __future__ import annotations

import time
from functools import lru_cache

from xdk_streaming.x import SNOWFLAKE_EPOCH

_ALL = 0xFFFF_FFFF_FFFF_FFFF


def snowflake(at: float, number: int) -> str:
    """The id of the object with this number, created at Unix time `at`. Ids increase with time and number."""
    return str((round(at * 1000) - SNOWFLAKE_EPOCH) << 22 | (number & 0x3FFFFF))


def chance(seed: int, number: int) -> int:
    """64 uniform bits for the object with this number and `seed` (the finalizer of splitmix64)."""
    bits = (number * 0x9E3779B97F4A7C15 + seed * 0xD1342543DE82EF95 + 0x632BE59BD9B4E019) & _ALL
    bits = ((bits ^ bits >> 30) * 0xBF58476D1CE4E5B9) & _ALL
    bits = ((bits ^ bits >> 27) * 0x94D049BB133111EB) & _ALL
    return bits ^ bits >> 31


def moment(at: float) -> str:
    """A time as in posts and users: whole seconds, with milliseconds always 000."""
    return _second(int(at)) + ".000Z"


def exact_moment(at: float) -> str:
    """A time as in compliance events, with milliseconds."""
    milliseconds = round(at * 1000)
    return f"{_second(milliseconds // 1000)}.{milliseconds % 1000:03}Z"


@lru_cache(maxsize=4096)
def _second(at: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at))
