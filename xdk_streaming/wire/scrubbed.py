"""Exceptions of other code, without what they hold beyond their own words: requests, responses, frames.

An exception of requests holds the request with its headers, one of urllib3 the pool with the proxy's login,
and a traceback holds the local variables of all frames it came through. An error that is kept, logged or sent
to a service that collects errors would take all of it along.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from orjson import dumps

from xdk_streaming.errors import as_text_alone
from xdk_streaming.wire.not_an_item import Invalid, NotAnItem, Rejected, StreamNotice
from xdk_streaming.wire.secrets import Secrets

E = TypeVar("E", bound=NotAnItem)

HOLDERS = frozenset({"request", "response", "pool", "conn", "url", "headers"})
"""Attributes of exceptions of requests and urllib3 that hold more than words."""
MAX_CHAINED = 50
"""Exceptions of one chain that are looked at, at most."""


def scrubbed(exception: Exception, secrets: Secrets) -> Exception:
    """The exception itself, without frames and holders; if its words have a secret, a copy of other words.

    The same is done to all that it is chained to.
    """
    for link in linked(exception):
        link.__traceback__ = None
        for name in HOLDERS & set(getattr(link, "__dict__", ())):
            link.__dict__[name] = None
    if not any(secrets.is_in(text) for link in linked(exception) for text in _texts(link)):
        return exception
    return as_text_alone(exception, secrets.removed_from)


def without_secrets(event: E, secrets: Secrets) -> E:
    """A line that is no item, with the secrets hidden in what is kept of it or reported."""
    changed: dict[str, Any] = {}
    if isinstance(event, StreamNotice) and not secrets.may_be_in(event.line):
        return event
    if isinstance(event, (StreamNotice, Invalid, Rejected)):
        changed["line"] = secrets.removed_from_bytes(event.line)
    if isinstance(event, StreamNotice):
        changed["content"] = secrets.removed_from_json(event.content)
        if (
            changed["content"] != event.content and changed["line"] == event.line
        ):  # it was escaped in the line
            changed["line"] = dumps(changed["content"])
    if isinstance(event, Invalid):
        changed["reason"] = secrets.removed_from(event.reason)
    if isinstance(event, Rejected):
        changed["cause"] = scrubbed(event.cause, secrets)
    return replace(event, **changed)  # type: ignore[type-var]  # all these are dataclasses


def raised_at(exception: Exception) -> str:
    """Where the exception was raised, such as `app.py:12`; empty if it has no traceback."""
    frames = traceback.extract_tb(exception.__traceback__)
    return f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""


def linked(exception: BaseException) -> Iterator[BaseException]:
    """The exception, and all that it is chained to or wraps."""
    seen: list[BaseException] = []
    waiting: list[Any] = [exception]
    while waiting and len(seen) < MAX_CHAINED:
        link = waiting.pop()
        if isinstance(link, BaseException) and not any(link is earlier for earlier in seen):
            seen.append(link)
            yield link
            waiting += [*link.args, getattr(link, "reason", None), link.__cause__, link.__context__]


def _texts(link: BaseException) -> Iterator[str]:
    for show in (str, repr):
        try:
            yield show(link)
        except Exception:  # noqa: BLE001 - foreign classes
            continue
    yield from (value for value in getattr(link, "__dict__", {}).values() if isinstance(value, str))
