"""The asyncio stream compared with the synchronous one: throughput, latency, many streams in one loop.

    python -m benchmarks.aio [--rounds 15] [--output benchmarks/results/aio.json]

Blocks alternate in one process, each on its own connection, so that other load on the machine affects both
equally. Only ratios are meaningful on other machines.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import socket
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any

import requests

from benchmarks.speed.figures import compact
from benchmarks.speed.latency import EVERY, STAMP, stamped
from benchmarks.speed.measure import Spent, spread, unburdened
from benchmarks.speed.report import circumstances
from benchmarks.speed.server import Firehose, framed, serving
from benchmarks.speed.streams import AT_LEAST
from benchmarks.speed.workloads import WORKLOADS, Workload
from xdk_streaming import AsyncStream, astream_with_retry, stream_with_retry

READ = tuple(each for each in WORKLOADS if each.name in ("small", "post-chunks", "16k-chunks", "model"))
SMALL = next(each for each in READ if each.name == "small")
LEAST_RATIO = 0.8
STREAMS = 50
POSTS = 200
"""Posts per round whose latency is measured."""

Reader = Callable[[str, Any, int], Spent]


def session() -> requests.Session:
    """A session that ignores the environment."""
    made = requests.Session()
    made.trust_env = False
    made.headers["Authorization"] = "Bearer any-token"
    return made


class Stopwatch:
    """The time since the object was made."""

    def __init__(self) -> None:
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    def spent(self) -> Spent:
        """CPU and wall time."""
        return Spent(time.process_time() - self._cpu, time.perf_counter() - self._wall)


def by_thread(url: str, model: Any, count: int) -> Spent:
    """Read a number of items with the synchronous stream."""
    with session() as own:
        items = stream_with_retry(own, "get", url, response_model=model)
        next(items)
        watch = Stopwatch()
        for _ in islice(items, count):
            pass
        spent = watch.spent()
        items.close()
    return spent


def by_loop(url: str, model: Any, count: int) -> Spent:
    """Read a number of items with the asyncio stream."""
    return asyncio.run(_by_loop(url, model, count))


async def _by_loop(url: str, model: Any, count: int) -> Spent:
    with session() as own:
        items = astream_with_retry(own, "get", url, response_model=model)
        await items.__anext__()
        watch = Stopwatch()
        async for _ in items:
            count -= 1
            if count == 0:
                break
        spent = watch.spent()
        await items.aclose()
    return spent


def throughput(workload: Workload, rounds: int) -> dict[str, Any]:
    """Items per second in the loop, relative to the synchronous stream: by wall time and by CPU time."""
    count = 2 * workload.block()
    found: list[tuple[Spent, Spent]] = []
    with serving(Firehose(workload.flood())) as source, unburdened():
        for number in range(rounds + 1):
            order: list[Reader] = [by_thread, by_loop] if number % 2 else [by_loop, by_thread]
            spent = {reader: reader(source.url, workload.items, count) for reader in order}
            found.append((spent[by_thread], spent[by_loop]))
    del found[0]  # which warmed up
    return {
        "title": workload.title,
        "items": count,
        "wall": spread([thread.wall / loop.wall for thread, loop in found])._asdict(),
        "cpu": spread([thread.cpu / loop.cpu for thread, loop in found])._asdict(),
    }


class Stamps:
    """Sends each connection a post now and then, which has its send time."""

    coding = "identity"

    def feed(self, connection: socket.socket) -> None:
        """Send until the reader disconnects."""
        for number in itertools.count():
            time.sleep(EVERY)
            connection.sendall(framed([stamped(time.monotonic_ns(), number)]))


def microseconds(post: dict[str, Any]) -> float:
    """The time since the server sent the post."""
    return (time.monotonic_ns() - int(post["data"]["sent"][:STAMP])) / 1000


def latency(rounds: int) -> dict[str, Any]:
    """Latency from the server's send to the yielded item, on a quiet stream."""
    found: dict[str, list[float]] = {"thread": [], "loop": []}
    with serving(Stamps()) as source, unburdened():
        for number in range(2 * rounds):
            if number % 2:
                found["loop"].append(median(asyncio.run(_waits(source.url))))
                continue
            with session() as own:
                items = stream_with_retry(own, "get", source.url)
                found["thread"].append(median([microseconds(post) for post in islice(items, POSTS)]))
                items.close()
    ratio = spread([loop / thread for thread, loop in zip(found["thread"], found["loop"], strict=True)])
    return {"microseconds": {name: median(each) for name, each in found.items()}, "ratio": ratio._asdict()}


async def _waits(url: str) -> list[float]:
    waits: list[float] = []
    with session() as own:
        async with AsyncStream[Any](own, "get", url) as stream:
            async for post in stream:
                waits.append(microseconds(post))
                if len(waits) == POSTS:
                    break
    return waits


def together(number: int) -> dict[str, Any]:
    """Many streams in one loop: all must get their share."""
    workload = SMALL
    with serving(Firehose(workload.flood())) as source:
        alone = asyncio.run(_together(source.url, 1, AT_LEAST))
        many = asyncio.run(_together(source.url, number, AT_LEAST // number * 10))
    return {"streams": number, "items_a_cpu_second": {"1": alone, str(number): many}}


async def _together(url: str, number: int, count: int) -> float:
    watch = Stopwatch()
    await asyncio.gather(*(_by_loop(url, None, count) for _ in range(number)))
    return number * count / watch.spent().cpu


def table(results: dict[str, Any]) -> str:
    """The figures for people."""
    lines = ["loop beside thread          wall   CPU"]
    lines += [
        f"{row['title']:<26} {row['wall']['median']:5.2f} {row['cpu']['median']:5.2f}"
        for row in results["throughput"]
    ]
    waits: dict[str, Any] = results["latency"]
    lines.append(
        f"latency: {waits['microseconds']['loop']:.0f} us beside {waits['microseconds']['thread']:.0f} us, "
        f"{waits['ratio']['median']:.2f} times"
    )
    rates = results["together"]["items_a_cpu_second"]
    lines.append(
        "items a CPU second: " + ", ".join(f"{rate:,.0f} in {n} streams" for n, rate in rates.items())
    )
    return "\n".join(lines)


def main() -> None:
    """Measure, write and show; exit with 1 if the loop is too slow."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results/aio.json"))
    options = parser.parse_args()
    rows = [throughput(workload, options.rounds) for workload in READ]
    results = {
        "made_with": list(circumstances("python -m benchmarks.aio")),
        "throughput": rows,
        "latency": latency(options.rounds),
        "together": together(STREAMS),
    }
    options.output.write_text(compact(results), encoding="utf-8")
    print(table(results))
    worst = min(row["wall"]["median"] for row in rows)
    if worst < LEAST_RATIO:
        raise SystemExit(f"The loop gets only {worst:.2f} of what a thread gets; {LEAST_RATIO} are wanted")


if __name__ == "__main__":
    main()
