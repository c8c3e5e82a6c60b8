"""Lines that a buffer hands over undecoded: read by the consumer, reported by the driver."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import BaseModel

from xdk_streaming import StreamConfig
from xdk_streaming.callbacks import Callbacks
from xdk_streaming.clock import SystemClock
from xdk_streaming.driver.invalid_lines import InvalidLines
from xdk_streaming.driver.line_reader import LineReader
from xdk_streaming.state import StreamState
from xdk_streaming.wire.response_model import decoder_for


class Problem(BaseModel):
    kind: str


class Post(BaseModel):
    data: dict[str, Any]
    errors: list[Problem] = []


WHOLE = b'{"data":{"id":"1"}}'
PARTIAL = b'{"data":{"id":"2"},"errors":[{"title":"Not Found Error"}]}'
CUT = b'{"data":{"id":"3'


@pytest.mark.parametrize("model", [Post, dict])
def test_what_is_no_item_is_left_out_and_reported_later(model: type[Any]) -> None:
    told: list[bytes] = []
    state = StreamState()
    callbacks = Callbacks(StreamConfig(on_invalid=lambda line, _: told.append(line)), state)
    reader = LineReader(decoder_for(model), InvalidLines(state, callbacks, SystemClock()), state)
    state.total_items_received = 3  # as counted when they were handed over
    items = [dict(item) for item in reader.read(iter([WHOLE, PARTIAL, CUT]))]
    assert [item["data"]["id"] for item in items] == ["1", "2"]
    assert told == []
    reader.report()
    assert told == ([PARTIAL, CUT] if model is Post else [CUT])
    assert state.total_items_received == 2
    assert state.invalid_items == len(told)
    assert items[0]["data"] == json.loads(WHOLE)["data"]
