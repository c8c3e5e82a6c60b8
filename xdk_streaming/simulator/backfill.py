"""In which order X sends again what it has kept."""

from __future__ import annotations

import random
from collections.abc import Iterator

WINDOW = 50
"""Items among which the order is lost; from one such window to the next it holds."""
REPEATED = 0.02
"""The share of items that come twice."""


def delivery(numbers: range, chance: random.Random, portion: int) -> Iterator[list[int]]:
    """These items, older ones generally first: shuffled within their windows, and a few of them repeated.

    In portions of so many, or a few more.

    docs.x.com/x-api/fundamentals/recovery-and-redundancy: the client has to cope with duplicates.
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
