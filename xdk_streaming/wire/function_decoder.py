"""Decoders that give the line itself to a function: the user's own, or one that reads JSON by itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from orjson import dumps, loads

from xdk_streaming.wire.decoder import BOM, PLAIN, Decoder, OnModelError
from xdk_streaming.wire.framing import StreamLine, Unended


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

    def _without_errors(self, content: dict[str, Any]) -> Any:
        raise TypeError("the function decides about the whole line")

    def _made(self, line: bytes) -> Any:
        return self._item(loads(line), line)

    def _item(self, content: dict[str, Any], line: bytes) -> Any:
        try:
            return self._function(line)
        except Exception as refusal:  # noqa: BLE001 - the function is the user's code, and may raise anything
            return self._refused(content, line, refusal)


class JSONDecoder(Decoder):
    """For models that read JSON by themselves: an item is read once, by `validate`.

    `validate` takes a line and raises for anything that is not JSON. What it refuses is parsed to find out
    whether the line is JSON at all.
    """

    def __init__(
        self,
        validate: Callable[[bytes], Any],
        on_model_error: OnModelError = "report",
        *,
        keyed_by_line: bool = False,
    ) -> None:
        super().__init__(on_model_error=on_model_error)
        self._validate_line = validate
        self.keyed_by_line = keyed_by_line
        self.quick = self._read

    def _read(self, line: bytes) -> Any:
        """Decode a line that is an item if it is JSON."""
        try:
            return self._validate_line(line)
        except Exception as refusal:  # noqa: BLE001 - validators are the user's code, and may raise anything
            return self._refused(loads(line), line, refusal)

    def _without_errors(self, content: dict[str, Any]) -> Any:
        return self._validate_line(dumps({name: content[name] for name in content if name != "errors"}))

    def _item(self, content: dict[str, Any], line: bytes) -> Any:
        try:
            return self._validate_line(line.strip().removeprefix(BOM))
        except Exception as refusal:  # noqa: BLE001 - as in _read
            return self._refused(content, line, refusal)
