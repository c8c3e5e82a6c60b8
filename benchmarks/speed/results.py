"""The parts of a run, and how much of each to measure. Judges nothing."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

from benchmarks.speed.batches import batches
from benchmarks.speed.dedupe import dedupe
from benchmarks.speed.imports import imports
from benchmarks.speed.latency import Latency, latency
from benchmarks.speed.lengths import LENGTHS, MIB, Lengths, lengths
from benchmarks.speed.measure import Row, Spread, Track, measure
from benchmarks.speed.memory import memory
from benchmarks.speed.readers import FLOOR, OUR_PORTABLE, OURS, READERS, XDK, Reader
from benchmarks.speed.reconnects import Cost, reconnects
from benchmarks.speed.streams import NUMBERS, Streams, streams
from benchmarks.speed.workloads import WORKLOADS


@dataclass(frozen=True)
class Form:
    """How much to measure. All blocks have one size; a smaller one would fit into a reader's buffers."""

    name: str
    rounds: int
    latency: tuple[int, int]
    """Rounds, and posts in each."""
    reconnects: int
    memory: tuple[int, int]
    """Posts between two samples, and samples."""
    lengths: tuple[int, tuple[int, ...]]
    """Rounds, and the lengths."""
    streams: tuple[int, tuple[int, ...]]
    imports: int
    dedupe: int
    batches: int
    readers: tuple[Reader, ...] = READERS
    parts: tuple[str, ...] = ()
    """The parts to measure unless the user names some; empty for all."""


SHAPE_READERS = tuple(reader for reader in READERS if reader.name in (FLOOR, OURS, OUR_PORTABLE, XDK))
FULL = Form("full", 24, (16, 60), 20, (100_000, 10), (5, LENGTHS), (3, NUMBERS), 10, 60, 16)
QUICK = Form("quick", 4, (4, 50), 4, (50_000, 5), (2, LENGTHS), (1, (1, 10, 50)), 3, 10, 3)
SHAPE = Form(
    "shape",
    6,
    (0, 0),
    0,
    (40_000, 5),
    (3, (MIB, 16 * MIB)),
    (0, ()),
    0,
    0,
    0,
    SHAPE_READERS,
    ("post-chunks", "16k-chunks", "gzip", "model", "memory", "lengths"),
)
PARTS = ("latency", "reconnects", "memory", "lengths", "streams", "imports", "dedupe", "batches")
NAMES = (*(workload.name for workload in WORKLOADS), *PARTS)


@dataclass
class Results:
    """The figures of one run; parts that were not measured are empty."""

    form: Form
    rows: list[Row] = field(default_factory=list)
    latency: Latency | None = None
    reconnects: dict[str, Cost] = field(default_factory=dict)
    memory: list[int] = field(default_factory=list)
    lengths: Lengths = field(default_factory=dict)
    streams: Streams = field(default_factory=dict)
    imports: dict[str, float] = field(default_factory=dict)
    dedupe: dict[str, Spread] = field(default_factory=dict)
    batches: dict[str, Spread] = field(default_factory=dict)

    def row(self, name: str) -> Row | None:
        """The row of one workload, if measured."""
        return next((row for row in self.rows if row.workload.name == name), None)


def run(form: Form, only: Collection[str], track: Track) -> Results:
    """Measure these parts; all parts if none are named."""
    wanted = only or form.parts or NAMES
    results = Results(form)
    for workload in WORKLOADS:
        if workload.name in wanted:
            results.rows.append(measure(workload, form.rounds, track, form.readers))
    if "latency" in wanted:
        results.latency = latency(*form.latency, track)
    if "reconnects" in wanted:
        results.reconnects = reconnects(form.reconnects, track)
    if "memory" in wanted:
        results.memory = memory(*form.memory, track)
    if "lengths" in wanted:
        rounds, of = form.lengths
        results.lengths = lengths(rounds, track, of)
    if "streams" in wanted:
        rounds, numbers = form.streams
        results.streams = streams(rounds, track, numbers)
    if "imports" in wanted:
        results.imports = imports(form.imports, track)
    if "dedupe" in wanted:
        results.dedupe = dedupe(form.dedupe, track)
    if "batches" in wanted:
        results.batches = batches(form.batches, track)
    return results
