"""From the server's send to the item in hand, on a stream where little happens.

The server stamps each post with the machine's monotonic clock, which all its processes share,
and sends one every few milliseconds. Readers take turns, each with a connection of its own that
ends with its turn.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from statistics import median, quantiles

from benchmarks.speed import floor as least
from benchmarks.speed.measure import Spread, Track, spread, turns, unburdened
from benchmarks.speed.readers import FLOOR, OUR_PORTABLE, OURS, READERS, XDK, Reader, Take, pulled
from benchmarks.speed.server import Source, framed, serving
from benchmarks.speed.workloads import Workload

EVERY = 0.003
SETTLING = 10
"""Posts of each turn that are read and not counted."""
MARK = b'"sent":"'
STAMP = 20
"""Digits of a time in nanoseconds."""
TEXT = "x" * 2_200
IDLE = Workload("idle", "an idle stream")
BARE = "bare socket"


def stamped(nanoseconds: int, number: int) -> bytes:
    """A post of the usual size that tells when it was sent."""
    return b'{"data":{"id":"%d","sent":"%0*d","text":"%b"}}\r\n' % (
        number,
        STAMP,
        nanoseconds,
        TEXT.encode(),
    )


@dataclass(frozen=True)
class Ticks:
    """A post now and then."""

    every: float = EVERY
    coding: str = "identity"

    def feed(self, connection: socket.socket) -> None:
        """Send until the reader has gone."""
        number = 0
        while True:
            time.sleep(self.every)
            connection.sendall(framed([stamped(time.monotonic_ns(), number)]))
            number += 1


def read_bare(_: Workload, source: Source, stack: ExitStack) -> Take:
    """`recv`, and the stamp cut out of what comes: no chunks, no lines, no JSON."""
    connection = stack.enter_context(least.connect(source))

    def items() -> Iterator[dict[str, dict[str, str]]]:
        while data := connection.recv(least.READ_SIZE):
            start = data.index(MARK) + len(MARK)
            yield {"data": {"sent": data[start : start + STAMP].decode()}}

    return pulled(items())


READ_BY = (
    Reader(BARE, read_bare, "xdk-streaming"),
    *(reader for reader in READERS if reader.name in (FLOOR, OURS, OUR_PORTABLE, XDK, "requests+orjson")),
)


@dataclass
class Latency:
    """Microseconds of each post, reader by reader and turn by turn."""

    turns: dict[str, list[list[float]]]

    def p50(self, name: str) -> float:
        """The middle of all."""
        return median(self._all(name))

    def p99(self, name: str) -> float:
        """What one of a hundred exceeds."""
        return quantiles(self._all(name), n=100, method="inclusive")[-1]

    def ratio(self, name: str, beside: str = BARE) -> Spread:
        """Medians of the turns beside those of another reader."""
        pairs = zip(self.turns[name], self.turns[beside], strict=True)
        return spread([median(mine) / median(theirs) for mine, theirs in pairs])

    def _all(self, name: str) -> list[float]:
        return [one for turn in self.turns[name] for one in turn]


def latency(rounds: int, posts: int, track: Track, readers: Sequence[Reader] = READ_BY) -> Latency:
    """So many posts a turn."""
    found = Latency({reader.name: [] for reader in readers})
    by_name = {reader.name: reader for reader in readers}
    with serving(Ticks()) as source, unburdened():
        for number in track(range(rounds), "latency"):
            for name in turns(list(by_name), number):
                with ExitStack() as stack:
                    take = by_name[name].connected(IDLE, source, stack)
                    take(SETTLING)
                    found.turns[name].append([waited(take) for _ in range(posts)])
    return found


def waited(take: Take) -> float:
    """Microseconds that the next post was on its way."""
    item = take(1)
    return (time.monotonic_ns() - int(item["data"]["sent"])) / 1e3
