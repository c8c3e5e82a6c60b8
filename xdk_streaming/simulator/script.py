"""What a simulated connection does, step by step: the language of demos and tests.

A script is a sequence of steps, played on a `Wire`: the simulator's plays over a real
socket, the tests have one in memory. A connection whose script runs out ends cleanly.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import orjson


class Wire(Protocol):
    """One connection, from the server's side."""

    def refuse(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        """Answer with this status and body instead of a stream."""

    def serve(self, count: int) -> None:
        """Send the next items at once."""

    def live(self, seconds: float | None) -> None:
        """Send items as they are published, heartbeats between them, for so long; None for ever."""

    def send(self, data: bytes) -> None:
        """Send these bytes of the body as they are."""

    def half(self) -> None:
        """Send the first half of the next item."""

    def silence(self, seconds: float | None) -> None:
        """Send nothing for so long; None until the client leaves."""

    def end(self) -> None:
        """End the body in good order."""

    def cut(self) -> None:
        """Close the connection without ending the body."""

    def reset(self) -> None:
        """Reset the connection (RST)."""


class Step(Protocol):
    """Something a connection does."""

    def play(self, wire: Wire) -> None:
        """Do it."""


Script = Sequence[Step]


@dataclass(frozen=True)
class Refuse:
    """No stream, but this answer. Nothing can follow."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)

    def play(self, wire: Wire) -> None:
        wire.refuse(self.status, self.headers, self.body)


@dataclass(frozen=True)
class Serve:
    """The next items, at once."""

    count: int = 1

    def play(self, wire: Wire) -> None:
        wire.serve(self.count)


@dataclass(frozen=True)
class Live:
    """Items at the simulator's rate and heartbeats between them, for so many seconds or for ever."""

    seconds: float | None = None

    def play(self, wire: Wire) -> None:
        wire.live(self.seconds)


@dataclass(frozen=True)
class Send:
    """These bytes of the body, in one piece."""

    data: bytes

    def play(self, wire: Wire) -> None:
        wire.send(self.data)


@dataclass(frozen=True)
class Notice:
    """An object about the stream, on a line of its own."""

    content: Mapping[str, Any]

    def play(self, wire: Wire) -> None:
        wire.send(orjson.dumps(dict(self.content)) + b"\r\n")


@dataclass(frozen=True)
class Stall:
    """Silence, with the connection open: for so many seconds, or until the client leaves."""

    seconds: float | None = None

    def play(self, wire: Wire) -> None:
        wire.silence(self.seconds)


@dataclass(frozen=True)
class End:
    """The end of the body in good order."""

    def play(self, wire: Wire) -> None:
        wire.end()


@dataclass(frozen=True)
class Cut:
    """The connection closed in the middle of an item, without the end of the body."""

    def play(self, wire: Wire) -> None:
        wire.half()
        wire.cut()


@dataclass(frozen=True)
class Reset:
    """The connection reset in the middle of an item."""

    def play(self, wire: Wire) -> None:
        wire.half()
        wire.reset()


LIVE: Script = (Live(),)

HEARTBEAT = Send(b"\r\n")

OPERATIONAL_DISCONNECT = Notice(
    {
        "errors": [
            {
                "title": "operational-disconnect",
                "disconnect_type": "UpstreamOperationalDisconnect",
                "detail": "This stream has been disconnected upstream for operational reasons.",
                "type": "https://api.x.com/2/problems/operational-disconnect",
            }
        ]
    }
)
"""As on docs.x.com/x-api/fundamentals/handling-disconnections."""

UNAVAILABLE = Refuse(503, b'{"title":"Service Unavailable","type":"about:blank","status":503}')

RANDOM_FAULTS: Mapping[str, Script] = {
    "end": (End(),),
    "cut": (Cut(),),
    "reset": (Reset(),),
    "stall": (Stall(),),
    "operational-disconnect": (OPERATIONAL_DISCONNECT, End()),
}
"""What can befall a connection that streams, by name."""
