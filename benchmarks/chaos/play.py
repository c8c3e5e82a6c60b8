"""One run: the two processes, the kills, and the comparison."""

from __future__ import annotations

import multiprocessing
import os
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.chaos.account import Outcome, account
from benchmarks.chaos.consumer import DIARY, consume
from benchmarks.chaos.publisher import serve
from benchmarks.chaos.task import Task
from xdk_streaming.x import published

PATIENCE = 120.0
"""Seconds for the client to catch up after the last fault."""
GLANCE = 0.2
OPENING = 1.0
"""Seconds for which a connection may be opening, in which what is published counts as its past."""


@contextmanager
def running(target: Any, *arguments: Any) -> Iterator[Any]:
    """A new process, which is terminated at the end of the block."""
    process = multiprocessing.get_context("spawn").Process(target=target, args=arguments)
    process.start()
    try:
        yield process
    finally:
        process.terminate()
        process.join()


class Progress:
    """The progress of the server: updated in place on a terminal, printed at every tenth elsewhere."""

    def __init__(self, task: Task, line: Any) -> None:
        self.played: list[str] = []
        self.peaceful_since: float | None = None
        """When the last connection opened that no fault will end, in Unix seconds."""
        self.done = 0.0
        self._task = task
        self._line = line
        self._shown = -1

    def ask(self, kills: int) -> float:
        """Ask the server for its progress. Returns the share that is done."""
        self._line.send("how far")
        published, self.played, self.peaceful_since = self._line.recv()
        faults = len(self.played) / self._task.faults if self._task.faults else 1.0
        self.done = min(published / self._task.posts, faults, 1.0)
        told = f"{self.done:4.0%}  {published:,} posts, {len(self.played)} faults, {kills} kills"
        if sys.stderr.isatty():
            print(f"\r{told} ", end="", file=sys.stderr, flush=True)
        elif int(self.done * 10) > self._shown:
            self._shown = int(self.done * 10)
            print(told, file=sys.stderr, flush=True)
        return self.done


def play(task: Task) -> Outcome:
    """Make one run, from the first connection to the comparison."""
    ours, theirs = multiprocessing.Pipe()
    started, kills = time.monotonic(), list[float]()
    with tempfile.TemporaryDirectory() as name, running(serve, theirs, task):
        folder, url = Path(name), ours.recv()
        progress = Progress(task, ours)
        restarts = task.restarts
        random.Random(task.seed).shuffle(restarts)
        for number, kill in enumerate(restarts, 1):
            with running(consume, url, folder, task) as consumer:
                _wait(progress, number / (len(restarts) + 1), folder, kills, consumer)
                if kill:
                    consumer.kill()
                    kills.append(time.time())
        with running(consume, url, folder, task) as consumer:
            _wait(progress, 1.0, folder, kills, consumer)
            _catch_up(progress, kills, folder, consumer)
        ours.send("end")
        posts, ends = ours.recv(), ours.recv()
        diary = (folder / DIARY).read_text().splitlines()
    outcome = account(task, posts, ends, diary, kills)
    outcome.played = Counter(progress.played)
    outcome.seconds = time.monotonic() - started
    return outcome


def _catch_up(progress: Progress, kills: list[float], folder: Path, consumer: Any) -> None:
    """Wait until the client has a post that was published after its last connection opened.

    Such a post is live, and follows the whole backfill of its connection. A backfill is not sorted and may
    begin with its newest posts: a run that stopped within one would miss posts that are on their way.
    """
    give_up_at = time.time() + PATIENCE
    while consumer.is_alive() and time.time() < give_up_at:
        progress.ask(len(kills))
        since, newest = progress.peaceful_since, _newest(folder / DIARY)
        if since is not None and newest is not None and newest > since + OPENING:
            return
        time.sleep(GLANCE)


def _newest(diary: Path) -> float | None:
    """When the last recorded post was published, in Unix seconds."""
    with diary.open("rb") as file:
        file.seek(-min(4096, diary.stat().st_size), os.SEEK_END)
        posts = [line for line in file.read().splitlines()[1:] if line[:1].isdigit()]
    return published(posts[-1].split()[0].decode()) if posts else None


def _wait(progress: Progress, goal: float, folder: Path, kills: list[float], consumer: Any) -> None:
    """Wait until the server has reached `goal`, and the current client has received a post."""
    diary = folder / DIARY
    before = diary.stat().st_size if diary.exists() else 0
    while progress.ask(len(kills)) < goal or not diary.exists() or diary.stat().st_size == before:
        if not consumer.is_alive():
            raise RuntimeError("the client's process has exited unexpectedly; see its output above")
        time.sleep(GLANCE)
