"""The client's process: records which posts arrive, and when."""

from __future__ import annotations

import json
import logging
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import requests

from benchmarks.chaos.publisher import STALL
from benchmarks.chaos.task import PAUSED_AFTER, Task
from xdk_streaming import Buffer, Gap, Recovery, Stream, StreamConfig, StreamError
from xdk_streaming.clock import SystemClock, Wake

LONGEST_WAIT = 0.05
"""Maximum seconds of a wait between attempts."""
LONGEST_LINE = 4096
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
        self._write(f"{name} {time.time():.6f}")

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
    config = StreamConfig(
        max_retries=-1,
        initial_backoff=0.01,
        max_backoff=LONGEST_WAIT,
        stall_timeout=STALL,
        max_item_bytes=LONGEST_LINE,
        recovery=Recovery(checkpoint=folder / CHECKPOINT),
        buffer=Buffer() if task.buffer else None,
        on_gap=diary.gap,
    )
    pauses = iter([task.pause] if task.pause else [])
    with requests.Session() as session:
        session.trust_env = False
        session.headers["Authorization"] = "Bearer chaos"
        while not told_to_end.is_set():
            stream = Stream[Any](session, "get", url, config, clock=Hasty())
            _end_on_sigterm(stream, told_to_end)
            try:
                with stream:
                    _write_down(stream, diary, pauses)
            except StreamError:
                diary.restart()


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
