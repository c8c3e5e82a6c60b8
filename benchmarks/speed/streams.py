"""Many streams in one process, one thread each: the cost of an item by the number of streams."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack
from statistics import median

from benchmarks.speed.measure import Track, turns, unburdened
from benchmarks.speed.readers import FLOOR, OURS, READERS, XDK, Take
from benchmarks.speed.server import Firehose, Source, serving
from benchmarks.speed.workloads import LEAST_ITEMS, WORKLOADS

NUMBERS = (1, 2, 5, 10, 20, 50)
AT_LEAST = 12_000
"""Items that all streams of a turn read together; each reads more than fits its buffers."""
WORKLOAD = WORKLOADS[0]
READ_BY = {reader.name: reader for reader in READERS if reader.name in (FLOOR, OURS, XDK)}

Streams = dict[str, dict[int, float]]
"""Reader, number of streams, items per CPU second of all streams together."""


def streams(rounds: int, track: Track, numbers: Sequence[int] = NUMBERS) -> Streams:
    """Each reader in turn with each number of streams."""
    rates: dict[str, dict[int, list[float]]] = {name: {n: [] for n in numbers} for name in READ_BY}
    with serving(Firehose(WORKLOAD.flood())) as source, unburdened():
        for turn in track(range(rounds * len(numbers)), "streams in a process"):
            number = numbers[turn % len(numbers)]
            for name in turns(list(READ_BY), turn):
                rates[name][number].append(together(name, number, source))
    return {name: {n: median(each) for n, each in by.items()} for name, by in rates.items()}


def together(name: str, number: int, source: Source) -> float:
    """Items per CPU second of a number of concurrent streams."""
    count = max(LEAST_ITEMS, AT_LEAST // number)
    with ExitStack() as stack:
        takes = [READ_BY[name].connected(WORKLOAD, source, stack) for _ in range(number)]
        for take in takes:
            take(LEAST_ITEMS // 4)
        return number * count / raced(takes, count)


def raced(takes: list[Take], count: int) -> float:
    """CPU seconds of the process until all streams have read their items."""
    threads = [threading.Thread(target=take, args=(count,)) for take in takes]
    started = time.process_time()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return time.process_time() - started
