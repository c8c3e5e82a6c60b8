"""Lines of a recording: each is an item, a JSON object."""

from __future__ import annotations

import json


def is_json(line: bytes) -> bool:
    """Whether the line is complete: JSON, of whatever kind."""
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return False
    return True


def looks_like_item(line: bytes) -> bool:
    """Whether the line has the shape of an object, which a piece of one has not. It is not parsed."""
    line = line.strip()
    return line.startswith(b"{") and line.endswith(b"}")
