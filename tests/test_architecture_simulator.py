"""The simulator's and the command line's half of the house: who imports whom, typing included."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

import xdk_streaming

ROOT = Path(xdk_streaming.__file__).parent
VALUES = {"errors", "backoff", "state", "gap", "config", "clock", "x"}
SIMULATING = {"simulate", "demo", "faults", "scripts", "visits", "pasted"}
"""The verbs that run a simulator or show its faults, and what these verbs alone use."""
MAX_LINES, MAX_ATTRIBUTES, MAX_PARAMETERS = 300, 18, 8
USERS_OWN = {"Simulator"}
"""Constructors that users call with keywords: as many as there are things to set."""


def files(room: str) -> list[Path]:
    return sorted((ROOT / room).rglob("*.py"))


def module(path: Path) -> str:
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module(path): path for path in sorted(ROOT.rglob("*.py"))}


def imported(path: Path) -> Iterator[str]:
    """The modules of the package that a file imports anywhere, for typing as well."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in MODULES)
        elif isinstance(node, ast.ImportFrom) and node.module in MODULES:
            for alias in node.names:
                name = f"{node.module}.{alias.name}"
                yield name if name in MODULES else node.module


def room(name: str) -> str:
    return [*name.split("."), ""][1]


def circle(arrows: Mapping[str, set[str]]) -> list[str]:
    """Modules that import each other in turn; none if there is no circle."""
    left = dict(arrows)
    while left:
        free = [name for name, others in left.items() if not others & left.keys()]
        if not free:
            return sorted(left)
        for name in free:
            del left[name]
    return []


@pytest.mark.parametrize("path", files("simulator"), ids=lambda path: str(path.relative_to(ROOT)))
def test_the_simulator_imports_values_and_nothing_else_of_the_package(path: Path) -> None:
    assert {room(name) for name in imported(path)} <= VALUES | {"simulator"}


def test_only_the_verbs_that_simulate_import_the_simulator() -> None:
    users = {path.stem for path in files("cli") if "simulator" in map(room, imported(path))}
    assert users <= SIMULATING
    others = {path.stem for path in files("cli")} - SIMULATING - {"app"}
    borrowed = {name.rpartition(".")[2] for stem in others for name in imported(ROOT / "cli" / f"{stem}.py")}
    assert not borrowed & SIMULATING


def test_what_x_publishes_imports_nothing_of_the_package() -> None:
    assert not list(imported(ROOT / "x.py"))


@pytest.mark.parametrize("name", ["simulator", "cli"])
def test_no_files_of_a_room_import_each_other_in_a_circle(name: str) -> None:
    inside = {module(path) for path in files(name)}
    arrows = {module(path): set(imported(path)) & inside for path in files(name)}
    assert sum(map(len, arrows.values())) > 10  # the walk does see what is imported
    assert circle(arrows) == []


def test_a_circle_is_found() -> None:
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": set()}) == ["a", "b", "c"]


@pytest.mark.parametrize(
    "path", files("simulator") + files("cli"), ids=lambda path: str(path.relative_to(ROOT))
)
def test_files_classes_and_constructors_stay_small(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= MAX_LINES
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ClassDef):
            assert len(attributes(node)) <= MAX_ATTRIBUTES, node.name
            assert parameters(node) <= MAX_PARAMETERS or node.name in USERS_OWN, node.name


def attributes(node: ast.ClassDef) -> set[str]:
    """What its methods assign on self."""
    return {
        target.attr
        for target in ast.walk(node)
        if isinstance(target, ast.Attribute)
        and isinstance(target.ctx, ast.Store)
        and isinstance(target.value, ast.Name)
        and target.value.id == "self"
    }


def parameters(node: ast.ClassDef) -> int:
    """Of its constructor, beside self; a frozen value has none written."""
    for method in node.body:
        if isinstance(method, ast.FunctionDef) and method.name == "__init__":
            return len(method.args.posonlyargs + method.args.args + method.args.kwonlyargs) - 1
    return 0
