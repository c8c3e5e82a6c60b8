"""Whether a pydantic model is strict, in whole or in part: its core schema says so."""

from __future__ import annotations

from typing import Any

USER_VALUES = ("default", "metadata")
"""Keys of a core schema under which values of the user are kept, which are no part of the schema."""


SAME_IN_BOTH = ("str", "int", "float", "bool")
"""Kinds that JSON and Python have in common: in strict mode the two are read alike."""


def is_strict(schema: Any) -> bool:
    """Whether anything in this core schema or config is strict, so that JSON is read otherwise.

    Strict mode distinguishes JSON from Python: a datetime, an enum or a tuple is accepted from JSON's strings
    and arrays, but not from Python's.
    """
    if isinstance(schema, dict):
        if schema.get("strict") is True and _is_models_choice(schema):
            return True
        return any(is_strict(value) for key, value in schema.items() if key not in USER_VALUES)
    return isinstance(schema, (list, tuple)) and any(map(is_strict, schema))


def _is_models_choice(schema: dict[str, Any]) -> bool:
    """Whether a strict schema makes its model strict.

    One of a kind that is the same in both does not, nor does a union with an error of its own: pydantic
    before 2.11 made paths and secrets of such strict unions, whatever the model is.
    """
    kind = schema.get("type")
    return kind not in SAME_IN_BOTH and not (kind == "union" and "custom_error_type" in schema)
