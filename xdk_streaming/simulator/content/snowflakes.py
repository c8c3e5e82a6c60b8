"""Ids of X's form, times as X writes them, and the chance that everything else is drawn from.

Pure arithmetic. Refuses to know a clock or a random generator: the same arguments give the
same answer, in every process and on every day.
"""

from __future__ import annotations

import time
from functools import lru_cache

from xdk_streaming.x import SNOWFLAKE_EPOCH

_ALL = 0xFFFF_FFFF_FFFF_FFFF


def snowflake(at: float, number: int) -> str:
    """The id of the number-th thing, made at Unix time `at`: rises with time, then with `number`."""
    return str((round(at * 1000) - SNOWFLAKE_EPOCH) << 22 | (number & 0x3FFFFF))


def chance(seed: int, number: int) -> int:
    """64 even bits for the number-th thing of the world `seed` (the finalizer of splitmix64)."""
    bits = (number * 0x9E3779B97F4A7C15 + seed * 0xD1342543DE82EF95 + 0x632BE59BD9B4E019) & _ALL
    bits = ((bits ^ bits >> 30) * 0xBF58476D1CE4E5B9) & _ALL
    bits = ((bits ^ bits >> 27) * 0x94D049BB133111EB) & _ALL
    return bits ^ bits >> 31


def moment(at: float) -> str:
    """As posts and users carry it: whole seconds, though the mask has milliseconds."""
    return _second(int(at)) + ".000Z"


def exact_moment(at: float) -> str:
    """As compliance events carry it, with their milliseconds."""
    milliseconds = round(at * 1000)
    return f"{_second(milliseconds // 1000)}.{milliseconds % 1000:03}Z"


@lru_cache(maxsize=4096)
def _second(at: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at))
