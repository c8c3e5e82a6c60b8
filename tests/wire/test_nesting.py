"""A line that is nested deeply harms nobody, not even a finalizer that happens to run while it is decoded."""

from __future__ import annotations

import gc
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xdk_streaming.recovery.dedupe import item_key
from xdk_streaming.wire.decoder import Decoder
from xdk_streaming.wire.nesting import MAX_NESTING, is_deep
from xdk_streaming.wire.not_an_item import Invalid

BEYOND_ORJSON = [
    pytest.param(b'{"data":' + b"[" * 200_000, id="brackets that nobody closes"),
    pytest.param(b'{"data":' + b'{"a":' * 5_000 + b"1" + b"}" * 5_001, id="more levels than orjson takes"),
    pytest.param(b'{"data":' + b"[" * 900 + b"NaN" + b"]" * 900 + b"}", id="levels for orjson, and NaN"),
    pytest.param(
        b'{"data":' + b"[" * 900 + b'"\\ud800"' + b"]" * 900 + b"}", id="levels for orjson, and half a pair"
    ),
]


class Finalized:
    """Says how far its finalizer could go, as one in pure Python that calls a few functions."""

    def __init__(self, depths: list[int]) -> None:
        self.depths = depths
        self.itself = self

    def __del__(self) -> None:
        self.depths.append(deepest(50))


def deepest(levels: int) -> int:
    return 0 if levels == 0 else 1 + deepest(levels - 1)


@pytest.fixture
def small_heap() -> Iterator[None]:
    """A heap that is collected quickly, and as often as a test wants."""
    threshold = gc.get_threshold()
    gc.collect()
    gc.freeze()
    yield
    gc.set_threshold(*threshold)
    gc.unfreeze()


@pytest.mark.parametrize("line", BEYOND_ORJSON)
def test_a_finalizer_that_runs_while_a_deep_line_is_decoded_has_room(line: bytes, small_heap: None) -> None:
    depths: list[int] = []
    decoder = Decoder()
    for allocations in range(800, 1_000, 4):
        Finalized(depths)
        gc.set_threshold(allocations)
        event = decoder(line)
        gc.set_threshold(0)
        gc.collect()
        assert isinstance(event, Invalid)
        assert "levels deep" in event.reason
    assert depths == [50] * 50


def test_a_line_of_many_brackets_that_is_flat_is_an_item() -> None:
    line = b'{"data":{"id":"1","text":"[[[{{{\\"\\ud800","tags":[' + b"[]," * 1_000 + b"{}]}}"
    item: Any = Decoder()(line)
    assert len(item["data"]["tags"]) == 1_001


def test_an_item_that_no_digest_can_be_made_of_for_its_depth_has_no_key() -> None:
    nested: Any = None
    for _ in range(400):
        nested = [nested]
    assert item_key({"data": {"text": nested}}) is None


@given(st.recursive(st.none() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_only_levels_count(content: Any) -> None:
    assert not is_deep(b"[" * (MAX_NESTING - 40) + json.dumps(content).encode() + b"]" * (MAX_NESTING - 40))
    assert is_deep(b"[" * (MAX_NESTING + 1) + json.dumps(content).encode() + b"]" * (MAX_NESTING + 1))
