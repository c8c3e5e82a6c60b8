"""Short forms of what many tests need."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any


def ids(items: Sequence[Mapping[str, Any]]) -> list[str]:
    """The ids of posts."""
    return [item["data"]["id"] for item in items]


def namespace(**attributes: Any) -> Any:
    """Something with these attributes and no others."""
    return SimpleNamespace(**attributes)
