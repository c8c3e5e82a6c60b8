"""The manual, the picture and the completion match the program."""

from __future__ import annotations

import re
import runpy
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from helpers.systems import posix
from helpers.terminal import COMMAND, ENVIRONMENT, GUARD
from xdk_streaming.cli import exits
from xdk_streaming.cli.app import app
from xdk_streaming.cli.stream import VERBS

DOCS = Path(__file__).parents[2] / "docs"
MADE = runpy.run_path(str(DOCS / "made.py"))
VERBATIM = {"demo", "diagram", "faults"}
"""Verbs whose options come from the command line alone: --format and --output have other values there."""


def leaves(group: Any, before: str = "") -> Iterator[tuple[str, Any]]:
    for name, verb in group.commands.items():
        if hasattr(verb, "commands"):
            yield from leaves(verb, f"{name} ")
        else:
            yield before + name, verb


COMMANDS = dict(leaves(get_command(app)))


def test_the_page_is_what_make_docs_writes() -> None:
    assert (DOCS / "command-line.md").read_text(encoding="utf-8") == MADE["manual"]()


@posix("it has no time.tzset")
def test_the_picture_is_what_make_docs_writes() -> None:
    assert (DOCS / "live-view.svg").read_text(encoding="utf-8") == MADE["live_view"]()


@pytest.mark.parametrize("verb", COMMANDS)
def test_each_option_of_a_verb_has_a_help_that_is_shown(verb: str) -> None:
    shown = " ".join(MADE["shown_help"](verb).split())
    for parameter in COMMANDS[verb].params:
        if parameter.param_type_name == "option" and not parameter.hidden:
            assert parameter.help
            assert " ".join(parameter.help.split()) in shown
            assert all(name in shown for name in parameter.opts)


def test_the_page_has_every_verb() -> None:
    page = (DOCS / "command-line.md").read_text(encoding="utf-8")
    assert re.findall(r"^## ([a-z].*)$", page, re.MULTILINE) == list(COMMANDS)
    assert len(COMMANDS) > 15


def test_all_streaming_verbs_share_the_same_options() -> None:
    shared = [MADE["shown_help"](verb.__name__).partition(MADE["COMMON"])[2] for verb in VERBS]
    common = {text.rpartition("\nOptions:\n")[0] for text in shared}
    assert len(common) == 1
    assert len(common.pop()) > 1000


@pytest.mark.parametrize("verb", sorted(COMMANDS.keys() - VERBATIM))
def test_each_option_of_a_verb_has_its_variable(verb: str) -> None:
    shown = "".join(MADE["shown_help"](verb).split())
    for parameter in COMMANDS[verb].params:
        if parameter.param_type_name == "option":
            variable = max(parameter.opts, key=len).removeprefix("--").replace("-", "_").upper()
            assert f"envvar:XDK_STREAMING_{variable}]" in shown or f"XDK_STREAMING_{variable};" in shown


def test_each_exit_code_has_a_meaning() -> None:
    assert list(exits.MEANINGS) == list(exits.ExitCode)


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
def test_bash_completes_verbs_and_options() -> None:
    assert completed("sam") == ["sample", "sample10"]
    assert "--partition" in completed("firehose", "--")
    assert completed("firehose", "--lang", "") == ["en", "ja", "ko", "pt"]


def completed(*words: str) -> list[str]:
    """What bash is given for the last of these words."""
    line, place = " ".join(["xdk-streaming", *words]), str(len(words))
    return asked(_XDK_STREAMING_COMPLETE="complete_bash", COMP_WORDS=line, COMP_CWORD=place).split()


def asked(**variables: str) -> str:
    """What the program tells a shell that asks so."""
    environment = {**ENVIRONMENT, **variables}
    return subprocess.run(
        COMMAND, capture_output=True, text=True, env=environment, timeout=GUARD, check=False
    ).stdout


def test_the_script_for_bash_calls_the_program_by_its_name() -> None:
    assert re.search(r"complete .*xdk-streaming", asked(_XDK_STREAMING_COMPLETE="source_bash"))
