"""Both types of stream have the same surface: what differs is listed here, with its reason."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path
from typing import Any

import pytest
import requests

import xdk_streaming
from xdk_streaming import AsyncStream, Stream, astream_with_retry, stream_with_retry
from xdk_streaming.streams import aio, sync

RENAMED = {
    "close": ("aclose", "asyncio's name for it; it has to be awaited"),
    "__iter__": ("__aiter__", "`async for`"),
    "__enter__": ("__aenter__", "`async with`"),
    "__exit__": ("__aexit__", "`async with`"),
}
"""Of the synchronous stream: what it is called for asyncio, and why."""
RETURNS = {
    "__aiter__": "an async generator, which can be closed, where the other gives an iterator",
    "batches": "an async generator, for the same reason",
    "astream_with_retry": "an async generator instead of a generator",
}
"""What returns something else, and why."""
MACHINERY = {"__module__", "__doc__", "__dict__", "__weakref__", "__orig_bases__", "__parameters__"}
MACHINERY |= {"__firstlineno__", "__static_attributes__", "__abstractmethods__"}
"""What Python itself puts into a class."""


def surface(stream_type: type) -> set[str]:
    ours = [each for each in stream_type.__mro__ if each.__module__.startswith("xdk_streaming")]
    own = {name for each in ours for name in vars(each)}
    return {name for name in own - MACHINERY if not name.startswith("_") or name.endswith("__")}


def shape(function: Any) -> list[tuple[str, Any, Any, str]]:
    """Names, kinds, defaults and annotations of what it takes."""
    parameters = inspect.signature(function).parameters.values()
    return [(each.name, each.kind, each.default, each.annotation) for each in parameters]


def written(module: Any, name: str) -> tuple[str, str]:
    """Arguments and result of a function, as type checkers see them."""
    tree = ast.parse(Path(module.__file__).read_text(encoding="utf-8"))
    (node,) = (
        node
        for node in tree.body
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.name == name
    )
    return ast.unparse(node.args), ast.unparse(node.returns) if node.returns else ""


def test_the_classes_have_the_same_names() -> None:
    renamed = {RENAMED.get(name, (name,))[0] for name in surface(Stream)}
    assert renamed == surface(AsyncStream)
    assert {"stop", "state", "connection_state", "history"} - {"state"} <= renamed


@pytest.mark.parametrize("name", sorted(surface(Stream) - {"connection_state", "history", "position"}))
def test_a_method_takes_the_same_arguments(name: str) -> None:
    other = RENAMED.get(name, (name,))[0]
    mine, theirs = getattr(Stream, name), getattr(AsyncStream, other)
    assert shape(mine) == shape(theirs)
    if other not in RETURNS:
        results = inspect.signature(mine).return_annotation, inspect.signature(theirs).return_annotation
        assert results[0] == results[1]


def test_the_functions_take_the_same_arguments() -> None:
    assert shape(stream_with_retry) == shape(astream_with_retry)
    mine, theirs = written(sync, "stream_with_retry"), written(aio, "astream_with_retry")
    assert mine == (theirs[0], "Generator[T, None, None]")
    assert theirs[1] == "AsyncGenerator[T, None]"


def test_the_function_is_an_async_generator_as_the_other_is_a_generator() -> None:
    assert inspect.isgeneratorfunction(stream_with_retry)
    assert inspect.isasyncgenfunction(astream_with_retry)


def test_what_iterating_gives_is_a_true_async_generator() -> None:
    made = AsyncStream[Any](requests.Session(), "get", "http://127.0.0.1/")
    assert inspect.isasyncgen(made.__aiter__())
    assert made.__aiter__() is made.__aiter__()


def test_both_are_exported() -> None:
    exported = set(xdk_streaming.__all__)
    assert {"Stream", "AsyncStream", "stream_with_retry", "astream_with_retry"} <= exported


def test_every_exception_is_needed_and_has_a_reason() -> None:
    assert set(RENAMED) <= surface(Stream)
    assert all(reason for _, reason in RENAMED.values())
    assert all(RETURNS.values())
    assert set(RETURNS) <= {new for new, _ in RENAMED.values()} | {"astream_with_retry", "batches"}
