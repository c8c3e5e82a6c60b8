"""What the machine is told: a fact or a command, with all that it carries, in one frozen value."""

from __future__ import annotations

from dataclasses import dataclass

from xdk_streaming.errors import StreamError
from xdk_streaming.state import RateLimit, Trigger

NEEDS_ERROR = (Trigger.REFUSED, Trigger.BROKE)


@dataclass(frozen=True)
class Event:
    """What happened, or what to do.

        machine.fire(Event(Trigger.REFUSED, error=error, at=time.time()))

    `fire` refuses an event whose trigger is no `Trigger`, or that lacks its error.
    """

    trigger: Trigger
    error: StreamError | None = None
    """The fault. REFUSED and BROKE need one."""
    at: float = 0.0
    """When, in Unix seconds by the driver's clock; the machine has none."""
    rate_limit: RateLimit | None = None
    """What the server's answer told of the limit on connecting."""
    parameter: str | None = None
    """A parameter of the refused request that a stream can do without."""
    bounded: bool = False
    """Whether the request that ended had an end time."""


def refusal(event: object) -> Exception:
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
