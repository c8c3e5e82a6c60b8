"""What a user gives as `response_model`, and the decoder for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, get_origin

from orjson import loads
from pydantic import TypeAdapter

from xdk_streaming.wire.decoder import PLAIN, Decoder, LineDecoder, OnModelError
from xdk_streaming.wire.framing import StreamLine, Unended

TYPING_MODULES = ("typing", "typing_extensions")
"""Modules with objects that are callable and still denote a type."""


def decoder_for(model: Any, on_model_error: OnModelError = "report") -> Decoder:
    """The decoder for a user's `response_model`.

    The model is None, `bytes`, a pydantic model class, a `TypeAdapter`, a type that pydantic can adapt, or a
    callable from a line to an item.
    """
    if model is bytes:
        return LineDecoder()
    if _is_function(model):
        return FunctionDecoder(model, on_model_error)
    return Decoder(model, on_model_error)


class FunctionDecoder(Decoder):
    """For users who decode by themselves: the item is what their function makes of the line.

    The function is called only for lines that are items, never for a heartbeat, a notice, or a line that is
    no JSON object. An exception from the function counts as a refusal by the model.
    """

    def __init__(self, function: Callable[[bytes], Any], on_model_error: OnModelError = "report") -> None:
        super().__init__(on_model_error=on_model_error)
        self._function = function
        self.keyed_by_line = True
        self.quick = self._made

    def is_item(self, line: StreamLine | Unended) -> bool:
        """Whether a line is an item, without asking the function, which may be slow or do things."""
        return PLAIN.is_item(line)

    def _made(self, line: bytes) -> Any:
        return self._item(loads(line), line)

    def _item(self, content: dict[str, Any], line: bytes) -> Any:
        try:
            return self._function(line)
        except Exception as refusal:  # noqa: BLE001 - the function is the user's code, and may raise anything
            return self._refused(content, line, refusal)


def _is_function(model: Any) -> bool:
    """Whether the model is a function to call, and not a type for pydantic, which may also be callable."""
    is_type = isinstance(model, (type, TypeAdapter)) or get_origin(model) or hasattr(model, "model_validate")
    return callable(model) and not is_type and type(model).__module__ not in TYPING_MODULES
