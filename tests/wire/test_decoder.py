from __future__ import annotations

import json
import math
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any
from unittest.mock import Mock

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, TypeAdapter, ValidationError, field_validator
from typing_extensions import TypedDict

from xdk_streaming.wire.decoder import BOM, CONTROL_MESSAGES, Decoder, LineDecoder, OnModelError
from xdk_streaming.wire.framing import Oversized, Unended
from xdk_streaming.wire.function_decoder import FunctionDecoder
from xdk_streaming.wire.not_an_item import Heartbeat, Invalid, NotAnItem, Rejected, StreamNotice, Truncated
from xdk_streaming.wire.response_model import decoder_for

POST = b'{"data":{"id":"1"}}'
OPERATIONAL = {
    "title": "operational-disconnect",
    "disconnect_type": "UpstreamOperationalDisconnect",
    "type": "https://api.x.com/2/problems/operational-disconnect",
}


class Data(BaseModel):
    id: str


class Post(BaseModel):
    data: Data


@dataclass
class PlainPost:
    data: dict[str, str]


class TypedPost(TypedDict):
    data: dict[str, str]


def decode(line: bytes | Oversized) -> Any:
    return Decoder()(line)


def invalid(line: bytes | Oversized) -> Invalid:
    event = decode(line)
    assert isinstance(event, Invalid)
    return event


# Items


@pytest.mark.parametrize("end", [b"", b"\r", b" \r"], ids=ascii)
def test_an_object_is_an_item_and_comes_out_as_a_dict(end: bytes) -> None:
    assert decode(POST + end) == {"data": {"id": "1"}}


@pytest.mark.parametrize("text", ["é", "€", "🎉", "\u2028", "\u2029", "\u0085", "\x7f", "\ufeff"], ids=ascii)
def test_characters_come_through_raw_and_escaped(text: str) -> None:
    item = {"data": {"text": text}}
    assert decode(json.dumps(item, ensure_ascii=False).encode()) == item
    assert decode(json.dumps(item, ensure_ascii=True).encode()) == item


def test_a_byte_order_mark_before_an_item_is_skipped() -> None:
    assert decode(BOM + POST + b"\r") == {"data": {"id": "1"}}


@pytest.mark.parametrize("number", [2**53 + 1, 2**63 - 1, 2**64 - 1, -(2**63)])
def test_numbers_of_64_bits_are_kept_to_the_last_digit(number: int) -> None:
    assert decode(b'{"data":%d}' % number) == {"data": number}


@pytest.mark.parametrize(
    "number",
    [2**64, 2**64 + 1, -(2**63) - 1, 2**65, -(2**65), 10**40 + 1, -(10**40), 10**400, -(10**5000)],
    ids=lambda number: f"{number:.3e}" if abs(number) < 10**300 else "beyond any float",
)
def test_numbers_beyond_64_bits_cost_no_item_and_come_as_the_nearest_float(number: int) -> None:
    infinite = math.inf if number > 0 else -math.inf
    nearest = infinite if abs(number) > 10**308 else float(number)
    for value in by_either_parser(digits(number)):
        assert value == nearest
        assert type(value) is float


@given(st.integers() | st.integers(-(2**66), 2**66) | st.sampled_from([2**63, 2**64, 2**65]))
def test_an_integer_looks_the_same_whichever_parser_reads_it(number: int) -> None:
    one, other = by_either_parser(digits(number))
    assert one == other
    assert type(one) is type(other)
    assert type(one) is (int if -(2**63) <= number < 2**64 else float)


def digits(number: int) -> bytes:
    """As a server writes it; Python itself refuses more than 4,300 digits."""
    return b"-1" + b"0" * 5000 if number == -(10**5000) else str(number).encode()


def by_either_parser(literal: bytes) -> tuple[Any, Any]:
    """The number as orjson reads it, and as it is read if a NaN beside it makes orjson refuse the line."""
    return decode(b'{"data":%b}' % literal)["data"], decode(b'{"data":%b,"more":NaN}' % literal)["data"]


def test_a_lone_surrogate_escape_does_not_cost_the_item() -> None:
    assert decode(b'{"data":{"text":"a\\ud83db"}}') == {"data": {"text": "a\ud83db"}}


def test_of_a_duplicate_key_the_last_value_counts() -> None:
    assert decode(b'{"data":1,"data":2}') == {"data": 2}


@pytest.mark.parametrize("literal", ["NaN", "Infinity", "-Infinity", "1e400"])
def test_numbers_that_strict_json_lacks_do_not_cost_the_item(literal: str) -> None:
    value = decode(b'{"data":%b}' % literal.encode())["data"]
    assert not math.isfinite(value)


@pytest.mark.parametrize(
    "line",
    [
        b'{"title":"a title alone"}',
        b'{"type":"a type alone"}',
        b'{"code":88}',
        b'{"message":"a message alone"}',
        b'{"code":88,"message":"and","more":1}',
        b'{"id":1,"error":"errors is not error"}',
        b'{"limit":3}',
        b'{"info":"in words"}',
        b'{"warning":[{"code":4}]}',
        b'{"disconnect":null}',
        b'{"limit":{"track":3},"id":1}',
        b'{"limit":{"track":3},"warning":{"code":4}}',
        b'{"limits":{"track":3}}',
        b'{"type":"another_metadata","datacenter":"atla"}',
        b'{"id":1,"body":"a post of the older APIs","info":{"a":1}}',
    ],
    ids=repr,
)
@pytest.mark.parametrize("end", [b"", b"\r"], ids=ascii)
def test_an_object_of_no_known_kind_is_passed_through_as_an_item(line: bytes, end: bytes) -> None:
    assert decode(line + end) == json.loads(line)


# Heartbeats


@pytest.mark.parametrize(
    "line",
    [b"", b"\r", b" ", b"\t \r", b"{}", b"{}\r", b" {} \r", b"{ }", BOM, BOM + b"\r", BOM + b"{}\r"],
    ids=repr,
)
def test_blank_lines_and_empty_objects_are_heartbeats(line: bytes) -> None:
    assert isinstance(decode(line), Heartbeat)
    assert isinstance(Decoder(Post)(line), Heartbeat)


# Invalid lines


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"[]", "an array"),
        (b'[{"data":{}}]', "an array"),
        (b"1", "a number"),
        (b"-1.5", "a number"),
        (b"NaN", "a number"),
        (b'"data"', "a string"),
        (b"null", "null"),
        (b"true", "a boolean"),
        (b"false", "a boolean"),
    ],
    ids=repr,
)
def test_json_that_is_no_object_is_invalid_and_the_reason_names_its_type(line: bytes, reason: str) -> None:
    assert decode(line + b"\r") == Invalid(line + b"\r", f"not a JSON object but {reason}")


@pytest.mark.parametrize(
    "line",
    [
        b'{"data":{"id":',
        b'{"data":{}',
        b"{",
        b"half",
        b'{"data":"caf\xe9"}',
        b'{"data":"\xf0\x9f\x8e"}',
        b"\xff\xfe{\x00}\x00",
        b"\x00",
        b"\x00" + POST,
        POST + b"\x00",
        POST[:5] + b"\x00" + POST[5:],
        POST + POST,
        POST + b" " + POST,
        POST + b",",
        b'{"data":"a\x0bb"}',
        b"{'data':1}",
        BOM + BOM + POST,
        POST + BOM,
    ],
    ids=lambda line: repr(line[:30]),
)
def test_what_is_no_json_is_invalid_with_its_bytes_and_a_reason(line: bytes) -> None:
    event = invalid(line)
    assert event.line == line
    assert event.reason.startswith("not JSON: ")
    assert len(event.reason) > len("not JSON: ")


def test_a_line_too_long_is_invalid_with_its_first_bytes_and_its_length() -> None:
    assert decode(Oversized(b"{head", 12_345_678)) == Invalid(
        b"{head", "12,345,678 bytes long, more than max_item_bytes"
    )


def test_a_line_too_long_is_invalid_even_if_its_first_bytes_are_an_item() -> None:
    assert invalid(Oversized(POST, 99)).line == POST


# Notices


@pytest.mark.parametrize(
    "content",
    [
        {"errors": [OPERATIONAL]},
        {"errors": [{"code": 88, "message": "Rate limit exceeded"}]},
        {"errors": []},
        {"errors": [OPERATIONAL], "title": "and more", "status": 503},
        OPERATIONAL,
        {"title": "Something new", "type": "about:blank"},
        {"code": 88, "message": "Rate limit exceeded"},
        {"limit": {"track": 1234}},
        {"warning": {"code": "FALLING_BEHIND", "message": "You lag.", "percent_full": 60}},
        {"disconnect": {"code": 4, "stream_name": "s", "reason": "too slow"}},
        {"info": {"message": "Replay Request Completed", "minutes_failed": []}},
        {"info": {}},
        {"type": "connection_metadata", "datacenter": "atla", "timestamp": 1762557264155},
    ],
    ids=[
        "wrapped",
        "legacy",
        "empty",
        "wrapped and bare",
        "bare",
        "bare and unknown",
        "legacy and bare",
        "limit",
        "warning",
        "disconnect",
        "info",
        "empty info",
        "connection metadata",
    ],
)
def test_errors_without_data_are_a_notice_and_no_item(content: dict[str, Any]) -> None:
    line = json.dumps(content).encode() + b"\r"
    assert decode(line) == StreamNotice(content, line)
    assert Decoder(Post, "raise")(line) == StreamNotice(content, line)


@pytest.mark.parametrize(
    "item",
    [
        {"data": {"id": "1"}, "errors": [OPERATIONAL]},
        {"data": {"id": "1"}, **OPERATIONAL},
        {"data": None, "errors": [OPERATIONAL]},
        {"data": {"id": "1"}, "type": "connection_metadata"},
    ],
    ids=["errors beside data", "problem fields beside data", "null data", "metadata beside data"],
)
def test_data_beside_errors_is_an_item(item: dict[str, Any]) -> None:
    assert decode(json.dumps(item).encode()) == item


def test_a_notice_that_only_the_second_parser_reads_is_a_notice() -> None:
    line = b'{"errors":[{"title":"\\ud800"}]}'
    assert decode(line) == StreamNotice({"errors": [{"title": "\ud800"}]}, line)


# The tail


@pytest.mark.parametrize("tail", [POST, POST + b"\r", b"{}", b"\r", b'{"errors":[]}', BOM + POST], ids=repr)
def test_whole_bytes_that_no_lf_ended_are_what_they_are(tail: bytes) -> None:
    event = Decoder().decode_tail(tail)
    assert event == decode(tail)
    assert not isinstance(event, Invalid)


@pytest.mark.parametrize("tail", [POST[:-1], POST[:3], b'{"data":"caf\xc3'], ids=repr)
def test_half_a_line_at_the_end_is_invalid_and_the_reason_is_the_end(tail: bytes) -> None:
    assert Decoder().decode_tail(tail) == Truncated(tail, "the connection ended inside this line")


@pytest.mark.parametrize("head", [POST[:9], POST, b"[]", b""], ids=repr)
def test_a_tail_too_long_is_truncated_with_its_first_bytes_and_what_came_of_it(head: bytes) -> None:
    event = Decoder().decode_tail(Oversized(head, 12_345_678))
    reason = "the connection ended inside this line, after 12,345,678 bytes, more than max_item_bytes"
    assert event == Truncated(head, reason)


def test_a_whole_tail_that_the_model_refuses_is_reported_as_refused() -> None:
    tail = b'{"data":{}}'
    event = Decoder(Post).decode_tail(tail)
    assert isinstance(event, Invalid)
    assert not isinstance(event, Truncated)
    assert event.line == tail
    assert event.reason.startswith("refused by the response model: ")


# Models


@pytest.mark.parametrize(
    ("model", "item"),
    [
        (Post, Post(data=Data(id="1"))),
        (TypeAdapter(Post), Post(data=Data(id="1"))),
        (PlainPost, PlainPost({"id": "1"})),
        (TypedPost, {"data": {"id": "1"}}),
        (Post | PlainPost, Post(data=Data(id="1"))),
        (dict[str, Data], {"data": Data(id="1")}),
    ],
    ids=["model class", "TypeAdapter", "dataclass", "TypedDict", "union", "generic"],
)
def test_an_item_is_what_the_model_makes_of_it(model: Any, item: Any) -> None:
    decoder = Decoder(model)
    assert decoder(POST + b"\r") == item
    assert decoder(BOM + POST) == item
    assert decoder.decode_tail(POST) == item


@pytest.mark.parametrize(
    "model",
    [Post, TypeAdapter(Post), TypedPost, PlainPost],
    ids=["model class", "adapter", "typed dict", "dataclass"],
)
def test_an_item_that_the_model_refuses_is_reported_with_bytes_and_reason(model: Any) -> None:
    line = b'{"data":5}\r'
    event = Decoder(model)(line)
    assert isinstance(event, Invalid)
    assert event.line == line
    assert event.reason.startswith("refused by the response model: 1 validation error")


def test_an_item_that_the_model_refuses_is_yielded_plain_on_request() -> None:
    assert Decoder(Post, "yield")(b'{"data":5}') == {"data": 5}


def test_an_item_that_the_model_refuses_is_rejected_with_its_cause_on_request() -> None:
    event = Decoder(Post, "raise")(b'{"data":5}\r')
    assert isinstance(event, Rejected)
    assert event.line == b'{"data":5}\r'
    assert isinstance(event.cause, ValidationError)


@pytest.mark.parametrize("on_model_error", ["report", "yield", "raise"])
def test_what_becomes_of_refused_items_does_not_touch_good_ones_or_bad_json(
    on_model_error: OnModelError,
) -> None:
    decoder = Decoder(Post, on_model_error)
    assert decoder(POST) == Post(data=Data(id="1"))
    assert isinstance(decoder(b"half"), Invalid)
    assert isinstance(decoder(b"[]"), Invalid)


@pytest.mark.parametrize(
    "oddity",
    [KeyError("id"), ZeroDivisionError(), RecursionError("deep"), StopIteration(), OSError(5, "odd")],
    ids=repr,
)
def test_whatever_a_validator_raises_counts_as_a_refusal(oddity: Exception) -> None:
    class Odd(BaseModel):
        data: dict[str, str]

        @field_validator("data")
        @classmethod
        def fail(cls, value: dict[str, str]) -> dict[str, str]:
            raise oddity

    reported = Decoder(Odd)(POST)
    assert isinstance(reported, Invalid)
    assert reported.reason == f"refused by the response model: {oddity}"
    assert Decoder(Odd, "yield")(POST) == {"data": {"id": "1"}}
    rejected = Decoder(Odd, "raise")(POST)
    assert isinstance(rejected, Rejected)
    assert rejected.cause is oddity


def test_a_validator_that_is_interrupted_is_not_held_back() -> None:
    class Slow(BaseModel):
        data: dict[str, str]

        @field_validator("data")
        @classmethod
        def interrupt(cls, value: dict[str, str]) -> dict[str, str]:
            raise KeyboardInterrupt

    decoder = Decoder(Slow)
    with pytest.raises(KeyboardInterrupt):
        decoder(POST)


# Any bytes at all

json_values: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda values: st.lists(values, max_size=4) | st.dictionaries(st.text(), values, max_size=4),
    max_leaves=12,
)
json_objects = st.dictionaries(
    st.text().filter(lambda key: key not in ("errors", "type", "code", *CONTROL_MESSAGES)),
    json_values,
    min_size=1,
    max_size=5,
)
json_like = st.lists(
    st.sampled_from(
        [b"{", b"}", b"[", b"]", b'"', b":", b",", b'"data"', b"1", b"e9", b"\\ud800", b"\xff", b"\r", BOM]
    ),
    max_size=20,
).map(b"".join)


@given(json_objects, st.booleans(), st.sampled_from([b"", b"\r", b" \r"]))
def test_any_json_object_comes_through_as_it_is(item: dict[str, Any], ascii_only: bool, end: bytes) -> None:
    line = json.dumps(item, ensure_ascii=ascii_only).encode() + end
    assert decode(line) == item
    assert Decoder().decode_tail(line) == item


@pytest.mark.parametrize("model", [None, Post], ids=["plain", "model"])
@pytest.mark.parametrize("on_model_error", ["report", "yield", "raise"])
@given(line=st.binary() | json_like)
def test_arbitrary_bytes_never_raise(model: Any, on_model_error: OnModelError, line: bytes) -> None:
    decoder = Decoder(model, on_model_error)
    ways: list[Callable[[bytes], Any]] = [decoder, decoder.decode_tail]
    for way in ways:
        assert isinstance(way(line), (dict, Post, NotAnItem))


# Lines as they are

PLAIN_LINES = [POST, POST + b"\r", b'{ "data": {"id":"1"}}', b'{"includes":{},"data":{"id":"1"}}']


@pytest.mark.parametrize("line", PLAIN_LINES, ids=repr)
def test_with_bytes_an_item_is_its_line(line: bytes) -> None:
    assert LineDecoder()(line) == line
    assert LineDecoder().decode_tail(line) == line


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        (b"\r", Heartbeat),
        (b"{}", Heartbeat),
        (b'{"errors":[]}', StreamNotice),
        (b"nonsense", Invalid),
        (Oversized(POST, 10**6), Invalid),
    ],
    ids=["blank", "empty object", "notice", "no JSON", "too long"],
)
def test_with_bytes_a_line_that_is_no_item_is_not_forwarded(line: Any, kind: type) -> None:
    assert type(LineDecoder()(line)) is kind


def test_half_a_line_is_not_forwarded_as_one() -> None:
    assert type(LineDecoder().decode_tail(POST[:-1])) is Truncated


DECODERS = {"dicts": Decoder(), "model": Decoder(Post), "lines": LineDecoder()}


@pytest.mark.parametrize("decoder", DECODERS.values(), ids=DECODERS)
def test_the_quickest_way_raises_or_agrees_with_the_careful_one(decoder: Decoder) -> None:
    lines = [POST, b'{"data":{"id":NaN}}', b'{"data":', b'{"data":{}} and more', b'{"data":{"id":7}}']
    quickest = decoder.quickest(lines)
    assert quickest is not decoder
    for line in lines:
        with suppress(ValueError):
            assert repr(quickest(line)) == repr(decoder(line))


NO_POSTS = [b"\r", b'{"errors":[]}', b'{"other":1}', b"[]", b"", Oversized(b"x", 9)]


@pytest.mark.parametrize("line", NO_POSTS, ids=repr)
def test_among_lines_that_may_be_no_items_none_is_decoded_the_quickest_way(line: bytes) -> None:
    for decoder in DECODERS.values():
        assert decoder.quickest([POST, line, POST]) is decoder


def test_an_oversized_line_of_data_raises_on_the_quickest_way() -> None:
    line = Oversized(b'{"data":', 9_000_000)
    for decoder in DECODERS.values():
        with pytest.raises((ValueError, TypeError)):
            decoder.quickest([line])(line)


def test_a_line_that_was_not_ended_is_decoded_as_a_tail() -> None:
    assert Decoder()(Unended(POST)) == Decoder().decode_tail(POST)
    assert type(Decoder()(Unended(POST[:-1]))) is Truncated
    assert LineDecoder()(Unended(POST)) == POST
    assert type(LineDecoder()(Unended(POST[:-1]))) is Truncated


def test_a_model_with_a_validation_of_its_own_is_asked_by_that() -> None:
    class Own:
        @classmethod
        def model_validate(cls, content: Any) -> Any:
            return ["validated", content]

    decoder = Decoder(Own)
    assert decoder(POST) == ["validated", {"data": {"id": "1"}}]
    assert decoder.quickest([POST])(POST) == decoder(POST)


# A decoder of one's own.


def length(line: bytes) -> int:
    return len(line)


@pytest.mark.parametrize(
    "model",
    [length, partial(length), Mock(spec=length, return_value=len(POST))],
    ids=["function", "partial", "object"],
)
def test_a_function_makes_the_items_of_lines(model: Any) -> None:
    decoder = decoder_for(model)
    assert decoder(POST) == decoder.quick(POST) == len(POST)


@pytest.mark.parametrize("model", [Post, TypeAdapter(Post), list[int], Any, int | str, None, bytes])
def test_a_type_is_not_taken_for_a_function(model: Any) -> None:
    assert not isinstance(decoder_for(model), FunctionDecoder)


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        (b"", Heartbeat),
        (b"{}", Heartbeat),
        (b'{"errors":[]}', StreamNotice),
        (b"[1]", Invalid),
        (b'{"data":', Invalid),
        (b'{"data":{}}{}', Invalid),
        (b'{"data":{"text":"caf\xe9"}}', Invalid),
    ],
    ids=repr,
)
def test_a_function_is_never_asked_for_what_is_no_item(line: bytes, kind: type[NotAnItem]) -> None:
    asked = Mock(spec=length)
    decoder = decoder_for(asked)
    assert type(decoder(line)) is kind
    with suppress(ValueError):
        decoder.quickest([line])(line)
    asked.assert_not_called()


@pytest.mark.parametrize(
    ("on_model_error", "kind"), [("report", Invalid), ("yield", dict), ("raise", Rejected)]
)
def test_what_a_function_raises_is_a_refusal(on_model_error: OnModelError, kind: type) -> None:
    decoder = decoder_for(Mock(spec=length, side_effect=KeyError("author")), on_model_error)
    assert type(decoder(POST)) is kind
    assert type(decoder.quick(POST)) is kind
