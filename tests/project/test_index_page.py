"""The README as a package index renders it: no link and no picture leads nowhere."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from readme_renderer import markdown

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def text() -> str:
    """What the build writes into the metadata."""
    command = [sys.executable, "-m", "hatchling", "metadata"]
    shown = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=50)
    assert shown.returncode == 0, shown.stderr
    readme = json.loads(shown.stdout)["readme"]
    assert readme["content-type"] == "text/markdown"
    return str(readme["text"])


@pytest.fixture(scope="module")
def page(text: str) -> str:
    """As the index shows it."""
    rendered = markdown.render(text)
    assert rendered is not None
    return rendered


def test_the_page_has_every_section_of_the_readme(page: str) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(re.findall(r"<h2\b", page)) == len(re.findall(r"^## ", readme, re.MULTILINE)) == 8


def test_each_link_and_picture_is_absolute(page: str) -> None:
    targets = re.findall(r'(?:href|src)="([^"]*)"', page)
    outside = [target for target in targets if not target.startswith("#")]
    assert [target for target in outside if not target.startswith("https://")] == []
    names = set(re.findall(r'id="([^"]*)"', page))
    assert {target[1:] for target in targets if target not in outside} <= names


def test_the_page_installs_from_the_index(text: str) -> None:
    assert "pip install xdk-streaming " in text
    assert "pip install 'xdk-streaming[cli]'" in text
    assert "pip install ." not in text
    assert not text.startswith("```")


def test_nothing_of_the_markdown_is_left_in_the_page(page: str) -> None:
    prose = re.sub(r"<(pre|code)\b.*?</\1>", "", page, flags=re.DOTALL)
    assert not re.search(r"&lt;!--|<!--|\*\*|```|\]\(|\$HFPR", prose)
