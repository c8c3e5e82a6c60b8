"""A cache of generated lines, for clients that request the same items."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import chain
from typing import Any, TypeAlias, TypeVar

from xdk_streaming.x import BACKFILL_PARAMETERS, RECOVERY_PARAMETERS, Endpoint

Line: TypeAlias = tuple[bytes, str | None]
"""An item as a line without line end, and the id of the item."""
CacheKey: TypeAlias = tuple[str, frozenset[tuple[str, str]], int]
Made = TypeVar("Made", bound="Line | None")

MAX_CACHED_LINES = 400_000
MAX_CACHED_BYTES = 256 * 2**20

_NOT_OF_THE_ITEM = frozenset({"partition", *BACKFILL_PARAMETERS, *chain(*RECOVERY_PARAMETERS)})
"""Parameters that select items without changing their content."""

_UNMADE = object()


class LineCache:
    """Two generations of lines: when the younger one reaches half of the limit, the older one is dropped."""

    def __init__(self, max_lines: int = MAX_CACHED_LINES, max_bytes: int = MAX_CACHED_BYTES) -> None:
        self._max_lines = max_lines // 2
        self._max_bytes = max_bytes // 2
        self._young: dict[CacheKey, dict[int, Any]] = {}
        self._old: dict[CacheKey, dict[int, Any]] = {}
        self._lines = 0
        self._bytes = 0

    def __len__(self) -> int:
        return sum(len(some) for age in (self._young, self._old) for some in age.values())

    def of(
        self,
        numbers: Iterable[int],
        endpoint: Endpoint,
        params: Mapping[str, str],
        make: Callable[[int], Made],
        revision: int = 0,
    ) -> list[Made]:
        """The lines of these items, for this revision of the rules. Missing lines are made and cached.

        `make` returns None for an item that must not be sent.
        """
        of_the_item = frozenset(item for item in params.items() if item[0] not in _NOT_OF_THE_ITEM)
        key = endpoint.path, of_the_item, revision
        young, old = self._young.setdefault(key, {}), self._old.get(key, {})
        found = []
        for number in numbers:
            line = young.get(number, _UNMADE)
            if line is _UNMADE:
                line = old.get(number, _UNMADE)
                if line is _UNMADE:
                    line = make(number)
                young[number] = line
                self._lines += 1
                self._bytes += 0 if line is None else len(line[0])
            found.append(line)
        # Several threads may count at the same time, so the limit is approximate.
        if self._lines > self._max_lines or self._bytes > self._max_bytes:
            self._old, self._young = self._young, {}
            self._lines = self._bytes = 0
        return found
