"""Ends of a stream, clean and not."""

from __future__ import annotations

from xdk_streaming.simulator.faults.fault import fault
from xdk_streaming.simulator.faults.problems import POST
from xdk_streaming.simulator.script import HEARTBEAT, Cut, End, Raw, Reset, Send, Stall, Uncompressed

END_FAULTS = (
    fault("end", "The server ends the stream cleanly.", End()),
    fault(
        "whole-object-at-the-end",
        "The server ends the stream after an object without its line end.",
        Send(POST % b"whole"),
        End(),
    ),
    fault(
        "half-an-object-at-the-end",
        "The server ends the stream in the middle of an object.",
        Send(b'{"data":{"id":"1'),
        End(),
    ),
    fault("cut", "The connection is closed in the middle of an object, without the end of the body.", Cut()),
    fault(
        "cut-between-lines",
        "The connection is closed after a whole line, without the end of the body.",
        Cut(half=False),
    ),
    fault(
        "whole-object-at-a-cut",
        "The connection is closed after an object without its line end.",
        Send(POST % b"whole"),
        Cut(half=False),
    ),
    fault("reset", "The connection is reset in the middle of an object.", Reset()),
    fault(
        "whole-object-at-a-reset",
        "The connection is reset after an object without its line end.",
        Send(POST % b"whole"),
        Reset(half=False),
    ),
    fault(
        "stall",
        "The connection stays open, but the server sends nothing more, not even heartbeats.",
        HEARTBEAT,
        Stall(),
    ),
    fault("bad-chunk-size", "A chunk of the body begins without a size.", Raw(b"zz\r\n"), Cut(half=False)),
    fault(
        "corrupt-gzip",
        "A compressed body continues with bytes that cannot be decompressed.",
        Uncompressed(b"\xff" * 64),
        Stall(),
        encoding="gzip",
    ),
    fault(
        "gzip-without-trailer",
        "A compressed body ends cleanly, but without the trailer of the compression.",
        Raw(b"0\r\n\r\n"),
        Cut(half=False),
        encoding="gzip",
    ),
    fault("gzip-cut", "A compressed body is cut off.", Cut(half=False), encoding="gzip"),
)
