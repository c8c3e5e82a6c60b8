"""The README and the pages are true: blocks run, tables are those of the code, links lead somewhere."""

from __future__ import annotations

import configparser
import dataclasses
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import sysconfig
import time
from pathlib import Path
from typing import Any

import pytest
import zstandard

from xdk_streaming import Backoff, BackoffPolicy, Buffer, Recovery, StreamConfig, StreamState
from xdk_streaming.backoff import X_LADDERS
from xdk_streaming.cli.exits import ExitCode
from xdk_streaming.machine.table import TABLE
from xdk_streaming.simulator import Simulator

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
README = ROOT / "README.md"
PAGES = [README, *sorted(DOCS.glob("*.md"))]
X = "https://api.x.com"

INSTALLS = ("pip install .", "pip install '.[cli]'", "pip install '.[fast]'")
BY_THE_GATE = ("make demo", "make test", *INSTALLS, "xdk-streaming demo")
"""Commands that .ci/run runs: they need a clean checkout. make demo and make test install all of these."""

OF_STORES = ("psycopg", "pyarrow")
"""Packages of programs that `make stores` runs, with the servers that they need."""

ARGUMENTS = {
    "on_connect": "",
    "on_error": "error",
    "on_disconnect": "exception",
    "on_reconnect": "attempt, delay",
}


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def blocks(page: Path, language: str) -> list[str]:
    fenced = re.findall(r"^```(\w*)\n(.*?)^```", text_of(page), re.DOTALL | re.MULTILINE)
    return [code for tag, code in fenced if tag == language]


def numbered(language: str) -> list[Any]:
    return [
        pytest.param(page, code, id=f"{page.stem}-{number}")
        for page in PAGES
        for number, code in enumerate(blocks(page, language), start=1)
        if not any(f"import {package}" in code for package in OF_STORES)
    ]


def table_under(page: Path, heading: str) -> list[list[str]]:
    """The cells of the first table under a heading, without its head."""
    section = text_of(page).split(f"\n## {heading}\n")[1].split("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", row)[1:-1]] for row in rows[2:]]


def environment(**more: str) -> dict[str, str]:
    scripts = sysconfig.get_path("scripts")
    path = f"{scripts}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, "PATH": path, "PYTHONUNBUFFERED": "1", "X_BEARER_TOKEN": "any", **more}


def run(arguments: list[str], folder: Path, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        arguments, capture_output=True, text=True, cwd=folder, env=environment(**more), timeout=50
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the files that the pages name."""
    post = {
        "data": {"id": "1", "text": "recorded", "author_id": "7", "created_at": "2026-01-01T00:00:00.000Z"},
        "includes": {"users": [{"id": "7", "name": "Seven", "username": "seven"}]},
    }
    lines = "".join(json.dumps(post) + "\n" for _ in range(3)).encode()
    (tmp_path / "posts.ndjson").write_bytes(lines)
    half = len(lines) // 3
    compress = zstandard.ZstdCompressor().compress
    recorded = compress(lines[:half]) + compress(lines[half:])  # in frames, as the command line writes it
    (tmp_path / "recorded.ndjson.zst").write_bytes(recorded)
    return tmp_path


# Blocks


@pytest.mark.parametrize(("page", "code"), numbered("python"))
def test_a_python_block_runs(page: Path, code: str, folder: Path) -> None:
    if "X_BEARER_TOKEN" in code:
        shown = first_lines_of_a_stream(code, folder)
        assert all(len(line.split()) > 2 for line in shown)
        return
    done = run([sys.executable, "-W", "error", "-X", "dev", "-c", code], folder)
    assert done.returncode == 0, done.stderr
    assert "Warning" not in done.stderr  # of something left open, say
    assert "Traceback" not in done.stderr  # of the simulator's, say
    assert done.stdout or "print" not in code


def first_lines_of_a_stream(code: str, folder: Path) -> list[str]:
    """What a block that streams from X, without end, prints when a simulator stands in for X."""
    with Simulator(rate=50) as x:
        command = [sys.executable, "-W", "error", "-c", code.replace(X, x.url)]
        pipe = subprocess.PIPE
        with subprocess.Popen(
            command, cwd=folder, env=environment(), text=True, stdout=pipe, stderr=pipe
        ) as process:
            assert process.stdout
            shown = [process.stdout.readline() for _ in range(3)]
            running = process.poll() is None
            process.terminate()
            _, errors = process.communicate(timeout=20)
    assert running, errors
    return shown


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "sh")], ids=lambda page: page.stem)
def test_the_commands_of_a_page_run(page: Path, folder: Path) -> None:
    commands = [line for code in blocks(page, "sh") for line in code.splitlines() if line.strip()]
    with Simulator(rate=100) as x:
        for command in (line.partition(" #")[0].strip() for line in commands):
            if command in BY_THE_GATE:
                makefile = text_of(ROOT / "Makefile")
                extras = re.findall(r"'\.\[\w+\]'", command)
                assert all(f"install --quiet --editable {extra}" in makefile for extra in extras)
                continue
            before = set(folder.iterdir())
            done = run(shlex.split(command), folder, XDK_STREAMING_BASE_URL=x.url, XDK_STREAMING_LIMIT="3")
            if "svg" in command and "Graphviz" in done.stderr:
                assert done.returncode == 1  # the clear error if dot is missing
                continue
            assert done.returncode == 0, (command, done.stderr)
            assert done.stdout or set(folder.iterdir()) > before


def test_the_setup_commands_come_first_and_the_gate_runs_them() -> None:
    first = text_of(README).splitlines()[1:3]
    assert [line.split("#")[0].strip() for line in first] == ["make demo", "make test"]
    assert {"make demo", "make test"} <= set(text_of(ROOT / ".ci" / "run").splitlines())


def test_the_gate_runs_the_programs_that_need_a_server() -> None:
    headings = [
        name for name, _ in re.findall(r"^## (\w+)\n(.*?```python)", text_of(DOCS / "stores.md"), re.M | re.S)
    ]
    cases = text_of(ROOT / "tests" / "stores" / "__main__.py")
    assert headings[-2:] == ["PostgreSQL", "Parquet"]
    assert all(f'"{heading}":' in cases for heading in headings)
    assert "  make stores" in text_of(ROOT / ".ci" / "run").splitlines()


# Links


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_each_link_and_picture_of_a_page_leads_somewhere(page: Path) -> None:
    prose = re.sub(r"^```.*?^```", "", text_of(page), flags=re.DOTALL | re.MULTILINE)
    for link in re.findall(r"\]\((?!https?:)([^)]+)\)", prose):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def anchors(page: Path) -> set[str]:
    """The names that GitHub gives to the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", text_of(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_index_lists_every_page() -> None:
    listed = set(re.findall(r"\]\(([\w-]+\.md)\)", text_of(DOCS / "README.md")))
    assert listed == {page.name for page in DOCS.glob("*.md")} - {"README.md"}


def test_the_readme_is_short() -> None:
    assert len(text_of(README).splitlines()) < 220


# Tables


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
    assert table_under(DOCS / "callbacks-and-observers.md", "Callbacks")[: len(expected)] == expected


def test_the_table_of_the_state_has_every_field() -> None:
    shown = [row[0].strip("`") for row in table_under(DOCS / "callbacks-and-observers.md", "Values")]
    assert shown == [field.name for field in dataclasses.fields(StreamState)]


def short(value: Any) -> str:
    """A value as one would write it: a value with all its defaults is its class, called."""
    kind: Any = type(value)
    if dataclasses.is_dataclass(value) and value == kind():
        return f"{kind.__name__}()"
    return str(value)


def fields_of(settings: Any, *, kw_only: bool | None = None) -> dict[str, str]:
    """The names and defaults, as the page shows them."""
    shown = {}
    for field in dataclasses.fields(settings):
        if kw_only is None or field.kw_only is kw_only:
            value = getattr(settings, field.name)
            shown[field.name] = f'"{value}"' if isinstance(value, str) else short(value)
    return shown


@pytest.mark.parametrize(
    ("heading", "expected"),
    [
        ("StreamConfig, as in xdk.streaming", fields_of(StreamConfig(), kw_only=False)),
        ("StreamConfig, ours", fields_of(StreamConfig(), kw_only=True)),
        ("Recovery", fields_of(Recovery())),
        ("Buffer", fields_of(Buffer())),
    ],
)
def test_the_table_of_settings_is_the_codes(heading: str, expected: dict[str, str]) -> None:
    rows = table_under(DOCS / "settings.md", heading)
    assert {row[0].strip("`"): row[1] for row in rows} == expected
    assert all(row[2] for row in rows)


def in_words(ladder: Backoff) -> str:
    if ladder.increment:
        return f"{ladder.first:g} s, {ladder.increment:g} s more each time, up to {ladder.cap:g} s"
    assert ladder.factor == 2
    return f"{ladder.first:g} s, doubling up to {ladder.cap:g} s"


def test_the_table_of_delays_is_what_x_publishes() -> None:
    shown = {row[0].strip("`"): row[1] for row in table_under(DOCS / "settings.md", "BackoffPolicy")}
    names = [field.name for field in dataclasses.fields(BackoffPolicy)]
    assert shown == {name: in_words(getattr(X_LADDERS, name)) for name in names}


# Figures


def test_the_figures_of_speed_are_those_that_were_measured() -> None:
    measured = json.loads((ROOT / "benchmarks/results/speed.json").read_text(encoding="utf-8"))
    names = {row["title"]: name for name, row in measured["workloads"].items()}
    for title, floor, xdk in table_under(DOCS / "speed.md", "At a glance"):
        name = names[title]
        assert floor == f"{measured['throughput'][name]['xdk_streaming']['beside_floor']['median']:.2f}"
        if beside := measured["workloads"][name]["beside_xdk"]:
            assert xdk == f"{beside['median']:.2f} times"
            assert title != "one post a chunk" or f"about {beside['median']:.1f} times" in text_of(README)


# The service


def unit() -> configparser.ConfigParser:
    (block,) = blocks(DOCS / "getting-started.md", "ini")
    parsed = configparser.ConfigParser(interpolation=None)
    parsed.optionxform = str  # type: ignore[assignment,method-assign]  # names keep their case
    parsed.read_string(block)
    return parsed


def test_the_unit_restarts_what_a_restart_can_cure() -> None:
    service = unit()["Service"]
    hopeless = {ExitCode.USAGE, ExitCode.AUTHENTICATION, ExitCode.REFUSED}
    assert {int(code) for code in service["RestartPreventExitStatus"].split()} == hopeless
    assert int(service["SuccessExitStatus"]) == ExitCode.TERMINATED


def test_the_units_command_streams_and_ends_as_the_unit_expects(tmp_path: Path) -> None:
    command = unit()["Service"]["ExecStart"]
    (tmp_path / "token").write_text("any\n", encoding="utf-8")
    placed = (
        command.replace("/opt/posts/bin/", "").replace("%d", str(tmp_path)).replace("%S/posts", str(tmp_path))
    )
    assert "%" not in placed
    with Simulator(rate=100) as x:
        settings = environment(XDK_STREAMING_BASE_URL=x.url)
        del settings["X_BEARER_TOKEN"]
        with subprocess.Popen(
            shlex.split(placed), env=settings, stderr=subprocess.PIPE, text=True
        ) as process:
            wait_for_posts(process, tmp_path)
            process.send_signal(signal.SIGTERM)
            _, errors = process.communicate(timeout=20)
    assert process.returncode == int(unit()["Service"]["SuccessExitStatus"]), errors


def wait_for_posts(process: subprocess.Popen[str], folder: Path) -> None:
    deadline = time.monotonic() + 30
    while not any(part.stat().st_size for part in folder.glob("posts*.zst*")):
        assert process.poll() is None, process.stderr and process.stderr.read()
        assert time.monotonic() < deadline, "nothing was recorded"
        time.sleep(0.05)
