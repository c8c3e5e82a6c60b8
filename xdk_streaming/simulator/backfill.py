"""The order in which X resends past items."""

from __future__ import annotations

import random
from collections.abc import Iterator

WINDOW = 50
"""Items in one window. Items are shuffled within their window; the windows keep their order."""
REPEATED = 0.02
"""The share of items that are sent twice."""


def delivery(numbers: range, chance: random.Random, portion: int) -> Iterator[list[int]]:
    """These items in portions of `portion` or slightly more: shuffled in windows, a few of them repeated.


    docs.x.com/x-api/fundamentals/recovery-and-redundancy: clients must handle duplicates.
    """
    gathered: list[int] = []
    for first in range(numbers.start, numbers.stop, WINDOW):
        window = list(range(first, min(first + WINDOW, numbers.stop)))
        window += [number for number in window if chance.random() < REPEATED]
        chance.shuffle(window)
        gathered += window
        if len(gathered) >= portion:
            yield gathered
            gathered = []
    if gathered:
        yield gathered
