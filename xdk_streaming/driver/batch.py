"""Items that are still lines, on their way from a driver to the thread that consumes them."""

from __future__ import annotations

from typing import Any, NamedTuple


class Lines(NamedTuple):
    """A read's worth of items, to be read where they are consumed, with `Driver.read`."""

    lines: list[Any]
    bytes: int
