"""Completion of values in a shell: names of fields, and addresses."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from xdk_streaming.x import ENDPOINTS

Complete = Callable[[str], list[str]]


def some_of(names: Iterable[str]) -> Complete:
    """Completes the last name in a list that is separated by commas."""
    known = tuple(names)

    def complete(incomplete: str) -> list[str]:
        before, comma, last = incomplete.rpartition(",")
        given = set(before.split(","))
        return [f"{before}{comma}{name}" for name in known if name.startswith(last) and name not in given]

    return complete


def addresses(incomplete: str) -> list[str]:
    """Completes the path of a stream."""
    return [path for path in ENDPOINTS if path.startswith(incomplete)]
