"""Scripts: what a server does with a connection, step by step. Used by faults, demos and tests.

A script is a sequence of steps, played on a `Wire`. The wire of the simulator is a real socket; the wire of
`xdk_streaming.testing` is in memory. A connection ends cleanly after the last step.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import orjson

from xdk_streaming.simulator.present import present
from xdk_streaming.x import (
    CONNECTS_PER_WINDOW,
    HEARTBEAT_LINE,
    LIMIT_HEADER,
    PROBLEMS,
    REMAINING_HEADER,
    RESET_HEADER,
)


class Wire(Protocol):
    """One connection, from the server's side."""

    def refuse(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        """Answer with this status and body instead of a stream."""

    def open(self, status: int, headers: Mapping[str, str]) -> None:
        """Send this status and these headers; the body follows."""

    def serve(self, count: int) -> None:
        """Send the next items immediately."""

    def live(self, seconds: float | None, *, goes_on: bool) -> None:
        """Send items as they are published, and heartbeats, for this many seconds; None for ever."""

    def send(self, data: bytes) -> None:
        """Send these bytes in the body, framed, and compressed if the body is compressed."""

    def uncompressed(self, data: bytes) -> None:
        """Send these bytes in the body, framed but never compressed."""

    def raw(self, data: bytes) -> None:
        """Write these bytes to the connection, without framing."""

    def half(self, share: float) -> None:
        """Send this share of the next item: at least one byte, and never all."""

    def silence(self, seconds: float | None, *, head: bool) -> None:
        """Send nothing for this many seconds (None: until the client leaves), or only the head if `head`."""

    def end(self) -> None:
        """End the body cleanly."""

    def cut(self) -> None:
        """Close the connection without ending the body."""

    def reset(self) -> None:
        """Reset the connection (RST)."""


class Step(Protocol):
    """One step of a script."""

    def play(self, wire: Wire) -> None:
        """Play the step on a connection."""


Script = Sequence[Step]


@dataclass(frozen=True)
class Refuse:
    """This response instead of a stream. No step can follow."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)

    def play(self, wire: Wire) -> None:
        wire.refuse(self.status, self.headers, self.body)


@dataclass(frozen=True)
class Limited:
    """429 with rate limit headers for connection attempts; the window ends `reset` seconds from now."""

    body: bytes = b""
    remaining: int = 0
    reset: float = 300.0

    def headers(self, now: float) -> dict[str, str]:
        """The headers of a response sent at `now`, in Unix seconds."""
        return {
            LIMIT_HEADER: str(CONNECTS_PER_WINDOW),
            REMAINING_HEADER: str(self.remaining),
            RESET_HEADER: str(int(now + self.reset)),
        }

    def play(self, wire: Wire) -> None:
        wire.refuse(429, self.headers(present()), self.body)


@dataclass(frozen=True)
class Open:
    """The head of a response, if it differs from that of a stream; the body follows."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)

    def play(self, wire: Wire) -> None:
        wire.open(self.status, self.headers)


@dataclass(frozen=True)
class Serve:
    """The next items, sent immediately."""

    count: int = 1

    def play(self, wire: Wire) -> None:
        wire.serve(self.count)


@dataclass(frozen=True)
class Live:
    """Items at the simulator's rate, with heartbeats, for this many seconds or for ever."""

    seconds: float | None = None
    goes_on: bool = False
    """Continue where the previous `Live` on this connection stopped, instead of at the present."""

    def play(self, wire: Wire) -> None:
        wire.live(self.seconds, goes_on=self.goes_on)


@dataclass(frozen=True)
class Send:
    """These bytes in the body, in one piece."""

    data: bytes

    def play(self, wire: Wire) -> None:
        wire.send(self.data)


@dataclass(frozen=True)
class Flood:
    """These bytes in the body, repeated until the client leaves."""

    data: bytes

    def play(self, wire: Wire) -> None:
        while True:
            wire.send(self.data)


@dataclass(frozen=True)
class Uncompressed:
    """These bytes in one piece, uncompressed even if the body is declared as compressed."""

    data: bytes

    def play(self, wire: Wire) -> None:
        wire.uncompressed(self.data)


@dataclass(frozen=True)
class Raw:
    """These bytes without framing; as the first step, instead of the response head."""

    data: bytes

    def play(self, wire: Wire) -> None:
        wire.raw(self.data)


@dataclass(frozen=True)
class Notice:
    """An object about the stream, on a line of its own."""

    content: Mapping[str, Any]

    def play(self, wire: Wire) -> None:
        wire.send(orjson.dumps(dict(self.content)) + b"\r\n")


@dataclass(frozen=True)
class Stall:
    """Silence on an open connection, for this many seconds or until the client leaves."""

    seconds: float | None = None
    head: bool = True
    """Whether the response head is sent before the silence."""

    def play(self, wire: Wire) -> None:
        wire.silence(self.seconds, head=self.head)


@dataclass(frozen=True)
class End:
    """A clean end of the body."""

    def play(self, wire: Wire) -> None:
        wire.end()


@dataclass(frozen=True)
class Cut:
    """The connection closed without ending the body, in the middle of an item or between items."""

    half: bool = True
    """Whether part of an item is sent first."""
    share: float = 0.5
    """How much of the item is sent, if `half`."""

    def play(self, wire: Wire) -> None:
        if self.half:
            wire.half(self.share)
        wire.cut()


@dataclass(frozen=True)
class Reset:
    """The connection reset, in the middle of an item or between items."""

    half: bool = True
    """Whether part of an item is sent first."""
    share: float = 0.5
    """How much of the item is sent, if `half`."""

    def play(self, wire: Wire) -> None:
        if self.half:
            wire.half(self.share)
        wire.reset()


LIVE: Script = (Live(),)

HEARTBEAT = Send(HEARTBEAT_LINE)

OPERATIONAL_DISCONNECT = Notice(
    {
        "errors": [
            {
                "title": "operational-disconnect",
                "disconnect_type": "UpstreamOperationalDisconnect",
                "detail": "This stream has been disconnected upstream for operational reasons.",
                "type": PROBLEMS + "operational-disconnect",
            }
        ]
    }
)
"""As on docs.x.com/x-api/fundamentals/handling-disconnections."""

UNAVAILABLE = Refuse(503, b'{"title":"Service Unavailable","type":"about:blank","status":503}')
