"""What can go wrong with a stream, in the words its users catch.

Knows no HTTP, no socket and no policy: who translates a fault into these words is
`xdk_streaming.wire`, who decides what follows is the transition table.

    StreamError
    └── RetriesExhausted    the last of the allowed attempts was lost, too
"""

from __future__ import annotations

import pickle
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


@dataclass(frozen=True)
class Problem:
    """A problem object as X sends it (RFC 7807), at connect or inside the stream.

    `kind` is the last path segment of `type`: X uses several hosts before it, and the
    set of kinds is open. `fields` holds the whole object as it came.
    """

    kind: str
    title: str
    detail: str
    fields: dict[str, Any] = field(default_factory=dict, repr=False)

    @property
    def issue(self) -> str:
        """X's word for the cause: its `disconnect_type` or `connection_issue`; empty where it gives none."""
        for key in ("disconnect_type", "connection_issue"):
            if isinstance(value := self.fields.get(key), str):
                return value
        return ""


class StreamError(Exception):
    """An error of the stream, with its class, its cause and what the server said.

    `str(error)` says what happened and what to do. `problem` is the server's own problem
    object where it sent one, `retry_after` the seconds it asked us to stay away, counted
    from when it said so. Pickles; the cause then travels as its class and its text, for
    what hangs on a requests exception (the request, with its token) must stay behind.
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
    ) -> None:
        super().__init__(message)
        self.error_type = error_type
        self.original_exception = original_exception
        self.status_code = status_code
        self.response_body = response_body
        self.problem = problem
        self.retry_after = retry_after

    @property
    def is_retryable(self) -> bool:
        """Whether another attempt can help."""
        return self.error_type in RETRYABLE

    @property
    def problem_kind(self) -> str | None:
        """`problem.kind`, where the server sent a problem."""
        return self.problem.kind if self.problem else None

    def __reduce__(self) -> tuple[Any, ...]:
        arguments = (
            str(self),
            self.error_type,
            _portable(self.original_exception),
            self.status_code,
            self.response_body,
        )
        return type(self), arguments, {"problem": self.problem, "retry_after": self.retry_after}


class RetriesExhausted(StreamError):
    """The retry budget is spent. Status, body and cause are those of the last loss, which is chained."""


def _portable(exception: Exception | None) -> Exception | None:
    """The exception as its class and text alone; as a plain `Exception` where its class refuses that."""
    if exception is None:
        return None
    words = _words(exception)
    try:
        portable: Exception = pickle.loads(pickle.dumps(type(exception)(words)))
    except Exception:  # noqa: BLE001 - foreign classes: their constructors and reducers may raise anything
        portable = Exception()
    if type(portable) is type(exception) and _words(portable) == words:
        return portable
    return Exception(f"{type(exception).__name__}: {words}")


def _words(exception: Exception) -> str:
    try:
        return str(exception)
    except Exception:  # noqa: BLE001 - foreign classes
        return "its text cannot be shown"
