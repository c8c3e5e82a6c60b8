"""The house as drawn: imports run one way, and foreign libraries stay in their rooms."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import xdk_streaming

ROOT = Path(xdk_streaming.__file__).parent

FLOORS = [
    {"x", "errors", "backoff", "gap", "state", "config", "clock", "callbacks"},
    {"machine", "wire", "recovery"},
    {"driver"},
    {"streams"},
    {"compat", "simulator", "testing", "cli", "__main__", "__init__"},
]
"""From the ground up: a room may import those below it, and on its own floor within the same room."""

VOCABULARY = ["x", "errors", "backoff", "gap", "state", "config", "clock", "callbacks"]
"""In this order, each may import those before it."""


def imports(path: Path) -> Iterator[str]:
    """Absolute names of what a file imports at run time."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    typing_only = {
        id(statement)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for statement in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in typing_only:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} has a relative import"
            assert node.module is not None
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def room(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def rooms_used(path: Path) -> set[str]:
    inside = (name.split(".") for name in imports(path) if name.startswith("xdk_streaming"))
    known = set().union(*FLOORS)
    return {parts[1] if len(parts) > 1 and parts[1] in known else "__init__" for parts in inside}


SOURCES = sorted(ROOT.rglob("*.py"))


def floor(name: str) -> int:
    return next(number for number, names in enumerate(FLOORS) if name in names)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_imports_only_from_floors_below_it_or_its_own_room(path: Path) -> None:
    own = room(path)
    for other in rooms_used(path) - {own}:
        if floor(own) == floor(other) == 0:
            assert VOCABULARY.index(other) < VOCABULARY.index(own)
        elif floor(own) == len(FLOORS) - 1:
            assert floor(other) <= floor(own)
        else:
            assert floor(other) < floor(own), f"{own} imports {other}"


@pytest.mark.parametrize(
    ("library", "homes"),
    [
        ("transitions", "machine/machine.py"),
        ("requests", "wire"),
        ("urllib3", "wire"),
        ("orjson", "wire recovery"),
        ("sqlite3", "recovery"),
        ("http", "wire"),
        ("socket", "wire"),
    ],
)
def test_in_the_core_a_foreign_library_keeps_to_its_rooms(library: str, homes: str) -> None:
    # testing answers as requests and urllib3 do, and raises what they raise
    core = [path for path in SOURCES if room(path) not in {"simulator", "testing", "cli"}]
    users = {
        str(path.relative_to(ROOT))
        for path in core
        if any(name.split(".")[0] == library for name in imports(path))
    }
    assert users
    assert all(user.startswith(tuple(homes.split())) for user in users), users


def test_the_table_imports_no_library() -> None:
    names = {name.split(".")[0] for name in imports(ROOT / "machine" / "table.py")}
    assert names == {"__future__", "dataclasses", "xdk_streaming"}


def test_only_the_machine_assigns_the_state() -> None:
    writers = {
        str(path.relative_to(ROOT))
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute)
        and node.attr == "_connection_state"
        and isinstance(node.ctx, ast.Store)
    }
    assert writers == {"machine/machine.py"}


def test_the_driver_decides_nothing_by_an_errors_type_status_or_attempt() -> None:
    tree = ast.parse((ROOT / "driver" / "driver.py").read_text(encoding="utf-8"))
    tests = [node.test for node in ast.walk(tree) if isinstance(node, (ast.If, ast.IfExp, ast.While))]
    asked = {
        attribute.attr
        for test in tests
        for attribute in ast.walk(test)
        if isinstance(attribute, ast.Attribute)
    }
    assert "connection_state" in asked  # the walk does see what is asked
    assert not asked & {"error_type", "is_retryable", "status_code", "retry_count", "max_retries"}


def test_broad_excepts_stand_only_around_foreign_code() -> None:
    broad = {
        str(path.relative_to(ROOT))
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ExceptHandler)
        and (node.type is None or ast.unparse(node.type) in {"Exception", "BaseException"})
    }
    assert broad == {
        "streams/loop_bridge.py",  # hands on what a callback raised, whatever it is
        "callbacks.py",  # callbacks
        "errors.py",  # the constructors and reducers of foreign exceptions
        "recovery/dedupe.py",  # key functions
        "driver/threaded.py",  # hands on what the driver raised, whatever it is
        "wire/decoder.py",  # validators
        "wire/translation.py",  # the texts of foreign exceptions
        "wire/answer.py",  # responses
        "wire/request.py",  # sessions, params and headers
    }


def test_importing_the_package_brings_in_no_extra() -> None:
    extras = {"typer", "rich", "xdk", "xdk_streaming.cli", "xdk_streaming.simulator", "xdk_streaming.testing"}
    code = f"import sys, xdk_streaming; print(*sorted({extras} & set(sys.modules)))"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == ""
