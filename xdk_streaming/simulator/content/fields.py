"""Field selection as in X's API: a table of makers, from which fields are chosen by name.

An object of X's v2 API has few fields by default; `tweet.fields` and similar parameters add others
(docs.x.com/x-api/fundamentals/fields). Knows no particular object or field.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any, TypeVar

T = TypeVar("T")

Maker = Callable[[T], Any]
"""Makes the value of one field of an object."""

FieldMakers = tuple[tuple[str, Callable[[T], Any]], ...]


def listed(value: str | None) -> tuple[str, ...]:
    """The names in a comma-separated parameter."""
    return tuple(value.split(",")) if value else ()


def chosen(table: Mapping[str, Maker[T]], wanted: Collection[str]) -> FieldMakers[T]:
    """The makers of the wanted fields. Unknown names are ignored, as by a lenient server."""
    return tuple((name, make) for name, make in table.items() if name in wanted)


def filled(subject: T, fields: FieldMakers[T]) -> dict[str, Any]:
    """An object with exactly these fields."""
    return {name: make(subject) for name, make in fields}
