"""Readers in turns on one workload: CPU seconds and wall time of each block. Judges nothing.

All readers are connected to one server in another process, which sends as fast as they read. Each reads a
block of items, and the order changes every round, so that other load on the machine affects all readers
equally. Only ratios are meaningful on other machines.
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
"""Iterates over the numbers, and shows the progress under this name."""

FAST_INFLATER = "zlib_ng"
EXTRA_MISSING = "[fast] is not installed"


class Spent(NamedTuple):
    """The cost of one block, in seconds."""

    cpu: float
    wall: float


class Spread(NamedTuple):
    """A ratio over the rounds: median and quartiles."""

    median: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.median:.2f} ({self.low:.2f}-{self.high:.2f})"


@dataclass
class Row:
    """One workload: the cost of each reader in each round, or why the reader is absent."""

    workload: Workload
    block: int
    spent: dict[str, list[Spent]] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)

    def rate(self, name: str) -> float:
        """Items per CPU second, over all rounds."""
        rounds = self.spent[name]
        return self.block * len(rounds) / sum(spent.cpu for spent in rounds)

    def wall_rate(self, name: str) -> float:
        """Items per second, over all rounds."""
        rounds = self.spent[name]
        return self.block * len(rounds) / sum(spent.wall for spent in rounds)

    def ratio(self, name: str, beside: str = FLOOR) -> Spread | None:
        """Items per CPU second, relative to another reader; None if one of them is absent."""
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
    """The readers that can read this workload, and why the others cannot."""
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
    """Packages that this reader needs and that are not installed."""
    ours = reader.name in (OURS, OUR_PORTABLE)
    if workload.name == "gzip-fast" and ours and not find_spec(FAST_INFLATER):
        return EXTRA_MISSING
    return "" if find_spec(MODULES.get(reader.package, reader.package)) else "not installed"


def timed(take: Take, count: int) -> Spent:
    """The cost of reading a number of items."""
    wall, cpu = time.perf_counter(), time.process_time()
    take(count)
    return Spent(time.process_time() - cpu, time.perf_counter() - wall)


def measure(workload: Workload, rounds: int, track: Track, readers: Sequence[Reader] = READERS) -> Row:
    """Measure one row. The first block of each reader does not count."""
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
    """Each reader once, with another start and the opposite direction in each round."""
    start = number // 2 % len(names)
    order = names[start:] + names[:start]
    return order[::-1] if number % 2 else order


@contextmanager
def unburdened() -> Iterator[None]:
    """Within the block, the garbage collector ignores objects made before."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
