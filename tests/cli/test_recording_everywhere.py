"""Recordings by a process of its own and without a terminal, as every system runs it, Windows included."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from helpers.consumers import GUARD
from xdk_streaming.simulator import Simulator


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    with Simulator(rate=200) as running:
        yield running


def recorded(simulator: Simulator, *options: object) -> bytes:
    """What `xdk-streaming sample` prints with these options. It must end well."""
    command = [sys.executable, "-m", "xdk_streaming", "sample", "--base-url", simulator.url]
    ran = subprocess.run(
        [*command, *map(str, options)],
        env={**os.environ, "X_BEARER_TOKEN": "any-token"},
        capture_output=True,
        timeout=2 * GUARD,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def items(data: bytes) -> list[Any]:
    assert b"\r" not in data
    return [json.loads(line) for line in data.splitlines()]


@pytest.mark.thorough
def test_standard_output_gets_a_line_for_each_item(simulator: Simulator) -> None:
    assert len(items(recorded(simulator, "-n", 5))) == 5


@pytest.mark.thorough
@pytest.mark.parametrize("name", ["posts.ndjson", "posts.ndjson.gz"])
def test_a_file_is_written_continued_and_left_alone_in_its_folder(
    simulator: Simulator, tmp_path: Path, name: str
) -> None:
    path = tmp_path / name
    for _ in range(2):
        recorded(simulator, "-n", 100, "-o", path)
    data = path.read_bytes()
    assert len(items(gzip.decompress(data) if name.endswith(".gz") else data)) == 200
    assert [each.name for each in tmp_path.iterdir()] == [name]


@pytest.mark.thorough
def test_a_recording_is_rotated(simulator: Simulator, tmp_path: Path) -> None:
    recorded(simulator, "--for", "3s", "--rotate", "1s", "-o", tmp_path / "posts.ndjson")
    parts = sorted(tmp_path.iterdir())
    assert len(parts) > 1
    found = [item["data"]["id"] for part in parts for item in items(part.read_bytes())]
    assert len(found) == len(set(found)) > 100
