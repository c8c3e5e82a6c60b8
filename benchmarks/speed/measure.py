"""Readers in turns on one workload: CPU seconds and wall time of each block. Judges nothing.

All hold a connection to one server, in another process, that sends as fast as they take. They
read a block of items each, and the order changes every round, so that whatever else the
machine does falls on all of them. Only ratios mean anything elsewhere.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from statistics import median, quantiles
from typing import NamedTuple

from benchmarks.speed.readers import FLOOR, OUR_PORTABLE, OURS, READERS, Reader, Take
from benchmarks.speed.server import Firehose, serving
from benchmarks.speed.workloads import Workload

Track = Callable[[Sequence[int], str], Iterable[int]]
"""Goes through the numbers and shows how far it has come, under this name."""

FAST_INFLATER = "zlib_ng"
EXTRA_MISSING = "[fast] is not installed"


class Spent(NamedTuple):
    """What one block cost, in seconds."""

    cpu: float
    wall: float


class Spread(NamedTuple):
    """A ratio over the rounds: its median, and the quartiles around it."""

    median: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.median:.2f} ({self.low:.2f}-{self.high:.2f})"


@dataclass
class Row:
    """One workload: what each reader spent in each round, or why it is not in it."""

    workload: Workload
    block: int
    spent: dict[str, list[Spent]] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)

    def rate(self, name: str) -> float:
        """Items a CPU second, over all rounds."""
        rounds = self.spent[name]
        return self.block * len(rounds) / sum(spent.cpu for spent in rounds)

    def wall_rate(self, name: str) -> float:
        """Items a second, over all rounds."""
        rounds = self.spent[name]
        return self.block * len(rounds) / sum(spent.wall for spent in rounds)

    def ratio(self, name: str, beside: str = FLOOR) -> Spread | None:
        """How many times as many items a CPU second as another reader gets; None where one is absent."""
        if name not in self.spent or beside not in self.spent:
            return None
        pairs = zip(self.spent[name], self.spent[beside], strict=True)
        return spread([theirs.cpu / mine.cpu for mine, theirs in pairs])


def spread(ratios: list[float]) -> Spread:
    """Median and quartiles."""
    if len(ratios) < 2:
        return Spread(ratios[0], ratios[0], ratios[0])
    low, _, high = quantiles(ratios, n=4, method="inclusive")
    return Spread(median(ratios), low, high)


def taking_part(workload: Workload, readers: Iterable[Reader]) -> tuple[list[Reader], dict[str, str]]:
    """Who can read this, and why the others cannot."""
    absent: dict[str, str] = {}
    present = []
    for reader in readers:
        reason = reader.lacks.get(workload.name) or missing(reader, workload)
        if reason:
            absent[reader.name] = reason
        else:
            present.append(reader)
    return present, absent


MODULES: Mapping[str, str] = {"xdk-streaming": "xdk_streaming"}


def missing(reader: Reader, workload: Workload) -> str:
    """What this reader would need and is not installed."""
    ours = reader.name in (OURS, OUR_PORTABLE)
    if workload.name == "gzip-fast" and ours and not find_spec(FAST_INFLATER):
        return EXTRA_MISSING
    return "" if find_spec(MODULES.get(reader.package, reader.package)) else "not installed"


def timed(take: Take, count: int) -> Spent:
    """What so many items cost the process."""
    wall, cpu = time.perf_counter(), time.process_time()
    take(count)
    return Spent(time.process_time() - cpu, time.perf_counter() - wall)


def measure(workload: Workload, rounds: int, track: Track, readers: Sequence[Reader] = READERS) -> Row:
    """One row. A first block of each reader is read and not counted."""
    present, absent = taking_part(workload, readers)
    row = Row(workload, workload.block(), {reader.name: [] for reader in present}, absent)
    with ExitStack() as stack:
        source = stack.enter_context(serving(Firehose(workload.flood()), tls=workload.tls))
        takes = {reader.name: reader.connected(workload, source, stack) for reader in present}
        for take in takes.values():
            take(row.block)
        with unburdened():
            for number in track(range(rounds), workload.title):
                for name in turns(list(takes), number):
                    row.spent[name].append(timed(takes[name], row.block))
    return row


def turns(names: list[str], number: int) -> list[str]:
    """Everyone once, from another one on and the other way round each time."""
    start = number // 2 % len(names)
    order = names[start:] + names[:start]
    return order[::-1] if number % 2 else order


@contextmanager
def unburdened() -> Iterator[None]:
    """The garbage collector does not go through what was made before."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
