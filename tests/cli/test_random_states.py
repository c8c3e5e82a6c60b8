"""A recording in any state is continued: no whole line is lost, and what is written is what is read."""

from __future__ import annotations

import gzip
import random
from io import BytesIO
from pathlib import Path

import pytest
import zstandard

from helpers.systems import posix

STATES = 100


def read(path: Path) -> list[bytes]:
    data = path.read_bytes()
    if path.suffix == ".gz":
        data = gzip.decompress(data)
    elif path.suffix == ".zst":
        data = zstandard.ZstdDecompressor().stream_reader(BytesIO(data), read_across_frames=True).read()
    return data.splitlines()


@posix("limits of a process, links and named pipes are used")
@pytest.mark.thorough
@pytest.mark.parametrize("name", ["posts.ndjson", "posts.ndjson.gz", "posts.ndjson.zst"])
def test_no_state_of_a_recording_costs_a_line(name: str, tmp_path: Path) -> None:
    from recordings.states import State, continued, recorded_and_damaged

    wrote = 0
    for seed in range(STATES):
        folder = tmp_path / str(seed)
        folder.mkdir()
        state = State(folder / name, random.Random(seed))
        recorded_and_damaged(state)
        wrote += continued(state, read)
    assert wrote > STATES / 2
