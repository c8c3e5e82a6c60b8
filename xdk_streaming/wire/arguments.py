"""Checks of what a user gives to a stream, by its shape: an imitation of a session is as good as a session.

What cannot work is refused at construction, in the user's words, and not at the first attempt.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Any

METHODS = frozenset({"get", "post", "put", "patch", "delete", "head", "options"})
HAS_SCHEME = re.compile(r"\s*[A-Za-z][A-Za-z0-9+.-]*:")
SESSION_WANTED = "session must be a requests.Session, or an object with its methods"


def check_arguments(session: object, method: str, url: object, params: object, headers: object) -> None:
    """Raise ValueError for the first of these arguments that cannot work."""
    check_method(method)
    check_session(session, method)
    check_url(url)
    check_named_values("params", params)
    check_named_values("headers", headers)


def check_method(method: object) -> None:
    """Raise ValueError if this is no HTTP method."""
    if not isinstance(method, str) or method.lower() not in METHODS:
        raise ValueError(f"method is {method!r}, must be one of {', '.join(sorted(METHODS))}, in any case")


def check_url(url: object) -> None:
    """Raise ValueError if this is no URL, or has no scheme. It is not quoted: it may hold a password."""
    if not isinstance(url, (str, bytes)):
        raise ValueError(f"url is of type {type(url).__name__}, must be a str")
    if not HAS_SCHEME.match(url.decode(errors="replace") if isinstance(url, bytes) else url):
        raise ValueError(
            "url has no scheme; write it in full, as in https://api.x.com/2/tweets/sample/stream"
        )


def check_session(session: object, method: str) -> None:
    """Raise ValueError if the session cannot send a request in the way of requests."""
    kind = type(session).__name__
    if isinstance(session, (str, bytes)):
        raise ValueError(
            f"session is of type {kind}; {SESSION_WANTED}. A bearer token goes into its headers: "
            'session.headers["Authorization"] = "Bearer ..."'
        )
    if isinstance(session, type):
        raise ValueError(f"session is the class {session.__name__}; {SESSION_WANTED}: {session.__name__}()")
    send = getattr(session, method.lower(), None)
    if not callable(send):
        raise ValueError(
            f"session is of type {kind}, which has no method {method.lower()}(); {SESSION_WANTED}"
        )
    if any(is_coroutine_function(getattr(session, name, None)) for name in (method.lower(), "close")):
        raise ValueError(
            f"session is of type {kind}, which is asynchronous; {SESSION_WANTED}. "
            "AsyncStream takes a requests.Session, too: a thread of its own reads"
        )
    if not accepts(send, "stream"):
        raise ValueError(
            f"session is of type {kind}, whose {method.lower()}() takes no argument stream=True; "
            f"{SESSION_WANTED}"
        )


def check_named_values(name: str, values: object) -> None:
    """Raise ValueError if these params or headers are neither named values nor a function that gives them."""
    if values is None or callable(values):
        return
    try:
        dict(values)  # type: ignore[call-overload]  # whatever dict() takes
    except (TypeError, ValueError):
        raise ValueError(
            f"{name} is of type {type(values).__name__}, must be a mapping, or a function that returns one"
        ) from None


def check_callback(name: str, callback: object) -> None:
    """Raise ValueError if a callback of a `Stream` is a coroutine function, whose coroutine nobody awaits."""
    if is_coroutine_function(callback):
        raise ValueError(
            f"{name} is a coroutine function, which Stream cannot await; "
            "give a plain function, or use AsyncStream"
        )


def is_coroutine_function(function: object) -> bool:
    """Whether a call returns a coroutine. The function may be an object whose class defines the call."""
    call = getattr(type(function), "__call__", None)  # noqa: B004 - whether it is callable does not matter
    try:
        return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(call)
    except TypeError:  # an imitation of a function, as Mock makes them
        return False


def accepts(function: Callable[..., Any], name: str) -> bool:
    """Whether a function takes an argument of this name; yes if that cannot be determined."""
    try:
        parameters = inspect.signature(function).parameters
    except (ValueError, TypeError):
        return True
    return name in parameters or any(each.kind is each.VAR_KEYWORD for each in parameters.values())
