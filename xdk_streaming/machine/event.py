"""The one frozen value that the machine takes: a command or a fact, with the data that belongs to it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from xdk_streaming.errors import StreamError
from xdk_streaming.state import RateLimit, Trigger

PARAMETER_STATUSES = (400, 403)
"""Statuses with which X may refuse a single parameter."""
NEEDS_ERROR = (Trigger.REFUSED, Trigger.BROKE)


@dataclass(frozen=True)
class Event:
    """A fact (what happened) or a command (what to do).

        machine.fire(Event(Trigger.REFUSED, error=error, at=time.time()))

    `fire` refuses an event whose trigger is no `Trigger`, and an event without an error that it needs.
    """

    trigger: Trigger
    error: StreamError | None = None
    """The error. REFUSED and BROKE need one."""
    at: float = 0.0
    """When it happened, in Unix seconds of the wall clock that the driver uses; the machine has no clock."""
    rate_limit: RateLimit | None = None
    """The limit on connecting, if the server's answer gave it."""
    parameter: str | None = None
    """A parameter of the refused request that the stream can do without."""
    bounded: bool = False
    """Whether the request that ended had an end time."""
    renewed: bool = False
    """Whether X refused the credential, and another one is at hand."""
    demanded: bool = False
    """Whether the settings ask for an end with this error; no policy retries it then."""
    monotonic: float = 0.0
    """When it happened, in seconds of the monotonic clock that the driver uses: for durations."""

    @property
    def refuses_parameter(self) -> bool:
        """Whether X's own answer names `parameter`. A web page may quote the whole URL, and is not X's."""
        name, error = self.parameter, self.error
        if name is None or error is None or error.status_code not in PARAMETER_STATUSES:
            return False
        if error.intercepted or error.is_retryable:
            return False
        return re.search(rf"\b{re.escape(name)}\b", error.response_body or "") is not None


def can_be_fired(event: object) -> bool:
    """Whether this is an event with all that its trigger needs."""
    if not isinstance(event, Event) or not isinstance(event.trigger, Trigger):
        return False
    return event.error is not None or event.trigger not in NEEDS_ERROR


def event_error(event: object) -> Exception:
    """What to say of something that cannot be fired."""
    if not isinstance(event, Event):
        return TypeError(f"fire takes an Event, not {event!r}; write fire(Event(Trigger.START, at=...))")
    if not isinstance(event.trigger, Trigger):
        known = ", ".join(trigger.name for trigger in Trigger)
        return TypeError(
            f"An Event begins with a Trigger, not with {event.trigger!r}; "
            f"take Trigger.NAME, where NAME is one of {known}"
        )
    name = event.trigger.name
    return ValueError(
        f"{name} was fired without its error; write fire(Event(Trigger.{name}, error=StreamError(...)))"
    )
