"""Items as lines for people: who wrote what, and when."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import orjson

from xdk_streaming.cli.printable import escaped, plain


def readable(line: bytes) -> bytes:
    """A line for people: for a post, its author and text; for anything else, the line itself."""
    item = _decoded(line)
    data = item.get("data") if isinstance(item, dict) else None
    if not (isinstance(data, dict) and isinstance(data.get("text"), str)):
        return printable(line)
    words = (data.get("created_at"), data.get("id"), _author(item, data), " ".join(data["text"].split()))
    return printable("  ".join(str(word) for word in words if word).encode("utf-8", "replace"))


def printable(line: bytes) -> bytes:
    """A line of text without terminal control characters, which the text of a post may contain."""
    return plain(line.decode("utf-8", "replace").rstrip("\r\n")).encode("utf-8", "replace") + b"\n"


def printable_json(line: bytes) -> bytes:
    """A line of JSON in which such characters are escaped: the same item."""
    return escaped(line.decode("utf-8", "replace").rstrip("\r\n")).encode("utf-8", "replace") + b"\n"


def as_it_came(line: bytes) -> bytes:
    """The line, ended with LF. X ends lines with CRLF, which is not part of the item."""
    return line.rstrip(b"\r") + b"\n"


def created_at(line: bytes) -> float | None:
    """When the post of an item was written, in Unix seconds; None if the item does not say."""
    item = _decoded(line)
    data = item.get("data") if isinstance(item, dict) else None
    moment = data.get("created_at") if isinstance(data, dict) else None
    if not isinstance(moment, str):
        return None
    try:
        return datetime.fromisoformat(moment.replace("Z", "+00:00")).timestamp()
    except ValueError:
        return None


def _author(item: dict[str, Any], data: dict[str, Any]) -> str | None:
    author = data.get("author_id")
    includes = item.get("includes")
    users = includes.get("users") if isinstance(includes, dict) else None
    for user in users if isinstance(users, list) else ():
        if isinstance(user, dict) and user.get("id") == author and user.get("username"):
            return f"@{user['username']}"
    return None if author is None else str(author)


def _decoded(line: bytes) -> Any:
    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError:  # lines that look like items are passed on unparsed
        return None
