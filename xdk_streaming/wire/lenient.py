"""Parses JSON that orjson refuses, such as NaN or half of a surrogate pair. It values numbers as orjson does.

Knows nothing of lines or models.
"""

from __future__ import annotations

import json
from typing import Any

from xdk_streaming.wire.nesting import MAX_NESTING, is_deep

EXACT_INTEGERS = range(-(2**63), 2**64)
"""Integers that orjson keeps exactly. It returns any other integer as the nearest float."""


def parse(text: bytes) -> Any:
    """The value of this JSON.

    Raises ValueError with the reason if it is none or is nested too deeply, and RecursionError if the caller
    is itself deep in the stack.
    """
    if is_deep(text):
        raise ValueError(f"nested more than {MAX_NESTING} levels deep")
    return PARSER.decode(text.decode())


def _integer(digits: str) -> int | float:
    """The number as orjson reads it, so that a line means the same whichever parser accepts it."""
    number = float(digits)
    if abs(number) < 2.0**65 and int(digits) in EXACT_INTEGERS:
        return int(digits)
    return number


PARSER = json.JSONDecoder(parse_int=_integer)
