"""`patch_xdk`: an installed official `xdk` streams through this package.

Knows xdk's public surface and nothing of its insides. Checks that surface before it
touches anything.
"""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from enum import Enum
from types import ModuleType
from typing import Any

from xdk_streaming.config import StreamConfig
from xdk_streaming.errors import StreamError, StreamErrorType
from xdk_streaming.state import StreamState
from xdk_streaming.streams.sync import stream_with_retry

REPLACEMENTS: dict[str, Any] = {
    replacement.__name__: replacement
    for replacement in (stream_with_retry, StreamConfig, StreamError, StreamErrorType, StreamState)
}
XDK_MODULES = ("xdk", "xdk.streaming", "xdk.stream.client")
"""Modules of xdk that hold those names: imported first, so that none of them binds an original later."""


def patch_xdk() -> Callable[[], None]:
    """Have xdk's clients stream through this package, and give back what undoes it.

    Imports xdk itself, and rebinds `stream_with_retry`, `StreamConfig`, `StreamError`,
    `StreamErrorType` and `StreamState` in every loaded module that holds xdk's own, the
    caller's included. Patching twice is harmless. Call it before streams run, on one
    thread. The undoing rebinds what this call rebound.

    Raises `ImportError` where xdk is not installed, `RuntimeError` where its streaming
    module is not the one this package stands in for.
    """
    originals = _originals()
    rebound: list[tuple[dict[str, Any], str, Any]] = []
    for module in list(sys.modules.values()):
        names = getattr(module, "__dict__", {})
        for name, value in list(names.items()):
            for original_name, original in originals.items():
                if value is original and original is not REPLACEMENTS[original_name]:
                    rebound.append((names, name, original))
                    names[name] = REPLACEMENTS[original_name]

    def undo() -> None:
        while rebound:
            names, name, original = rebound.pop()
            names[name] = original

    return undo


def _originals() -> dict[str, Any]:
    """What xdk.streaming holds under our names, by name; checked to be what we replace."""
    streaming = _import("xdk.streaming")
    for holder in XDK_MODULES:
        _import(holder)
    missing = [name for name in REPLACEMENTS if not hasattr(streaming, name)]
    if missing:
        raise _changed(f"it has no {', '.join(missing)}")
    originals = {name: getattr(streaming, name) for name in REPLACEMENTS}
    for name, original in originals.items():
        theirs, ours = _surface(original), _surface(REPLACEMENTS[name])
        if theirs != ours:
            raise _changed(f"{name} has {_listed(theirs)}; expected {_listed(ours)}")
    return originals


def _listed(surface: list[str]) -> str:
    kind, *names = surface
    return f"the {kind} {', '.join(names)}"


def _import(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ImportError(
            f"patch_xdk needs the official SDK, but {name} cannot be imported ({error}); "
            "pip install xdk==0.10.6"
        ) from error


def _changed(what: str) -> RuntimeError:
    return RuntimeError(
        f"The installed xdk's streaming module is not the one this package stands in for: {what}. "
        "Nothing was changed; xdk 0.10.6 is known to work"
    )


def _surface(thing: Any) -> list[str]:
    """The names a caller uses, in order, after the word for what they are; what we add is keyword-only."""
    if inspect.isclass(thing) and issubclass(thing, Enum):
        return ["members", *(member.name for member in thing)]
    if is_dataclass(thing):
        return ["fields", *(field.name for field in fields(thing) if not field.kw_only)]
    parameters = inspect.signature(thing).parameters.values()
    return ["parameters", *(each.name for each in parameters if each.kind is not each.KEYWORD_ONLY)]
