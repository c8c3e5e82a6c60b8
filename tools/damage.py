"""Damages tables, constants and properties one at a time, and shows which damage no test objects to.

Mutmut changes functions, and leaves alone what stands in a module or a class, and what is decorated.
Run as `python tools/damage.py [part of a module's name ...]`. Each damaged module is tried in a process of
its own, forked after the imports, with the tests that are written for it.
"""

from __future__ import annotations

import ast
import copy
import importlib
import importlib.abc
import importlib.util
import os
import sys
import time
from collections.abc import Iterator, Sequence
from enum import Enum
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[1]
SECONDS = 180.0

TESTS = {
    "xdk_streaming.machine.table": ["tests/machine/test_table.py", "tests/machine"],
    "xdk_streaming.machine.machine": ["tests/machine/test_retries.py", "tests/machine"],
    "xdk_streaming.machine.diagram": ["tests/machine/test_diagram.py"],
    "xdk_streaming.backoff": ["tests/test_backoff.py", "tests/machine/test_retries.py"],
    "xdk_streaming.wire.verdicts": ["tests/wire/test_verdicts.py", "tests/wire/test_problems.py"],
    "xdk_streaming.wire.limits": ["tests/wire/test_limits.py", "tests/wire/test_problems.py"],
    "xdk_streaming.wire.problems": ["tests/wire/test_problems.py"],
}
PYTEST = ["-x", "-q", "-p", "no:randomly", "-p", "no:xdist", "-p", "no:cacheprovider", "--hypothesis-seed=0"]
HEAVY = ("requests", "pydantic", "orjson", "transitions.extensions")
"""Imported once for all; nothing that plugs into pytest, which wants to import that itself."""


class Damage(NamedTuple):
    """A place in a module, and what stands there instead."""

    line: int
    before: str
    after: str
    tree: ast.Module


# What can be damaged.


def damages(module: ModuleType) -> Iterator[Damage]:
    """Every module that differs from this one in one place outside plain functions."""
    source, names = _parsed(module), vars(module)
    for way, node in _places(source):
        for damaged in _damaged(node, names):
            tree = copy.deepcopy(source)
            _put(tree, way, damaged)
            yield Damage(
                node.lineno, ast.unparse(node), ast.unparse(damaged), ast.fix_missing_locations(tree)
            )


def _parsed(module: ModuleType) -> ast.Module:
    return ast.parse(Path(str(module.__file__)).read_text(encoding="utf-8"))


Way = tuple[tuple[str, int | None], ...]


def _places(node: ast.AST, way: Way = ()) -> Iterator[tuple[Way, Any]]:
    """Every expression and the way to it, but for plain functions, annotations and docstrings."""
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns", "decorator_list", "ctx", "op", "ops", "targets", "type_params"):
            continue
        for index, child in enumerate(value if isinstance(value, list) else [value]):
            here = (*way, (name, index if isinstance(value, list) else None))
            if isinstance(child, ast.expr):
                yield here, child
            if isinstance(child, ast.AST) and not _left_alone(child):
                yield from _places(child, here)


def _left_alone(node: ast.AST) -> bool:
    plain = isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and not node.decorator_list
    text = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    return plain or text or isinstance(node, (ast.Import, ast.ImportFrom))


def _put(tree: ast.AST, way: Way, damaged: ast.AST) -> None:
    *steps, (name, index) = way
    for step, place in steps:
        tree = getattr(tree, step) if place is None else getattr(tree, step)[place]
    if index is None:
        setattr(tree, name, damaged)
    else:
        getattr(tree, name)[index] = damaged


def _damaged(node: ast.expr, names: dict[str, Any]) -> Iterator[ast.expr]:
    if isinstance(node, ast.Constant):
        yield from map(ast.Constant, _other_values(node.value))
    elif isinstance(node, (ast.Name, ast.Attribute)):
        yield from _another_of_its_kind(node, names)
    elif isinstance(node, (ast.Tuple, ast.List, ast.Set)):
        yield from (_without(node, "elts", place) for place in range(len(node.elts)))
    elif isinstance(node, ast.Dict):
        for place in range(len(node.keys)):
            yield _without(_without(node, "keys", place), "values", place)
    elif isinstance(node, ast.Call):
        yield from (_without(node, "args", place) for place in range(len(node.args)))
        yield from (_without(node, "keywords", place) for place in range(len(node.keywords)))
    elif isinstance(node, ast.Compare):
        yield ast.UnaryOp(ast.Not(), node)
    elif isinstance(node, ast.BinOp):
        yield from (node.left, node.right)


def _other_values(value: object) -> list[Any]:
    if isinstance(value, bool) or value is None:
        return [not value]
    if isinstance(value, str):
        return [text for text in (f"XX{value}XX", value.swapcase()) if text != value]
    return [value + 1] if isinstance(value, (int, float)) else []


def _without(node: Any, name: str, place: int) -> Any:
    shorter = copy.copy(node)
    setattr(shorter, name, [child for index, child in enumerate(getattr(node, name)) if index != place])
    return shorter


def _another_of_its_kind(node: ast.Name | ast.Attribute, names: dict[str, Any]) -> Iterator[ast.expr]:
    """For a member of an enumeration the next one, for a value of the module's the next of its type."""
    if isinstance(node, ast.Attribute):
        owner = names.get(node.value.id) if isinstance(node.value, ast.Name) else None
        if isinstance(owner, type) and issubclass(owner, Enum):
            members = list(owner.__members__)
            yield ast.Attribute(node.value, members[(members.index(node.attr) + 1) % len(members)], node.ctx)
    elif node.id.isupper() and node.id in names:
        alike = [name for name, value in names.items() if name.isupper() and _alike(value, names[node.id])]
        if len(alike) > 1:
            yield ast.Name(alike[(alike.index(node.id) + 1) % len(alike)], node.ctx)


def _alike(one: object, other: object) -> bool:
    return type(one) is type(other)


# Whether the tests object.


class Damaged(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Gives out one module as it was damaged."""

    def __init__(self, name: str, tree: ast.Module) -> None:
        self._name, self._tree = name, tree

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Itself as the loader, for this one module."""
        if fullname != self._name:
            return None
        return importlib.util.spec_from_loader(fullname, self)

    def exec_module(self, module: ModuleType) -> None:
        """Run the damaged code."""
        exec(compile(self._tree, f"<damaged {self._name}>", "exec"), vars(module))


def objected_to(name: str, tree: ast.Module) -> bool:
    """Run the tests on the damaged module, in a fork of this process."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            for imported in [key for key in sys.modules if key.startswith("xdk_streaming")]:
                del sys.modules[imported]
            sys.meta_path.insert(0, Damaged(name, tree))
            status = _passed(TESTS[name])
        finally:
            os._exit(status)
    return _exit_status(child) != 0


def _passed(tests: list[str]) -> int:
    import pytest

    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    return int(pytest.main([*PYTEST, *tests]))


def _exit_status(child: int) -> int:
    """How a child ended; one that hangs is ended, and that counts as an objection."""
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return status
        time.sleep(0.02)
    os.kill(child, 9)
    return os.waitpid(child, 0)[1]


def main(parts: list[str]) -> None:
    """Try every damage, and print those that no test objected to."""
    os.chdir(ROOT)
    sys.path.insert(0, str(ROOT))
    for name in HEAVY:
        importlib.import_module(name)
    for name in (name for name in TESTS if not parts or any(part in name for part in parts)):
        module = importlib.import_module(name)
        if objected_to(name, _parsed(module)):
            raise SystemExit(f"{name}: its tests do not even pass on the module as it is")
        tried = list(damages(module))
        survivors = [damage for damage in tried if not objected_to(name, damage.tree)]
        print(f"{name}: {len(tried)} damages, {len(survivors)} overlooked", flush=True)
        for damage in survivors:
            print(f"  line {damage.line}: {damage.before}  ->  {damage.after}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
