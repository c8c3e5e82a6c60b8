"""The README says what the code does: its blocks run, its tables are the code's."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import shlex
import statistics
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from xdk_streaming import StreamConfig
from xdk_streaming.machine.table import TABLE
from xdk_streaming.simulator import Simulator

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```", README, re.DOTALL | re.MULTILINE)
PYTHON = [code for language, code in BLOCKS if language == "python"]
SHELL = [line for language, code in BLOCKS if language == "sh" for line in code.splitlines() if line]

INSTALLS = ("pip install .", "pip install '.[cli]'", "pip install '.[fast]'")
BY_THE_GATE = ("make demo", "make test", *INSTALLS, "xdk-streaming demo")
"""What .ci/run runs (make demo and make test install them all), for it needs a clean checkout."""

ARGUMENTS = {
    "on_connect": "",
    "on_error": "error",
    "on_disconnect": "exception",
    "on_reconnect": "attempt, delay",
}


def table_under(heading: str) -> list[list[str]]:
    """The cells of the first table under a heading, without its head."""
    section = README.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows[2:]]


def run(arguments: list[str], folder: Path, **more: str) -> subprocess.CompletedProcess[str]:
    scripts = sysconfig.get_path("scripts")
    environment = {**os.environ, "PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}", **more}
    return subprocess.run(arguments, capture_output=True, text=True, cwd=folder, env=environment, timeout=50)


@pytest.mark.thorough
@pytest.mark.parametrize("code", PYTHON, ids=lambda code: code.strip().splitlines()[-1][:30])
def test_a_python_block_runs(code: str, tmp_path: Path) -> None:
    shown = run([sys.executable, "-W", "error", "-c", code], tmp_path)
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout or code.count("\n") == 1


def test_the_setup_commands_come_first_and_the_gate_runs_them() -> None:
    assert [line.split("#")[0].strip() for line in README.splitlines()[1:3]] == ["make demo", "make test"]
    gate = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    assert {"make demo", "make test"} <= set(gate)


@pytest.mark.thorough
@pytest.mark.parametrize("command", [line.split("#")[0].strip() for line in SHELL])
def test_a_shell_command_runs(command: str, tmp_path: Path) -> None:
    if command in BY_THE_GATE:
        makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
        extras = re.findall(r"'\.\[\w+\]'", command)
        assert all(f"install --quiet --editable {extra}" in makefile for extra in extras)
        return
    (tmp_path / "posts.ndjson").write_bytes(b'{"data":{"id":"1","text":"recorded"}}\n')
    with Simulator(rate=100) as x:
        here = {"XDK_STREAMING_BASE_URL": x.url, "XDK_STREAMING_LIMIT": "3", "X_BEARER_TOKEN": "any"}
        shown = run(shlex.split(command), tmp_path, **here)
    if "svg" in command and "Graphviz" in shown.stderr:
        assert shown.returncode == 1  # the clear error where dot is missing
        return
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout or len(list(tmp_path.iterdir())) > 1


def test_the_table_of_callbacks_is_the_transition_tables() -> None:
    expected = [
        [
            row.trigger.value,
            row.source.name,
            row.dest.name,
            ", ".join(f"`{name}({ARGUMENTS[name]})`" for name in row.notify),
        ]
        for row in TABLE
        if row.notify
    ]
    assert table_under("Callbacks") == expected


def test_the_table_of_settings_is_the_configs() -> None:
    defaults = StreamConfig()
    fields = dataclasses.fields(StreamConfig)
    ours = {field.name: getattr(defaults, field.name) for field in fields if field.kw_only}
    shown = {name.strip("`"): default for name, default, _ in table_under("Settings of our own")}
    assert shown == {
        name: f'"{default}"' if isinstance(default, str) else str(default) for name, default in ours.items()
    }


def test_every_file_it_links_to_is_there() -> None:
    links = re.findall(r"\]\((?!http)([^)#]+)", README)
    assert "diagrams/connection.svg" in links
    assert all((ROOT / link).exists() for link in links)


def test_it_stays_under_300_lines() -> None:
    assert len(README.splitlines()) < 300


def test_the_figures_of_speed_are_those_that_were_measured() -> None:
    measured = json.loads((ROOT / "benchmarks/results/speed.json").read_text(encoding="utf-8"))
    rows = {row["title"]: row["readers"] for row in measured["throughput"].values()}
    for title, floor, xdk in table_under("How fast"):
        ours = rows[title]["xdk_streaming"]
        assert floor == f"{ours['beside_floor']['median']:.2f}"
        if "xdk" in rows[title]:
            pairs = zip(rows[title]["xdk"]["cpu_seconds"], ours["cpu_seconds"], strict=True)
            assert xdk == f"{statistics.median(theirs / mine for theirs, mine in pairs):.2f} times"
