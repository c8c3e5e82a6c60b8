from __future__ import annotations

import json
import logging
import math
import tracemalloc
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict

from xdk_streaming.recovery.dedupe import Dedupe, item_key
from xdk_streaming.simulator.content.items import item_id, make_item
from xdk_streaming.x import ENDPOINTS

Log = Callable[[], list[tuple[int, str]]]

NUMBER = "1800000000000000000"
DELETED = {
    "data": {"delete": {"tweet": {"id": "1", "author_id": "2"}, "event_at": "2026-01-01T00:00:00.000Z"}}
}


class Data(BaseModel):
    id: str


class Post(BaseModel):
    data: Data


class Anything(BaseModel):
    model_config = ConfigDict(extra="allow")


@dataclass
class PlainPost:
    data: dict[str, Any]


class Opaque:
    """An object that nothing but its identity distinguishes from another."""


def post(number: object) -> dict[str, Any]:
    return {"data": {"id": str(number)}}


# Keys


@pytest.mark.parametrize(
    "item",
    [
        {"data": {"id": NUMBER, "event_uuid": "other"}, "includes": {}},
        {"data": {"event_uuid": NUMBER, "payload": {"id": "other"}}},
        {"event_uuid": NUMBER},
        {"id": int(NUMBER), "id_str": NUMBER},
        {"data": {"id": int(NUMBER), "id_str": NUMBER}},
        b'{"data":{"id":"%b"}}\r' % NUMBER.encode(),
        Post(data=Data(id=NUMBER)),
        PlainPost({"id": NUMBER}),
        Anything.model_validate({"data": {"event_uuid": NUMBER}}),
        Anything.model_validate({"id_str": NUMBER}),
    ],
    ids=repr,
)
def test_the_key_is_the_id_that_x_gave_wherever_it_stands(item: Any) -> None:
    assert item_key(item) == NUMBER


@pytest.mark.parametrize("endpoint", ENDPOINTS.values(), ids=ENDPOINTS)
def test_of_every_stream_items_have_keys_of_their_own_and_repeats_have_the_same(endpoint: Any) -> None:
    items = [make_item(endpoint, number, 1.7e9 + number, 0, {}) for number in range(60)]
    keys = [item_key(item) for item in items]
    assert len(set(keys)) == len(items)
    assert all(key == (item_id(item) or key) for key, item in zip(keys, items, strict=True))
    again = [json.loads(json.dumps(item)) for item in items]
    assert [item_key(item) for item in again] == keys
    assert [item_key(json.dumps(item).encode()) for item in items] == keys


def test_without_an_id_the_key_is_a_digest_of_the_whole_whatever_the_order() -> None:
    key = item_key(DELETED)
    assert isinstance(key, bytes)
    assert len(key) == 16
    event = DELETED["data"]["delete"]
    assert item_key({"data": {"delete": dict(reversed(event.items()))}}) == key
    assert item_key({"data": {"delete": {**event, "event_at": "2026-01-01T00:00:00.001Z"}}}) != key
    assert item_key(Anything.model_validate(DELETED)) == key
    assert item_key(PlainPost(DELETED["data"])) == key


ODD: list[Any] = [
    None,
    math.nan,
    math.inf,
    -math.inf,
    "\ud83d",
    "\ud83e",
    2**70,
    1,
    1.0,
    True,
    "1",
    "",
    [],
    {},
    "null",
]


def test_items_that_differ_in_odd_values_alone_have_different_keys() -> None:
    keys = [item_key({"data": {"value": value}}) for value in ODD]
    assert all(isinstance(key, bytes) for key in keys)
    assert len(set(keys)) == len(ODD)
    assert [item_key({"data": {"value": value}}) for value in ODD] == keys


@pytest.mark.parametrize(
    "item", [{"data": {"id": ""}}, {"data": {"id": 7}}, {"data": None}, {"data": [1]}, {}]
)
def test_an_id_that_is_none_is_not_taken_for_one(item: dict[str, Any]) -> None:
    assert isinstance(item_key(item), bytes)
    dedupe = Dedupe()
    assert dedupe.is_new(item)
    assert not dedupe.is_new(item)


@pytest.mark.parametrize("line", [b"[1]", b"no JSON", b'{"data":NaN}', "text", "\ud83d"], ids=ascii)
def test_a_line_that_is_no_object_is_known_by_its_bytes(line: Any) -> None:
    assert isinstance(item_key(line), bytes)
    assert item_key(line) != item_key(line + line[:1])


def test_what_cannot_be_keyed_is_never_held_back() -> None:
    dedupe = Dedupe()
    for item in (Opaque(), PlainPost({"x": Opaque()}), {"data": {"x": Opaque()}}):
        assert item_key(item) is None
        assert dedupe.is_new(item)
        assert dedupe.is_new(item)
        assert dedupe.last_key is None
    assert len(dedupe) == dedupe.key_errors == 0


json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda values: st.lists(values, max_size=3) | st.dictionaries(st.text(), values, max_size=3),
    max_leaves=8,
)


@given(json_values, json_values)
def test_two_items_have_one_key_only_if_their_json_is_equal(one: Any, other: Any) -> None:
    alike = json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
    assert (item_key({"event": one}) == item_key({"event": other})) is alike


# Remembering


def test_an_item_that_was_there_is_not_new_again() -> None:
    dedupe = Dedupe()
    assert dedupe.is_new(post(1))
    assert dedupe.is_new(post(2))
    assert not dedupe.is_new(post(1))
    assert not dedupe.is_new(Post(data=Data(id="2")))
    assert not dedupe.is_new(b'{"data":{"id":"2"}}')
    assert len(dedupe) == 2


def test_the_key_of_the_item_asked_about_last_can_be_had_new_or_not() -> None:
    dedupe = Dedupe()
    told = []
    for item in (post(1), post(2), post(1), Opaque(), b'{"id_str":"3"}'):
        dedupe.is_new(item)
        told.append(dedupe.last_key)
    assert told == ["1", "2", "1", None, "3"]


def test_what_a_process_before_this_one_delivered_is_not_new() -> None:
    dedupe = Dedupe()
    dedupe.restore(["1", b"digest", 7])
    assert not dedupe.is_new(post(1))
    assert dedupe.is_new(post(2))
    assert len(dedupe) == 4


def test_of_more_than_can_be_remembered_the_youngest_are_restored() -> None:
    dedupe = Dedupe(max_keys=10)
    dedupe.restore(map(str, range(1000)))
    assert len(dedupe) <= 20
    assert not any(dedupe.is_new(post(number)) for number in range(990, 1000))


def test_what_is_restored_is_remembered_for_a_whole_window() -> None:
    dedupe = Dedupe(window=600.0)
    dedupe.restore(["1"])
    for now in (5000.0, 5599.0, 5601.0, 6200.0):
        dedupe.forget_old(now)
        assert not dedupe.is_new(post(1))
    dedupe.forget_old(6202.0)
    assert dedupe.is_new(post(1))


steps = st.lists(
    st.integers(0, 12).map(str) | st.floats(0.0, 7.0).map(lambda seconds: round(seconds, 2)), max_size=80
)


@given(steps, st.sampled_from([3, 5, 1000]))
def test_dedupe_agrees_with_a_list_of_all_items_ever_yielded(steps: list[Any], most: int) -> None:
    window = 10.0
    dedupe = Dedupe(window=window, max_keys=most)
    now = 1000.0
    yielded: list[tuple[str, float]] = []  # once each time that it was called new
    dedupe.forget_old(now)
    for step in steps:
        if isinstance(step, float):
            now += step
        else:
            before = [(place, at) for place, (key, at) in enumerate(yielded) if key == step]
            if dedupe.is_new(post(step)):
                if before:
                    place, at = before[-1]
                    assert now - at >= window or len(yielded) - place >= most
                yielded.append((step, now))
            else:
                place, at = before[-1]
                assert len(yielded) - place <= 2 * most
        dedupe.forget_old(now)
        assert len(dedupe) <= 2 * most
    assert dedupe.key_errors == 0


@given(st.integers(0, 40))
def test_nothing_is_remembered_for_more_than_two_windows(turns: int) -> None:
    dedupe = Dedupe(window=10.0)
    dedupe.forget_old(0.0)
    dedupe.is_new(post(1))
    for turn in range(turns):
        dedupe.forget_old(turn * 1.0)
    dedupe.forget_old(turns + 10.0)
    dedupe.forget_old(turns + 20.0)
    assert dedupe.is_new(post(1))


# Keys of the user's own


def test_a_key_of_the_users_own_decides_what_is_a_repeat() -> None:
    dedupe = Dedupe(lambda item: item["data"]["text"])
    assert dedupe.is_new({"data": {"id": "1", "text": "a"}})
    assert not dedupe.is_new({"data": {"id": "2", "text": "a"}})
    assert dedupe.last_key == "a"


def fail(item: Any) -> Hashable:
    raise ZeroDivisionError(f"a secret of {item}")


def unhashable(item: Any) -> Any:
    return [item]


@pytest.mark.parametrize("key", [fail, unhashable])
def test_items_pass_if_the_key_fails_and_the_log_does_not_quote_them(
    key: Callable[[Any], Hashable], log: Log
) -> None:
    dedupe = Dedupe(key)
    assert dedupe.is_new(post("secret"))
    assert dedupe.is_new(post("secret"))
    assert dedupe.last_key is None
    assert dedupe.key_errors == 2
    assert [level for level, _ in log()] == [logging.WARNING]
    assert "secret" not in log()[0][1]


def test_a_key_of_none_lets_items_pass() -> None:
    dedupe = Dedupe(lambda item: None)
    assert dedupe.is_new(post(1))
    assert dedupe.is_new(post(1))
    assert (len(dedupe), dedupe.key_errors, dedupe.last_key) == (0, 0, None)


def test_a_key_that_is_interrupted_is_not_held_back() -> None:
    def interrupted(item: Any) -> Hashable:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Dedupe(interrupted).is_new(post(1))


# Memory


@pytest.mark.parametrize("count", [40_000, 80_000, 170_000])
def test_an_id_takes_less_than_160_bytes(count: int) -> None:
    dedupe = Dedupe()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for number in range(count):
            dedupe.is_new(post(int(NUMBER) + number))
        dedupe.last_key = None
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert 60 < (after - before) / count < 160
