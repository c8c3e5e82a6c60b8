"""A line is weighed before it is parsed: never as too light, and a plain text hardly as too heavy."""

from __future__ import annotations

import tracemalloc

import orjson
import pytest

from xdk_streaming.wire.decoder import Decoder, LineDecoder
from xdk_streaming.wire.framing import LONG_BYTES, LineSplitter, Long, Unended
from xdk_streaming.wire.not_an_item import Invalid, Truncated
from xdk_streaming.wire.response_model import decoder_for
from xdk_streaming.wire.weight import FEW_STRINGS, MANY_QUOTES, text_weight, weight

SIZE = 2**20


def filled(unit: str, start: str = '{"data":[', end: str = "0]}") -> bytes:
    return (start + unit * (SIZE // len(unit.encode())) + end).encode()


LINES = {
    "empty arrays": filled("[],"),
    "arrays": filled("[1],"),
    "empty objects": filled("{},"),
    "objects": filled('{"":1},'),
    "nested objects": filled('{"a":{"a":{"a":{}}}},'),
    "objects with many names": filled('{"a":1,"b":1,"c":1,"d":1,"e":1,"f":1},'),
    "small numbers": filled("1,"),
    "floats": filled("1e9,"),
    "short texts": filled('"a",'),
    "texts with an accent": filled('"é",'),
    "texts with an emoji": filled('"😀",'),
    "escaped quotes": filled('"\\"",'),
    "names": ('{"data":{' + ",".join(f'"{n:x}":[]' for n in range(SIZE // 10)) + "}}").encode(),
    "a text": filled("x", '{"data":"', '"}'),
    "a text with an accent": filled("x", '{"data":"é', '"}'),
    "a text with a kanji": filled("x", '{"data":"漢', '"}'),
    "a text with an emoji": filled("x", '{"data":"😀', '"}'),
    "a text with an escaped emoji": filled("x", '{"data":"\\uD83D\\ude00', '"}'),
    "a text with an escaped accent": filled("x", '{"data":"\\u00e9', '"}'),
}


@pytest.mark.parametrize("name", LINES)
def test_no_line_is_heavier_than_it_is_weighed(name: str) -> None:
    tracemalloc.start()
    try:
        content = orjson.loads(LINES[name])
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert content
    assert taken <= weight(LINES[name]) + 1024


def test_a_text_weighs_as_much_as_its_characters_whatever_they_say() -> None:
    said = 'commas, [brackets], {braces}: and \\"quotes\\" \\\\' * 20_000
    line = f'{{"data":"{said}"}}'.encode()
    assert len(line) - 100_000 <= weight(line) <= len(line) + 1_000


def test_a_line_with_very_many_quotes_is_weighed_as_a_whole() -> None:
    line = b'{"data":[' + b'"a,b",' * (MANY_QUOTES // 2) + b"0]}"
    assert weight(line) > 112 * MANY_QUOTES


@pytest.mark.parametrize(
    ("text", "bytes_"), [("ab", 2), ("aé", 2), ("a漢", 4), ("a😀", 8), ("\\u00e9", 12), ("\\ud83d", 24)]
)
def test_the_widest_character_decides_what_each_character_takes(text: str, bytes_: int) -> None:
    assert text_weight(text.encode()) == bytes_


HEAVY = b'{"data":[' + b"[]," * 500_000 + b"[]]}"
BEFORE, AFTER = b'{"data":{"id":"1"}}', b'{"data":{"id":"2"}}'


def heavy_lines() -> list[object]:
    return list(LineSplitter(32 * 2**20).feed(b"\n".join([BEFORE, HEAVY, AFTER, b""])))


@pytest.mark.parametrize("model", [None, dict, lambda line: line], ids=["dict", "type", "function"])
def test_a_heavy_line_is_invalid_in_every_mode_that_parses_and_its_neighbours_are_items(
    model: object,
) -> None:
    decode = decoder_for(model)
    before, heavy, after = map(decode, heavy_lines())  # type: ignore[arg-type]  # lines of a splitter
    assert isinstance(heavy, Invalid)
    assert heavy.line == HEAVY
    assert heavy.reason.startswith("too large to parse: these 1,500,013 bytes may take ")
    assert not isinstance(before, Invalid)
    assert not isinstance(after, Invalid)


def test_no_quick_function_takes_a_long_line() -> None:
    long = Long(HEAVY, len(HEAVY))
    for decoder in (Decoder(), Decoder(dict), LineDecoder(), decoder_for(lambda line: line)):
        with pytest.raises((TypeError, ValueError)):
            decoder.quickest([long])(long) if decoder.quickest([long]) is not decoder else decoder.quick(long)


def test_a_heavy_line_is_refused_as_a_raw_line_too() -> None:
    assert isinstance(LineDecoder()(Long(HEAVY, 0)), Invalid)
    assert LineDecoder()(Long(HEAVY, 10 * len(HEAVY) ** 2)) is HEAVY


def test_a_long_line_that_is_light_is_an_item_ended_or_not() -> None:
    line = b'{"data":"' + b"x" * LONG_BYTES + b'"}'
    long = Long(line, 2 * len(line))
    for event in (Decoder()(long), Decoder()(Unended(long))):
        assert event == {"data": "x" * LONG_BYTES}
    assert LineDecoder()(Unended(long)) == line
    assert isinstance(Decoder()(Unended(Long(line, 0))), Truncated)


def test_what_is_no_json_is_not_made_a_wide_text_to_look_at_it_again() -> None:
    line = "😀".encode() + b"x" * 11_000_000
    event = Decoder()(Long(line, 2**30))
    assert isinstance(event, Invalid)
    assert event.reason == "not JSON, and too large to look at it again"


def test_a_larger_max_item_bytes_allows_more() -> None:
    (long,) = LineSplitter(200 * 2**20).feed(HEAVY + b"\n")
    assert isinstance(Decoder()(long), dict)


@pytest.mark.parametrize("line", [b"[0,0]", b'["a,b",1]', b'["a,b', b'{"a":"[[[["}', b""])
def test_a_plain_line_is_weighed_without_its_strings_and_as_one_with_a_backslash(line: bytes) -> None:
    quotes = line.count(b'"')
    assert weight(line) <= weight(line + b"\\") + quotes  # which takes the other way


def test_a_plain_line_with_many_strings_is_weighed_too() -> None:
    line = b"[" + b'"a,b",' * FEW_STRINGS + b"[]]"
    assert FEW_STRINGS * 112 < weight(line) < FEW_STRINGS * 112 + 2 * len(line) + 1_000
