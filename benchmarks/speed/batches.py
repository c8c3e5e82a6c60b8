"""The cost of batches, for a store of 500 posts at once: from `batches()`, or gathered by the consumer."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from benchmarks.speed.measure import Spread, Track, spread, unburdened
from benchmarks.speed.readers import session
from benchmarks.speed.server import Firehose, Source, serving
from benchmarks.speed.workloads import WORKLOADS, Workload
from xdk_streaming import Stream

MEASURED = tuple(each for each in WORKLOADS if each.name in ("post-chunks", "16k-chunks", "gzip", "model"))
SIZE = 500
BLOCKS = 8
"""Blocks of one turn: the thread that reads ahead for batches reads half a megabyte that nobody takes."""

Consume = Callable[[Stream[Any], int], None]


def gathered(stream: Stream[Any], count: int) -> None:
    """Take items one by one, and keep as many as a batch has, and the batch before."""
    batch: list[Any] = []
    for number, item in enumerate(stream, 1):
        batch.append(item)
        if len(batch) == SIZE:
            _stored, batch = batch, []
        if number == count:
            return


def in_batches(stream: Stream[Any], count: int) -> None:
    """Take batches."""
    for batch in stream.batches(SIZE):
        count -= len(batch)
        if count <= 0:
            return


def spent(consume: Consume, workload: Workload, source: Source) -> float:
    """CPU seconds of one turn, on a connection of its own."""
    count = SIZE * (BLOCKS * workload.block() // SIZE)
    with ExitStack() as stack:
        own = session(source, stack)
        stream = stack.enter_context(
            Stream[Any](own, "get", source.url, response_model=workload.response_model)
        )
        began = time.process_time()
        consume(stream, count)
        return time.process_time() - began


def batches(rounds: int, track: Track) -> dict[str, Spread]:
    """By workload: posts per CPU second in batches, relative to those that the consumer gathers."""
    found: dict[str, Spread] = {}
    for workload in MEASURED:
        ratios: list[float] = []
        with serving(Firehose(workload.flood())) as source, unburdened():
            for number in track(range(rounds), f"batches, {workload.title}"):
                pair = (gathered, in_batches) if number % 2 else (in_batches, gathered)
                seconds = {consume: spent(consume, workload, source) for consume in pair}
                ratios.append(seconds[gathered] / seconds[in_batches])
        found[workload.title] = spread(ratios)
    return found
