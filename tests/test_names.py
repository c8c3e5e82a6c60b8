"""One name for one thing: a public name or a constant is defined in one file of the package."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import pytest

import xdk_streaming

ROOT = Path(xdk_streaming.__file__).parent

EXCEPTIONS: Mapping[str, str] = {}
"""Names that several files may define, each with its reason."""


def names_defined(body: Iterable[ast.stmt]) -> Iterator[str]:
    """The public names that these statements define: classes, functions, constants and type aliases.

    An import defines nothing, and neither do names of one letter, such as type variables.
    """
    for node in body:
        if isinstance(node, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            found = [node.name]
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            found = [part.id for target in targets for part in ast.walk(target) if isinstance(part, ast.Name)]
        else:
            blocks = ("body", "orelse", "finalbody", "handlers")
            found = [name for block in blocks for name in names_defined(getattr(node, block, ()))]
        yield from (name for name in found if len(name) > 1 and not name.startswith("_"))


def places(root: Path) -> dict[str, list[str]]:
    """Each public name, and the files that define it."""
    found: dict[str, list[str]] = {}
    for path in sorted(root.rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for name in set(names_defined(tree.body)):
            found.setdefault(name, []).append(path.relative_to(root).as_posix())
    return found


def shared(root: Path) -> dict[str, list[str]]:
    """The names that more than one file defines, and these files."""
    return {name: files for name, files in places(root).items() if len(files) > 1}


def test_a_name_is_defined_in_one_file() -> None:
    offenders = [
        f"{file} defines {name}, as does {', '.join(other for other in files if other != file)}"
        for name, files in shared(ROOT).items()
        if name not in EXCEPTIONS
        for file in files
    ]
    assert not offenders, "\n".join(sorted(offenders))


def test_each_exception_is_needed_and_has_a_reason() -> None:
    assert len(EXCEPTIONS) <= 12
    assert all(EXCEPTIONS.values())
    assert EXCEPTIONS.keys() <= shared(ROOT).keys()


def test_the_walk_sees_every_kind_of_name(tmp_path: Path) -> None:
    (tmp_path / "one.py").write_text(
        "class Shape: ...\n"
        "def draw(): ...\n"
        "async def wait(): ...\n"
        "SIZE = 1\n"
        "RED, GREEN = 2, 3\n"
        "Pair: object = tuple[int, int]\n"
        "if SIZE:\n    INSIDE = 4\n"
        "try:\n    TRIED = 5\nexcept ValueError:\n    CAUGHT = 6\n"
    )
    names = {"Shape", "draw", "wait", "SIZE", "RED", "GREEN", "Pair", "INSIDE", "TRIED", "CAUGHT"}
    assert places(tmp_path) == {name: ["one.py"] for name in names}


@pytest.mark.parametrize(
    "text",
    ["from one import SIZE", "T = 1", "_SIZE = 1", "class Other:\n    SIZE = 1", "def other(SIZE): ..."],
    ids=["an import", "one letter", "a private name", "an attribute", "a parameter"],
)
def test_what_is_no_public_definition_does_not_count(tmp_path: Path, text: str) -> None:
    (tmp_path / "one.py").write_text("SIZE = 1\nT = 1\n_SIZE = 1\n")
    (tmp_path / "two.py").write_text(text)
    assert shared(tmp_path) == {}


def test_a_name_in_two_files_is_found(tmp_path: Path) -> None:
    (tmp_path / "one.py").write_text("SIZE = 1\n")
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "two.py").write_text("class SIZE: ...\n")
    assert shared(tmp_path) == {"SIZE": ["inner/two.py", "one.py"]}
