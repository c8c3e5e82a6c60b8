"""The cost of dedupe: two streams in one process, in turns, one of them with dedupe."""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

from benchmarks.speed.measure import Spread, Track, spread, timed, unburdened
from benchmarks.speed.readers import Take, pulled, session
from benchmarks.speed.server import Flood, Source, serving
from benchmarks.speed.workloads import Workload
from xdk_streaming import Recovery, StreamConfig, stream_with_retry

WORKLOADS = (
    Workload("typical", "posts of 2.4 kB"),
    Workload("small", "posts of 200 B", size="small"),
)
REMEMBERED = 200_000
"""Ids in each set before the measurement; a small set would fit into the processor's cache."""
ID = re.compile(rb'"data":\{[^{}]*?"id":"(\d{19})"')


@dataclass(frozen=True)
class Unrepeated:
    """An endless body without duplicate posts."""

    flood: Flood
    coding: str = "identity"

    def feed(self, connection: socket.socket) -> None:
        """Send until the reader disconnects."""
        for body in self.bodies():
            connection.sendall(body)

    def bodies(self) -> Iterator[bytes]:
        """The posts, repeated with new ids."""
        body = bytearray(self.flood.again)
        spans = [match.span(1) for match in ID.finditer(body)]
        number = time.time_ns()
        while True:
            for start, end in spans:
                number += 4_194_304  # a millisecond, as X's ids have it
                body[start:end] = b"%019d" % (number % 10**19)
            yield bytes(body)


def connected(recovery: Recovery | None, workload: Workload, source: Source, stack: ExitStack) -> Take:
    """A stream that has been reading for a while."""
    config = StreamConfig(recovery=recovery)
    items = stream_with_retry(
        session(source, stack), "get", source.url, config, response_model=workload.response_model
    )
    stack.callback(items.close)
    take = pulled(items)
    take(REMEMBERED)
    return take


def dedupe(rounds: int, track: Track) -> dict[str, Spread]:
    """By workload: items per CPU second with dedupe, relative to without."""
    found: dict[str, Spread] = {}
    for workload in WORKLOADS:
        with ExitStack() as stack:
            source = stack.enter_context(serving(Unrepeated(workload.flood())))
            without = connected(None, workload, source, stack)
            with_it = connected(Recovery(), workload, source, stack)
            ratios: list[float] = []
            with unburdened():
                for number in track(range(rounds), f"dedupe, {workload.title}"):
                    pair = (without, with_it) if number % 2 else (with_it, without)
                    spent = {take: timed(take, workload.block()).cpu for take in pair}
                    ratios.append(spent[without] / spent[with_it])
            found[workload.title] = spread(ratios)
    return found
