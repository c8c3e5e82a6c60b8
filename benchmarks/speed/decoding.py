"""Decoding of a line into an item, for the hand-written readers: the usual way, or the fastest call."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import msgspec
import orjson
from pydantic import BaseModel

from benchmarks.speed.workloads import Workload, posts

Decode = Callable[[Any], Any]
TRIALS = 5


def decode_then_validate(model: type[BaseModel]) -> Decode:
    """orjson, then the model on Python objects."""
    validate = model.__pydantic_validator__.validate_python
    return lambda line: validate(orjson.loads(line))


def validate_json(model: type[BaseModel]) -> Decode:
    """The model on the JSON."""
    return model.__pydantic_validator__.validate_json


WAYS: Mapping[str, Callable[[type[BaseModel]], Decode]] = {
    "orjson, then validate_python": decode_then_validate,
    "validate_json": validate_json,
}


@cache
def fastest(model: type[BaseModel]) -> str:
    """The faster of the two ways to fill the model, measured now on the posts of the benchmark."""
    lines = posts("typical")
    ways = {name: way(model) for name, way in WAYS.items()}
    spent = dict.fromkeys(ways, math.inf)
    for _ in range(TRIALS):
        for name, way in ways.items():
            started = time.process_time()
            for line in lines:
                way(line)
            spent[name] = min(time.process_time() - started, spent[name])
    return min(spent, key=spent.__getitem__)


def decoder(workload: Workload) -> Decode | None:
    """How a line becomes an item; None if the line itself is the item."""
    model = workload.items
    if model is bytes:
        return None
    if model is None:
        return orjson.loads
    if issubclass(model, msgspec.Struct):
        return msgspec.json.Decoder(model).decode
    return validate_json(model) if workload.by_json else WAYS[fastest(model)](model)


def usual_decoder(workload: Workload) -> Decode | None:
    """The same with the standard library's json, and the public call of pydantic or msgspec."""
    model = workload.items
    if model is bytes:
        return None
    if model is None:
        return json.loads
    if issubclass(model, msgspec.Struct):
        return lambda line: msgspec.convert(json.loads(line), model)
    if workload.by_json:
        return lambda line: model.model_validate_json(line)
    return lambda line: model.model_validate(json.loads(line))
