"""What a line is if it is no item, or not only one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


class NotAnItem:
    """A line that is no item. The subclasses say what it is."""


@dataclass(frozen=True)
class Heartbeat(NotAnItem):
    """A blank line or an empty object, or `count` of them in a row: the server is alive."""

    count: int = 1


@dataclass(frozen=True)
class StreamNotice(NotAnItem):
    """An object about the stream itself, such as errors without data."""

    content: dict[str, Any]
    line: bytes


@dataclass(frozen=True)
class Invalid(NotAnItem):
    """A line that is no item, or no valid one: at least its first bytes, and the reason.

    `cause` is the exception of the model, if the model refused the item. The reason then quotes the item, as
    pydantic does.
    """

    line: bytes
    reason: str
    cause: Exception | None = None


@dataclass(frozen=True)
class Truncated(Invalid):
    """Part of a line: the connection ended inside it."""


@dataclass(frozen=True)
class Rejected(NotAnItem):
    """An item that the model refused, if the user has asked for an error in this case."""

    line: bytes
    cause: Exception


@dataclass(frozen=True)
class Partial(NotAnItem):
    """An item that the model accepts without its `errors`, and the refusal of the whole line.

    X sends a whole post beside errors about what belongs to the post, such as an author that was deleted.
    """

    item: Any
    refused: Invalid


HEARTBEAT_EVENT = Heartbeat()
