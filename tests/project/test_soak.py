"""The soak: that it runs and passes in small, and that it would not pass if something grew."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "soak.py"


@pytest.fixture(scope="module")
def soak() -> Any:
    spec = importlib.util.spec_from_file_location("soak", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["soak"] = module  # its dataclasses look their annotations up there
    spec.loader.exec_module(module)
    return module


def test_a_short_soak_finds_nothing_that_grows_and_writes_its_page(tmp_path: Path) -> None:
    written = tmp_path / "soak.md"
    command = [sys.executable, str(SCRIPT), "--reconnects", "200", "--no-tls", "--output", str(written)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=50)
    assert done.returncode == 0, done.stdout + done.stderr
    page = written.read_text(encoding="utf-8")
    assert done.stdout == page + "\n"
    assert "- plain HTTP: flat. From reconnect 100 to 200: memory " in page
    assert "python benchmarks/soak.py --reconnects 200 --no-tls" in page
    assert re.findall(r"^\| +(\d+) \|", page, re.MULTILINE) == ["0", "100", "200"]
    assert "- a stall: 1\n" in page
    assert str(tmp_path) not in page


def samples(soak: Any, **grown: float) -> list[Any]:
    """Eleven samples of 10,000 reconnects, in which these figures grow by so much from each to the next."""
    start = {"memory": 40 * 2**20, "threads": 1, "descriptors": 9, "objects": 40_000}
    return [
        soak.Sample(
            reconnects=1_000 * number,
            **{name: value + int(number * grown.get(name, 0)) for name, value in start.items()},
        )
        for number in range(11)
    ]


def test_the_verdict_takes_what_is_flat_for_flat(soak: Any) -> None:
    assert soak.growth(samples(soak)) == []


@pytest.mark.parametrize(
    ("what", "by", "objection"),
    [
        ("memory", 0.2 * 2**20, "memory grew by 1.80 MiB"),
        ("threads", 1, "threads went from 2 to 11"),
        ("descriptors", 1, "descriptors went from 10 to 19"),
        ("objects", 2, "objects grew by 18"),
    ],
)
def test_the_verdict_objects_to_what_grows(soak: Any, what: str, by: float, objection: str) -> None:
    assert soak.growth(samples(soak, **{what: by})) == [f"{objection} between reconnect 1,000 and 10,000"]


def test_the_verdict_objects_to_a_thread_that_is_gone_again_at_the_end(soak: Any) -> None:
    seen = samples(soak)
    seen[5] = seen[5]._replace(threads=2)
    assert soak.growth(seen) == ["threads went from 1 to 2 between reconnect 1,000 and 10,000"]


def test_the_verdict_does_not_look_at_the_warm_up_nor_at_what_was_not_measured(soak: Any) -> None:
    seen = [sample._replace(memory=None, descriptors=None) for sample in samples(soak)]
    seen[0] = seen[0]._replace(threads=7, objects=1)
    assert soak.growth(seen) == []


@pytest.mark.parametrize(
    ("sent", "connections", "objection"),
    [
        ("abc", 11, None),
        ("abcd", 11, "4 items were sent whole, 3 received"),
        ("acb", 11, "as many items were received as were sent whole, but not the same in the same order"),
        ("abb", 11, "as many items were received as were sent whole, but not the same in the same order"),
        ("abc", 12, "12 connections were made, expected 11"),
    ],
)
def test_the_verdict_objects_if_the_two_sides_disagree(
    soak: Any, sent: str, connections: int, objection: str | None
) -> None:
    tally = soak.Tally(sent)
    served = soak.Served(connections, tally.items, tally.digest)
    found = soak.differences(served, soak.Tally("abc"), reconnects=10)
    assert found == ([] if objection is None else [objection])
