"""Lines that are no items: counts and reports them, and logs them without flooding the log."""

from __future__ import annotations

from xdk_streaming.callbacks import Callbacks
from xdk_streaming.clock import Clock
from xdk_streaming.log import logger
from xdk_streaming.state import InvalidLine, StreamState
from xdk_streaming.wire.not_an_item import Invalid
from xdk_streaming.wire.refused_fields import refused_fields
from xdk_streaming.wire.scrubbed import without_secrets
from xdk_streaming.wire.secrets import NONE, Secrets

LOG_INTERVAL = 60.0
"""Seconds (monotonic) between two log records, at least."""


class InvalidLines:
    """Takes the invalid lines of all connections of a stream.

    The first line is logged at WARNING, the lines after it as a count once a minute.
    """

    def __init__(
        self, state: StreamState, callbacks: Callbacks, clock: Clock, secrets: Secrets = NONE
    ) -> None:
        self._state = state
        self._callbacks = callbacks
        self._clock = clock
        self._secrets = secrets
        self._unlogged = 0
        self._logged_at: float | None = None

    def take(self, invalid: Invalid) -> None:
        """Count the line, log it if a log record is due, and report it. The log never quotes the line."""
        invalid = without_secrets(invalid, self._secrets)
        self._state.invalid_items += 1
        self._unlogged += 1
        now = self._clock.monotonic()
        if self._logged_at is None or now - self._logged_at >= LOG_INTERVAL:
            logger.warning(
                "%d line(s) were no item and went to on_invalid; the last, of %d bytes: %s",
                self._unlogged,
                len(invalid.line),
                _unquoted(invalid),
            )
            self._unlogged = 0
            self._logged_at = now
        self._callbacks.report(InvalidLine(invalid.line, invalid.reason))


def _unquoted(invalid: Invalid) -> str:
    """The reason without the values that a model's refusal quotes."""
    if invalid.cause is None:
        return invalid.reason
    return f"refused by the response model: {refused_fields(invalid.cause)}"
