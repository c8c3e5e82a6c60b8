"""Measures how deeply a line of JSON is nested, without parsing the line.

json's parser calls itself once for each level. At the end of the stack, finalizers that a garbage collection
calls there fail as well, and they are anybody's. Knows nothing of lines or models.
"""

from __future__ import annotations

import re
from itertools import accumulate

MAX_NESTING = 500
"""Levels that json's parser may be asked to descend. A post of X has fewer than ten."""
STRING = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)
OPENINGS, CLOSINGS = b"[{", b"]}"
NO_BRACKETS = bytes(set(range(256)) - set(OPENINGS + CLOSINGS))
STEP = dict.fromkeys(OPENINGS, 1) | dict.fromkeys(CLOSINGS, -1)


def is_deep(text: bytes) -> bool:
    """Whether the arrays and objects of this JSON are nested more deeply than `MAX_NESTING`."""
    if sum(map(text.count, (b"[", b"{"))) <= MAX_NESTING:
        return False
    brackets = STRING.sub(b"", text).translate(None, NO_BRACKETS)
    return max(accumulate(STEP[code] for code in brackets), default=0) > MAX_NESTING
