"""The client's process: records which posts arrive, and when."""

from __future__ import annotations

import json
import logging
import os
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import requests

from benchmarks.chaos.publisher import STALL
from benchmarks.chaos.task import PAUSED_AFTER, Task
from xdk_streaming import Buffer, Gap, Recovery, Stream, StreamConfig, StreamError, item_key
from xdk_streaming.clock import SystemClock, Wake

LONGEST_WAIT = 0.05
"""Maximum seconds of a wait between attempts."""
LONGEST_LINE = 4096
BATCH, BATCH_SECONDS = 200, 0.05
DIARY, CHECKPOINT = "diary", "checkpoint"


class Hasty(SystemClock):
    """A clock with short waits."""

    def wait(self, seconds: float, wake: Wake) -> None:
        """Wait for at most a twentieth of a second."""
        super().wait(min(seconds, LONGEST_WAIT), wake)


class Diary:
    """A record of events, one per line. A line survives a kill, because the kernel has it at once."""

    def __init__(self, folder: Path) -> None:
        self._file = os.open(folder / DIARY, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def post(self, name: str) -> None:
        """Record a post that was yielded."""
        self.posts([name])

    def posts(self, names: Sequence[str], position: float | None = None) -> None:
        """Record posts, and the position after them, in one step."""
        lines = [f"{name} {time.time():.6f}" for name in names]
        self._write("\n".join(lines if position is None else [*lines, f"position {position!r}"]))

    def gap(self, gap: Gap) -> None:
        """Record a gap that was reported."""
        told = {name: value for name, value in asdict(gap).items() if name != "refill"}
        self._write(f"gap {json.dumps(told)}")

    def restart(self) -> None:
        """Record that an error that no retry can cure has ended the stream."""
        self._write("restart")

    def _write(self, line: str) -> None:
        os.write(self._file, f"{line}\n".encode())


def consume(url: str, folder: Path, task: Task) -> None:
    """Record each post with its arrival, and each gap, until SIGTERM; restart after final errors."""
    logging.getLogger("xdk_streaming").setLevel(logging.CRITICAL)
    diary, told_to_end = Diary(folder), threading.Event()
    pauses = iter([task.pause] if task.pause else [])
    with requests.Session() as session:
        session.trust_env = False
        session.headers["Authorization"] = "Bearer chaos"
        while not told_to_end.is_set():
            known, recovery = _resumed(folder, task)
            config = StreamConfig(
                max_retries=-1,
                initial_backoff=0.01,
                max_backoff=LONGEST_WAIT,
                stall_timeout=STALL,
                max_item_bytes=LONGEST_LINE,
                recovery=recovery,
                buffer=Buffer() if task.buffer else None,
                on_gap=diary.gap,
            )
            stream = Stream[Any](session, "get", url, config, clock=Hasty())
            _end_on_sigterm(stream, told_to_end)
            try:
                with stream:
                    if task.consumer == "one by one":
                        _write_down(stream, diary, pauses)
                    else:
                        _write_down_batches(stream, diary, known)
            except StreamError:
                diary.restart()


def _resumed(folder: Path, task: Task) -> tuple[set[str] | None, Recovery]:
    """What a store knows that keeps its own position, and how the stream goes on."""
    if task.consumer != "position":
        return None, Recovery(checkpoint=folder / CHECKPOINT)
    entries = (folder / DIARY).read_text().splitlines()
    positions = [entry.split()[1] for entry in entries if entry.startswith("position ")]
    resume_from = float(positions[-1]) if positions else None
    known = {entry.split()[0] for entry in entries if entry[0].isdigit()}
    return known, Recovery(resume_from=resume_from, dedupe=False)


def _end_on_sigterm(stream: Stream[Any], told_to_end: threading.Event) -> None:
    def end(*_: object) -> None:
        told_to_end.set()
        stream.stop()

    signal.signal(signal.SIGTERM, end)


def _write_down(stream: Stream[Any], diary: Diary, pauses: Iterator[float]) -> None:
    for item in stream:
        diary.post(str(item["data"]["id"]))
        if stream.state.total_items_received >= PAUSED_AFTER:
            with suppress(StopIteration):
                time.sleep(next(pauses))


def _write_down_batches(stream: Stream[Any], diary: Diary, known: set[str] | None) -> None:
    """A store of batches. If it knows its posts, it writes none twice, and keeps the position beside them."""
    for batch in stream.batches(BATCH, BATCH_SECONDS):
        names = [str(item_key(item)) for item in batch]
        if known is None:
            diary.posts(names)
        else:
            diary.posts([name for name in dict.fromkeys(names) if name not in known], stream.position)
            known.update(names)
