"""Which fields of an item a model refused: their paths and why, without their values."""

from __future__ import annotations

import re

from pydantic import ValidationError

MAX_FIELDS = 5
"""Fields that are named, at most."""
MAX_PATH = 100
"""Characters of a path, at most: a key of a dict may be anything that the server sends."""
MSGSPEC_PATH = re.compile(r" - at `\$\.?([^`]*)`$")
"""The end of a message of msgspec. What precedes it may quote a value."""


def refused_fields(refusal: Exception) -> str:
    """The fields that this exception of a model names, such as "data.created_at (missing)".

    For an exception that names none, the name of its type: its text may quote the item.
    """
    if isinstance(refusal, ValidationError):
        return _of_pydantic(refusal)
    kind = type(refusal).__name__
    path = MSGSPEC_PATH.search(str(refusal)) if type(refusal).__module__ == "msgspec" else None
    return kind if path is None else f"{_shown(path[1])} ({kind})"


def _of_pydantic(refusal: ValidationError) -> str:
    errors = refusal.errors(include_url=False, include_context=False, include_input=False)
    named = [f"{_shown('.'.join(map(str, each['loc'])))} ({each['type']})" for each in errors[:MAX_FIELDS]]
    more = len(errors) - len(named)
    return ", ".join(named) + (f", and {more:,} more" if more else "")


def _shown(path: str) -> str:
    """The path, printable and not too long; what has none is the item as a whole."""
    shown = path.encode("unicode_escape").decode()
    return f"{shown[:MAX_PATH]}..." if len(shown) > MAX_PATH else shown or "the item"
