"""`rules list|add|delete`, against the simulator."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from helpers.servers import Peer, head, nobody, served
from xdk_streaming.cli.app import app
from xdk_streaming.cli.exits import ExitCode
from xdk_streaming.simulator import Simulator

TOKEN = "s3cret-token"
Run = Callable[..., Any]


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    with Simulator(rules=(), rate=0, token=TOKEN, max_rules=20) as simulator:
        yield simulator


@pytest.fixture
def rules(simulator: Simulator) -> Run:
    """The verb in this process, with the simulator's URL and token, and any URL that is given."""

    def run(*arguments: str, url: str = simulator.url, token: str = TOKEN, code: int = 0, **more: Any) -> Any:
        environment = {"X_BEARER_TOKEN": token, "XDK_STREAMING_BASE_URL": url, "COLUMNS": "160"}
        given = ["rules", *arguments]
        result = CliRunner().invoke(app, given, prog_name="xdk-streaming", env=environment, **more)
        assert result.exit_code == code, result.output
        assert TOKEN not in result.output
        return result

    return run


def values(simulator: Simulator) -> list[tuple[str, str | None]]:
    return [(rule.value, rule.tag) for rule in simulator.book.rules]


def test_rules_are_added_with_a_tag_and_listed_with_ids(simulator: Simulator, rules: Run) -> None:
    result = rules("add", "cat -dog", "bird", "--tag", "animals")
    assert result.stderr == "2 rules added.\n"
    assert values(simulator) == [("cat -dog", "animals"), ("bird", "animals")]
    first, second = (rule.id for rule in simulator.book.rules)
    assert result.stdout == f"{first}  cat -dog  animals\n{second}  bird      animals\n"
    assert rules("list").stdout == result.stdout


def test_as_json_a_rule_is_an_object_a_line(rules: Run) -> None:
    rules("add", "猫", "--tag", "cats")
    rules("add", "dog", "--format", "json")
    shown = [json.loads(line) for line in rules("list", "--format", "json").stdout.splitlines()]
    assert [(rule["value"], rule.get("tag")) for rule in shown] == [("猫", "cats"), ("dog", None)]


def test_an_empty_list_of_rules_is_explained(rules: Run) -> None:
    result = rules("list")
    assert result.stdout == ""
    assert "No rules found. X refuses the filtered stream until a rule is added." in result.stderr


def test_each_invalid_rule_is_reported_and_the_others_are_added(simulator: Simulator, rules: Run) -> None:
    rules("add", "cat")
    (cat,) = simulator.book.rules
    result = rules("add", "--", "cat", "(dog", "bird", "-fish", code=ExitCode.REFUSED)
    assert [line.split()[1] for line in result.stdout.splitlines()] == ["bird"]
    duplicate, broken, negative, summary = result.stderr.splitlines()
    assert duplicate == f"'cat' already exists, as rule {cat.id}."
    assert broken == "'(dog' was refused: A parenthesis is not closed (at position 1)."
    assert negative.startswith(
        "'-fish' was refused: Rules must contain a non-negation term (at position 1); "
    )
    assert summary == "1 rule added, 1 there already, 2 not."


def test_if_every_rule_is_refused_each_reason_is_shown(rules: Run) -> None:
    result = rules("add", "(dog", code=ExitCode.REFUSED)
    assert result.stderr.splitlines() == [
        "'(dog' was refused: A parenthesis is not closed (at position 1).",
        "0 rules added, 1 not.",
    ]


def test_a_dry_run_says_what_would_be(simulator: Simulator, rules: Run) -> None:
    assert rules("add", "cat", "--dry-run").stderr == "1 rule would be added.\n"
    assert not simulator.book.rules
    rules("add", "cat")
    assert rules("delete", "--all", "--dry-run").stderr == "1 rule would be deleted.\n"
    assert values(simulator) == [("cat", None)]


def test_rules_come_from_a_file_plain_or_as_objects(simulator: Simulator, rules: Run, tmp_path: Path) -> None:
    file = tmp_path / "rules"
    file.write_text('cat -dog\n\n{"value": "bird", "tag": "b"}\r\n#fish\n', encoding="utf-8")
    assert rules("add", "--file", str(file)).stderr == "3 rules added.\n"
    assert rules("add", "--file", "-", input="from:x\n").stderr == "1 rule added.\n"
    assert values(simulator) == [("cat -dog", None), ("bird", "b"), ("#fish", None), ("from:x", None)]


def test_the_json_list_of_rules_can_be_added_again(simulator: Simulator, rules: Run, tmp_path: Path) -> None:
    rules("add", "cat", "--tag", "T")
    file = tmp_path / "rules.ndjson"
    file.write_text(rules("list", "--format", "json").stdout, encoding="utf-8")
    rules("delete", "--all")
    rules("add", "--file", str(file))
    assert values(simulator) == [("cat", "T")]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b'cat\n{"value": \n', "line 2 is not JSON"),
        (b'{"values": "cat"}\n', "line 1 is not a rule; expected"),
        (b'{"value": 1}\n', "line 1 is not a rule; expected"),
        (b"\xff\n", "cannot be read"),
        (b"\n", "there is no rule to add"),
    ],
)
def test_a_file_without_rules_is_refused_by_its_line(
    simulator: Simulator, rules: Run, tmp_path: Path, content: bytes, said: str
) -> None:
    file = tmp_path / "rules"
    file.write_bytes(content)
    assert said in " ".join(rules("add", "--file", str(file), code=ExitCode.USAGE).stderr.split())
    assert not simulator.api_requests


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("add",), "there is no rule to add; expected a VALUE or --file"),
        (("add", "--tag", "T"), "--tag"),
        (("add", "--file", "no-such-file"), "--file"),
        (("add", "cat", "--format", "xml"), "--format"),
        (("delete",), "expected IDs of rules, or --all, but not both"),
        (("delete", "1", "--all"), "expected IDs of rules, or --all, but not both"),
    ],
)
def test_a_command_line_that_cannot_be_meant_is_refused(
    simulator: Simulator, rules: Run, arguments: tuple[str, ...], said: str
) -> None:
    assert said in " ".join(rules(*arguments, code=ExitCode.USAGE).stderr.split())
    assert not simulator.api_requests


def test_rules_are_deleted_by_id_or_all(simulator: Simulator, rules: Run) -> None:
    rules("add", "one", "two", "three")
    assert rules("delete", simulator.book.rules[1].id).stderr == "1 rule deleted.\n"
    assert values(simulator) == [("one", None), ("three", None)]
    gone = rules("delete", simulator.book.rules[0].id, "1", code=ExitCode.REFUSED)
    assert gone.stderr == "There is no rule 1; `rules list` shows the ids.\n1 rule deleted, 1 not.\n"
    assert rules("delete", "--all").stderr == "1 rule deleted.\n"
    assert values(simulator) == []


def test_rules_are_listed_over_all_pages(
    simulator: Simulator, rules: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("xdk_streaming.rules.MAX_RULES_PER_PAGE", 4)
    rules("add", *(f"word{number}" for number in range(10)))
    assert len(rules("list").stdout.splitlines()) == 10
    assert len(simulator.api_requests) == 4


def test_more_rules_than_x_allows_are_a_sentence(simulator: Simulator, rules: Run) -> None:
    result = rules("add", *(f"word{number}" for number in range(21)), code=ExitCode.REFUSED)
    assert "RulesCapExceeded" in result.stderr
    assert result.stderr.count("\n") == 1
    assert not simulator.book.rules


def test_a_refused_token_exits_with_3(rules: Run) -> None:
    result = rules("list", token="another", code=ExitCode.AUTHENTICATION)
    assert result.stderr.startswith("The server refused the request with 401")
    assert "another" not in result.output


def test_without_a_token_nothing_is_asked(simulator: Simulator, rules: Run) -> None:
    result = rules("list", token="", code=ExitCode.AUTHENTICATION)
    assert "No bearer token was found" in result.stderr
    assert not simulator.api_requests


def test_an_unreachable_server_is_an_error_message(rules: Run) -> None:
    with nobody() as url:
        result = rules("list", url=url, code=ExitCode.FAILED)
    assert "could not be reached: " in result.stderr
    assert "refused" in result.stderr
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize("start", ["http://", "https://", ""])
@pytest.mark.parametrize("password", ["hunter2", "hun/ter2", "hun:ter2", "hun#ter2", "hun//ter2"])
def test_a_password_in_a_url_is_never_shown(rules: Run, start: str, password: str) -> None:
    with nobody() as url:
        host = url.removeprefix("http://")
        for given in ({"url": f"{start}me:{password}@{host}"}, {"proxy": f"{start}me:{password}@{host}"}):
            proxied = ["--proxy", given["proxy"]] if "proxy" in given else []
            result = rules("list", *proxied, url=given.get("url", url), code=ExitCode.FAILED)
            assert "could not be reached: " in result.stderr
            assert not any(piece in result.stderr for piece in ("hun", "ter2"))


def test_a_token_in_the_clear_is_warned_of(rules: Run) -> None:
    result = rules("list", url="http://nowhere.invalid", code=ExitCode.FAILED)
    assert result.stderr.startswith(
        "Warning: --base-url begins with http: the bearer token is sent unencrypted.\n"
    )


def test_a_server_that_is_not_x_is_an_error_message(rules: Run) -> None:
    def serve(peer: Peer) -> None:
        peer.request()
        peer.send(head("Content-Length: 2") + b"hi")

    with served(serve) as url:
        result = rules("list", url=url, code=ExitCode.REFUSED)
    assert "without a JSON object" in result.stderr


def test_a_tag_cannot_steer_the_terminal(rules: Run) -> None:
    result = rules("add", "cat", "--tag", "a\x1b[2Jb\nc")
    assert "\x1b" not in result.stdout
    assert result.stdout.count("\n") == 1


@pytest.mark.parametrize("verb", ["list", "add", "delete"])
def test_the_help_names_every_option(verb: str) -> None:
    shown = CliRunner().invoke(app, ["rules", verb, "--help"], env={"COLUMNS": "160"}).stdout
    own = {"list": ["--format"], "add": ["--tag", "--file", "--dry-run"], "delete": ["--all", "--dry-run"]}
    for option in [*own[verb], "--base-url", "--bearer-token-file", "--proxy", "--ca-file", "--client-cert"]:
        assert option in shown
