from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from xdk_streaming.cli.app import app
from xdk_streaming.cli.symptoms import SYMPTOMS
from xdk_streaming.driver.outcomes import OUTCOMES
from xdk_streaming.simulator.faults import STREAM_FAULTS, Peer

PAGE = Path(__file__).parents[2] / "docs" / "faults.md"


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["faults", *arguments], prog_name="xdk-streaming")


def test_every_fault_is_listed_with_its_outcome() -> None:
    result = run()
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    for fault in STREAM_FAULTS.values():
        place = next(number for number, line in enumerate(lines) if line.split()[:1] == [fault.name])
        assert lines[place].endswith(fault.sentence)
        outcome, said = OUTCOMES[fault.name], lines[place + 1]
        assert outcome.state.name in said
        assert f"retry {outcome.retry}" in said
        assert (outcome.error.name if outcome.error else "") in said
        assert ", ".join(outcome.callbacks) in said


def test_faults_are_grouped_by_symptom() -> None:
    assert re.findall(r"^(\S.*):$", run().stdout, re.MULTILINE) == list(SYMPTOMS)


def test_every_fault_has_one_symptom_and_says_what_to_do() -> None:
    listed = [(name, advice) for faults in SYMPTOMS.values() for name, advice in faults.items()]
    assert sorted(name for name, _ in listed) == sorted(STREAM_FAULTS)
    assert all(advice[0].isupper() and advice.endswith(".") and "|" not in advice for _, advice in listed)


def test_one_fault_is_shown_by_its_name() -> None:
    symptom, entry, outcome, advice = run("slow-reader").stdout.splitlines()
    assert symptom == "Posts are missing:"
    assert advice.split()[:4] == ["What", "to", "do:", "Read"]
    assert entry.split() == ["slow-reader", *STREAM_FAULTS["slow-reader"].sentence.split()]
    assert outcome.strip().startswith("BACKOFF, STREAM_INTERRUPTED; retry after the backoff; on_error, ")


def test_an_unknown_name_is_refused() -> None:
    result = run("slow-writer")
    assert result.exit_code == 2
    assert "'slow-writer' is not in the catalogue" in " ".join(result.output.split())


def test_json_lists_every_fault() -> None:
    listed = json.loads(run("--format", "json").stdout)
    assert [entry["fault"] for entry in listed] == list(STREAM_FAULTS)
    assert [tuple(entry["callbacks"]) for entry in listed] == [
        OUTCOMES[name].callbacks for name in STREAM_FAULTS
    ]
    simulated = {entry["fault"] for entry in listed if entry["simulated"]}
    assert simulated == {fault.name for fault in STREAM_FAULTS.values() if fault.peer is Peer.SERVER}


def test_the_page_in_docs_is_up_to_date(tmp_path: Path) -> None:
    written = tmp_path / "faults.md"
    assert run("--format", "markdown", "--output", str(written)).exit_code == 0
    assert PAGE.read_text(encoding="utf-8") == written.read_text(encoding="utf-8")


def test_the_page_fits_without_sideways_scrolling() -> None:
    rows = [line for line in run("--format", "markdown").stdout.splitlines() if line.startswith("|")]
    assert len(rows) == len(STREAM_FAULTS) + 2 * len(SYMPTOMS)
    cells = [row.strip("| ").split(" | ") for row in rows]
    assert {len(row) for row in cells} == {4}
    # Cells wrap between words: a column is at least as wide as its longest word.
    assert (
        sum(max(len(word) for cell in column for word in cell.split()) for column in zip(*cells, strict=True))
        < 120
    )


@pytest.mark.parametrize("format", ["text", "markdown", "json"])
def test_an_unwritable_file_gives_an_error_message(format: str, tmp_path: Path) -> None:
    result = run("--format", format, "--output", str(tmp_path / "missing" / "faults"))
    assert result.exit_code == 1
    assert "could not be written" in result.output
