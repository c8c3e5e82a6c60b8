"""Lines that look like items, or should."""

from __future__ import annotations

import orjson

from xdk_streaming.simulator.faults.fault import fault
from xdk_streaming.simulator.faults.problems import MISSING_AUTHOR, POST
from xdk_streaming.simulator.script import Send

LINE_FAULTS = (
    fault(
        "partial-error",
        "A post with errors beside its data.",
        Send(orjson.dumps({"data": {"id": "1"}, "errors": [MISSING_AUTHOR]}) + b"\r\n"),
    ),
    *(
        fault(name, sentence, Send(line + b"\r\n"))
        for name, sentence, line in (
            ("malformed-line", "A line that is no JSON.", b'{"data":{"id":1,}}'),
            ("no-object", "A line that is JSON, but no object.", b'["data",{"id":"1"}]'),
            ("deep-nesting", "A line of 200,000 opening brackets.", b'{"data":' + b"[" * 200_000),
            ("invalid-utf-8", "A line with a byte that UTF-8 does not have.", POST % b"caf\xe9"),
            ("nul-bytes", "A line with NUL bytes.", POST % b"\x00\x00"),
            ("two-objects", "Two objects on a line.", POST % b"one" + POST % b"two"),
        )
    ),
    fault(
        "line-end-inside",
        "A line end between the tokens of an object: two lines, neither of them an object.",
        Send(b'{"data":\n{"id":"1"},"tag":2}\r\n'),
    ),
    # Too long for max_item_bytes as the client's settings for these two have it: 4,096.
    fault("line-over-the-limit", "A line longer than max_item_bytes.", Send(POST % (b"x" * 8192) + b"\r\n")),
    fault(
        "runaway-line",
        "A line longer than four times max_item_bytes.",
        Send(POST % (b"x" * 20_000) + b"\r\n"),
    ),
    *(
        fault(name, sentence, *(Send(piece) for piece in pieces))
        for name, sentence, pieces in (
            (
                "not-a-number",
                "NaN, which JSON does not have: Python's.",
                [b'{"data":{"id":"1","n":NaN}}\r\n'],
            ),
            (
                "huge-integer",
                "An integer of more than 64 bits: the nearest float.",
                [b'{"data":{"id":"1","n":18446744073709551616}}\r\n'],
            ),
            (
                "byte-order-mark",
                "A byte order mark before an object.",
                [b"\xef\xbb\xbf" + POST % b"b" + b"\r\n"],
            ),
            ("crlf-cut-in-two", "CR and LF in different packets.", [POST % b"c" + b"\r", b"\n"]),
            (
                "character-cut-in-two",
                "The bytes of one character in different packets.",
                [b'{"data":{"id":"1","text":"\xf0\x9f', b'\x8e\x89"}}\r\n'],
            ),
            (
                "line-separator-inside",
                "U+2028 and U+0085 inside a string: no line ends.",
                [POST % "\u2028\u0085".encode() + b"\r\n"],
            ),
        )
    ),
    fault("heartbeats", "Blank lines and an empty object.", Send(b"\r\n\n{}\r\n")),
)
