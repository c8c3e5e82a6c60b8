"""The prose linter: what it takes from a Python file, and that its rules find what they should."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]

SOURCE = '''\
"""One line, and
    an indented one."""

import os  # a word on an import
SOME = 3  # noqa: E501  # with its reason


class Thing:
    """A thing.

    It has two paragraphs.
    """

    # Two lines
    # are one comment.
    size = 1
    """A size."""

    def act(self):
        raise ValueError(f"the size {self.size} is not one of "
                         "those that are known")

NAMES = ["one", "two", "three",
         "four", "five"]
'''

PAGE = """\
- One line, and
      an indented one.

- a word on an import
- with its reason



- A thing.

  It has two paragraphs.


- Two lines
  are one comment.

- A size.


- the size `self.size` is not one of
  those that are known



"""


def loaded() -> ModuleType:
    specification = importlib.util.spec_from_file_location("prose_check", ROOT / "tools/prose/check.py")
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    sys.modules["prose_check"] = module
    specification.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def linter() -> ModuleType:
    return loaded()


def test_every_line_of_prose_keeps_its_line(linter: ModuleType) -> None:
    wanted = PAGE.splitlines()
    page, _ = linter.page(SOURCE, messages=True)
    assert [line.rstrip() for line in page.splitlines()] == wanted[: len(page.splitlines())]


def test_messages_are_left_out_unless_they_are_asked_for(linter: ModuleType) -> None:
    page, _ = linter.page(SOURCE)
    assert "those that are known" not in page
    assert "two paragraphs" in page


@pytest.mark.timeout(240)  # every file of the project is tokenized
def test_every_python_file_keeps_its_number_of_lines(linter: ModuleType) -> None:
    for path in linter.every_file():
        if path.suffix == ".py":
            source = path.read_text(encoding="utf-8")
            page, moved = linter.page(source, messages=True)
            assert len(page.split("\n")) == len(moved) == len(source.split("\n")), path


def test_the_linter_finds_planted_prose(linter: ModuleType, tmp_path: Path) -> None:
    if not (linter.INSTALLED / "installed").exists():
        pytest.skip("textlint is not installed: `make prose` installs it")
    long = "This sentence is far too long for anybody, " * 6
    (tmp_path / "planted.py").write_text(
        f'def f():\n    """Simply do it.\n\n    It is told, and `seam` is code.\n    """\n    # {long}\n'
    )
    found = linter.check([tmp_path / "planted.py"])
    assert [(finding.line, finding.message.partition(" ")[0]) for finding in found] == [
        (2, "Simply"),
        (4, "is"),
        (6, "a"),
    ]
    assert [finding.column for finding in found[:2]] == [8, 8]
