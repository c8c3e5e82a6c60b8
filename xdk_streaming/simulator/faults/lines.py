"""Unusual lines, which look like items or should."""

from __future__ import annotations

import orjson

from xdk_streaming.simulator.faults.fault import fault
from xdk_streaming.simulator.faults.problems import MISSING_AUTHOR, POST
from xdk_streaming.simulator.script import Send

LINE_FAULTS = (
    fault(
        "partial-error",
        "A post has errors beside its data.",
        Send(orjson.dumps({"data": {"id": "1"}, "errors": [MISSING_AUTHOR]}) + b"\r\n"),
    ),
    *(
        fault(name, sentence, Send(line + b"\r\n"))
        for name, sentence, line in (
            ("malformed-line", "A line is not JSON.", b'{"data":{"id":1,}}'),
            ("no-object", "A line is JSON, but not an object.", b'["data",{"id":"1"}]'),
            ("deep-nesting", "A line has 200,000 opening brackets.", b'{"data":' + b"[" * 200_000),
            ("invalid-utf-8", "A line has a byte that is invalid in UTF-8.", POST % b"caf\xe9"),
            ("nul-bytes", "A line has NUL bytes.", POST % b"\x00\x00"),
            ("two-objects", "A line has two objects.", POST % b"one" + POST % b"two"),
        )
    ),
    fault(
        "line-end-inside",
        "A line end splits an object into two lines, and neither is an object.",
        Send(b'{"data":\n{"id":"1"},"tag":2}\r\n'),
    ),
    # For these two faults, the client's settings set max_item_bytes to 4,096.
    fault(
        "line-over-the-limit", "A line is longer than max_item_bytes.", Send(POST % (b"x" * 8192) + b"\r\n")
    ),
    fault(
        "runaway-line",
        "A line is longer than four times max_item_bytes.",
        Send(POST % (b"x" * 20_000) + b"\r\n"),
    ),
    *(
        fault(name, sentence, *(Send(piece) for piece in pieces))
        for name, sentence, pieces in (
            (
                "not-a-number",
                "An item has NaN, which is not JSON.",
                [b'{"data":{"id":"1","n":NaN}}\r\n'],
            ),
            (
                "huge-integer",
                "An item has an integer of more than 64 bits.",
                [b'{"data":{"id":"1","n":18446744073709551616}}\r\n'],
            ),
            (
                "byte-order-mark",
                "A byte order mark precedes an object.",
                [b"\xef\xbb\xbf" + POST % b"b" + b"\r\n"],
            ),
            ("crlf-cut-in-two", "CR and LF arrive in different packets.", [POST % b"c" + b"\r", b"\n"]),
            (
                "character-cut-in-two",
                "The bytes of one character arrive in different packets.",
                [b'{"data":{"id":"1","text":"\xf0\x9f', b'\x8e\x89"}}\r\n'],
            ),
            (
                "line-separator-inside",
                "A string has U+2028 and U+0085, which do not end a line.",
                [POST % "\u2028\u0085".encode() + b"\r\n"],
            ),
        )
    ),
    fault("heartbeats", "The server sends blank lines and an empty object.", Send(b"\r\n\n{}\r\n")),
)
