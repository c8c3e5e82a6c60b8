"""What a server says when it refuses or ends a stream, in our words.

Reads status codes, headers and X's problem objects; does no I/O and decides no state.
The statuses and kinds are those of docs.x.com (response codes and errors, handling
disconnections) and of X's OpenAPI document 2.159; every enumeration of X's is open.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from datetime import timezone
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
    return 200 <= status < 300 and status not in STATUSES and not content_type.lower().startswith("text/html")


def refusal(status: int, headers: Mapping[str, str], body: bytes, now: float) -> StreamError:
    """The error that an answer without a stream means. Header names in lower case; `now` in Unix seconds."""
    problem = next(_problems(_json_object(body)), None)
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
    for problem in _problems(notice.content):
        if problem.kind in ENDINGS:
            return _in_stream(problem, notice, ENDINGS[problem.kind])
    return None


def parting(notice: Notice) -> StreamError:
    """The error of a notice that turned out to be the last word: the stream ended right after it."""
    unknown = Problem("about:blank", "Unknown problem", "", notice.content)
    problem = next(_problems(notice.content), unknown)
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


def _problems(content: dict[str, Any]) -> Iterator[Problem]:
    """The problems in a body: the object itself, then its `errors`; the legacy form has a `message` only."""
    errors = content.get("errors")
    for fields in (content, *(errors if isinstance(errors, list) else ())):
        if isinstance(fields, dict) and any(_text(fields, key) for key in ("type", "title", "message")):
            kind = _text(fields, "type").rstrip("/").rpartition("/")[2]
            title = _text(fields, "title") or _text(fields, "message")
            yield Problem(kind, title, _text(fields, "detail"), fields)


def _text(fields: dict[str, Any], key: str) -> str:
    value = fields.get(key)
    return value if isinstance(value, str) else ""


def _detail_kind(problem: Problem) -> str:
    return _text(problem.fields, "disconnect_type") or _text(problem.fields, "connection_issue")


def _quoted(problem: Problem) -> str:
    """Title, detail and the disconnect type, each once."""
    words = [problem.title or problem.kind, _detail_kind(problem), problem.detail]
    return ", ".join(dict.fromkeys(word for word in words if word))


def _wait_asked(headers: Mapping[str, str], now: float, *, limited: bool) -> float | None:
    """Seconds that the server asks us to stay away; None where it says nothing that can be used."""
    asked = _retry_after(headers.get("retry-after", ""), now)
    if asked is not None and asked > 0:
        return asked
    spent = headers.get("x-rate-limit-remaining", "0").strip() == "0"
    reset = _number(headers.get("x-rate-limit-reset", ""))
    if limited and spent and reset is not None and reset > now:
        return reset - now
    return None


def _retry_after(value: str, now: float) -> float | None:
    """Seconds, from either form that RFC 9110 section 10.2.3 allows."""
    seconds = _number(value)
    if seconds is not None:
        return seconds
    try:
        moment = parsedate_to_datetime(value)
        return moment.replace(tzinfo=moment.tzinfo or timezone.utc).timestamp() - now
    except (ValueError, OverflowError):
        return None


def _number(value: str) -> float | None:
    try:
        number = float(value)
    except ValueError:
        return None
    return number if math.isfinite(number) else None
