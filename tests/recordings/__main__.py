"""Continues 300 random states of each kind of recording, which other programs read: `make recordings`."""

from __future__ import annotations

import logging
import random
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

import duckdb
import pandas

from recordings.states import State, continued, recorded_and_damaged

STATES = 300
NAMES = ("posts.ndjson", "posts.ndjson.gz", "posts.ndjson.zst")
TOOLS = {".gz": "zcat", ".zst": "zstdcat"}


def main() -> int:
    """Play all states. Prints a line for each kind of recording, and the story of a state that went wrong."""
    logging.getLogger("xdk_streaming").addHandler(logging.NullHandler())
    failed = False
    for name in NAMES:
        outcomes: Counter[str] = Counter()
        for seed in range(STATES):
            with tempfile.TemporaryDirectory() as folder:
                state = State(Path(folder) / name, random.Random(seed))
                recorded_and_damaged(state)
                try:
                    outcomes["continued" if continued(state, read_by_all) else "refused, unchanged"] += 1
                except AssertionError as wrong:
                    outcomes["WRONG"] += 1
                    print(f"{name}, state {seed}: {wrong}")
        failed |= "WRONG" in outcomes or not outcomes["continued"]
        told = ", ".join(f"{number} {outcome}" for outcome, number in sorted(outcomes.items()))
        print(f"{name:<18}{STATES} states: {told}; read alike by {readers(name)}")
    return int(failed)


def readers(name: str) -> str:
    """The programs that read a recording of this name."""
    tool = TOOLS.get(Path(name).suffix)
    return ", ".join([*([tool] if tool else []), "pandas", "duckdb"])


def read_by_all(path: Path) -> list[bytes]:
    """The lines of a recording, if all programs find the same."""
    tool = TOOLS.get(path.suffix, "cat")
    lines = subprocess.run([tool, str(path)], capture_output=True, check=True).stdout.splitlines()
    ids = [line.split(b'"')[5].decode() for line in lines if line]
    frame = pandas.read_json(path, lines=True, dtype=False)
    assert [data["id"] for data in frame["data"]] == ids, "pandas finds something else"
    rows = duckdb.sql(f"SELECT data.id FROM read_json('{path}', format='newline_delimited')").fetchall()
    assert [str(row[0]) for row in rows] == ids, "duckdb finds something else"
    return [line for line in lines if line]


if __name__ == "__main__":
    sys.exit(main())
