"""How this client handles each fault: the state it leads to, the callbacks, whether another attempt follows.

Knows the faults of the simulator's catalogue only by name; a test checks that both have the same names. The
transition table decides which callbacks a change of state calls.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

from xdk_streaming.errors import (
    AUTHENTICATION_ERROR,
    CLIENT_ERROR,
    CONNECTION_ERROR,
    FATAL_ERROR,
    RATE_LIMITED,
    RETRYABLE,
    SERVER_ERROR,
    STREAM_INTERRUPTED,
    TIMEOUT,
    StreamErrorType,
)
from xdk_streaming.machine.table import BACKOFF, FAILED, STREAMING, TABLE
from xdk_streaming.state import ConnectionState, Trigger

LineCallback = Literal["on_invalid", "on_notice"]


@dataclass(frozen=True)
class Outcome:
    """How one fault is handled."""

    state: ConnectionState
    """The state of the machine once the fault was seen."""
    trigger: Trigger | None = None
    """The event that is reported to the machine; None if the stream goes on."""
    error: StreamErrorType | None = None
    """The class of the error that on_error gets; None if there is no error."""
    items: int = 0
    """Items that the server sends."""
    lines: tuple[LineCallback, ...] = ()
    """The callbacks for lines that are no items, in order."""
    asks: bool = False
    """Whether the server says how long to wait."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Fields of StreamConfig that make the fault show sooner, for demonstrations and tests."""

    @property
    def refuses(self) -> bool:
        """Whether the fault shows before a stream opens."""
        return self.trigger is Trigger.REFUSED

    @property
    def retry(self) -> str:
        """Whether and when another attempt follows."""
        if self.state is FAILED:
            return "cannot help"
        if self.state is STREAMING:
            return "is not needed"
        return "when the server says" if self.asks else "after the backoff"

    @property
    def callbacks(self) -> tuple[str, ...]:
        """The callbacks up to the next attempt, in order."""
        of_row = next(
            (row.notify for row in TABLE if (row.trigger, row.dest) == (self.trigger, self.state)), ()
        )
        announced = ("on_reconnect",) if self.state is BACKOFF else ()
        return (*self.lines, *of_row, *announced)


SHORT_STALL = {"stall_timeout": 0.5}
SHORT_LINES = {"max_item_bytes": 4096}


def _refused(error: StreamErrorType, **more: Any) -> Outcome:
    return Outcome(BACKOFF if error in RETRYABLE else FAILED, Trigger.REFUSED, error, **more)


def _broke(error: StreamErrorType, **more: Any) -> Outcome:
    return Outcome(BACKOFF if error in RETRYABLE else FAILED, Trigger.BROKE, error, **more)


def _ended(**more: Any) -> Outcome:
    return Outcome(BACKOFF, Trigger.ENDED, **more)


def _line(**more: Any) -> Outcome:
    return Outcome(STREAMING, **more)


OUTCOMES: Mapping[str, Outcome] = MappingProxyType(
    {
        # While connecting
        "connection-refused": _refused(CONNECTION_ERROR),
        "unknown-host": _refused(CONNECTION_ERROR),
        "certificate-refused": _refused(FATAL_ERROR),
        "closed-before-headers": _refused(CONNECTION_ERROR),
        "reset-before-headers": _refused(CONNECTION_ERROR),
        "stall-before-headers": _refused(TIMEOUT, settings=SHORT_STALL),
        "no-http": _refused(CONNECTION_ERROR),
        # Instead of a stream
        "bad-request": _refused(CLIENT_ERROR),
        "unauthorized": _refused(AUTHENTICATION_ERROR),
        "client-forbidden": _refused(AUTHENTICATION_ERROR),
        "unsupported-authentication": _refused(AUTHENTICATION_ERROR),
        "forbidden-by-a-page": _refused(SERVER_ERROR),
        "not-found": _refused(CLIENT_ERROR),
        "not-acceptable": _refused(CLIENT_ERROR),
        "no-rules": _refused(CLIENT_ERROR),
        "switched-off": _refused(CLIENT_ERROR),
        "request-timeout": _refused(TIMEOUT),
        "calm-down": _refused(RATE_LIMITED),
        "window-spent": _refused(RATE_LIMITED, asks=True),
        "clock-skew": _refused(RATE_LIMITED),
        "rate-limited-legacy": _refused(RATE_LIMITED),
        "retry-after": _refused(RATE_LIMITED, asks=True),
        "too-many-connections": _refused(RATE_LIMITED),
        "usage-cap": _refused(CLIENT_ERROR),
        "empty-answer": _refused(SERVER_ERROR),
        "maintenance-page": _refused(SERVER_ERROR),
        "redirect-to-nowhere": _refused(CLIENT_ERROR),
        "redirect-elsewhere": _refused(CLIENT_ERROR),
        "internal-error": _refused(SERVER_ERROR),
        "bad-gateway": _refused(SERVER_ERROR),
        "unavailable": _refused(SERVER_ERROR),
        "unavailable-for-a-while": _refused(SERVER_ERROR, asks=True),
        "gateway-timeout": _refused(SERVER_ERROR),
        "stall-in-error-body": _refused(SERVER_ERROR, settings=SHORT_STALL),
        "endless-error-body": _refused(SERVER_ERROR),
        "error-body-cut-short": _refused(SERVER_ERROR),
        # Ends of a stream
        "end": _ended(),
        "whole-object-at-the-end": _ended(items=1),
        "half-an-object-at-the-end": _ended(lines=("on_invalid",)),
        "cut": _broke(STREAM_INTERRUPTED, lines=("on_invalid",)),
        "cut-between-lines": _broke(STREAM_INTERRUPTED),
        "whole-object-at-a-cut": _broke(STREAM_INTERRUPTED, items=1),
        "reset": _broke(STREAM_INTERRUPTED, lines=("on_invalid",)),
        "whole-object-at-a-reset": _broke(STREAM_INTERRUPTED, items=1),
        "stall": _broke(TIMEOUT, settings=SHORT_STALL),
        "bad-chunk-size": _broke(STREAM_INTERRUPTED),
        "corrupt-gzip": _broke(STREAM_INTERRUPTED),
        "gzip-without-trailer": _ended(),
        "gzip-cut": _broke(STREAM_INTERRUPTED),
        # Objects about the stream
        "operational-disconnect": _broke(STREAM_INTERRUPTED),
        "operational-disconnect-bare": _broke(STREAM_INTERRUPTED),
        "force-disconnect": _broke(STREAM_INTERRUPTED),
        "unclean-disconnect": _broke(STREAM_INTERRUPTED),
        "slow-reader": _broke(STREAM_INTERRUPTED),
        "internal-disconnect": _broke(STREAM_INTERRUPTED),
        "package-upgraded": _broke(STREAM_INTERRUPTED),
        "package-downgraded": _broke(STREAM_INTERRUPTED),
        "unknown-disconnect": _broke(STREAM_INTERRUPTED),
        "invalid-rules": _broke(CLIENT_ERROR),
        "app-restricted": _broke(CLIENT_ERROR),
        "client-disconnected": _broke(STREAM_INTERRUPTED),
        "too-many-connections-in-stream": _broke(RATE_LIMITED),
        "provisioning": _broke(SERVER_ERROR),
        "no-rules-in-stream": _broke(CLIENT_ERROR),
        "rules-invalid-in-stream": _broke(CLIENT_ERROR),
        "usage-cap-in-stream": _broke(CLIENT_ERROR),
        "last-word": _broke(STREAM_INTERRUPTED, lines=("on_notice",)),
        "unknown-notice": _line(lines=("on_notice",)),
        "legacy-notice": _line(lines=("on_notice",)),
        "limit-message": _line(lines=("on_notice",)),
        "warning-message": _line(lines=("on_notice",)),
        "disconnect-message": _line(lines=("on_notice",)),
        "info-message": _line(lines=("on_notice",)),
        "connection-metadata": _line(lines=("on_notice",)),
        # Lines
        "partial-error": _line(items=1),
        "malformed-line": _line(lines=("on_invalid",)),
        "no-object": _line(lines=("on_invalid",)),
        "deep-nesting": _line(lines=("on_invalid",)),
        "invalid-utf-8": _line(lines=("on_invalid",)),
        "nul-bytes": _line(lines=("on_invalid",)),
        "two-objects": _line(lines=("on_invalid",)),
        "line-end-inside": _line(lines=("on_invalid", "on_invalid")),
        "line-over-the-limit": _line(lines=("on_invalid",), settings=SHORT_LINES),
        "runaway-line": _broke(STREAM_INTERRUPTED, lines=("on_invalid",), settings=SHORT_LINES),
        "not-a-number": _line(items=1),
        "huge-integer": _line(items=1),
        "byte-order-mark": _line(items=1),
        "crlf-cut-in-two": _line(items=1),
        "character-cut-in-two": _line(items=1),
        "line-separator-inside": _line(items=1),
        "heartbeats": _line(),
    }
)
"""How each fault is handled, by the name of the fault."""
