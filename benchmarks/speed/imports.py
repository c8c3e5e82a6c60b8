"""The cost of an import, in new interpreters that take turns."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from statistics import median

from benchmarks.speed.measure import Track, turns

SUBJECTS = {
    "xdk_streaming": "import xdk_streaming",
    "xdk.streaming": "import xdk.streaming",
    "tweepy": "import tweepy",
    "requests": "import requests",
}
PROGRAM = "import time; at = time.process_time(); {}; print((time.process_time() - at) * 1e3)"


def imports(rounds: int, track: Track) -> dict[str, float]:
    """CPU milliseconds of each import: the median of the rounds, without the first one."""
    names = [name for name in SUBJECTS if find_spec(name.partition(".")[0])]
    found: dict[str, list[float]] = {name: [] for name in names}
    for number in track(range(rounds + 1), "imports"):
        for name in turns(names, number):
            found[name].append(imported(SUBJECTS[name]))
    return {name: median(each[1:]) for name, each in found.items()}


def imported(statement: str) -> float:
    """CPU milliseconds of one import."""
    command = [sys.executable, "-c", PROGRAM.format(statement)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
