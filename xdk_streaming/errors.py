"""The errors of a stream, as its users catch them.

Knows no HTTP, no socket and no policy. `xdk_streaming.wire` translates faults into these errors, and the
transition table decides what follows.

    StreamError
    └── RetriesExhausted    the last of the allowed attempts has failed
"""

from __future__ import annotations

import pickle
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import Enum
from typing import Any


class StreamErrorType(Enum):
    """The class of an error: it decides whether another attempt can help."""

    CONNECTION_ERROR = "connection_error"
    TIMEOUT = "timeout"
    SERVER_ERROR = "server_error"
    RATE_LIMITED = "rate_limited"
    STREAM_INTERRUPTED = "stream_interrupted"

    AUTHENTICATION_ERROR = "authentication_error"
    CLIENT_ERROR = "client_error"
    FATAL_ERROR = "fatal_error"


CONNECTION_ERROR = StreamErrorType.CONNECTION_ERROR
TIMEOUT = StreamErrorType.TIMEOUT
SERVER_ERROR = StreamErrorType.SERVER_ERROR
RATE_LIMITED = StreamErrorType.RATE_LIMITED
STREAM_INTERRUPTED = StreamErrorType.STREAM_INTERRUPTED
AUTHENTICATION_ERROR = StreamErrorType.AUTHENTICATION_ERROR
CLIENT_ERROR = StreamErrorType.CLIENT_ERROR
FATAL_ERROR = StreamErrorType.FATAL_ERROR

RETRYABLE = frozenset({CONNECTION_ERROR, TIMEOUT, SERVER_ERROR, RATE_LIMITED, STREAM_INTERRUPTED})
"""The classes of errors that another attempt can cure."""


MAX_MESSAGE = 4_000
"""Characters of an error's message, at most."""
MAX_BODY = 8_192
"""Bytes of memory that the `response_body` of an error takes, at most."""


def excerpt(body: bytes | str) -> str:
    """The text of a body, as far as an error keeps it."""
    # In a text with other characters than ASCII, each character may take four bytes.
    room = MAX_BODY if body.isascii() else MAX_BODY // 4
    if len(body) <= room:
        return body.decode(errors="replace") if isinstance(body, bytes) else body
    kept = room - 100
    note = f" [the first {kept:,} of {len(body):,} {'bytes' if isinstance(body, bytes) else 'characters'}]"
    return excerpt(body[:kept]) + note


@dataclass(frozen=True)
class Problem:
    """A problem object as X sends it (RFC 7807), in place of a stream or inside a stream.

    `kind` is the last path segment of the object's `type`: X uses several hosts before that segment, and the
    set of kinds is open. `fields` holds the object as it was received; of an object of more than 4 KiB, the
    telling fields and as much as fits.
    """

    kind: str
    title: str
    detail: str
    fields: dict[str, Any] = field(default_factory=dict, repr=False)

    @property
    def issue(self) -> str:
        """X's word for the cause: its `disconnect_type` or `connection_issue`; empty if X gives neither."""
        for key in ("disconnect_type", "connection_issue"):
            if isinstance(value := self.fields.get(key), str):
                return value
        return ""


class StreamError(Exception):
    """An error of the stream, with its class, its cause and the server's answer.

    `str(error)` says what happened and what to do. `problem` is the server's problem object, if the server
    sent one. `retry_after` is how many seconds the server asked the client to wait, counted from the server's
    answer. `response_body` takes at most 8 KiB of memory, because a stream's history keeps its errors; a body
    that was cut says so at its end. `intercepted` says that something between X and this client seems to have
    answered in X's place: a certificate was refused, or a web page or a redirect came where a stream was due.

    The error can be pickled. Its cause is then kept as class and text alone, because a requests exception
    also holds the request, and the request holds the token.
    """

    def __init__(
        self,
        message: str,
        error_type: StreamErrorType,
        original_exception: Exception | None = None,
        status_code: int | None = None,
        response_body: str | None = None,
        *,
        problem: Problem | None = None,
        retry_after: float | None = None,
        intercepted: bool = False,
    ) -> None:
        super().__init__(message[:MAX_MESSAGE])
        self.error_type = error_type
        self.original_exception = original_exception
        self.status_code = status_code
        self.response_body = None if response_body is None else excerpt(response_body)
        self.problem = problem
        self.retry_after = retry_after
        self.intercepted = intercepted

    @property
    def is_retryable(self) -> bool:
        """Whether another attempt can help, by the error's class.

        What a stream makes of the error is for `StreamConfig.retry_policy` to say.
        """
        return self.error_type in RETRYABLE

    @property
    def problem_kind(self) -> str | None:
        """`problem.kind`, or None if the server sent no problem."""
        return self.problem.kind if self.problem else None

    def __reduce__(self) -> tuple[Any, ...]:
        arguments = (
            str(self),
            self.error_type,
            None if self.original_exception is None else as_text_alone(self.original_exception),
            self.status_code,
            self.response_body,
        )
        kept = ("problem", "retry_after", "intercepted")
        return type(self), arguments, {name: getattr(self, name) for name in kept}


class RetriesExhausted(StreamError):
    """No attempt is left. Status, body and cause are those of the last loss, which is chained."""


def as_text_alone(exception: Exception, change: Callable[[str], str] = str) -> Exception:
    """The exception as its class and text alone; a plain `Exception` if its class does not allow that.

    `change` makes the text of the copy.
    """
    words = change(_words(exception))
    try:
        copy: Exception = pickle.loads(pickle.dumps(type(exception)(words)))
    except Exception:  # noqa: BLE001 - foreign classes: their constructors and reducers may raise anything
        copy = Exception()
    if type(copy) is type(exception) and _words(copy) == words:
        return copy
    return Exception(f"{type(exception).__name__}: {words}")


def _words(exception: Exception) -> str:
    try:
        return str(exception)
    except Exception:  # noqa: BLE001 - foreign classes
        return "its text cannot be shown"


def forget_locals(error: StreamError) -> None:
    """Drop what the tracebacks of an error and its causes hold: lines, buffers, the whole connection.

    For an error that is kept while the stream goes on. The tracebacks still say where the error came from.
    """
    for link in _linked(error):
        traceback.clear_frames(link.__traceback__)


def _linked(error: BaseException) -> Iterator[BaseException]:
    """The error and all that it is chained to."""
    found: list[BaseException] = []
    links: list[BaseException | None] = [error]
    while links:
        link = links.pop()
        if link is not None and not any(link is earlier for earlier in found):
            found.append(link)
            links += [link.__cause__, link.__context__]
            yield link
