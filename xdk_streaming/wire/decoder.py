"""Decodes lines into items. Knows JSON and the user's model; decides nothing about the connection.

Nearly every line is a post, so an item is returned as it is. Any other line is returned as a `NotAnItem`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Literal

from orjson import JSONDecodeError, loads
from pydantic import BaseModel, TypeAdapter

from xdk_streaming.wire import lenient
from xdk_streaming.wire.framing import (
    LONG_BYTES,
    MIN_ROOM,
    Blanks,
    Long,
    Oversized,
    StreamLine,
    Unended,
    bare,
)
from xdk_streaming.wire.not_an_item import (
    HEARTBEAT_EVENT,
    Heartbeat,
    Invalid,
    NotAnItem,
    Partial,
    Rejected,
    StreamNotice,
    Truncated,
)
from xdk_streaming.wire.weight import text_weight, weight

OnModelError = Literal["report", "yield", "raise"]
Validate = Callable[[Any], Any]

MAX_REASON = 2_000
"""Characters of a reason, at most: a model may give one reason for each of a million values."""
BOM = b"\xef\xbb\xbf"


DATA_FIRST = b'{"data":'

CONTROL_MESSAGES = ("limit", "warning", "disconnect", "info")
"""Keys of messages about the stream in X's older streaming APIs. Each key is alone in its object."""


class Decoder:
    """Decodes one line at a time, independently of other lines.

    `model` is a pydantic model class, a `TypeAdapter`, or a type that pydantic can adapt. `on_model_error`
    says what happens to an item that the model refuses.
    """

    def __init__(self, model: Any = None, on_model_error: OnModelError = "report") -> None:
        self._validate = _as_it_is if model is None else _validator(model)
        self._on_model_error = on_model_error
        self.keyed_by_line = False
        """Whether the line identifies an item, because the item itself may be anything."""
        self.quick: Callable[[Any], Any] = loads if model is None else self._validated()
        """Decodes a line that begins with its data, as posts do. If it raises, call the decoder itself."""

    def quickest(self, lines: Sequence[StreamLine]) -> Callable[[Any], Any]:
        """The quickest function to decode these lines. If the function raises, call the decoder itself.

        Nearly every line is a post. A line that begins with its data is an item if it is JSON at all, and
        neither a notice nor a heartbeat.
        """
        if len(lines) == 1 and type(lines[0]) is bytes:  # as on a quiet stream
            return self.quick if lines[0].startswith(DATA_FIRST) else self
        return self.quick if _all_begin_with_data(lines) else self

    def __call__(self, line: StreamLine | Unended) -> Any:
        """An item (a dict, or what the model makes of the dict), or a `NotAnItem`. Raises nothing.

        An integer of more than 64 bits may come as the nearest float, as orjson reads it.
        """
        try:
            content = loads(line)  # type: ignore[arg-type]  # what is no bytes is refused like a bad line
        except JSONDecodeError:
            return self._reread(line)
        return self._sorted(content, line)

    def is_item(self, line: StreamLine | Unended) -> bool:
        """Whether a line is an item, for those who only count."""
        event = self(line)
        return type(event) is Partial or not isinstance(event, NotAnItem)

    def decode_tail(self, line: bytes | Oversized | Long) -> Any:
        """The same for bytes that no LF ended: a whole object is an item, part of one is `Truncated`."""
        event = self(line)
        if isinstance(line, Oversized):
            received = f"after {line.length:,} bytes, more than max_item_bytes"
            return Truncated(line.head, f"the connection ended inside this line, {received}")
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

    def _validated(self) -> Callable[[bytes], Any]:
        """Decodes and validates, in one call, a line that is an item if it is JSON."""
        validate, refused = self._validate, self._refused  # looked up once, and not for each item

        def validated(line: bytes) -> Any:
            content = loads(line)
            try:
                return validate(content)
            except Exception as refusal:  # noqa: BLE001 - as in _item
                return refused(content, line, refusal)

        return validated

    def _refused(self, content: dict[str, Any], line: bytes, refusal: Exception) -> Any:
        if self._on_model_error == "yield":
            return content
        if self._on_model_error == "raise":
            return Rejected(line, refusal)
        reason = f"refused by the response model: {refusal}"
        refused = Invalid(line, reason[:MAX_REASON], refusal)
        if "errors" in content and "data" in content:
            with suppress(Exception):  # as in _item; the model then wants the errors, or refuses more
                return Partial(self._without_errors(content), refused)
        return refused

    def _without_errors(self, content: dict[str, Any]) -> Any:
        return self._validate({name: value for name, value in content.items() if name != "errors"})

    def _reread(self, line: StreamLine | Unended) -> Any:
        """Decode a line that orjson refuses: for example a blank line, a byte order mark, or NaN."""
        if isinstance(line, Unended):
            return self.decode_tail(line.line)
        if isinstance(line, Oversized):
            return Invalid(line.head, f"{line.length:,} bytes long, more than max_item_bytes")
        if isinstance(line, Blanks):
            return Heartbeat(line.count)
        if isinstance(line, Long):
            return self._weighed(line)
        text = line.strip().removeprefix(BOM)
        if not text:
            return HEARTBEAT_EVENT
        if len(text) > LONG_BYTES and text_weight(text) > MIN_ROOM:
            return Invalid(line, "not JSON, and too large to look at it again")
        try:
            content = lenient.parse(text)
        except (ValueError, RecursionError) as refusal:
            return Invalid(line, f"not JSON: {refusal}")
        return self._sorted(content, line)

    def _weighed(self, long: Long) -> Any:
        """Decode a long line, unless its content could take more memory than it may."""
        needed = weight(long.line)
        if needed <= long.room:
            return self(long.line)
        return Invalid(
            long.line,
            f"too large to parse: these {len(long):,} bytes may take {needed:,} bytes of memory, more than "
            f"{long.room:,}; a larger max_item_bytes allows more",
        )


class LineDecoder(Decoder):
    """For users who forward items: the item is its line as it was received, without the LF.

    A line that begins with its data is neither a notice nor a heartbeat. pydantic's parser checks that the
    line is JSON in UTF-8, in half of orjson's time, since it makes no objects of it.
    """

    def __init__(self) -> None:
        super().__init__()
        self._check = _Anything.__pydantic_validator__.validate_json
        self.quick = self._checked

    def __call__(self, line: StreamLine | Unended) -> Any:
        """The line, or a `NotAnItem`. Raises nothing."""
        if type(line) is bytes and line.startswith(DATA_FIRST):
            with suppress(ValueError):  # what pydantic's parser refuses may still be JSON
                return self.quick(line)
        return super().__call__(line)

    def decode_tail(self, line: bytes | Oversized | Long) -> Any:
        """The same for bytes without an LF at their end, which are parsed to find whether they are whole."""
        event = PLAIN.decode_tail(line)
        return bare(line) if type(event) is dict else event

    def _item(self, content: dict[str, Any], line: bytes) -> Any:
        return line

    def _checked(self, line: bytes) -> bytes:
        self._check(line)
        return line


class _Anything(BaseModel):
    """An object with any content, none of which is kept."""


def _all_begin_with_data(lines: Sequence[Any]) -> bool:
    """Whether all lines begin with their data. They do if the least and the greatest line do.

    An `Oversized` cannot be compared with a line, and the answer is then False.
    """
    if not lines:
        return True
    try:
        return min(lines).startswith(DATA_FIRST) and max(lines).startswith(DATA_FIRST)  # type: ignore[no-any-return]
    except (TypeError, ValueError):
        return False


def _is_about_the_stream(content: dict[str, Any]) -> bool:
    """Whether this is errors alone (wrapped or bare), a control message, or Powerstream's first object."""
    return (
        "errors" in content
        or ("type" in content and "title" in content)
        or content.keys() == {"code", "message"}
        or (len(content) == 1 and any(isinstance(content.get(key), dict) for key in CONTROL_MESSAGES))
        or content.get("type") == "connection_metadata"
    )


def _as_it_is(content: Any) -> Any:
    return content


def own_validation(model: Any) -> Validate | None:
    """The `model_validate` that the user has overridden, to be called; None if it is pydantic's own."""
    own: Validate | None = getattr(model, "model_validate", None)
    inherited: Any = BaseModel.model_validate
    return None if getattr(own, "__func__", own) is inherited.__func__ else own


def _validator(model: Any) -> Validate:
    """The quickest function that validates decoded JSON.

    `validate_json` is a tenth faster for a model of many fields, and takes half as long again for one of
    dicts. It gives other values for some unions, so only strict models use it: see `response_model`.
    """
    own = own_validation(model)
    if own is not None:
        return own
    adapter = model if isinstance(model, TypeAdapter) else TypeAdapter(model)
    return adapter.validator.validate_python


def _json_type(content: Any) -> str:
    names = {list: "an array", str: "a string", bool: "a boolean", type(None): "null"}
    return names.get(type(content), "a number")


PLAIN = Decoder()
"""Decodes without a model."""
