"""The cost of a lost connection: CPU, and the time from the reset to the next item."""

from __future__ import annotations

import importlib
import socket
import struct
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from benchmarks.speed.latency import stamped
from benchmarks.speed.measure import Track, turns, unburdened
from benchmarks.speed.readers import OURS, XDK, Take, pulled, session
from benchmarks.speed.server import Source, framed, serving
from xdk_streaming import StreamConfig, stream_with_retry

QUIET = 0.005
"""Seconds between an item and the reset, so that the reader has the item and waits for more."""
BLOCK = 10
RESET = struct.pack("ii", 1, 0)
"""The value of SO_LINGER that makes close() send RST."""


@dataclass
class Resets:
    """Sends one item, which has the time of the previous reset, then resets the connection."""

    coding: str = "identity"
    last: int = 0

    def feed(self, connection: socket.socket) -> None:
        """Send the item, wait, and reset."""
        connection.sendall(framed([stamped(self.last, 0)]))
        time.sleep(QUIET)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        self.last = time.monotonic_ns()
        connection.close()


Connecting = Callable[[Source, ExitStack], Take]


def ours(source: Source, stack: ExitStack) -> Take:
    """This package, without a wait between attempts."""
    config = StreamConfig(max_retries=-1, initial_backoff=0.0, jitter=False)
    items = stream_with_retry(session(source, stack), "get", source.url, config)
    stack.callback(items.close)
    return pulled(items)


def theirs(source: Source, stack: ExitStack) -> Take:
    """X's own SDK, without a wait between attempts."""
    streaming: Any = importlib.import_module("xdk.streaming")
    config = streaming.StreamConfig(max_retries=-1, initial_backoff=0.0, jitter=False)
    items = streaming.stream_with_retry(session(source, stack), "get", source.url, config)
    stack.callback(items.close)
    return pulled(items)


STREAMS: dict[str, Connecting] = {OURS: ours, XDK: theirs}


@dataclass
class Cost:
    """Milliseconds for each connection that was lost and regained."""

    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    @property
    def p50(self) -> float:
        """The median time from a reset to the next item."""
        return median(self.wall)

    @property
    def cpu_each(self) -> float:
        """The median CPU milliseconds of one reconnect."""
        return median(self.cpu)


def reconnects(rounds: int, track: Track) -> dict[str, Cost]:
    """Lose `BLOCK` connections per turn."""
    found = {name: Cost() for name in STREAMS}
    with ExitStack() as stack:
        takes = {
            name: opened(stack.enter_context(serving(Resets())), stack) for name, opened in STREAMS.items()
        }
        stack.enter_context(unburdened())
        for number in track(range(rounds), "reconnects"):
            for name in turns(list(takes), number):
                takes[name](2)  # the first was lost long ago, while the other had its turn
                for _ in range(BLOCK):
                    lose(takes[name], found[name])
    return found


def lose(take: Take, cost: Cost) -> None:
    """One connection lost, and the first item of the next."""
    cpu = time.process_time()
    item = take(1)
    cost.wall.append((time.monotonic_ns() - int(item["data"]["sent"])) / 1e6)
    cost.cpu.append((time.process_time() - cpu) * 1e3)
