"""`patch_xdk`: makes an installed official `xdk` stream through this package.

Knows xdk's public names and signatures, and nothing of its internals. Checks them before it changes anything.
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
"""The modules of xdk that hold the replaced names. They are imported before the patch, so that no module
binds an original afterwards."""


def patch_xdk() -> Callable[[], None]:
    """Make xdk's clients stream through this package. Returns a function that undoes the patch.

    Imports xdk, and rebinds `stream_with_retry`, `StreamConfig`, `StreamError`, `StreamErrorType` and
    `StreamState` in every loaded module that holds xdk's own objects, the caller's module included. Patching
    twice is harmless. Call it on one thread, before any stream runs. The returned function restores the names
    that this call rebound.

    Raises `ImportError` if xdk is not installed, and `RuntimeError` if its streaming module is not the one
    that this package replaces. Nothing is changed in either case.
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
    """The objects of xdk.streaming that are replaced, by name, after a check of their signatures."""
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
            "install it with: pip install xdk==0.10.6"
        ) from error


def _changed(what: str) -> RuntimeError:
    return RuntimeError(
        f"The installed xdk's streaming module is not the one that this package replaces: {what}. "
        "Nothing was changed; xdk 0.10.6 is known to work"
    )


def _surface(thing: Any) -> list[str]:
    """A word for the kind of names, then the names in order, without our additions (all keyword-only)."""
    if inspect.isclass(thing) and issubclass(thing, Enum):
        return ["members", *(member.name for member in thing)]
    if is_dataclass(thing):
        return ["fields", *(field.name for field in fields(thing) if not field.kw_only)]
    parameters = inspect.signature(thing).parameters.values()
    return ["parameters", *(each.name for each in parameters if each.kind is not each.KEYWORD_ONLY)]
