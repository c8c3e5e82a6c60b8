"""Cuts a parsed JSON object to a bounded size, because errors are kept for as long as a stream runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Any

VALUE_BYTES = 64
"""Bytes of memory that a value takes, whatever it is."""
LARGE_INTEGER = 2**128
"""An integer from here on is left out."""


def cut(fields: Mapping[str, Any], size: int, *, first: Sequence[str]) -> dict[str, Any]:
    """A copy of an object that takes about `size` bytes of memory, at most; a whole copy if that fits.

    Of an object that does not fit, long texts are cut, and the names in `first` are kept before all others.
    """
    room = _Room(size, longest=size)
    whole = room.object(fields.items())
    if room.enough:
        return whole
    named = ((name, fields[name]) for name in first if name in fields)
    return _Room(size, longest=size // 8).object(chain(named, fields.items()))


class _Room:
    """The room that is left for an object. `enough` is false once something was cut or left out."""

    def __init__(self, left: int, *, longest: int) -> None:
        self.enough = True
        self._left = left
        self._longest = longest

    def object(self, items: Iterable[tuple[str, Any]]) -> dict[str, Any]:
        kept: dict[str, Any] = {}
        for name, value in items:
            if self._is_full():
                break
            if name not in kept:
                kept[self._text(name)] = self._value(value)
        return kept

    def _array(self, values: list[Any]) -> list[Any]:
        kept: list[Any] = []
        for value in values:
            if self._is_full():
                break
            kept.append(self._value(value))
        return kept

    def _value(self, value: Any) -> Any:
        self._left -= VALUE_BYTES
        if isinstance(value, str):
            return self._text(value)
        if isinstance(value, dict):
            return self.object(value.items())
        if isinstance(value, list):
            return self._array(value)
        if isinstance(value, int) and not -LARGE_INTEGER < value < LARGE_INTEGER:
            self.enough = False
            return None
        return value

    def _text(self, text: str) -> str:
        width = 1 if text.isascii() else 4
        kept = text[: max(0, min(self._left, self._longest)) // width]
        self._left -= width * len(kept)
        self.enough = self.enough and len(kept) == len(text)
        return kept

    def _is_full(self) -> bool:
        self.enough = self.enough and self._left > 0
        return self._left <= 0
