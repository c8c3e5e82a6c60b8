"""Kills each program of docs/stores.md, makes its store fail, and counts what is stored: `make stores`."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from stores.programs import Store, Stored, parquet, postgresql, sqlite
from stores.server import database
from xdk_streaming.simulator import Simulator
from xdk_streaming.x import ENDPOINTS, published

KILLS, FAILURES = 20, 10
RATE = 500.0
PATH = "/2/tweets/search/stream"
LIFE = (0.1, 0.5)
"""Seconds for which a process stores before something happens to it, at least and at most."""
PATIENCE = 60.0
"""Seconds after which something that does not happen is a failure."""
PEACE = 1.0
"""Seconds that the last process goes on after its start."""


def main() -> int:
    """Run all programs. Prints a line for each."""
    failed = False
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        url = stack.enter_context(database())
        cases: dict[str, Callable[[str], Store]] = {
            "SQLite": lambda x: sqlite(x, folder),
            "PostgreSQL": lambda x: postgresql(x, url),
            "Parquet": lambda x: parquet(x, folder),
        }
        for name, case in cases.items():
            with Simulator(rate=RATE) as x:
                store = case(x.url)
                failed |= not judged(name, store, x, folder)
                failed |= name == "PostgreSQL" and not overtaken(store, folder)
    return int(failed)


def judged(name: str, store: Store, simulator: Simulator, folder: Path) -> bool:
    """Whether the program lost and doubled nothing. Prints its line."""
    began = time.monotonic()
    chance = random.Random(0)
    happenings = ["kill"] * KILLS + ["failure"] * FAILURES
    chance.shuffle(happenings)
    for happening in happenings:
        with running(store, folder) as process:
            time.sleep(chance.uniform(*LIFE))
            if happening == "kill":
                process.kill()
            else:
                with store.failing(process.pid):
                    assert process.wait(PATIENCE) != 0
    with running(store, folder):
        stored = caught_up(store)
    missing, first, last = missed(simulator, stored)
    unique = name != "Parquet"
    good = not missing and not (unique and stored.repeats) and len(stored.keys) > RATE
    print(
        f"{'ok' if good else 'FAILED':6}  {name:12} {time.monotonic() - began:5.1f} s  {KILLS} kills, "
        f"{FAILURES} failures of the store: {len(stored.keys):,} posts of {last - first:.0f} s, "
        f"{len(missing)} missing, {stored.repeats:,} stored again",
        flush=True,
    )
    return good


def overtaken(store: Store, folder: Path) -> bool:
    """Whether a second process on the same table ends the first one. Prints its line."""
    with running(store, folder) as old, running(store, folder):
        code = old.wait(PATIENCE)
        assert old.stderr is not None
        said = old.stderr.read().decode().strip()
        good = code != 0 and said == "another program stores these posts now" and not store.stored().repeats
    print(
        f"{'ok' if good else 'FAILED':6}  of two processes on one table the older one ends: {said}",
        flush=True,
    )
    return good


@contextmanager
def running(store: Store, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process of the program, from its first stored batch on. It is killed in any case."""
    environment = {**os.environ, "X_BEARER_TOKEN": "any", "NO_PROXY": "127.0.0.1", **store.environment}
    command = [sys.executable, "-c", store.code]
    with subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        try:
            assert process.stdout is not None
            first = process.stdout.readline()
            if not first:
                assert process.stderr is not None
                raise AssertionError(process.stderr.read().decode())
            yield process
        finally:
            process.kill()


def caught_up(store: Store) -> Stored:
    """What is stored once a post is there that was published after now."""
    goal, give_up_at = time.time() + PEACE, time.monotonic() + PATIENCE
    while time.monotonic() < give_up_at:
        stored = store.stored()
        if max((published(key) or 0.0 for key in stored.keys), default=0.0) > goal:
            return stored
        time.sleep(0.1)
    raise AssertionError("the last process stores nothing new")


def missed(simulator: Simulator, stored: Stored) -> tuple[list[str], float, float]:
    """The posts between the first and the last stored one that are not stored, and when those two came."""
    endpoint, timeline = ENDPOINTS[PATH], simulator.timeline
    posts = {
        str(simulator.item(number, endpoint, {})[1]): timeline.dated(number)
        for number in range(timeline.published(time.time()))
    }
    dates = [posts[key] for key in stored.keys]
    first, last = min(dates), max(dates)
    return [key for key, at in posts.items() if first < at < last and key not in stored.keys], first, last


if __name__ == "__main__":
    sys.exit(main())
