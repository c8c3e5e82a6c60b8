"""Ranges of time that a client asks to recover, and the ranges that X refuses.

Source: docs.x.com/x-api/fundamentals/recovery-and-redundancy. The messages are those that X gives for the
same parameters of a search.
"""

from __future__ import annotations

import re
from calendar import timegm
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from xdk_streaming.x import MAX_RECOVERY_AGE, TIME_FORMAT


def span(names: tuple[str, str], params: Mapping[str, str]) -> tuple[float, float] | None:
    """Start and end of the requested range, in Unix seconds; None if no range is requested."""
    start, end = (_moment(params.get(name, "")) for name in names)
    return None if start is None or end is None else (start, end)


def recovery_faults(
    names: tuple[str, str], offered: bool, params: Mapping[str, str], now: float
) -> list[dict[str, Any]]:
    """The errors in the requested range, one entry for each invalid parameter."""
    if not any(name in params for name in names):
        return []
    if not offered:
        message = "The query parameter [{name}] is not one of those that this endpoint takes"
        return [_fault(name, params[name], message) for name in names if name in params]
    faults = []
    for name in names:
        value = params.get(name, "")
        if not value:
            faults.append(_fault(name, value, "The `{name}` query parameter can not be empty"))
        elif _moment(value) is None:
            message = "The `{name}` query parameter value [{value}] does not match yyyy-MM-dd'T'HH:mm:ssZ"
            faults.append(_fault(name, value, message))
    asked = span(names, params)
    if asked is not None:
        (start, end), name = asked, names[0]
        if start >= end:
            message = f"Invalid '{{name}}':'{{value}}'. '{{name}}' must be before '{names[1]}'"
            faults.append(_fault(name, params[name], message))
        elif start < now - MAX_RECOVERY_AGE:
            message = "Invalid '{name}':'{value}'. '{name}' must be within the last 24 hours"
            faults.append(_fault(name, params[name], message))
    return faults


def _fault(name: str, value: str, message: str) -> dict[str, Any]:
    told = message.replace("{name}", name).replace("{value}", value)
    return {"parameters": {name: [value] if value else []}, "message": told}


def _moment(text: str) -> float | None:
    # strptime() alone would also accept single digits, and digits of other scripts.
    if not re.fullmatch(r"[0-9]{4}(-[0-9]{2}){2}T([0-9]{2}:){2}[0-9]{2}Z", text):
        return None
    try:
        return float(timegm(datetime.strptime(text, TIME_FORMAT).timetuple()))
    except ValueError:
        return None
