"""What the README guarantees: each cell of its table is played, and judged by what it promises."""

from __future__ import annotations

import signal
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

from benchmarks.chaos.account import Outcome, account
from benchmarks.chaos.consumer import DIARY, Diary
from benchmarks.chaos.play import running
from benchmarks.chaos.publisher import Published
from benchmarks.chaos.task import Task
from helpers.servers import until
from test_guarantees import PATH, PEACE, PROMISES, RATE, SLOW, Narrow, publishing
from xdk_streaming import Recovery, Stream, StreamConfig, item_key
from xdk_streaming.clock import SystemClock
from xdk_streaming.simulator import Cut, Live, Simulator
from xdk_streaming.x import ENDPOINTS, published

pytestmark = [pytest.mark.thorough, pytest.mark.usefixtures("nothing_is_left", "no_thread_complains")]

README = Path(__file__).parent.parent / "README.md"
HOUR = 3_600.0
Stored = Callable[[list[str]], object]
"""Called when posts are about to be stored. It may raise."""


class NoRoom(Exception):
    """What a store raises that fails."""


class Unsettled(SystemClock):
    """A machine whose wall clock somebody sets."""

    set_by = 0.0

    def time(self) -> float:
        return super().time() + self.set_by


@dataclass(frozen=True)
class Consumer:
    """One row of the table: how posts are taken and stored. Each method is for one process."""

    folder: Path

    def recovery(self) -> Recovery:
        return Recovery(checkpoint=self.folder / "seen")

    def batches(self, stream: Stream[Any]) -> Iterator[list[Any]]:
        return iter(stream.batches(200, 0.05))

    @contextmanager
    def store(self) -> Iterator[Callable[[list[str], float | None], object]]:
        """Appends to a file, which knows neither posts nor positions."""
        diary = Diary(self.folder)
        yield lambda names, _: diary.posts(names)

    def stored(self) -> list[str]:
        """Each stored post, with the moment at which it was stored."""
        return (self.folder / DIARY).read_text().splitlines()

    def live(self, url: str, enough: Callable[[str], bool], on_store: Stored, clock: SystemClock) -> None:
        """Run one stream, and leave it cleanly after the first post that is enough."""
        config = StreamConfig(jitter=False, initial_backoff=0.3, recovery=self.recovery())
        with requests.Session() as session, self.store() as store:
            session.trust_env = False
            session.headers["Authorization"] = "Bearer any"
            session.mount("http://", Narrow())
            with Stream[Any](session, "get", url, config, clock=clock) as stream:
                for batch in self.batches(stream):
                    names = [str(item_key(item)) for item in batch]
                    on_store(names)
                    store(names, stream.position)
                    if enough(names[-1]):
                        break


class OneByOne(Consumer):
    """Takes items."""

    def batches(self, stream: Stream[Any]) -> Iterator[list[Any]]:
        return ([item] for item in stream)


class WithPosition(Consumer):
    """Keeps posts and position in one transaction of SQLite."""

    def recovery(self) -> Recovery:
        with self._opened() as db:
            found = db.execute("SELECT position FROM progress").fetchone()
        return Recovery(resume_from=found[0] if found else None, dedupe=False)

    @contextmanager
    def store(self) -> Iterator[Callable[[list[str], float | None], object]]:
        with self._opened() as db:

            def store(names: list[str], position: float | None) -> None:
                now = time.time()
                with db:
                    rows = [(name, now) for name in names]
                    db.executemany("INSERT OR IGNORE INTO posts VALUES (?, ?)", rows)
                    db.execute("INSERT OR REPLACE INTO progress VALUES (1, ?)", [position])

            yield store

    def stored(self) -> list[str]:
        with self._opened() as db:
            return [f"{key} {at}" for key, at in db.execute("SELECT key, at FROM posts")]

    @contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self.folder / "posts.db", timeout=30)) as db:
            db.execute("CREATE TABLE IF NOT EXISTS posts (key TEXT PRIMARY KEY, at REAL)")
            db.execute("CREATE TABLE IF NOT EXISTS progress (one INTEGER PRIMARY KEY, position REAL)")
            yield db


def nothing(names: list[str]) -> None:
    """Store them."""


def later_than(moment: float) -> Callable[[str], bool]:
    return lambda name: (published(name) or 0.0) > moment


def after(simulator: Simulator, connections: int) -> Callable[[str], bool]:
    """Whether a post was published a while after so many connections stood."""
    now = time.time()

    def enough(name: str) -> bool:
        if len(simulator.requests) < connections:
            return False
        return (published(name) or 0.0) > max(simulator.requests[-1].opened_at, now) + PEACE

    return enough


# What happens, by the head of the table.


def a_lost_connection(consumer: Consumer, folder: Path) -> Outcome:
    with publishing((Live(PEACE), Cut())) as simulator:
        consumer.live(simulator.url + PATH, after(simulator, 2), nothing, SystemClock())
        return seen(consumer, simulator, [])


def a_restart(consumer: Consumer, folder: Path) -> Outcome:
    with publishing() as simulator:
        consumer.live(simulator.url + PATH, later_than(time.time() + PEACE), nothing, SystemClock())
        some_time_passes(simulator)
        consumer.live(simulator.url + PATH, after(simulator, 2), nothing, SystemClock())
        return seen(consumer, simulator, [])


def a_kill(consumer: Consumer, folder: Path) -> Outcome:
    with publishing() as simulator:
        with running(live_until_killed, type(consumer), folder, simulator.url + PATH) as process:
            until(lambda: (folder / "begun").exists())
            time.sleep(2 * PEACE)
            process.kill()
            process.join()
            killed_at = time.time()
        some_time_passes(simulator)
        consumer.live(simulator.url + PATH, after(simulator, 2), nothing, SystemClock())
        return seen(consumer, simulator, [killed_at])


def live_until_killed(kind: type[Consumer], folder: Path, url: str) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)

    def begin(names: list[str]) -> None:
        (folder / "begun").touch()

    kind(folder).live(url, lambda _: False, begin, SystemClock())


def a_store_that_fails(consumer: Consumer, folder: Path) -> Outcome:
    with publishing() as simulator:
        ends_at = time.time() + PEACE

        def fail(names: list[str]) -> None:
            if later_than(ends_at)(names[-1]):
                raise NoRoom

        with pytest.raises(NoRoom):
            consumer.live(simulator.url + PATH, lambda _: False, fail, SystemClock())
        some_time_passes(simulator)
        consumer.live(simulator.url + PATH, after(simulator, 2), nothing, SystemClock())
        return seen(consumer, simulator, [])


def a_pause(consumer: Consumer, folder: Path) -> Outcome:
    with publishing() as simulator:
        pauses = iter([None])

        def pause(names: list[str]) -> None:
            with suppress(StopIteration):
                next(pauses)
                until(lambda: simulator.requests[0].outcome == SLOW)

        consumer.live(simulator.url + PATH, after(simulator, 2), pause, SystemClock())
        return seen(consumer, simulator, [])


def a_clock_step(consumer: Consumer, folder: Path) -> Outcome:
    """Set the clock forward in one outage, and back before a restart."""
    with publishing((Live(PEACE), Cut())) as simulator:
        clock = Unsettled()

        def set_forward(names: list[str]) -> None:
            clock.set_by = HOUR

        consumer.live(simulator.url + PATH, after(simulator, 2), set_forward, clock)
        some_time_passes(simulator)
        clock = Unsettled()
        clock.set_by = -HOUR
        consumer.live(simulator.url + PATH, after(simulator, 3), nothing, clock)
        return seen(consumer, simulator, [])


def some_time_passes(simulator: Simulator) -> None:
    """In which posts are published that nobody hears."""
    count = simulator.timeline.published(time.time())
    until(lambda: simulator.timeline.published(time.time()) > count + RATE * PEACE)


def seen(consumer: Consumer, simulator: Simulator, kills: list[float]) -> Outcome:
    endpoint, timeline = ENDPOINTS[PATH], simulator.timeline
    numbers = range(timeline.published(time.time()))
    posts = [Published(str(simulator.item(n, endpoint, {})[1]), timeline.dated(n)) for n in numbers]
    return account(Task("", RATE, len(posts)), posts, [], consumer.stored(), kills)


CONSUMERS: dict[str, type[Consumer]] = {
    "one by one, a checkpoint": OneByOne,
    "batches, a checkpoint": Consumer,
    "batches, a store with the position": WithPosition,
}
EVENTS: dict[str, Callable[[Consumer, Path], Outcome]] = {
    "a lost connection": a_lost_connection,
    "a restart": a_restart,
    "`kill -9`": a_kill,
    "a store that fails": a_store_that_fails,
    "a pause": a_pause,
    "a clock step": a_clock_step,
}


def table() -> dict[str, list[str]]:
    """What the README promises, by row; its head under the name of the first column."""
    section = README.read_text(encoding="utf-8").partition("\n## What is guaranteed")[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if "---" not in line]
    return {row[0]: row[1:] for row in rows}


TABLE = table()


def test_the_table_names_what_is_played() -> None:
    head, *rows = TABLE
    assert TABLE[head] == list(EVENTS)
    assert rows == list(CONSUMERS)


@pytest.mark.parametrize("event", EVENTS)
@pytest.mark.parametrize("row", CONSUMERS)
def test_it_is_as_the_readme_promises(row: str, event: str, tmp_path: Path) -> None:
    promise = TABLE[row][list(EVENTS).index(event)]
    outcome = EVENTS[event](CONSUMERS[row](tmp_path), tmp_path)
    assert outcome.received > 100
    assert PROMISES[promise](outcome), outcome
