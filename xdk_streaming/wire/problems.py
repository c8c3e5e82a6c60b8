"""What a server says when it refuses or ends a stream, in our words.

Reads status codes, headers and X's problem objects; does no I/O and decides no state.
The statuses and kinds are those of docs.x.com (response codes and errors, handling
disconnections) and of X's OpenAPI document 2.159; every enumeration of X's is open.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any

import orjson

from xdk_streaming.errors import Problem, StreamError, StreamErrorType
from xdk_streaming.wire.decoder import Notice

KEPT_OF_BODY = 64 * 1024
BODY_SECONDS = 5.0
"""An error body that is not here by then is not waited for."""

STATUSES: Mapping[int, StreamErrorType] = {
    204: StreamErrorType.SERVER_ERROR,  # an empty answer is no stream
    205: StreamErrorType.SERVER_ERROR,
    401: StreamErrorType.AUTHENTICATION_ERROR,
    403: StreamErrorType.AUTHENTICATION_ERROR,
    408: StreamErrorType.TIMEOUT,
    420: StreamErrorType.RATE_LIMITED,  # X's older word for 429
    425: StreamErrorType.SERVER_ERROR,
    429: StreamErrorType.RATE_LIMITED,
}

ADVICE: Mapping[StreamErrorType, str] = {
    StreamErrorType.AUTHENTICATION_ERROR: "check the bearer token and what its app may use",
    StreamErrorType.CLIENT_ERROR: "the request itself has to change; sending it again cannot help",
    StreamErrorType.RATE_LIMITED: "wait, and connect less often or close another connection of this app",
    StreamErrorType.SERVER_ERROR: "the fault is the server's; another attempt can help",
    StreamErrorType.TIMEOUT: "another attempt can help",
    StreamErrorType.STREAM_INTERRUPTED: "connect again",
}

ENDINGS: Mapping[str, StreamErrorType] = {
    "operational-disconnect": StreamErrorType.STREAM_INTERRUPTED,
    "client-disconnected": StreamErrorType.STREAM_INTERRUPTED,
    "streaming-connection": StreamErrorType.CLIENT_ERROR,
    "invalid-rules": StreamErrorType.CLIENT_ERROR,
    "usage-capped": StreamErrorType.CLIENT_ERROR,
}
"""Problems after which X ends the stream, by kind; any other is a notice in passing."""

SPECIFIC: Mapping[str, StreamErrorType] = {
    "TooManyConnections": StreamErrorType.RATE_LIMITED,
    "ProvisioningSubscription": StreamErrorType.SERVER_ERROR,
    "InvalidRules": StreamErrorType.CLIENT_ERROR,
    "ClientApplicationStateDegraded": StreamErrorType.CLIENT_ERROR,
}
"""Values of `connection_issue` and `disconnect_type` that outweigh the kind."""


def is_stream(status: int, content_type: str) -> bool:
    """Whether an answer is a stream: a success with a body that is no web page."""
    return 200 <= status < 300 and status not in STATUSES and not content_type.startswith("text/html")


def refusal(status: int, headers: Mapping[str, str], body: bytes, now: float) -> StreamError:
    """The error that an answer without a stream means. Header names in lower case; `now` in Unix seconds."""
    problem = _problem(_json_object(body))
    error_type = _type_of_status(status)
    if problem is not None and problem.kind == "usage-capped":
        error_type = StreamErrorType.CLIENT_ERROR
    said = f": {_quoted(problem)}" if problem else ""
    return StreamError(
        f"The server refused the stream with {status}{said}; {ADVICE[error_type]}",
        error_type,
        status_code=status,
        response_body=body.decode(errors="replace"),
        problem=problem,
        retry_after=_wait_asked(headers, now, limited=error_type is StreamErrorType.RATE_LIMITED),
    )


def ending(notice: Notice) -> StreamError | None:
    """The error of a notice that ends the stream; None where the stream goes on after it."""
    problem = _problem(notice.content)
    if problem is None or problem.kind not in ENDINGS:
        return None
    return _in_stream(problem, notice, ENDINGS[problem.kind])


def parting(notice: Notice) -> StreamError:
    """The error of a notice that turned out to be the last word: the stream ended right after it."""
    problem = _problem(notice.content) or Problem("about:blank", "Unknown problem", "", notice.content)
    return _in_stream(problem, notice, StreamErrorType.STREAM_INTERRUPTED)


def _in_stream(problem: Problem, notice: Notice, error_type: StreamErrorType) -> StreamError:
    error_type = SPECIFIC.get(_detail_kind(problem), error_type)
    return StreamError(
        f"The server ended the stream: {_quoted(problem)}; {ADVICE[error_type]}",
        error_type,
        response_body=notice.line.decode(errors="replace"),
        problem=problem,
    )


def _type_of_status(status: int) -> StreamErrorType:
    if status in STATUSES:
        return STATUSES[status]
    if 300 <= status < 500:
        return StreamErrorType.CLIENT_ERROR
    return StreamErrorType.SERVER_ERROR


def _json_object(body: bytes) -> dict[str, Any]:
    try:
        content = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    return content if isinstance(content, dict) else {}


def _problem(content: dict[str, Any]) -> Problem | None:
    """The problem in a body: the object itself, else the first of its `errors`."""
    errors = content.get("errors")
    candidates = [content, *(errors if isinstance(errors, list) else ())]
    for fields in candidates:
        if isinstance(fields, dict) and any(isinstance(fields.get(key), str) for key in ("type", "title")):
            kind = str(fields.get("type", "")).rstrip("/").rpartition("/")[2]
            return Problem(kind, str(fields.get("title", "")), str(fields.get("detail", "")), fields)
    return None


def _detail_kind(problem: Problem) -> str:
    return str(problem.fields.get("disconnect_type") or problem.fields.get("connection_issue") or "")


def _quoted(problem: Problem) -> str:
    """Title, detail and the disconnect type, each once."""
    words = [problem.title or problem.kind, _detail_kind(problem), problem.detail]
    return ", ".join(dict.fromkeys(word for word in words if word))


def _wait_asked(headers: Mapping[str, str], now: float, *, limited: bool) -> float | None:
    """Seconds that the server asks us to stay away; None where it says nothing that can be used."""
    asked = _retry_after(headers.get("retry-after", ""), now)
    spent = headers.get("x-rate-limit-remaining", "0").strip() == "0"
    if asked is None and limited and spent:
        reset = _number(headers.get("x-rate-limit-reset", ""))
        asked = None if reset is None else reset - now
    return asked if asked is not None and asked > 0 else None


def _retry_after(value: str, now: float) -> float | None:
    """Seconds, from either form that RFC 9110 section 10.2.3 allows."""
    seconds = _number(value)
    if seconds is not None:
        return seconds
    try:
        return parsedate_to_datetime(value).timestamp() - now
    except (ValueError, OverflowError):
        return None


def _number(value: str) -> float | None:
    try:
        number = float(value)
    except ValueError:
        return None
    return number if math.isfinite(number) else None
