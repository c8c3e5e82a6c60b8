"""The bounds for the figures, and whether they are met. Measures nothing.

All bounds are ratios or growth, because absolute times depend more on the machine than on the code.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from benchmarks.speed.lengths import steepness
from benchmarks.speed.measure import Row
from benchmarks.speed.memory import growth
from benchmarks.speed.readers import FLOOR, OUR_PORTABLE, OURS, XDK
from benchmarks.speed.results import Results


@dataclass(frozen=True)
class Finding:
    """One bound, and the measured value."""

    what: str
    found: float
    bound: float
    at_least: bool
    remark: str = ""

    @property
    def met(self) -> bool:
        """Whether the bound is met."""
        return self.found >= self.bound if self.at_least else self.found <= self.bound

    @property
    def wanted(self) -> str:
        """The bound in words."""
        return f"at {'least' if self.at_least else 'most'} {self.bound:g}"


@dataclass(frozen=True)
class Bounds:
    """The bounds. Throughput by workload: relative to the floor, and to xdk."""

    floor: Mapping[str, float]
    xdk: Mapping[str, float]
    steepness: float
    """Cost of a byte in the longest line, relative to a line of 1 MiB; 16 if the cost is quadratic."""
    memory: float = 5.0
    """MiB."""
    latency: float = 1.3
    """Median latency, relative to a bare socket with decoding."""
    dedupe: float = 0.95
    """Throughput with dedupe relative to without, on posts of the usual size."""
    batches: float = 0.95
    """Throughput of batches relative to items that the consumer gathers: a draw, as `DRAW` has it."""
    peers: bool = True
    """Whether no peer may be faster."""


DONE = Bounds(
    floor={
        "post-chunks": 0.92,
        "16k-chunks": 0.94,
        "gzip": 0.93,
        "gzip-fast": 1.05,
        "model": 0.97,
        "raw": 0.8,
    },
    xdk={"post-chunks": 2.6, "16k-chunks": 2.6, "gzip": 2.2, "model": 2.2},
    steepness=2.0,
)
OFF = Bounds(
    floor=dict.fromkeys(("post-chunks", "16k-chunks", "gzip", "model"), 0.6),
    xdk=dict.fromkeys(("post-chunks", "16k-chunks", "gzip", "model"), 1.2),
    steepness=4.0,
    peers=False,
)
"""Loose bounds, for a machine that is busy with other work."""
DRAW = 0.95
"""Two runs of one reader were at 0.93 and 0.99 of the floor: a peer ahead by less than that is not ahead."""
JUDGED_ON_BOTH_ROUTES = (XDK, "tweepy", "requests", "httpx", "aiohttp")
"""The portable route beside peers as they are; that it is behind one that is given orjson is only shown."""
PER_CHUNK = (
    "public calls take a body apart chunk by chunk, in Python; the quicker ones among them (`stream`, which "
    "xdk has under `iter_content`) lose what has come of a chunk when the connection breaks"
)
NOT_JUDGED: Mapping[tuple[str, str], str] = {
    (OUR_PORTABLE, "small"): PER_CHUNK,
    (OUR_PORTABLE, "raw"): PER_CHUNK,
}
"""Accepted cases of a faster peer: the reader, the workload, and the reason."""


def verdict(results: Results, bounds: Bounds) -> list[Finding]:
    """All bounds on the measured values."""
    return [*on_rows(results, bounds), *on_growth(results, bounds)]


def on_rows(results: Results, bounds: Bounds) -> Iterator[Finding]:
    """Throughput."""
    for beside, wanted in ((FLOOR, bounds.floor), (XDK, bounds.xdk)):
        for name, bound in wanted.items():
            row = results.row(name)
            ratio = row.ratio(OURS, beside) if row else None
            if row and ratio:
                title = f"{row.workload.title}, beside {'the floor' if beside == FLOOR else beside}"
                yield Finding(title, ratio.median, bound, True, f"quartiles {ratio.low:.2f}-{ratio.high:.2f}")
    for row in results.rows if bounds.peers else ():
        yield from on_peers(row)


def on_peers(row: Row) -> Iterator[Finding]:
    """The fastest peer on each route."""
    peers = set(row.spent) - {FLOOR, OURS, OUR_PORTABLE}
    for route, field in ((OURS, peers), (OUR_PORTABLE, peers & set(JUDGED_ON_BOTH_ROUTES))):
        ratios = {peer: ratio for peer in field if (ratio := row.ratio(route, peer))}
        if ratios and (route, row.workload.name) not in NOT_JUDGED:
            strongest = min(ratios, key=ratios.__getitem__)
            median, low, high = ratios[strongest]
            title = f"{row.workload.title}, {route} beside the strongest peer"
            yield Finding(title, median, DRAW, True, f"{strongest}, quartiles {low:.2f}-{high:.2f}")


def on_growth(results: Results, bounds: Bounds) -> Iterator[Finding]:
    """Latency, memory, dedupe and long lines."""
    if results.latency:
        ratio = results.latency.ratio(OURS, FLOOR)
        remark = f"quartiles {ratio.low:.2f}-{ratio.high:.2f}"
        yield Finding("latency p50, beside the floor", ratio.median, bounds.latency, False, remark)
    if results.memory:
        every, samples = results.form.memory
        title = f"MiB of memory that {every * samples:,} posts leave behind"
        yield Finding(title, growth(results.memory), bounds.memory, False)
    if results.dedupe:
        title, ratio = next(iter(results.dedupe.items()))
        remark = f"quartiles {ratio.low:.2f}-{ratio.high:.2f}"
        yield Finding(f"throughput with dedupe, {title}", ratio.median, bounds.dedupe, True, remark)
    for title, ratio in results.batches.items():
        remark = f"quartiles {ratio.low:.2f}-{ratio.high:.2f}"
        yield Finding(f"batches beside items one by one, {title}", ratio.median, bounds.batches, True, remark)
    for name in (OURS, OUR_PORTABLE):
        if results.lengths.get(name):
            longest = max(results.lengths[name]) // 2**20
            title = f"{name}: a byte of a line of {longest} MiB beside one of 1 MiB"
            yield Finding(title, steepness(results.lengths[name]), bounds.steepness, False)
