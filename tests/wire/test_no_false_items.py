"""Whatever the mode: an item is a whole JSON object in UTF-8, and every such object is one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict

from xdk_streaming.wire.decoder import Decoder, LineDecoder
from xdk_streaming.wire.not_an_item import Invalid, NotAnItem
from xdk_streaming.wire.response_model import decoder_for


class Lax(BaseModel):
    data: dict[str, Any]


class Strict(BaseModel):
    model_config = ConfigDict(strict=True)
    data: dict[str, Any]


class Narrow(BaseModel):
    model_config = ConfigDict(strict=True)


class Struct(msgspec.Struct):
    data: dict[str, Any]


class NarrowStruct(msgspec.Struct):
    pass


MODELS: dict[str, Any] = {
    "dict": None,
    "raw line": bytes,
    "model": Lax,
    "strict model": Strict,
    "strict model without fields": Narrow,
    "JSON mode": Lax.model_validate_json,
    "Struct": Struct,
    "Struct without fields": NarrowStruct,
    "function": lambda line: line,
}
NO_OBJECTS = {
    "cut in a string": b'{"data":{"id":"2","text":"cut in the mid',
    "cut before the last bracket": b'{"data":{"id":"2","text":"cut"}',
    "two that ran together": b'{"data":{"id":"2"}}{"data":{"id":"3"}}',
    "the end of one and all of the next": b'{"data":{"id":"2","te{"data":{"id":"3"}}',
    "bytes after its end": b'{"data":{"id":"2"}} x',
    "no UTF-8 in a value": b'{"data":{"id":"2","text":"\xff\xfe"}}',
    "no UTF-8 in a key": b'{"data":{"id":"2","\xff":"text"}}',
    "a surrogate in UTF-8": b'{"data":{"id":"2","text":"\xed\xa0\x80"}}',
    "no UTF-8 beside the data": b'{"data":{"id":"2"},"includes":{"users":[{"name":"\xc3"}]}}',
    "a control character": b'{"data":{"id":"2","text":"a\x00b"}}',
    "a number with a zero before it": b'{"data":{"id":"2","n":01}}',
    "a word": b'{"data":{"id":"2","n":nul}}',
    "an array": b'[{"data":{"id":"2"}}]',
    "levels without end": b'{"data":' + b"[" * 100_000,
}
each_mode = pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)


def decoded(decoder: Decoder, line: bytes) -> list[Any]:
    """What the loop gets for this line, first by the quickest way and then by the other."""
    events = [decoder(line)]
    try:
        events.append(decoder.quickest([line])(line))
    except (ValueError, TypeError):
        events.append(decoder(line))
    return events


@each_mode
@pytest.mark.parametrize("line", NO_OBJECTS.values(), ids=NO_OBJECTS)
def test_what_is_no_json_object_is_no_item(model: Any, line: bytes) -> None:
    for event in decoded(decoder_for(model), line):
        assert isinstance(event, Invalid)
        assert event.line == line


OBJECTS = {
    "plain": b'{"data":{"id":"2","text":"caf\xc3\xa9"}}',
    "half of a surrogate pair": b'{"data":{"id":"2","text":"\\ud800"}}',
    "a number beyond a double": b'{"data":{"id":"2","n":1e999}}',
    "an integer beyond 64 bits": b'{"data":{"id":"2","n":99999999999999999999}}',
    "levels": b'{"data":{"id":"2","n":' + b"[" * 400 + b"]" * 400 + b"}}",
    "blanks around it": b' {"data":{"id":"2"}}\r',
    "another key first": b'{"matching_rules":[],"data":{"id":"2"}}',
}


@pytest.mark.parametrize("line", OBJECTS.values(), ids=OBJECTS)
def test_every_json_object_is_a_raw_line_if_it_is_an_item(line: bytes) -> None:
    assert decoded(LineDecoder(), line) == [line, line]
    assert not isinstance(Decoder()(line), NotAnItem)


PIECES = [b"", b'"', b"\\", b"\xff", b"\xc3", b"\x00", b"1e999", b"01", b"}", b"{", b"NaN", b"\\ud800"]
edits = st.lists(
    st.tuples(
        st.integers(8, 80),
        st.integers(0, 4),
        st.sampled_from(
            [b"", b'"', b"\\", b"\xff", b"\xc3", b"\x00", b"1e999", b"01", b"}", b"{", b"NaN", b"\\ud800"]
        ),
    ),
    min_size=1,
    max_size=3,
)


@given(edits)
def test_a_damaged_line_is_a_raw_line_exactly_if_it_is_a_dict(changes: list[tuple[int, int, bytes]]) -> None:
    line = b'{"data":{"id":"1","n":[1,-2.5e3,null,{"a":"\\u00e9\\n"}],"text":"h\xc3\xa9"},"more":[]}'
    for at, without, instead in changes:
        line = line[:at] + instead + line[at + without :]
    as_dict, as_line = Decoder()(line), decoded(LineDecoder(), line)
    for event in as_line:
        assert isinstance(event, NotAnItem) == isinstance(as_dict, NotAnItem)


def test_a_tail_is_checked_as_well() -> None:
    whole: Callable[[bytes], Any] = LineDecoder().decode_tail
    assert whole(b'{"data":{"id":"2"}}') == b'{"data":{"id":"2"}}'
    assert isinstance(whole(b'{"data":{"id":"2"'), Invalid)
