"""What a server could send instead of a post: each has one outcome, and costs its neighbours nothing.

Every line goes through the splitter and the decoder, between two posts on the same read.
"""

from __future__ import annotations

import math
import time
import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest

from helpers.systems import posix
from xdk_streaming.wire.decoder import BOM, Decoder
from xdk_streaming.wire.framing import LineSplitter
from xdk_streaming.wire.not_an_item import Heartbeat, Invalid, NotAnItem, StreamNotice, Truncated

LIMIT = 4 * 2**20
BEFORE, AFTER = b'{"data":{"id":"before"}}', b'{"data":{"id":"after"}}'

Outcome = str | dict[str, Any]

BLANK = "heartbeat"
NOTICE = "notice"
NO_JSON = "invalid: not JSON: "
TOO_LARGE = "invalid: too large to parse: "
NO_OBJECT = "invalid: not a JSON object but "


def events(stream: bytes, limit: int = LIMIT) -> tuple[list[Any], bool]:
    """All that comes of a stream, the tail included, and whether it ran away."""
    splitter, decoder = LineSplitter(limit), Decoder()
    found = [event for line in splitter.feed(stream) for event in each(decoder(line))]
    tail = splitter.tail()
    return [*found, *([decoder.decode_tail(tail)] if tail else [])], splitter.runaway is not None


def each(event: Any) -> list[Any]:
    """The event; heartbeats in a row one by one."""
    return [Heartbeat()] * event.count if isinstance(event, Heartbeat) else [event]


def shown(event: object) -> Outcome:
    if isinstance(event, Heartbeat):
        return BLANK
    if isinstance(event, StreamNotice):
        return NOTICE
    if isinstance(event, Invalid):
        return f"invalid: {event.reason}"
    assert isinstance(event, dict)
    return event


def matches(event: object, wanted: Outcome) -> bool:
    given = shown(event)
    return given.startswith(wanted) if isinstance(given, str) and isinstance(wanted, str) else given == wanted


POISON: dict[str, tuple[bytes, list[Outcome]]] = {
    # the line, and what comes of it
    "half an object": (b'{"data":{"id":', [NO_JSON]),
    "no JSON": (b"<html>busy</html>", [NO_JSON]),
    "single quotes": (b"{'data':1}", [NO_JSON]),
    "a trailing comma": (b'{"data":1,}', [NO_JSON]),
    "a comment": (b'{"data":1} // one', [NO_JSON]),
    "an array": (b'[{"data":1}]', [NO_OBJECT + "an array"]),
    "a string": (b'"data"', [NO_OBJECT + "a string"]),
    "a number": (b"17", [NO_OBJECT + "a number"]),
    "true": (b"true", [NO_OBJECT + "a boolean"]),
    "null": (b"null", [NO_OBJECT + "null"]),
    "NaN alone": (b"NaN", [NO_OBJECT + "a number"]),
    "infinities": (b'{"data":[Infinity,-Infinity]}', [{"data": [math.inf, -math.inf]}]),
    "a float beyond any": (b'{"data":1e400}', [{"data": math.inf}]),
    "an integer beyond 64 bits": (b'{"data":18446744073709551617}', [{"data": 2.0**64}]),
    "a negative one": (b'{"data":-9223372036854775809}', [{"data": -(2.0**63)}]),
    "an integer of 400 digits": (b'{"data":' + b"9" * 400 + b"}", [{"data": math.inf}]),
    "an integer of 5,000 digits": (b'{"data":-' + b"9" * 5000 + b"}", [{"data": -math.inf}]),
    "a number with leading zeros": (b'{"data":007}', [NO_JSON]),
    "200,000 brackets": (b"[" * 200_000, [NO_JSON]),
    "200,000 braces": (b'{"a":' * 200_000, [NO_JSON]),
    "200,000 of both": (b'{"a":[' * 200_000, [TOO_LARGE]),
    "200,000 brackets and back": (b'{"a":' + b"[" * 200_000 + b"]" * 200_000 + b"}", [NO_JSON]),
    "invalid UTF-8": (b'{"data":"caf\xe9"}', [NO_JSON]),
    "a character cut short": (b'{"data":"\xf0\x9f\x8e"}', [NO_JSON]),
    "an overlong character": (b'{"data":"\xc0\xaf"}', [NO_JSON]),
    "a surrogate in UTF-8": (b'{"data":"\xed\xa0\x80"}', [NO_JSON]),
    "UTF-16": ("{}".encode("utf-16"), [NO_JSON]),
    "gzip": (b"\x1f\x8b\x08\x00\x00", [NO_JSON]),
    "a NUL byte": (b"\x00", [NO_JSON]),
    "many NUL bytes": (b"\x00" * 10_000, [NO_JSON]),
    "a NUL byte before an object": (b"\x00" + AFTER, [NO_JSON]),
    "a NUL byte in a string": (b'{"data":"a\x00b"}', [NO_JSON]),
    "an escaped NUL": (b'{"data":"a\\u0000b"}', [{"data": "a\x00b"}]),
    "a byte order mark": (BOM, [BLANK]),
    "a byte order mark before an object": (BOM + b'{"data":1}', [{"data": 1}]),
    "two byte order marks": (BOM + BOM + b'{"data":1}', [NO_JSON]),
    "two objects on a line": (b'{"data":1}{"data":2}', [NO_JSON]),
    "two objects and a blank": (b'{"data":1} {"data":2}', [NO_JSON]),
    "two objects and a CR": (b'{"data":1}\r{"data":2}', [NO_JSON]),
    "a raw LF between tokens": (b'{"data":\n1}', [NO_JSON, NO_JSON]),
    "a raw CRLF between tokens": (b'{"data":\r\n1}', [NO_JSON, NO_JSON]),
    "a raw LF in a string": (b'{"data":"a\nb"}', [NO_JSON, NO_JSON]),
    "a raw CR between tokens": (b'{"data":\r1}', [{"data": 1}]),
    "a lone surrogate": (b'{"data":"a\\ud83db"}', [{"data": "a\ud83db"}]),
    "surrogates the wrong way round": (b'{"data":"\\udc00\\ud83d"}', [{"data": "\udc00\ud83d"}]),
    "a bad escape": (b'{"data":"\\x41"}', [NO_JSON]),
    "duplicate keys": (b'{"data":1,"data":2}', [{"data": 2}]),
    "duplicate keys, a notice first": (b'{"errors":[],"errors":[1],"data":2}', [{"errors": [1], "data": 2}]),
    "duplicate keys through the second parser": (b'{"data":NaN,"data":2}', [{"data": 2}]),
    "an empty key": (b'{"":1}', [{"": 1}]),
    "blanks": (b" \t \r", [BLANK]),
    "10,000 blank lines": (b"\r\n" * 9_999 + b"\r", [BLANK] * 10_000),
    "a notice with a lone surrogate": (b'{"errors":["\\ud800"]}', [NOTICE]),
    "a line over the limit": (b'{"data":"' + b"x" * LIMIT + b'"}', [f"invalid: {LIMIT + 11:,} bytes long"]),
    "a line over the limit that is no JSON": (b"x" * (4 * LIMIT), [f"invalid: {4 * LIMIT:,} bytes long"]),
}
poisoned = pytest.mark.parametrize("name", POISON)


@poisoned
def test_poison_has_the_outcome_that_is_written_here_and_its_neighbours_are_not_lost(name: str) -> None:
    line, wanted = POISON[name]
    found, runaway = events(b"\n".join([BEFORE, line, AFTER, b""]))
    assert not runaway
    assert shown(found[0]) == {"data": {"id": "before"}}
    assert shown(found[-1]) == {"data": {"id": "after"}}
    assert len(found) - 2 == len(wanted)
    assert all(map(matches, found[1:-1], wanted)), [str(shown(event))[:80] for event in found[1:-1]][:3]


@poisoned
def test_an_invalid_line_comes_with_its_bytes_the_first_64_kib_of_a_long_one(name: str) -> None:
    line, _ = POISON[name]
    found, _ = events(line + b"\n")
    pieces = line.split(b"\n")
    for event, piece in zip(found, pieces, strict=True):
        if isinstance(event, Invalid):
            assert event.line == (piece if len(piece) <= LIMIT else piece[: 64 * 1024])
            assert len(event.reason) < 300


def test_nan_is_not_a_number_and_costs_no_item() -> None:
    (item,), _ = events(b'{"data":NaN}\n')
    assert math.isnan(item["data"])


@pytest.mark.parametrize("follows", [b"", b"\n" + AFTER + b"\n"], ids=["nothing", "a post"])
def test_a_line_of_more_than_four_times_the_limit_is_a_fault_and_what_precedes_it_is_not_lost(
    follows: bytes,
) -> None:
    found, runaway = events(BEFORE + b"\n" + b"x" * 401 + follows, limit=100)
    assert runaway
    assert [shown(event) for event in found] == [
        {"data": {"id": "before"}},
        "invalid: the connection ended inside this line, after 401 bytes, more than max_item_bytes",
    ]
    assert isinstance(found[1], Truncated)


@poisoned
def test_poison_that_no_lf_ends_is_no_item_unless_it_is_a_whole_one(name: str) -> None:
    line, wanted = POISON[name]
    found, runaway = events(BEFORE + b"\n" + line)
    assert not runaway
    last = shown(found[-1])
    if isinstance(wanted[-1], dict) or wanted[-1] in (BLANK, NOTICE):
        assert last == wanted[-1]
    else:
        assert isinstance(found[-1], Truncated)


# Costs: each grows with its number, and must not grow faster.

GROWING: dict[str, Callable[[int], bytes]] = {
    "brackets": lambda n: b"[" * n,
    "brackets and back": lambda n: b"[" * n + b"]" * n,
    "braces": lambda n: b'{"a":' * n,
    "a number": lambda n: b'{"data":' + b"9" * n + b"}",
    "a number through the second parser": lambda n: b'{"data":[NaN,' + b"9" * n + b"]}",
    "a small number with a long tail": lambda n: b'{"data":[NaN,0.' + b"0" * n + b"1]}",
    "an exponent": lambda n: b'{"data":1e' + b"9" * n + b"}",
    "many numbers beyond 64 bits": lambda n: b'{"data":[NaN' + b",99999999999999999999" * (n // 20) + b"]}",
    "a long string": lambda n: b'{"data":"' + b"x" * n + b'"}',
    "a string without its end": lambda n: b'{"data":"' + b"x" * n,
    "backslashes": lambda n: b'{"data":"' + b"\\" * n,
    "quotes": lambda n: b'"' * n,
    "escapes": lambda n: b'{"data":"' + b"\\ud800" * (n // 6) + b'"}',
    "surrogates beside a bad end": lambda n: b'{"data":"' + b"\\ud800" * (n // 6) + b'"',
    "the same key": lambda n: b"{" + b'"a":1,' * (n // 6) + b'"a":2}',
    "other keys": lambda n: b"{" + b"".join(b'"k%d":NaN,' % key for key in range(n // 12)) + b'"a":2}',
    "objects on a line": lambda n: b"{}" * (n // 2),
    "NUL bytes": lambda n: b"\x00" * n,
    "invalid UTF-8": lambda n: b"\xff" * n,
    "byte order marks": lambda n: BOM * (n // 3),
    "blanks": lambda n: b" " * n,
    "blanks before garbage": lambda n: b" " * n + b"x",
    "carriage returns": lambda n: b"\r" * n,
    "line feeds": lambda n: b"\n" * (n // 8),
    "lines of garbage": lambda n: b"x\n" * (n // 40),
}
growing = pytest.mark.parametrize("name", GROWING)


def cpu_seconds(stream: bytes) -> float:
    """The best of three."""
    taken = []
    for _ in range(3):
        began = time.process_time()
        events(stream)
        taken.append(time.process_time() - began)
    return min(taken)


@posix("the clock of CPU time steps by 16 ms")
@growing
def test_poison_of_eight_times_the_length_takes_no_more_than_linear_time(name: str) -> None:
    grow, length = GROWING[name], 50_000
    assert cpu_seconds(grow(8 * length)) < 40 * max(cpu_seconds(grow(length)), 0.000_5)


@growing
def test_poison_takes_memory_in_proportion_to_its_length(name: str) -> None:
    splitter, decoder, stream = LineSplitter(LIMIT), Decoder(), GROWING[name](200_000)
    tracemalloc.start()
    try:
        for line in [*splitter.feed(stream), splitter.tail()]:
            decoder(line)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 60 * len(stream) + 2**20


def test_lines_over_the_limit_leave_no_more_than_their_first_bytes() -> None:
    limit = 100_000
    splitter, decoder, line = LineSplitter(limit), Decoder(), b"x" * (3 * limit) + b"\n"
    kept: list[NotAnItem] = []
    tracemalloc.start()
    try:
        for _ in range(20):
            kept += [decoder(whole) for whole in splitter.feed(line)]
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(kept) == 20
    assert held < 20 * 70_000


def test_a_reason_stays_short_however_long_the_line() -> None:
    for line in (b"x" * LIMIT, b"[" * LIMIT, b"\xff" * LIMIT, b'{"' + b"k" * (LIMIT - 10) + b'":}'):
        (event,), _ = events(line + b"\n")
        assert isinstance(event, Invalid)
        assert len(event.reason) < 300
