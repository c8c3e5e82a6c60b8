from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from xdk_streaming.cli.app import app
from xdk_streaming.driver.outcomes import OUTCOMES
from xdk_streaming.simulator.faults import CATALOGUE, FAULTS, Peer

PAGE = Path(__file__).parents[2] / "docs" / "faults.md"


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["faults", *arguments], prog_name="xdk-streaming")


def test_every_fault_is_listed_with_its_outcome() -> None:
    result = run()
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    for fault in FAULTS.values():
        place = next(number for number, line in enumerate(lines) if line.split()[:1] == [fault.name])
        assert lines[place].endswith(fault.sentence)
        outcome, said = OUTCOMES[fault.name], lines[place + 1]
        assert outcome.state.name in said
        assert f"retry {outcome.retry}" in said
        assert (outcome.error.name if outcome.error else "") in said
        assert ", ".join(outcome.callbacks) in said


def test_they_stand_under_where_they_show() -> None:
    assert re.findall(r"^(\S.*):$", run().stdout, re.MULTILINE) == list(CATALOGUE)


def test_one_is_shown_by_its_name() -> None:
    title, entry, outcome = run("slow-reader").stdout.splitlines()
    assert title == "Objects about the stream:"
    assert entry.split() == ["slow-reader", *FAULTS["slow-reader"].sentence.split()]
    assert outcome.strip().startswith("BACKOFF, STREAM_INTERRUPTED; retry after the backoff; on_error, ")


def test_an_unknown_name_is_refused_with_where_to_look() -> None:
    result = run("slow-writer")
    assert result.exit_code == 2
    assert "'slow-writer' is not in the catalogue" in " ".join(result.output.split())


def test_as_json_they_can_be_worked_with() -> None:
    listed = json.loads(run("--format", "json").stdout)
    assert [entry["fault"] for entry in listed] == list(FAULTS)
    assert [tuple(entry["callbacks"]) for entry in listed] == [OUTCOMES[name].callbacks for name in FAULTS]
    simulated = {entry["fault"] for entry in listed if entry["simulated"]}
    assert simulated == {fault.name for fault in FAULTS.values() if fault.peer is Peer.SERVER}


def test_the_page_in_the_docs_is_what_the_command_writes(tmp_path: Path) -> None:
    written = tmp_path / "faults.md"
    assert run("--format", "markdown", "--output", str(written)).exit_code == 0
    assert PAGE.read_text(encoding="utf-8") == written.read_text(encoding="utf-8")


def test_each_row_of_the_page_has_all_its_cells() -> None:
    rows = [line for line in run("--format", "markdown").stdout.splitlines() if line.startswith("|")]
    assert len(rows) == len(FAULTS) + 2 * len(CATALOGUE)
    assert {row.count(" | ") for row in rows} == {5}


@pytest.mark.parametrize("format", ["text", "markdown", "json"])
def test_a_file_that_cannot_be_written_is_a_sentence(format: str, tmp_path: Path) -> None:
    result = run("--format", format, "--output", str(tmp_path / "missing" / "faults"))
    assert result.exit_code == 1
    assert "could not be written" in result.output
