"""A stream in a process of its own, and by how much the memory of that process grows at most."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import requests

from xdk_streaming import ConnectionState, Recovery, Stream, StreamConfig, StreamError

PATIENCE = 60.0
"""Seconds after which a stream is taken to hang."""


def growth(url: str, **settings: Any) -> dict[str, int]:
    """What a stream of this URL counts, and the MiB by which its process grows at most while it runs."""
    command = [sys.executable, "-m", "helpers.memory", url, json.dumps(settings)]
    folder = Path(__file__).parents[1]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, int] = json.loads(done.stdout)
    return found


def peak() -> int:
    """The most memory that this process has had so far, in MiB."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition("VmHWM:")[2].split()[0]) // 1024


def run(url: str, settings: dict[str, Any]) -> dict[str, int]:
    recovery = Recovery() if settings.pop("recovery", False) else None
    losses = settings.pop("losses", 1)
    config = StreamConfig(initial_backoff=0.01, max_backoff=0.01, recovery=recovery, **settings)

    def count(record: object) -> None:
        if sum(change.source is ConnectionState.STREAMING for change in stream.history) >= losses:
            stream.stop()

    config.observers = (count,)
    before, items = peak(), 0
    stream = Stream(requests.Session(), "get", url, config)
    with suppress(StreamError):
        for _ in stream:
            items += 1
    state = stream.state
    counts = {"items": items, "invalid": state.invalid_items, "heartbeats": state.heartbeats}
    return {**counts, "growth": peak() - before}


if __name__ == "__main__":
    print(json.dumps(run(sys.argv[1], json.loads(sys.argv[2]))))
