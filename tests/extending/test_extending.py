"""What the public names are good for: each program beside this file runs, and prints what it should."""

from __future__ import annotations

import ast
import csv
import importlib
import runpy
from collections.abc import Iterator
from pathlib import Path

import pytest

from xdk_streaming.machine import TABLE

PROGRAMS = sorted(path for path in Path(__file__).parent.glob("*.py") if path != Path(__file__))
PUBLIC = {"xdk_streaming", "xdk_streaming.machine", "xdk_streaming.simulator", "xdk_streaming.testing"}

PRINTED = {
    "own_clock": """
 0.00 s: wait 0.63 s
 0.63 s: wait 1.69 s
 2.31 s: wait 3.37 s
 5.68 s: wait 7.40 s
Max retries exceeded after 4 attempts
""",
    "own_decoder": """
7 4
{"data":{"id":"8"}} -> refused by the response model: 'text'
9 1
done
""",
    "own_row": """
START is not allowed in BACKOFF; see the transition table
BACKOFF the attempt failed in a way that may pass
CONNECTING an operator does not want to wait
mermaid: BACKOFF --> CONNECTING : waited [planned]<br/>start
dot: BACKOFF -> CONNECTING [label=<<table border="0" cellpadding="6"><tr><td>waited [planned]\
<br align="left"/>start<br align="left"/></td></tr></table>>];
markdown: | start | BACKOFF | CONNECTING |  |  |  | an operator does not want to wait |
class CONNECTING lit
""",
    "two_observers": """
START
REFUSED
RETRY
WAITED
OPENED
InvalidLine(line=b'no item', reason='not JSON: Expecting value: line 1 column 1 (char 0)')
NoticeReceived(content={'errors': []})
InvalidLine(line=b'{"data":{"', reason='the connection ended inside this line')
BROKE
RETRY
WAITED
REFUSED
AUTHENTICATION_ERROR
2 BACKOFF BACKOFF RETRY
2 BACKOFF CONNECTING WAITED
1 DISCONNECTED CONNECTING START
1 CONNECTING BACKOFF REFUSED
1 CONNECTING STREAMING OPENED
1 STREAMING BACKOFF BROKE
1 CONNECTING FAILED REFUSED
""",
}

each_program = pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.stem)


def printed(name: str, capsys: pytest.CaptureFixture[str]) -> str:
    runpy.run_path(str(Path(__file__).with_name(f"{name}.py")))
    return capsys.readouterr().out


@pytest.mark.parametrize("name", PRINTED)
def test_a_program_prints_what_it_should(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert printed(name, capsys) == PRINTED[name].lstrip("\n")


def test_a_renderer_of_ones_own_gives_the_whole_table(capsys: pytest.CaptureFixture[str]) -> None:
    lines = printed("own_renderer", capsys).splitlines()
    assert [tuple(row.values()) for row in csv.DictReader(lines[: 1 + len(TABLE)])] == [
        (
            *(row.trigger.name, row.source.name, row.dest.name),
            *(row.guard or "", row.action or "", " ".join(row.notify)),
        )
        for row in TABLE
    ]
    assert lines[1 + len(TABLE) :] == [
        "DISCONNECTED --start--> CONNECTING --stop--> DISCONNECTED",
        "FAILED --stop--> FAILED",
    ]


def test_every_program_is_run() -> None:
    assert {program.stem for program in PROGRAMS} == {*PRINTED, "own_renderer"}


def imported(tree: ast.AST) -> Iterator[tuple[str, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from ((node.module or "", alias.name) for alias in node.names)


@each_program
def test_a_program_uses_public_names_alone(program: Path) -> None:
    tree = ast.parse(program.read_text(encoding="utf-8"))
    ours = [(module, name) for module, name in imported(tree) if module.startswith("xdk_streaming")]
    assert ours
    for module, name in ours:
        assert module in PUBLIC
        assert name in importlib.import_module(module).__all__
    attributes = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    assert not [name for name in attributes if name.startswith("_") and name != "__name__"]


@each_program
def test_a_program_is_short(program: Path) -> None:
    assert 15 <= len(program.read_text(encoding="utf-8").splitlines()) <= 40
