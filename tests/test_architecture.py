"""The architecture: imports run one way and in no circle, files are small, libraries keep to their places."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

import pytest

import xdk_streaming
import xdk_streaming.simulator

ROOT = Path(xdk_streaming.__file__).parent
SOURCES = sorted(ROOT.rglob("*.py"))

VALUES = [
    "x",
    "parameters",
    "log",
    "files",
    "errors",
    "backoff",
    "retry_policy",
    "gap",
    "state",
    "config",
    "clock",
]
"""In this order, each may import those before it. What X publishes comes first, for it stands on nothing."""
CORE = {*VALUES, "callbacks", "machine", "wire", "recovery", "driver", "streams"}

MAY_IMPORT: Mapping[str, set[str]] = {
    **{name: set(VALUES[:place]) for place, name in enumerate(VALUES)},
    "callbacks": {*VALUES},
    "machine": {*VALUES, "callbacks"},
    "wire": {*VALUES},
    "recovery": {*VALUES},
    "driver": {*VALUES, "callbacks", "machine", "wire", "recovery"},
    "streams": {*VALUES, "callbacks", "machine", "wire", "recovery", "driver"},
    "compat": {*VALUES, "streams"},
    "rules": {*VALUES, "wire"},
    "simulator": {*VALUES},
    "testing": {*VALUES, "simulator"},
    "__init__": {*VALUES, "recovery", "streams", "compat"},
    "cli": {*CORE, "simulator", "rules", "__init__"},
    "__main__": {"cli"},
}
"""The rooms, from the ground up. Machine, wire and recovery do not know each other."""

SIMULATING = {"simulate", "demo", "faults", "fault_option", "request_report", "shell_commands"}
"""Of the command line, the verbs that run a simulator or show its faults, and what these alone use."""

MAX_LINES, MAX_ATTRIBUTES, MAX_PARAMETERS = 300, 18, 8
TOO_LARGE = {
    "streams/assembly.py Assembly": "the signature of Stream and AsyncStream, which inherit it",
}
"""Files, classes and constructors over these bounds, each with its reason; at most 3, 1 and 2 of them."""

LIBRARIES = [
    ("transitions", "machine/machine.py"),
    ("requests", "wire rules.py testing.py"),  # testing.py raises what a session raises
    ("urllib3", "wire testing.py"),
    ("orjson", "wire recovery"),
    ("sqlite3", "recovery"),
    ("http", "wire"),
    ("socket", "wire"),
]
"""Each third-party library, and the only places of the package (without cli and simulator) that import it."""

FENCES = {
    "streams/loop_bridge.py": "hands on what a callback raised, whatever it is",
    "callbacks.py": "callbacks and observers",
    "log.py": "handlers and filters of logs",
    "errors.py": "the constructors and reducers of foreign exceptions",
    "recovery/dedupe.py": "key functions",
    "recovery/checkpoint.py": "stores",
    "driver/threaded.py": "hands on what the driver raised, whatever it is",
    "wire/decoder.py": "validators",
    "wire/function_decoder.py": "decoders of users",
    "wire/credential.py": "auth objects, headers that are asked for, and responses",
    "wire/translation.py": "the texts of foreign exceptions",
    "wire/scrubbed.py": "the texts of foreign exceptions",
    "wire/answer.py": "responses",
    "wire/caller.py": "hands on what a session raised, whatever it is",
    "wire/request.py": "sessions, params and headers",
}
"""Where every exception is caught, and whose code is behind the fence."""


def named(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def module(path: Path) -> str:
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module(path): path for path in SOURCES}


def imports(path: Path) -> Iterator[str]:
    """Absolute names of all that a file imports, for typing alone as well."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} has a relative import"
            assert node.module is not None
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def modules_used(path: Path) -> set[str]:
    """The modules of the package that a file imports: the closest that its imports name."""
    found = set()
    for name in imports(path):
        while name and name not in MODULES:
            name = name.rpartition(".")[0]
        if name:
            found.add(name)
    return found


ARROWS = {module(path): modules_used(path) - {module(path)} for path in SOURCES}


def room(name: str) -> str:
    return [*name.split("."), "__init__"][1]


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


def reached(name: str) -> set[str]:
    """All modules that importing this one brings in, along every chain within the package."""
    found: set[str] = set()
    waiting = [name]
    while waiting:
        for other in ARROWS[waiting.pop()] - found:
            found.add(other)
            waiting.append(other)
    return found


# Imports run one way.


@pytest.mark.parametrize("name", MODULES)
def test_a_package_imports_only_packages_below_it(name: str) -> None:
    assert {room(other) for other in ARROWS[name]} - {room(name)} <= MAY_IMPORT[room(name)]


@pytest.mark.parametrize("name", MODULES)
def test_no_chain_of_imports_leads_upwards(name: str) -> None:
    if room(name) in CORE:
        assert {room(other) for other in reached(name)} <= CORE
        assert not {"cli", "simulator", "compat", "testing"} & {room(other) for other in reached(name)}


def test_every_package_is_listed() -> None:
    assert {room(name) for name in MODULES} == MAY_IMPORT.keys()


def test_no_files_import_each_other_in_a_circle() -> None:
    assert sum(map(len, ARROWS.values())) > 300  # the walk does see what is imported
    assert circle(ARROWS) == []


def test_a_circle_is_found() -> None:
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": set()}) == ["a", "b", "c"]


def test_of_the_command_line_only_the_verbs_that_simulate_import_the_simulator() -> None:
    verbs = {name: others for name, others in ARROWS.items() if room(name) == "cli"}
    users = {name.rpartition(".")[2] for name, others in verbs.items() if "simulator" in map(room, others)}
    assert users <= SIMULATING
    borrowed = {
        other.rpartition(".")[2]
        for name, others in verbs.items()
        if name.rpartition(".")[2] not in {*SIMULATING, "app"}
        for other in others
    }
    assert not borrowed & SIMULATING


# Everything stays small.


def attributes(node: ast.ClassDef) -> set[str]:
    """What the methods of a class assign on self."""
    return {
        target.attr
        for target in ast.walk(node)
        if isinstance(target, ast.Attribute)
        and isinstance(target.ctx, ast.Store)
        and isinstance(target.value, ast.Name)
        and target.value.id == "self"
    }


def parameters(node: ast.ClassDef) -> int:
    """How many a constructor has beside self, written or generated."""
    for method in node.body:
        if isinstance(method, ast.FunctionDef) and method.name == "__init__":
            return len(method.args.posonlyargs + method.args.args + method.args.kwonlyargs) - 1
    return sum(isinstance(statement, ast.AnnAssign) for statement in node.body)


def is_frozen(node: ast.ClassDef) -> bool:
    """Whether it is a frozen value, or says only what others have to look like."""
    decorators = " ".join(map(ast.unparse, node.decorator_list))
    bases = set(map(ast.unparse, node.bases))
    return "frozen=True" in decorators or bool(bases & {"NamedTuple", "Protocol", "Enum", "StrEnum"})


def test_files_classes_and_constructors_stay_small_but_for_those_with_a_reason() -> None:
    users = {*xdk_streaming.__all__, *xdk_streaming.simulator.__all__}
    files, classes, constructors = set(), set(), set()
    for path in SOURCES:
        if len(path.read_text(encoding="utf-8").splitlines()) > MAX_LINES:
            files.add(named(path))
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.ClassDef) and node.name not in users and not is_frozen(node):
                if len(attributes(node)) > MAX_ATTRIBUTES:
                    classes.add(f"{named(path)} {node.name}")
                if parameters(node) > MAX_PARAMETERS:
                    constructors.add(f"{named(path)} {node.name}")
    assert files | classes | constructors == TOO_LARGE.keys()
    assert len(files) <= 3
    assert len(classes) <= 1
    assert len(constructors) <= 2
    assert all(TOO_LARGE.values())


# Foreign libraries keep to their rooms.


@pytest.mark.parametrize(("library", "homes"), LIBRARIES)
def test_each_third_party_library_keeps_to_its_places(library: str, homes: str) -> None:
    users = {
        named(path)
        for path in SOURCES
        if room(module(path)) not in {"simulator", "cli"}
        if any(name.split(".")[0] == library for name in imports(path) if not for_typing(path, name))
    }
    assert users
    assert all(user.startswith(tuple(homes.split())) for user in users), users


@cache
def for_typing(path: Path, name: str) -> bool:
    """Whether a file imports this for type checkers alone."""
    return any(
        ast.unparse(node.test) == "TYPE_CHECKING" and name.split(".")[0] in ast.unparse(node)
        for node in tree(path).body
        if isinstance(node, ast.If)
    )


def test_the_table_imports_no_library() -> None:
    names = {name.split(".")[0] for name in imports(ROOT / "machine" / "table.py")}
    assert names == {"__future__", "dataclasses", "xdk_streaming"}


def test_what_x_publishes_imports_nothing_of_the_package() -> None:
    assert not modules_used(ROOT / "x.py")


def test_only_the_machine_assigns_the_state() -> None:
    writers = {
        named(path)
        for path in SOURCES
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Attribute)
        and node.attr == "_connection_state"
        and isinstance(node.ctx, ast.Store)
    }
    assert writers == {"machine/machine.py"}


def test_the_driver_decides_nothing_by_an_errors_type_status_or_attempt() -> None:
    asked = {
        attribute.attr
        for path in (ROOT / "driver").glob("*.py")
        if path.stem != "outcomes"
        for node in ast.walk(tree(path))
        if isinstance(node, (ast.If, ast.IfExp, ast.While))
        for attribute in ast.walk(node.test)
        if isinstance(attribute, ast.Attribute)
    }
    assert "connection_state" in asked  # the walk does see what is asked
    assert not asked & {"error_type", "is_retryable", "status_code", "retry_count", "max_retries"}


def test_the_driver_uses_only_the_trackers_interface() -> None:
    verbs = {"params", "opened", "before_read", "after_read", "accepts", "delivered", "lost", "position"}
    used = {
        node.attr
        for path in (ROOT / "driver").glob("*.py")
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Attribute) and ast.unparse(node.value).split(".")[-1] == "tracker"
    }
    assert used == verbs | {"received_at", "bounded", "close"}  # two facts, and the end
    known = {other for name, others in ARROWS.items() if room(name) == "driver" for other in others} & {
        name for name in MODULES if room(name) == "recovery"
    }
    assert known == {"xdk_streaming.recovery.tracker"}


def test_broad_excepts_stand_only_around_foreign_code() -> None:
    broad = {
        named(path)
        for path in SOURCES
        for node in ast.walk(tree(path))
        if isinstance(node, ast.ExceptHandler)
        and (node.type is None or ast.unparse(node.type) in {"Exception", "BaseException"})
    }
    assert broad == FENCES.keys()


def test_importing_the_package_brings_in_no_extra() -> None:
    extras = {"typer", "rich", "xdk", "xdk_streaming.cli", "xdk_streaming.simulator", "xdk_streaming.testing"}
    code = f"import sys, xdk_streaming; print(*sorted({extras} & set(sys.modules)))"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == ""
