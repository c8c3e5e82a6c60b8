"""What the log says of transitions: the first attempts of an outage, then what an operator needs.

An outage lasts from the loss of a stream, or from the start, until data or a settled connection. Every
transition is logged at DEBUG; a stream's history and its observers get every one as a record.
"""

from __future__ import annotations

import logging
from typing import Any

from xdk_streaming.errors import StreamError
from xdk_streaming.log import logger
from xdk_streaming.state import ConnectionState, Transition, Trigger

FIRST_ATTEMPTS = 5
"""Attempts since the last settled connection that are logged at INFO one by one."""
INTERVAL = 300.0
"""Seconds between two lines at INFO after these attempts, if the error stays the same."""
FIRST_WARNING = 60.0
"""Seconds of an outage after which it is logged at WARNING."""
WARNING_FACTOR = 4.0
"""Factor by which an outage has to grow from one WARNING to the next."""
CLEAN_END = "the server ended the connection"


class TransitionLog:
    """The log of one stream's transitions. For the driver's thread."""

    def __init__(self) -> None:
        self._outage_began: float | None = None
        self._attempts = 0
        self._next_warning = FIRST_WARNING
        self._warned = False
        self._told_top = False
        self._why: StreamError | None = None
        self._last_kind: tuple[object, ...] | None = None
        self._last_line = 0.0

    def take(self, transition: Transition, now: float, *, at_top: bool = False) -> None:
        """Log a transition. `now` is monotonic; `at_top`: it announces the longest delay of the ladder."""
        trigger = transition.trigger
        if transition.dest is ConnectionState.FAILED and trigger is not Trigger.STOP:
            logger.error("%s", transition)
        elif trigger is Trigger.RETRY:
            self._announced(transition, now, at_top=at_top)
        elif trigger in (Trigger.START, Trigger.STOP):
            self._lost(None, now)
            again = transition.source is transition.dest  # a second stop
            logger.log(logging.DEBUG if again else logging.INFO, "%s", transition)
        elif trigger in (Trigger.REFUSED, Trigger.BROKE, Trigger.ENDED):
            self._lost(transition.error, now)
            logger.debug("%s", transition)
        elif trigger in (Trigger.PROGRESSED, Trigger.SETTLED):
            if not self._over(now, settled=trigger is Trigger.SETTLED):
                logger.debug("%s", transition)
        else:
            few = self._attempts <= FIRST_ATTEMPTS and trigger is Trigger.OPENED
            logger.log(logging.INFO if few else logging.DEBUG, "%s", transition)

    def _lost(self, error: StreamError | None, now: float) -> None:
        self._why = error
        if self._outage_began is None:
            self._outage_began = now
            self._next_warning, self._warned = FIRST_WARNING, False

    def _announced(self, transition: Transition, now: float, *, at_top: bool) -> None:
        self._attempts += 1
        error = self._why
        length = now - (now if self._outage_began is None else self._outage_began)
        kind = (error and error.error_type, error and error.status_code)
        attempt = (transition.attempt, transition.delay, CLEAN_END if error is None else error)
        if length >= self._next_warning or (at_top and not self._told_top):
            while self._next_warning <= length:
                self._next_warning *= WARNING_FACTOR
            self._warned, self._told_top = True, self._told_top or at_top
            self._write(
                logging.WARNING, now, "No stream for %.0f s; attempt %d in %.1f s: %s", length, *attempt
            )
        elif self._attempts <= FIRST_ATTEMPTS or kind != self._last_kind or now - self._last_line >= INTERVAL:
            self._write(logging.INFO, now, "BACKOFF: attempt %d in %.1f s: %s", *attempt)
        else:
            logger.debug("BACKOFF: attempt %d in %.1f s: %s", *attempt)
        self._last_kind = kind

    def _over(self, now: float, *, settled: bool) -> bool:
        """The outage is over. Returns whether that was logged."""
        began, self._outage_began = self._outage_began, None
        ended = began is not None and self._attempts > 0
        if ended and began is not None:
            level = logging.INFO if self._attempts <= FIRST_ATTEMPTS else logging.DEBUG
            level = logging.WARNING if self._warned else level
            logger.log(level, "STREAMING again after %.0f s and %d attempts", now - began, self._attempts)
        self._warned = False
        if settled:
            self._attempts, self._last_kind, self._told_top = 0, None, False
        return ended

    def _write(self, level: int, now: float, template: str, *arguments: Any) -> None:
        self._last_line = now
        logger.log(level, template, *arguments)
