"""Help that fits the screen, has headings and examples; and completion of what nobody knows by heart."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from helpers.terminal import COMMAND, ENVIRONMENT
from xdk_streaming.cli.app import app
from xdk_streaming.cli.completion import addresses, some_of
from xdk_streaming.cli.fault_option import begun_faults


def shown(*arguments: str, columns: int = 80) -> str:
    environment = {"COLUMNS": str(columns), "TERMINAL_WIDTH": str(columns)}
    result = CliRunner().invoke(app, [*arguments, "--help"], prog_name="xdk-streaming", env=environment)
    assert result.exit_code == 0
    return result.stdout


def test_each_verb_has_a_summary_in_a_line_of_80_columns() -> None:
    commands = shown().partition("Commands:\n")[2].splitlines()
    assert len(commands) == 14
    assert all(len(line) <= 80 and line.endswith(".") and not line.endswith("...") for line in commands)


def test_options_stand_in_groups_and_examples_at_the_end() -> None:
    text = shown("stream")
    headings = re.findall(r"^([A-Z].*):$", text, re.MULTILINE)
    assert headings == [
        "Arguments",
        "Fields and expansions to request",
        "How many items to write, and in which format",
        "Where to write the items, and for how long",
        "How to connect to X",
        "How to handle faults, and how to recover items that they would lose",
        "What to write to standard error",
        "Options",
        "Examples",
    ]
    assert "  xdk-streaming stream --output posts.ndjson.zst --rotate 1h" in text.partition("Examples:\n")[2]


@pytest.mark.parametrize(
    "verb", ["stream", "sample", "firehose", "simulate", "replay", "rules", "connections"]
)
def test_no_line_of_help_is_wider_than_the_screen(verb: str) -> None:
    lines = shown(verb).partition("Examples:\n")[0].splitlines()
    assert max(map(len, lines)) <= 80


def test_names_are_completed() -> None:
    complete = some_of(("author_id", "attachments", "lang"))
    assert complete("a") == ["author_id", "attachments"]
    assert complete("lang,author_id,a") == ["lang,author_id,attachments"]
    assert addresses("/2/tweets/s") == [
        "/2/tweets/search/stream",
        "/2/tweets/sample/stream",
        "/2/tweets/sample10/stream",
    ]
    assert "reset@" in begun_faults("res")


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("typed", "completed"),
    [
        ("xdk-streaming sample --tweet-fields author", "author_id"),
        ("xdk-streaming simulate --fault stall-before", "stall-before-headers@"),
        ("xdk-streaming stream /2/tweets/sea", "/2/tweets/search/stream"),
    ],
)
def test_a_shell_completes_them(typed: str, completed: str) -> None:
    environment = {
        **ENVIRONMENT,
        "_XDK_STREAMING_COMPLETE": "complete_bash",
        "COMP_WORDS": typed,
        "COMP_CWORD": str(len(typed.split()) - 1),
    }
    asked = [sys.executable, "-m", "xdk_streaming"]
    assert COMMAND[0] == sys.executable
    out = subprocess.run(asked, env=environment, capture_output=True, check=False, text=True).stdout
    assert completed in out.split(os.linesep)
