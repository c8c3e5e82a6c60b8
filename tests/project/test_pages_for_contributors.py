"""The pages for contributors: their commands and files exist, and nothing in them is out of date."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = {name: (ROOT / name).read_text(encoding="utf-8") for name in ("CONTRIBUTING.md", "SECURITY.md")}
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))


@pytest.mark.parametrize("page", PAGES)
def test_every_make_target_exists(page: str) -> None:
    named = set(
        re.findall(
            r"\bmake ([a-z][a-z-]*)(?=[`\s])", " ".join(re.findall(r"`[^`]+`|^make .*$", PAGES[page], re.M))
        )
    )
    assert named
    assert named <= TARGETS


@pytest.mark.parametrize("page", PAGES)
def test_every_file_exists(page: str) -> None:
    named = set(re.findall(r"(?<![\w/.])((?:[\w.-]+/)+[\w.-]*)(?=[`)\s])", PAGES[page]))
    links = set(re.findall(r"\]\((?!https?:)([^)#]+)", PAGES[page]))
    written = {
        name
        for name in named
        if name.split("/")[0] in {"xdk_streaming", "tests", "tools", "docs", "diagrams"}
    }
    assert links
    assert not {name for name in links | written if not (ROOT / name).exists()}


def test_the_steps_name_what_is_there() -> None:
    page = PAGES["CONTRIBUTING.md"]
    for name, path in {
        "EXPECTED": "tests/helpers/expected.py",
        "OUTCOMES": "xdk_streaming/driver/outcomes.py",
        "FORMATS": "xdk_streaming/machine/diagram.py",
    }.items():
        assert f"`{name}`" in page
        assert f"`{path}`" in page
        assert re.search(rf"^{name}\b", (ROOT / path).read_text(encoding="utf-8"), re.MULTILINE)


def test_the_one_test_that_is_run_fast_is_there() -> None:
    (path, word) = re.findall(r"^\.venv/bin/pytest (\S+) -k (\w+)", PAGES["CONTRIBUTING.md"], re.MULTILINE)[0]
    assert re.search(rf"^def test_\w*{word}", (ROOT / path).read_text(encoding="utf-8"), re.MULTILINE)
