"""Lines into items. Knows JSON and the user's model; decides nothing about the connection.

A post is the common case by far, so an item comes out bare; whatever else a line can be
is a `NotAnItem`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_origin

from orjson import JSONDecodeError, loads
from pydantic import BaseModel, TypeAdapter

from xdk_streaming.wire.framing import Oversized, Unended

OnModelError = Literal["report", "yield", "raise"]
Validate = Callable[[Any], Any]

BOM = b"\xef\xbb\xbf"


class NotAnItem:
    """What a line can be besides an item."""


@dataclass(frozen=True)
class Heartbeat(NotAnItem):
    """A blank line or an empty object: the server is alive."""


@dataclass(frozen=True)
class StreamNotice(NotAnItem):
    """An object that is about the stream and not part of it: errors without data."""

    content: dict[str, Any]
    line: bytes


@dataclass(frozen=True)
class Invalid(NotAnItem):
    """A line that is no item, or not a valid one: its first bytes at least, and why.

    `cause` is what the model raised, where it was the model that refused; the reason then
    quotes the item, as pydantic does.
    """

    line: bytes
    reason: str
    cause: Exception | None = None


@dataclass(frozen=True)
class Truncated(Invalid):
    """Part of a line: the connection ended inside it."""


@dataclass(frozen=True)
class Rejected(NotAnItem):
    """An item that the model refuses, where the user wants to see that raised."""

    line: bytes
    cause: Exception


HEARTBEAT_EVENT = Heartbeat()
DATA_FIRST = b'{"data":'

CONTROL_MESSAGES = ("limit", "warning", "disconnect", "info")
"""Keys under which X's older streaming APIs speak of the stream, each alone in its object."""
TYPING_MODULES = ("typing", "typing_extensions")
"""Where things come from that can be called and mean a type."""
EXACT_INTEGERS = range(-(2**63), 2**64)
"""What orjson keeps to the last digit; an integer beyond comes as the nearest float."""


def _integer(digits: str) -> int | float:
    """As orjson reads it: what one parser refuses must not look otherwise through the other."""
    number = float(digits)
    if abs(number) < 2.0**65 and int(digits) in EXACT_INTEGERS:
        return int(digits)
    return number


LENIENT = json.JSONDecoder(parse_int=_integer)


def decoder_for(model: Any, on_model_error: OnModelError = "report") -> Decoder:
    """The decoder for what a user gives as `response_model`.

    None, `bytes`, a pydantic model class, a `TypeAdapter` or what pydantic can make one from; or a callable
    from a line to an item.
    """
    if model is bytes:
        return LineDecoder()
    if _is_function(model):
        return FunctionDecoder(model, on_model_error)
    return Decoder(model, on_model_error)


class Decoder:
    """Decodes one line at a time; nothing is carried over from line to line.

    `model` is a pydantic model class, a `TypeAdapter`, or anything pydantic can make one
    from; `on_model_error` says what becomes of an item that it refuses.
    """

    def __init__(self, model: Any = None, on_model_error: OnModelError = "report") -> None:
        self._validate = _as_it_is if model is None else _validator(model)
        self._on_model_error = on_model_error
        self.quick: Callable[[Any], Any] = loads if model is None else self._validated
        """Decodes a line that begins with its data, as posts do. If it raises, the decoder itself tells."""

    def quickest(self, lines: Sequence[bytes | Oversized]) -> Callable[[Any], Any]:
        """The quickest way to decode these lines. If it raises, the decoder itself tells what the line is.

        Posts are the common case by far. A line that begins with its data is one, if it is JSON at
        all: neither a notice nor a heartbeat.
        """
        return self.quick if _all_begin_with_data(lines) else self

    def __call__(self, line: bytes | Oversized | Unended) -> Any:
        """An item (a dict, or what the model makes of it), or a `NotAnItem`. Raises nothing.

        An integer beyond 64 bits may come as the nearest float, as orjson reads it.
        """
        try:
            content = loads(line)  # type: ignore[arg-type]  # an Oversized is refused like any bad line
        except JSONDecodeError:
            return self._reread(line)
        return self._sorted(content, line)

    def decode_tail(self, line: bytes | Oversized) -> Any:
        """The same for bytes that no LF ended: a whole object is an item, less is `Truncated`."""
        event = self(line)
        if isinstance(line, Oversized):
            return Truncated(line.head, f"{line.length:,} bytes came of it, more than max_item_bytes")
        if isinstance(event, Invalid) and event.cause is None:
            return Truncated(event.line, "the connection ended inside this line")
        return event

    def _sorted(self, content: Any, line: Any) -> Any:
        if type(content) is not dict:
            return Invalid(line, f"not a JSON object but {_json_type(content)}")
        if "data" not in content and _is_about_the_stream(content):
            return StreamNotice(content, line)
        if not content:
            return HEARTBEAT_EVENT
        return self._item(content, line)

    def _item(self, content: dict[str, Any], line: bytes) -> Any:
        try:
            return self._validate(content)
        except Exception as refusal:  # noqa: BLE001 - validators are the user's code, and may raise anything
            return self._refused(content, line, refusal)

    def _validated(self, line: bytes) -> Any:
        """A line that is an item if it is JSON, in one call."""
        content = loads(line)
        try:
            return self._validate(content)
        except Exception as refusal:  # noqa: BLE001 - as in _item
            return self._refused(content, line, refusal)

    def _refused(self, content: dict[str, Any], line: bytes, refusal: Exception) -> Any:
        if self._on_model_error == "yield":
            return content
        if self._on_model_error == "raise":
            return Rejected(line, refusal)
        return Invalid(line, f"refused by the response model: {refusal}", refusal)

    def _reread(self, line: bytes | Oversized | Unended) -> Any:
        """What orjson refuses: blank lines, a byte order mark, and NaN among them."""
        if isinstance(line, Unended):
            return self.decode_tail(line.line)
        if isinstance(line, Oversized):
            return Invalid(line.head, f"{line.length:,} bytes long, more than max_item_bytes")
        bare = line.strip().removeprefix(BOM)
        if not bare:
            return HEARTBEAT_EVENT
        try:
            content = LENIENT.decode(bare.decode())
        except (ValueError, RecursionError) as refusal:
            return Invalid(line, f"not JSON: {refusal}")
        return self._sorted(content, line)


class LineDecoder(Decoder):
    """For those who forward items: the item is its line, as it came but for the LF.

    What begins with its data is no notice and no heartbeat, and is handed on unread.
    """

    def __init__(self) -> None:
        super().__init__()
        self.quick = bytes  # which gives back what is bytes already

    def __call__(self, line: bytes | Oversized | Unended) -> Any:
        """The line, or a `NotAnItem`. Raises nothing."""
        if type(line) is bytes and line.startswith(DATA_FIRST):
            return line
        return super().__call__(line)

    def decode_tail(self, line: bytes | Oversized) -> Any:
        """The same for bytes that no LF ended, which have to be read to tell whether they are whole."""
        event = Decoder.decode_tail(Decoder(), line)
        return line if type(event) is dict else event

    def _item(self, content: dict[str, Any], line: bytes) -> Any:
        return line


class FunctionDecoder(Decoder):
    """For those who decode by themselves: the item is what their function makes of the line.

    It is asked for lines that are items, and for no others: what is no JSON object, a heartbeat or a notice
    never reaches it. What it raises counts as a model's refusal.
    """

    def __init__(self, function: Callable[[bytes], Any], on_model_error: OnModelError = "report") -> None:
        super().__init__(on_model_error=on_model_error)
        self._function = function
        self.quick = self._made

    def _made(self, line: bytes) -> Any:
        return self._item(loads(line), line)

    def _item(self, content: dict[str, Any], line: bytes) -> Any:
        try:
            return self._function(line)
        except Exception as refusal:  # noqa: BLE001 - it is the user's code, and may raise anything
            return self._refused(content, line, refusal)


def _is_function(model: Any) -> bool:
    """Whether it is to be called, rather than a type for pydantic, which may be callable as well."""
    is_type = isinstance(model, (type, TypeAdapter)) or get_origin(model) is not None
    return callable(model) and not is_type and type(model).__module__ not in TYPING_MODULES


def _all_begin_with_data(lines: Sequence[Any]) -> bool:
    """What the least and the greatest begin with, all between them do. An `Oversized` compares with none."""
    if not lines:
        return True
    try:
        return min(lines).startswith(DATA_FIRST) and max(lines).startswith(DATA_FIRST)  # type: ignore[no-any-return]
    except (TypeError, ValueError):
        return False


def _is_about_the_stream(content: dict[str, Any]) -> bool:
    """Errors alone, wrapped or bare; a control message of X's older APIs; Powerstream's first object."""
    return (
        "errors" in content
        or ("type" in content and "title" in content)
        or content.keys() == {"code", "message"}
        or (len(content) == 1 and any(isinstance(content.get(key), dict) for key in CONTROL_MESSAGES))
        or content.get("type") == "connection_metadata"
    )


def _as_it_is(content: Any) -> Any:
    return content


def _validator(model: Any) -> Validate:
    """The shortest way into the model.

    On decoded JSON, which orjson gives in less time than pydantic's own parser: measured on a post's model,
    `validate_json` takes a quarter more.
    """
    own = getattr(model, "model_validate", None)
    if own is not None and getattr(own, "__func__", own) is not BaseModel.model_validate.__func__:  # type: ignore[attr-defined]
        validate: Validate = own  # one of the user's own
        return validate
    adapter = model if isinstance(model, TypeAdapter) else TypeAdapter(model)
    return adapter.validator.validate_python


def _json_type(content: Any) -> str:
    names = {list: "an array", str: "a string", bool: "a boolean", type(None): "null"}
    return names.get(type(content), "a number")
