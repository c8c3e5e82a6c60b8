"""Fields as X lets them be asked for: a table of makers, some of them chosen by name.

An object of X's v2 API brings few fields by default; `tweet.fields` and its like add others
(docs.x.com/x-api/fundamentals/fields). Knows no object and no field by name.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any, TypeVar

T = TypeVar("T")

Maker = Callable[[T], Any]
"""Makes the value of one field from what the object is about."""

FieldMakers = tuple[tuple[str, Callable[[T], Any]], ...]


def listed(value: str | None) -> tuple[str, ...]:
    """The names in a comma-joined parameter."""
    return tuple(value.split(",")) if value else ()


def chosen(table: Mapping[str, Maker[T]], wanted: Collection[str]) -> FieldMakers[T]:
    """The makers of the wanted fields. Names that the table lacks are passed over, as by a lenient server."""
    return tuple((name, make) for name, make in table.items() if name in wanted)


def filled(subject: T, fields: FieldMakers[T]) -> dict[str, Any]:
    """An object with just these fields."""
    return {name: make(subject) for name, make in fields}
