"""A line into an item, as the hand-written readers do it: in the usual way, or by the fastest call."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from functools import cache
from typing import Any

import orjson

from benchmarks.speed.workloads import Post, Workload, posts

Decode = Callable[[Any], Any]
TRIALS = 5


def decode_then_validate(line: Any) -> Post:
    """orjson, then the model on Python objects."""
    return Post.__pydantic_validator__.validate_python(orjson.loads(line))  # type: ignore[no-any-return]


def validate_json(line: Any) -> Post:
    """The model on the JSON."""
    return Post.__pydantic_validator__.validate_json(line)  # type: ignore[no-any-return]


@cache
def modelled() -> Decode:
    """The faster of the two ways into the model, measured here and now on the posts of the benchmark."""
    lines = posts("typical")
    spent: dict[Decode, float] = {}
    for _ in range(TRIALS):
        for way in (decode_then_validate, validate_json):
            started = time.process_time()
            for line in lines:
                way(line)
            took = time.process_time() - started
            spent[way] = min(took, spent.get(way, took))
    return min(spent, key=spent.__getitem__)


def decoder(workload: Workload) -> Decode | None:
    """How a line becomes an item; None where it is one."""
    if workload.items == "raw":
        return None
    return modelled() if workload.items == "model" else orjson.loads


def usual_decoder(workload: Workload) -> Decode | None:
    """The same with the standard library's json, and pydantic's public call."""
    if workload.items == "raw":
        return None
    return json_then_validate if workload.items == "model" else json.loads


def json_then_validate(line: Any) -> Post:
    """As tutorials have it."""
    return Post.model_validate(json.loads(line))
