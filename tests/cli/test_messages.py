"""What the command line says of wrong input: what is wrong, what was expected, and what to do."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from helpers.terminal import called
from xdk_streaming.cli.app import app
from xdk_streaming.cli.exits import ExitCode
from xdk_streaming.cli.request_report import _line as shown_request
from xdk_streaming.simulator import Serve, ServedRequest, Simulator
from xdk_streaming.simulator.faults import STREAM_FAULTS


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    with Simulator(rules=(), rate=0) as simulator:
        yield simulator


def run(*arguments: object, code: int, url: str = "http://127.0.0.1:9", **more: Any) -> str:
    """What is said on standard error, in one line."""
    environment = {"X_BEARER_TOKEN": "a-token", "XDK_STREAMING_BASE_URL": url, "COLUMNS": "200"}
    result = CliRunner().invoke(
        app, [*map(str, arguments)], prog_name="xdk-streaming", env=environment, **more
    )
    assert result.exit_code == code, result.output
    assert "Traceback" not in result.output
    assert "Value error" not in result.output
    return " ".join(result.stderr.split())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ["sample", "--tweet-fields", "authorid"],
            "X knows no 'authorid' among tweet.fields; did you",
        ),
        (["sample", "--expansions", "nonsense"], "X knows no 'nonsense' among expansions; expected some of"),
        (["compliance", "users", "--partition", "1", "--tweet-fields", "id"], "does not take tweet.fields"),
        (["sample", "--stall-timeout", "inf"], "stall_timeout"),
        (["sample", "--format", "csv"], "'csv' is not one of 'json', 'text'"),
        (["simulate", "--fault", "reset"], "when is missing, as in reset@10s"),
        (["simulate", "--fault", "rest@1s"], "did you mean 'reset'?"),
        (["sample", "-o", "posts.csv"], "expected a name that ends in .ndjson, .jsonl, .json or no suffix"),
    ],
)
def test_a_wrong_command_line_is_a_sentence_that_helps(arguments: list[str], said: str) -> None:
    assert said in run(*arguments, code=ExitCode.USAGE)


def test_a_port_in_use_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = run("simulate", "--port", port, code=1)
    assert f"port {port} of 127.0.0.1 is in use" in said
    assert "choose another --port, or 0 for any free one" in said


def test_a_rule_may_begin_with_a_dash(simulator: Simulator) -> None:
    said = run("rules", "add", "-is:retweet", "cat", "--dry-run", code=ExitCode.REFUSED, url=simulator.url)
    assert said.startswith("'-is:retweet' was refused: Rules must contain a non-negation term")


def test_a_rule_that_is_there_already_is_a_success(simulator: Simulator) -> None:
    run("rules", "add", "cat", code=0, url=simulator.url)
    said = run("rules", "add", "cat", code=0, url=simulator.url)
    assert said.endswith("0 rules added, 1 there already.")


def test_each_unknown_id_is_named(simulator: Simulator) -> None:
    said = run("rules", "delete", "1", "2", code=ExitCode.REFUSED, url=simulator.url)
    assert "There is no rule 1;" in said
    assert "There is no rule 2;" in said
    assert said.endswith("0 rules deleted, 2 not.")


def test_a_byte_order_mark_is_no_part_of_a_rule(simulator: Simulator, tmp_path: Path) -> None:
    file = tmp_path / "rules.txt"
    file.write_bytes(b"\xef\xbb\xbfcat\n")
    run("rules", "add", "--file", file, code=0, url=simulator.url)
    assert [rule.value for rule in simulator.book.rules] == ["cat"]


def test_rules_are_synchronized_with_a_file(simulator: Simulator, tmp_path: Path) -> None:
    file = tmp_path / "rules.ndjson"
    file.write_text('{"value": "cat", "tag": "c"}\ndog\n', encoding="utf-8")
    run("rules", "add", "bird", "dog", code=0, url=simulator.url)
    assert run("rules", "sync", file, "--dry-run", code=0, url=simulator.url) == (
        "1 would be added, 1 deleted, 1 kept."
    )
    assert len(simulator.book.rules) == 2
    assert run("rules", "sync", file, code=0, url=simulator.url) == "1 added, 1 deleted, 1 kept."
    assert {(rule.value, rule.tag) for rule in simulator.book.rules} == {("cat", "c"), ("dog", None)}
    assert run("rules", "sync", file, code=0, url=simulator.url) == "0 added, 0 deleted, 2 kept."
    file.write_text("(broken\n", encoding="utf-8")
    said = run("rules", "sync", file, code=ExitCode.REFUSED, url=simulator.url)
    assert said.endswith("0 added, 0 deleted, 0 kept; nothing was deleted.")


def test_rules_are_counted(simulator: Simulator) -> None:
    run("rules", "add", "cat", code=0, url=simulator.url)
    environment = {"X_BEARER_TOKEN": "any", "XDK_STREAMING_BASE_URL": simulator.url}
    assert CliRunner().invoke(app, ["rules", "count"], env=environment).stdout == "1 of 1,000 rules\n"


def test_advice_names_verbs_and_no_requests(tmp_path: Path) -> None:
    refused = STREAM_FAULTS["too-many-connections"].script
    with Simulator(then=refused) as simulator:
        said = run(
            "sample",
            "-o",
            tmp_path / "posts",
            "--max-retries",
            "0",
            code=ExitCode.RETRIES_SPENT,
            url=simulator.url,
        )
    assert "`xdk-streaming connections kill` closes them" in said
    assert "DELETE /2/connections" not in said


def test_a_recording_that_is_none_is_not_shown(tmp_path: Path) -> None:
    file = tmp_path / "junk.bin"
    file.write_bytes(bytes(range(256)) * 100)
    code, out, err = called("replay", file)
    assert (code, out) == (ExitCode.FAILED, b"")
    assert "is no recording: not one of its lines is a JSON object" in err


def test_the_last_summary_has_the_average_and_the_ages(tmp_path: Path) -> None:
    with Simulator(then=(Serve(5),)) as simulator:
        said = run("sample", "-o", tmp_path / "posts", "-n", 5, code=0, url=simulator.url)
    assert "/s on average" in said
    assert "last item 0." in said
    assert "asking for tweet.fields=created_at," in said


def test_a_path_cannot_steer_the_terminal_of_a_simulator() -> None:
    request = ServedRequest(0, "/\x1b[2J\u202e", {}, 0.0)
    assert shown_request(request).isprintable()


NO_URLS = ["http://[::1", "http://127.0.0.1:port", "http://127.0.0.1:0", "x.com", "http://"]


@pytest.mark.parametrize("url", NO_URLS)
def test_a_base_url_that_is_none_is_refused(url: str) -> None:
    said = run("sample", code=ExitCode.USAGE, url=url)
    assert "is not a URL; expected one like http://127.0.0.1:8080" in said
    assert "could not be reached" in run("rules", "list", code=ExitCode.FAILED, url=url)


def test_an_address_of_another_machine_is_named() -> None:
    said = run("simulate", "--host", "192.0.2.1", code=1)
    assert "192.0.2.1 is no address of this machine" in said


@pytest.mark.parametrize("content", [b"\x00" * 8192, b"{", b"SQLite format 3\x00"])
def test_a_file_without_any_line_end_is_no_recording(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "junk"
    file.write_bytes(content)
    code, out, err = called("replay", file)
    assert (code, out) == (ExitCode.FAILED, b"")
    assert "is no recording" in err


def test_a_file_of_rules_that_is_not_there_is_named(simulator: Simulator) -> None:
    said = run("rules", "sync", "/nowhere", code=ExitCode.USAGE, url=simulator.url)
    assert "Invalid value for FILE: /nowhere cannot be read" in said
