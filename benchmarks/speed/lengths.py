"""The cost of a line by its length. If the cost is not linear, a long line can block a reader."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from statistics import median

from benchmarks.speed.measure import Track, timed, turns, unburdened
from benchmarks.speed.readers import FLOOR, OUR_PORTABLE, OURS, READERS, XDK
from benchmarks.speed.server import Firehose, Flood, framed, serving
from benchmarks.speed.workloads import Workload

KIB = 2**10
MIB = 2**20
CHUNK = 16 * KIB
LENGTHS = (64 * KIB, 256 * KIB, MIB, 4 * MIB, 16 * MIB)
XDK_STOPS = 4 * MIB
"""It goes through what it has of a line again at every read: 16 MiB would take minutes."""
PER_TURN = 16 * MIB
WORKLOAD = Workload("length", "long lines", chunk=CHUNK)

Lengths = dict[str, dict[int, float]]
"""Reader, length of a line, CPU milliseconds per MiB."""


def flood(length: int) -> Flood:
    """One post of this length, repeated."""
    start, end = b'{"data":{"id":"1","text":"', b'"}}\r\n'
    line = start + b"x" * (length - len(start) - len(end)) + end
    pieces = [line[place : place + CHUNK] for place in range(0, length, CHUNK)]
    return Flood(b"", framed(pieces))


def lengths(rounds: int, track: Track, of: Sequence[int] = LENGTHS) -> Lengths:
    """Each reader in turn, at each length."""
    found: Lengths = {FLOOR: {}, OURS: {}, OUR_PORTABLE: {}, XDK: {}}
    for number in track(range(len(of)), "line length"):
        for name, milliseconds in at(of[number], rounds).items():
            found[name][of[number]] = milliseconds
    return found


def at(length: int, rounds: int) -> dict[str, float]:
    """CPU milliseconds per MiB: the median of the rounds."""
    names = [FLOOR, OURS, OUR_PORTABLE] + ([XDK] if length <= XDK_STOPS else [])
    count = max(1, PER_TURN // length)
    spent: dict[str, list[float]] = {name: [] for name in names}
    with ExitStack() as stack:
        source = stack.enter_context(serving(Firehose(flood(length))))
        takes = {r.name: r.connected(WORKLOAD, source, stack) for r in READERS if r.name in names}
        stack.enter_context(unburdened())
        for number in range(rounds):
            for name in turns(names, number):
                taken = 1 if name == XDK and length == XDK_STOPS else count
                spent[name].append(timed(takes[name], taken).cpu * 1e3 / (taken * length / MIB))
    return {name: median(each) for name, each in spent.items()}


def steepness(costs: dict[int, float]) -> float:
    """The cost of a byte in the longest line, relative to a line of 1 MiB; 1 if the cost is linear."""
    return costs[max(costs)] / costs[MIB]
