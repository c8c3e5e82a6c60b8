"""The server's process: publishes posts, and fails as planned."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection

from benchmarks.chaos.task import Task
from xdk_streaming.driver.outcomes import OUTCOMES
from xdk_streaming.simulator import Live, Script, Simulator
from xdk_streaming.simulator.faults import STREAM_FAULTS, Peer, StreamFault
from xdk_streaming.simulator.script import LIVE, Cut, Reset
from xdk_streaming.state import ConnectionState
from xdk_streaming.x import ENDPOINTS

PATH = "/2/tweets/search/stream"
STALL = 0.4
"""Seconds of silence after which the client abandons a connection."""
STANDING = (0.05, 0.6)
"""Minimum and maximum seconds of a connection before its fault."""


@dataclass(frozen=True)
class Published:
    """One post: its id, and when it was published, in Unix seconds."""

    id: str
    at: float


def plan(task: Task) -> list[StreamFault]:
    """All faults that a server can show, in a new order each round, until there are enough."""
    chance = random.Random(task.seed)
    kinds = [
        fault
        for fault in STREAM_FAULTS.values()
        if fault.peer is Peer.SERVER and (fault.encoding is None or task.gzip)
    ]
    planned: list[StreamFault] = []
    while len(planned) < task.faults:
        planned += chance.sample(kinds, len(kinds))
    return planned[: task.faults]


def scripts(task: Task, played: list[str], peaceful: list[float]) -> Iterator[Script]:
    """A script per connection: live for a while, then the fault; refusals come at once. Then only live.

    `peaceful` gets the Unix time at which each connection opened that no fault will end.
    """
    chance = random.Random(task.seed)
    for fault in plan(task):
        played.append(fault.name)
        outcome = OUTCOMES[fault.name]
        peace = () if outcome.refuses else (Live(chance.uniform(*STANDING)),)
        lasts = outcome.state is ConnectionState.STREAMING
        rest = (Live(chance.uniform(*STANDING), goes_on=True),) if lasts else ()
        yield (*peace, *_at_any_byte(fault.script, chance.random()), *rest)
    while True:
        peaceful.append(time.time())
        yield LIVE


def _at_any_byte(script: Script, share: float) -> Script:
    """The script, with cuts and resets in the middle of a post moved to this share of the post."""
    return [replace(step, share=share) if isinstance(step, (Cut, Reset)) else step for step in script]


def serve(line: Connection, task: Task) -> None:
    """Publish and fail until asked to end; then report the published posts and the ends of connections."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    played, peaceful = list[str](), list[float]()
    with Simulator(
        script=scripts(task, played, peaceful),
        rate=task.rate,
        entitled=task.entitled,
        heartbeat=STALL / 2,
        encoding="gzip" if task.gzip else None,
        queue=task.queue,
        seed=task.seed,
        logged=1_000,
    ) as simulator:
        line.send(simulator.url + PATH)
        while line.recv() == "how far":
            line.send((simulator.timeline.published(time.time()), list(played), max(peaceful, default=None)))
        count = simulator.timeline.published(time.time())
        endpoint, dated = ENDPOINTS[PATH], simulator.timeline.dated
        line.send([Published(str(simulator.item(n, endpoint, {})[1]), dated(n)) for n in range(count)])
        line.send([request.ended_at for request in simulator.requests if request.ended_at is not None])
