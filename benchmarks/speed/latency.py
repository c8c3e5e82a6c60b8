"""Latency from the server's send to the yielded item, on a quiet stream.

The server stamps each post with the machine's monotonic clock, which all its processes share, and sends one
every few milliseconds. A reader, a bare socket and the floor, which is a bare socket with decoding, receive
posts in turn. So other load on the machine affects all of them equally. Each waits on its own connection.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import cycle
from statistics import median, quantiles

from benchmarks.speed import floor as least
from benchmarks.speed.measure import Spread, Track, spread, unburdened
from benchmarks.speed.readers import FLOOR, OUR_PORTABLE, OURS, READERS, XDK, Reader, Take, pulled
from benchmarks.speed.server import Source, framed, serving
from benchmarks.speed.workloads import Workload

EVERY = 0.003
SETTLING = 10
"""Posts that each reader reads first, which do not count."""
MARK = b'"sent":"'
STAMP = 20
"""Digits of a time in nanoseconds."""
TEXT = "x" * 2_200
IDLE = Workload("idle", "an idle stream")
BARE = "bare socket"


def stamped(nanoseconds: int, number: int) -> bytes:
    """A post of the usual size that contains its send time."""
    return b'{"data":{"id":"%d","sent":"%0*d","text":"%b"}}\r\n' % (
        number,
        STAMP,
        nanoseconds,
        TEXT.encode(),
    )


class Ticks:
    """Sends a post now and then, to each connection in turn; the first post immediately."""

    coding = "identity"

    def __init__(self, connections: int, every: float = EVERY) -> None:
        self._wanted = connections
        self._every = every
        self._connections: list[socket.socket] = []

    def feed(self, connection: socket.socket) -> None:
        """Send until the readers disconnect; the thread of the last connection sends to all."""
        connection.sendall(framed([stamped(time.monotonic_ns(), 0)]))
        self._connections.append(connection)
        if len(self._connections) < self._wanted:
            connection.recv(1)  # nothing comes: this waits until the reader goes
            return
        for number, reader in enumerate(cycle(self._connections)):
            time.sleep(self._every)
            reader.sendall(framed([stamped(time.monotonic_ns(), number)]))


def read_bare(_: Workload, source: Source, stack: ExitStack) -> Take:
    """A bare `recv`, which only extracts the time: no chunks, no lines, no JSON."""
    connection = stack.enter_context(least.connect(source))

    def items() -> Iterator[dict[str, dict[str, str]]]:
        while data := connection.recv(least.READ_SIZE):
            start = data.index(MARK) + len(MARK)
            yield {"data": {"sent": data[start : start + STAMP].decode()}}

    return pulled(items())


BESIDE = (Reader(BARE, read_bare, "xdk-streaming"), *(reader for reader in READERS if reader.name == FLOOR))
READ_BY = tuple(reader for reader in READERS if reader.name in (OURS, OUR_PORTABLE, XDK, "requests+orjson"))


@dataclass
class Latency:
    """Microseconds of each post, by round, for each reader and for the references measured with it."""

    rounds: dict[str, dict[str, list[list[float]]]]

    def p50(self, name: str) -> float:
        """The median of all posts."""
        return median(self._all(name))

    def p99(self, name: str) -> float:
        """The 99th percentile."""
        return quantiles(self._all(name), n=100, method="inclusive")[-1]

    def ratio(self, name: str, beside: str) -> Spread:
        """Medians of the rounds, relative to those of the bare socket or the floor."""
        pairs = zip(self.rounds[name][name], self.rounds[name][beside], strict=True)
        return spread([median(mine) / median(theirs) for mine, theirs in pairs])

    def _all(self, name: str) -> list[float]:
        return [one for each in self.rounds[name][name] for one in each]


def latency(rounds: int, posts: int, track: Track, readers: Sequence[Reader] = READ_BY) -> Latency:
    """Measure a number of posts per round for each reader, and as many for the references."""
    return Latency({reader.name: measured(reader, rounds, posts, track) for reader in readers})


def measured(reader: Reader, rounds: int, posts: int, track: Track) -> dict[str, list[list[float]]]:
    """Microseconds by reader."""
    present = (*BESIDE, reader)
    found: dict[str, list[list[float]]] = {each.name: [] for each in present}
    with serving(Ticks(len(present))) as source, ExitStack() as stack, unburdened():
        takes = [each.connected(IDLE, source, stack) for each in present]
        for _ in range(SETTLING):
            one_each(takes)
        for _ in track(range(rounds), f"latency: {reader.name}"):
            waits = [one_each(takes) for _ in range(posts)]
            for each, waited_for in zip(present, zip(*waits, strict=True), strict=True):
                found[each.name].append(list(waited_for))
    return found


def one_each(takes: Iterable[Take]) -> list[float]:
    """Microseconds from sending to yielding the next post, for each reader."""
    return [waited(take) for take in takes]


def waited(take: Take) -> float:
    """Microseconds from sending to yielding the next post."""
    item = take(1)
    return (time.monotonic_ns() - int(item["data"]["sent"])) / 1e3
