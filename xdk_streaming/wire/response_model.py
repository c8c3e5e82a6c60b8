"""What a user gives as `response_model`, and the decoder for it."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from typing import Any, get_args, get_origin

from pydantic import BaseModel, PydanticUserError, TypeAdapter

from xdk_streaming.wire.arguments import is_coroutine_function
from xdk_streaming.wire.decoder import Decoder, LineDecoder, OnModelError, own_validation
from xdk_streaming.wire.function_decoder import FunctionDecoder, JSONDecoder
from xdk_streaming.wire.strictness import is_strict

TYPING_MODULES = ("typing", "typing_extensions")
"""Modules with objects that are callable and still denote a type."""
MODEL_WANTED = (
    "response_model takes a pydantic 2 model class, a TypeAdapter, a msgspec Struct, bytes, "
    "or a function from a line to an item"
)
CANNOT_ADAPT = (PydanticUserError, NameError, SyntaxError, TypeError, ValueError, AttributeError, LookupError)
"""What pydantic raises for an object that denotes no type, or a type it does not know."""


def decoder_for(model: Any, on_model_error: OnModelError = "report") -> Decoder:
    """The decoder for a user's `response_model`.

    The model is None, `bytes`, a pydantic model class, a `TypeAdapter`, a type that pydantic can adapt, a
    Struct of msgspec, or a callable from a line to an item. Raises ValueError for anything else.

    A model that is strict, in whole or in part, validates the line by the rules of JSON. Any other model
    validates what orjson makes of the line. The two differ for unions such as `datetime | str`, so the model
    decides, and never the speed.
    """
    if model is None:
        return Decoder(on_model_error=on_model_error)
    if model is bytes:
        return LineDecoder()
    if _is_struct(model):
        return JSONDecoder(_struct_reader(model), on_model_error, keyed_by_line=True)
    if _is_json_validation(model):
        return JSONDecoder(model, on_model_error, keyed_by_line=True)
    if _is_function(model):
        _check_function(model)
        return FunctionDecoder(model, on_model_error)
    adapter = _adapter(model)
    # A TypeAdapter keeps the config that it was given, and its schema does not show it.
    config = getattr(adapter, "_config", None)
    if own_validation(model) is None and is_strict([adapter.core_schema, config]):
        return JSONDecoder(adapter.validator.validate_json, on_model_error)
    return Decoder(model, on_model_error)


def _is_struct(model: Any) -> bool:
    msgspec = sys.modules.get("msgspec")  # whoever has a Struct has imported it
    return msgspec is not None and isinstance(model, type) and issubclass(model, msgspec.Struct)


def _struct_reader(model: Any) -> Callable[[bytes], Any]:
    """A function that makes a Struct of a line.

    msgspec does not check the text of fields that the Struct leaves out, so the text is checked here.
    """
    decode = sys.modules["msgspec"].json.Decoder(model).decode

    def read(line: bytes) -> Any:
        line.decode()
        return decode(line)

    return read


def _is_json_validation(function: Any) -> bool:
    """Whether this is `Model.model_validate_json` as pydantic has it, which refuses what is no JSON."""
    inherited = getattr(function, "__func__", None) is BaseModel.model_validate_json.__func__  # type: ignore[attr-defined]
    return inherited and isinstance(function.__self__, type)


def _is_function(model: Any) -> bool:
    """Whether the model is a function to call, and not a type for pydantic, which may also be callable."""
    is_type = isinstance(model, (type, TypeAdapter)) or get_origin(model) or hasattr(model, "model_validate")
    return callable(model) and not is_type and type(model).__module__ not in TYPING_MODULES


def _check_function(function: Any) -> None:
    """Raise ValueError if the function cannot be called with a line, or returns a coroutine."""
    if is_coroutine_function(function):
        raise ValueError(f"The response_model {_named(function)} is a coroutine function. {MODEL_WANTED}.")
    try:
        signature = inspect.signature(function)
    except (ValueError, TypeError):  # a function in C may have none
        return
    try:
        signature.bind(b"")
    except TypeError as refusal:
        raise ValueError(
            f"The response_model {_named(function)} is called with one line, as bytes, and does not accept "
            f"it: {refusal}."
        ) from None


def _adapter(model: Any) -> TypeAdapter[Any]:
    """What validates by this model. Raises ValueError with advice if pydantic cannot make that."""
    if _is_of_pydantic_1(model):
        raise ValueError(
            f"The response_model {_named(model)} is a model of pydantic.v1. Derive it from "
            "pydantic.BaseModel, or pass its method parse_raw."
        )
    try:
        if isinstance(model, BaseModel):
            raise TypeError("it is an instance, and not its class")
        adapter = model if isinstance(model, TypeAdapter) else TypeAdapter(model)
        adapter.validator.validate_python  # noqa: B018 - builds what was deferred
    except CANNOT_ADAPT as refusal:
        raise ValueError(
            f"The response_model {_named(model)} is nothing that pydantic can validate "
            f"({type(refusal).__name__}: {_first_sentence(refusal)}). {MODEL_WANTED}."
        ) from refusal
    if isinstance(adapter.core_schema, dict) and adapter.core_schema.get("type") == "is-instance":
        raise ValueError(
            f"The response_model {_named(model)} accepts only instances of a class, which no JSON is. "
            f"{MODEL_WANTED}."
        )
    return adapter


def _is_of_pydantic_1(model: Any) -> bool:
    """Whether this is a class of pydantic.v1, or a type with one in its brackets."""
    if isinstance(model, type) and any(
        base.__module__.startswith("pydantic.v1.") for base in model.__mro__[:-1]
    ):
        return True
    return any(map(_is_of_pydantic_1, get_args(model)))


def _named(model: Any) -> str:
    return getattr(model, "__qualname__", None) or f"of type {type(model).__name__}"


def _first_sentence(refusal: Exception) -> str:
    return str(refusal).partition("\n")[0].partition(". ")[0].rstrip(".")
