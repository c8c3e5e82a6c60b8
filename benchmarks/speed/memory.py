"""Resident memory while reading a million posts, in a process that does nothing else."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Sequence
from contextlib import ExitStack
from multiprocessing.connection import Connection
from pathlib import Path

from benchmarks.speed.measure import Track
from benchmarks.speed.readers import read_ours
from benchmarks.speed.server import Firehose, Source, serving
from benchmarks.speed.workloads import Workload

STATM = Path("/proc/self/statm")
SMALL = Workload("small", "small posts", size="small")
MIB = 2**20


def resident() -> int:
    """Resident bytes of this process."""
    return int(STATM.read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")


def drain(line: Connection, source: Source, every: int, samples: int) -> None:
    """Read blocks of posts, and report the memory after each."""
    with ExitStack() as stack:
        take = read_ours(SMALL, source, stack)
        for _ in range(samples):
            take(every)
            line.send(resident())


def memory(every: int, samples: int, track: Track) -> list[int]:
    """Resident bytes after each `every` posts; nothing if the system does not report memory."""
    if not STATM.exists():
        return []
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    with serving(Firehose(SMALL.flood())) as source:
        process = context.Process(target=drain, args=(theirs, source, every, samples), daemon=True)
        process.start()
        theirs.close()
        found = [ours.recv() for _ in track(range(samples), "memory")]
        process.join()
    return found


def growth(found: Sequence[int]) -> float:
    """MiB by which the maximum exceeds the first sample, which is taken after warming up."""
    return (max(found) - found[0]) / MIB
