"""What type checkers say to users: programs that both must accept, and lines that both must refuse."""

from __future__ import annotations

import json
import os
import re
import runpy
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
import requests

pytestmark = pytest.mark.thorough

HERE = Path(__file__).parent
ACCEPTED = sorted((HERE / "accepted").glob("*.py"))
REFUSED = sorted((HERE / "refused").glob("*.py"))
MARK = "  # refused: "

if not (Path(requests.__file__).parent / "py.typed").exists():
    pytest.skip("this version of requests has no types", allow_module_level=True)

Lines = dict[str, set[int]]
"""The lines with an error, by the name of the file."""


def complaints_of_mypy(directory: Path) -> Lines:
    """Without plugins, as most users have it."""
    ran = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--config-file=", "--hide-error-context", "."],
        cwd=directory,
        capture_output=True,
        text=True,
        check=False,
    )
    assert not ran.stderr
    found = re.findall(r"^(.+?\.py):(\d+): error: ", ran.stdout, re.M)
    return _by_file((file, int(line)) for file, line in found)


def complaints_of_pyright(directory: Path) -> Lines:
    """In its strict mode, with what it brings along: nothing is downloaded."""
    settings = {"include": ["."], "typeCheckingMode": "strict"}
    (directory / "pyrightconfig.json").write_text(json.dumps(settings), encoding="utf-8")
    own = {name: value for name, value in os.environ.items() if not name.startswith("PYRIGHT_PYTHON_")}
    ran = subprocess.run(
        [sys.executable, "-m", "pyright", "--outputjson", "--pythonpath", sys.executable],
        cwd=directory,
        capture_output=True,
        text=True,
        check=False,
        env=own,
    )
    found = json.loads(ran.stdout)["generalDiagnostics"]
    return _by_file((entry["file"], entry["range"]["start"]["line"] + 1) for entry in found)


def _by_file(places: Iterable[tuple[str, int]]) -> Lines:
    lines: Lines = {}
    for file, line in places:
        lines.setdefault(Path(file).name, set()).add(line)
    return lines


@pytest.fixture(scope="module", params=[complaints_of_mypy, complaints_of_pyright])
def complaints(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Lines:
    """What a checker says of all programs, in a directory that has nothing else of ours."""
    directory = tmp_path_factory.mktemp("typed")
    for program in (*ACCEPTED, *REFUSED):
        shutil.copy(program, directory)
    check: Callable[[Path], Lines] = request.param
    return check(directory)


@pytest.mark.parametrize("program", ACCEPTED, ids=lambda program: program.stem)
def test_both_checkers_accept_a_program(program: Path, complaints: Lines) -> None:
    assert complaints.get(program.name, set()) == set()


@pytest.mark.parametrize("program", REFUSED, ids=lambda program: program.stem)
def test_both_checkers_refuse_each_marked_line_and_no_other(program: Path, complaints: Lines) -> None:
    lines = enumerate(program.read_text(encoding="utf-8").splitlines(), start=1)
    marked = {number for number, line in lines if MARK in line}
    assert marked
    assert complaints.get(program.name) == marked


@pytest.mark.parametrize("program", ACCEPTED, ids=lambda program: program.stem)
def test_an_accepted_program_runs(program: Path) -> None:
    runpy.run_path(str(program))
