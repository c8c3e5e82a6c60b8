"""What the machine is told: a fact or a command, with all that it carries, in one frozen value."""

from __future__ import annotations

from dataclasses import dataclass

from xdk_streaming.errors import StreamError
from xdk_streaming.state import RateLimit, Trigger


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
