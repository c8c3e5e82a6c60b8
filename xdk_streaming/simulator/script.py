"""What a server does with a connection, step by step: the language of faults, demos and tests.

A script is a sequence of steps, played on a `Wire`: the simulator's is a real socket, that of
`xdk_streaming.testing` is in memory. A connection whose script runs out ends cleanly.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import orjson

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
        """Answer with this head; the body follows."""

    def serve(self, count: int) -> None:
        """Send the next items at once."""

    def live(self, seconds: float | None, *, goes_on: bool) -> None:
        """Send items as they are published, heartbeats between them, for so long; None for ever."""

    def send(self, data: bytes) -> None:
        """Send these bytes of the body: framed, and compressed where the body is."""

    def uncompressed(self, data: bytes) -> None:
        """Send these bytes of the body: framed, but never compressed."""

    def raw(self, data: bytes) -> None:
        """Write these bytes to the connection, whatever they do to its framing."""

    def half(self, share: float) -> None:
        """Send so much of the next item: a byte at least, and not the last."""

    def silence(self, seconds: float | None, *, head: bool) -> None:
        """Send nothing for so long; None until the client leaves. `head`: but the head of the answer."""

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
class Limited:
    """429, with headers that tell the limit on connecting: the window ends in so many seconds."""

    body: bytes = b""
    remaining: int = 0
    reset: float = 300.0

    def headers(self, now: float) -> dict[str, str]:
        """Those of an answer that is given at this time, in Unix seconds."""
        return {
            LIMIT_HEADER: str(CONNECTS_PER_WINDOW),
            REMAINING_HEADER: str(self.remaining),
            RESET_HEADER: str(int(now + self.reset)),
        }

    def play(self, wire: Wire) -> None:
        wire.refuse(429, self.headers(time.time()), self.body)


@dataclass(frozen=True)
class Open:
    """The head of an answer, where it is to be another than that of a stream; the body follows."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)

    def play(self, wire: Wire) -> None:
        wire.open(self.status, self.headers)


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
    goes_on: bool = False
    """From where the `Live` before it on this connection stopped; else from the present."""

    def play(self, wire: Wire) -> None:
        wire.live(self.seconds, goes_on=self.goes_on)


@dataclass(frozen=True)
class Send:
    """These bytes of the body, in one piece."""

    data: bytes

    def play(self, wire: Wire) -> None:
        wire.send(self.data)


@dataclass(frozen=True)
class Flood:
    """These bytes of the body, over and over until the client leaves."""

    data: bytes

    def play(self, wire: Wire) -> None:
        while True:
            wire.send(self.data)


@dataclass(frozen=True)
class Uncompressed:
    """These bytes of the body in one piece, uncompressed in a body that is said to be compressed."""

    data: bytes

    def play(self, wire: Wire) -> None:
        wire.uncompressed(self.data)


@dataclass(frozen=True)
class Raw:
    """These bytes as they are, beneath the framing and, as the first step, instead of the head."""

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
    """Silence, with the connection open: for so many seconds, or until the client leaves."""

    seconds: float | None = None
    head: bool = True
    """Whether the head of the answer has gone out at least."""

    def play(self, wire: Wire) -> None:
        wire.silence(self.seconds, head=self.head)


@dataclass(frozen=True)
class End:
    """The end of the body in good order."""

    def play(self, wire: Wire) -> None:
        wire.end()


@dataclass(frozen=True)
class Cut:
    """The connection closed without the end of the body: in the middle of an item, or where it stands."""

    half: bool = True
    share: float = 0.5
    """How much of the item has gone out, where it is in the middle of one."""

    def play(self, wire: Wire) -> None:
        if self.half:
            wire.half(self.share)
        wire.cut()


@dataclass(frozen=True)
class Reset:
    """The connection reset: in the middle of an item, or where it stands."""

    half: bool = True
    share: float = 0.5
    """How much of the item has gone out, where it is in the middle of one."""

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
