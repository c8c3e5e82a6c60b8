"""The streaming verbs as programs: what they request, what they write, and how they end."""

from __future__ import annotations

import gzip
import json
import os
import select
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pexpect
import pytest
from typer.testing import CliRunner

from helpers.systems import posix
from helpers.terminal import COMMAND, ENVIRONMENT, GUARD, called, finished, started
from xdk_streaming import StreamError, StreamErrorType
from xdk_streaming.cli import endpoints
from xdk_streaming.cli.app import app
from xdk_streaming.cli.exits import ExitCode, exit_code
from xdk_streaming.cli.fields import ALL, USUAL
from xdk_streaming.cli.recording.part import part_of
from xdk_streaming.cli.recording.reading import recorded
from xdk_streaming.errors import RetriesExhausted
from xdk_streaming.simulator import Refuse, Reset, Serve, Simulator, Stall
from xdk_streaming.x import ENDPOINTS

UNAVAILABLE = (Refuse(503),)


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    with Simulator(rate=200, heartbeat=0.2) as simulator:
        yield simulator


def run(*arguments: object, **environment: str) -> Any:
    """In this process."""
    return CliRunner().invoke(
        app,
        [*map(str, arguments)],
        prog_name="xdk-streaming",
        env={"X_BEARER_TOKEN": "a-token", "COLUMNS": "160", **environment},
    )


def sent(simulator: Simulator) -> list[str]:
    return [entry.id for entry in simulator.log if entry.id]


def ids(lines: bytes) -> list[str]:
    return [json.loads(line)["data"]["id"] for line in lines.splitlines()]


# What is asked for.


@pytest.mark.parametrize(
    ("arguments", "path", "params"),
    [
        (["stream"], "/2/tweets/search/stream", {}),
        (["stream", "/2/tweets/label/stream"], "/2/tweets/label/stream", {}),
        (["sample"], "/2/tweets/sample/stream", {}),
        (["sample10", "--partition", "2"], "/2/tweets/sample10/stream", {"partition": "2"}),
        (["firehose", "--partition", "20"], "/2/tweets/firehose/stream", {"partition": "20"}),
        (
            ["firehose", "--lang", "ko", "--partition", "1"],
            "/2/tweets/firehose/stream/lang/ko",
            {"partition": "1"},
        ),
        (["likes", "--partition", "3"], "/2/likes/firehose/stream", {"partition": "3"}),
        (["likes", "--sample10", "--partition", "1"], "/2/likes/sample10/stream", {"partition": "1"}),
        (["compliance", "users", "--partition", "4"], "/2/users/compliance/stream", {"partition": "4"}),
        (["compliance", "labels"], "/2/tweets/label/stream", {}),
        (["activity"], "/2/activity/stream", {}),
        (["stream", "/2/powerstream"], "/2/powerstream", {}),
    ],
)
def test_each_verb_streams_from_its_path(
    simulator: Simulator, arguments: list[str], path: str, params: dict[str, str], tmp_path: Path
) -> None:
    output = tmp_path / "items"
    shown = run(*arguments, "--base-url", simulator.url, "-n", 2, "-o", output)
    assert shown.exit_code == 0, shown.output
    assert simulator.requests[0].path == path
    asked = dict(simulator.requests[0].params)
    assert {name: asked.pop(name) for name in params} == params
    assert set(asked) <= set(USUAL["posts"]) | set(USUAL["likes"])
    assert len(output.read_bytes().splitlines()) == 2


def test_every_path_of_x_has_a_verb_or_is_an_address() -> None:
    named = {
        *(endpoints.FILTERED, endpoints.SAMPLE, endpoints.SAMPLE10, endpoints.FIREHOSE, endpoints.LIKES),
        *(endpoints.LIKES10, endpoints.ACTIVITY),
        *endpoints.BY_LANGUAGE.values(),
        *endpoints.COMPLIANCE.values(),
    }
    assert {endpoint.path for endpoint in ENDPOINTS.values()} - {found.path for found in named} == {
        "/2/powerstream"
    }


def test_a_whole_url_is_streamed_from(simulator: Simulator, tmp_path: Path) -> None:
    url = f"{simulator.url}/2/tweets/sample/stream"
    assert run("stream", url, "-n", 1, "-o", tmp_path / "items").exit_code == 0
    assert simulator.requests[0].path == "/2/tweets/sample/stream"


def test_default_named_or_all_fields_are_requested(simulator: Simulator, tmp_path: Path) -> None:
    asks = [[], ["--tweet-fields", "lang", "--param", "x=1", "--expansions", ""], ["--all-fields"]]
    for ask in asks:
        run("sample", *ask, "--base-url", simulator.url, "-n", 1, "-o", tmp_path / "items")
    usual, named, everything = (dict(request.params) for request in simulator.requests)
    assert usual == USUAL["posts"]
    assert named == {"tweet.fields": "lang", "x": "1", "user.fields": USUAL["posts"]["user.fields"]}
    assert everything == ALL["posts"]
    assert "non_public_metrics" not in everything["tweet.fields"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["sample10"], "1 to 2"),
        (["sample10", "--partition", "3"], "3 is not between 1 and 2"),
        (["compliance", "likes", "--partition", "1"], "this stream has no partitions"),
        (["firehose", "--lang", "de", "--partition", "1"], "de"),
        (["stream", "search"], "neither a URL nor a path"),
        (["sample", "--base-url", "api.x.com"], "not a URL"),
        (["sample", "--param", "x"], "NAME=VALUE"),
        (["sample", "--rotate", "1h"], "--output"),
        (["sample", "--rotate", "often", "-o", "x"], "neither a duration nor a size"),
        (["sample", "--for", "10"], "not a duration"),
        (["sample", "--buffer", "0MB"], "not a size"),
        *[
            (["sample", "-o", f"posts{suffix}"], f"posts{suffix} would contain lines of JSON")
            for suffix in (".csv", ".parquet", ".sqlite", ".xz", ".ndjson.xz", ".csv.gz", ".txt")
        ],
        (["sample", "--limit", "0"], "limit"),
        (["sample", "--stall-timeout", "inf"], "stall_timeout"),
    ],
)
def test_an_invalid_command_line_is_refused_before_connecting(arguments: list[str], said: str) -> None:
    shown = run(*arguments)
    assert shown.exit_code == ExitCode.USAGE
    assert said in " ".join(shown.stderr.split())


def test_every_option_comes_from_the_environment_too(simulator: Simulator, tmp_path: Path) -> None:
    output = tmp_path / "items"
    shown = run(
        "sample",
        XDK_STREAMING_BASE_URL=simulator.url,
        XDK_STREAMING_LIMIT="3",
        XDK_STREAMING_OUTPUT=str(output),
        XDK_STREAMING_TWEET_FIELDS="lang",
        XDK_STREAMING_PARAM="backfill_minutes=0 poll.fields=id",
        XDK_STREAMING_FOR="1h",
    )
    assert shown.exit_code == 0, shown.output
    assert ids(output.read_bytes()) == sent(simulator)[:3]
    asked = simulator.requests[0].params
    assert (asked["tweet.fields"], asked["backfill_minutes"], asked["poll.fields"]) == ("lang", "0", "id")


# The token.


@pytest.mark.parametrize("name", ["X_BEARER_TOKEN", "BEARER_TOKEN", "TWITTER_BEARER_TOKEN"])
def test_the_token_comes_from_the_environment(name: str, tmp_path: Path) -> None:
    environment = {"X_BEARER_TOKEN": "", name: "secret-one"}
    with Simulator(rate=100, token="secret-one") as simulator:
        shown = run("sample", "--base-url", simulator.url, "-n", 1, "-o", tmp_path / "items", **environment)
    assert shown.exit_code == 0, shown.output


def test_a_file_with_the_token_outweighs_the_environment(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("secret-one\n", encoding="utf-8")
    with Simulator(rate=100, token="secret-one") as simulator:
        arguments = ("--bearer-token-file", file, "--base-url", simulator.url)
        assert run("sample", *arguments, "-n", 1, "-o", tmp_path / "items").exit_code == 0


def test_no_token_is_a_sentence_and_its_exit_code() -> None:
    nothing = {"X_BEARER_TOKEN": "", "BEARER_TOKEN": "", "TWITTER_BEARER_TOKEN": ""}
    shown = run("sample", **nothing)
    assert shown.exit_code == ExitCode.AUTHENTICATION
    assert "Set X_BEARER_TOKEN" in shown.stderr


@pytest.mark.parametrize("content", [b"", b"Bearer secret-one", b"\xff\xfe", None])
def test_a_file_without_a_token_is_refused_and_not_quoted(content: bytes | None, tmp_path: Path) -> None:
    file = tmp_path / "token"
    if content is not None:
        file.write_bytes(content)
    shown = run("sample", "--bearer-token-file", file)
    assert shown.exit_code == ExitCode.AUTHENTICATION
    assert str(file) in shown.stderr
    assert "secret" not in shown.stderr


# How it ends.


def test_a_token_that_x_does_not_take_has_its_exit_code() -> None:
    with Simulator(token="another") as simulator:
        code, out, err = called("sample", "--base-url", simulator.url)
    assert (code, out) == (ExitCode.AUTHENTICATION, b"")
    assert err.splitlines()[-1].startswith("AUTHENTICATION_ERROR: ")
    assert "a-token" not in err


def test_retries_that_are_spent_have_their_exit_code() -> None:
    with Simulator(script=[UNAVAILABLE], then=UNAVAILABLE) as simulator:
        code, _, err = called("sample", "--base-url", simulator.url, "--max-retries", 0)
    assert code == ExitCode.RETRIES_SPENT
    assert "Traceback" not in err


def test_a_refusal_for_good_has_its_exit_code(simulator: Simulator) -> None:
    code, _, err = finished("stream", "/2/nothing", "--base-url", simulator.url)
    assert code == ExitCode.REFUSED
    assert "Not Found" in err


@pytest.mark.parametrize("kind", StreamErrorType)
def test_each_error_has_an_exit_code_by_its_type(kind: StreamErrorType) -> None:
    expected = 3 if kind is StreamErrorType.AUTHENTICATION_ERROR else 5
    assert exit_code(StreamError("", kind)) == expected
    assert exit_code(RetriesExhausted("", kind)) == 4


@pytest.fixture
def hangup() -> Iterator[None]:
    """SIGHUP as it is by default, which the programs inherit: whoever runs the tests may have ignored it."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@posix("a program there is sent no signal that it can handle")
@pytest.mark.usefixtures("hangup")
@pytest.mark.parametrize(
    ("number", "code"),
    [
        (signal.SIGINT, ExitCode.INTERRUPTED),
        (signal.SIGTERM, ExitCode.TERMINATED),
        pytest.param(1, ExitCode.TERMINATED, id="SIGHUP"),
    ],
)
def test_a_signal_ends_the_stream_cleanly(
    simulator: Simulator, number: int, code: int, tmp_path: Path
) -> None:
    output = tmp_path / "posts.ndjson.zst"
    with started("sample", "--base-url", simulator.url, "-o", output) as program:
        wait_for_items(output, 20)
        program.send_signal(number)
        _, err = program.communicate(timeout=GUARD)
    assert program.returncode == code
    written = [json.loads(line)["data"]["id"] for line in recorded(output, print)]
    assert written == sent(simulator)[: len(written)]
    assert not part_of(output).exists()
    assert "summary" in err.decode().splitlines()[-1]


@posix("a program there is sent no signal that it can handle")
def test_a_program_that_is_to_outlive_its_terminal_does(simulator: Simulator, tmp_path: Path) -> None:
    output = tmp_path / "posts.ndjson"
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does; a program inherits it
    try:
        with started("sample", "--base-url", simulator.url, "-o", output) as program:
            wait_for_items(output, 20)
            program.send_signal(signal.SIGHUP)
            wait_for_items(output, len(output.read_bytes().splitlines()) + 50)
            program.send_signal(signal.SIGTERM)
            program.communicate(timeout=GUARD)
    finally:
        signal.signal(signal.SIGHUP, before)
    assert program.returncode == ExitCode.TERMINATED


@posix("a pseudo-terminal is opened")
@pytest.mark.usefixtures("hangup")
def test_a_terminal_that_is_closed_ends_the_recording_cleanly(simulator: Simulator, tmp_path: Path) -> None:
    output = tmp_path / "posts.ndjson.gz"
    options = ["sample", "--base-url", simulator.url, "-o", str(output)]
    program = pexpect.spawn(COMMAND[0], [*COMMAND[1:], *options], env=ENVIRONMENT, timeout=GUARD)
    wait_for_items(output, 20)
    os.close(program.fileno())
    wait_until(lambda: not program.isalive())
    assert program.exitstatus == ExitCode.TERMINATED
    assert not part_of(output).exists()
    assert len(gzip.decompress(output.read_bytes()).splitlines()) >= 20


@posix("an open file can be renamed")
@pytest.mark.parametrize("name", ["posts.ndjson", "posts.ndjson.gz", "posts.ndjson.zst"])
def test_no_item_is_missing_when_a_recording_is_renamed(
    simulator: Simulator, name: str, tmp_path: Path
) -> None:
    output, old = tmp_path / name, tmp_path / f"old-{name}"
    options = ("--base-url", simulator.url, "-o", output, "--log-format", "json")
    with started("sample", *options) as program:
        wait_for_items(output, 20)
        output.rename(old)
        wait_until(output.exists)
        wait_for_items(output, 20)
        program.send_signal(signal.SIGTERM)
        _, err = program.communicate(timeout=GUARD)
    written = [json.loads(line)["data"]["id"] for path in (old, output) for line in recorded(path, print)]
    assert written == sent(simulator)[: len(written)]
    summary = json.loads(err.splitlines()[-1])
    assert summary["items"] == len(written)
    assert summary["output_bytes"] == old.stat().st_size + output.stat().st_size
    assert summary["output_files"] == 2


@posix("a program there is sent no signal that it can handle")
def test_a_second_interrupt_exits_immediately(simulator: Simulator) -> None:
    reading, writing = os.pipe()
    try:
        with started("sample", "--base-url", simulator.url, stdout=writing) as program:  # and nobody reads
            wait_until(lambda: not select.select([], [writing], [], 0)[1])
            time.sleep(0.2)  # for the write that has to wait: nothing tells
            program.send_signal(signal.SIGINT)
            with pytest.raises(subprocess.TimeoutExpired):
                program.wait(0.5)
            program.send_signal(signal.SIGINT)
            assert program.wait(GUARD) == -signal.SIGINT
    finally:
        os.close(reading)
        os.close(writing)


def wait_for_items(path: Path, number: int) -> None:
    wait_until(lambda: path.exists() and len([*recorded(path, print)]) >= number)


def wait_until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + GUARD
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_limit_and_time_exit_with_0(simulator: Simulator) -> None:
    code, out, _ = called("sample", "--base-url", simulator.url, "-n", 5)
    assert (code, ids(out)) == (0, sent(simulator)[:5])
    code, _, err = called("sample", "--base-url", simulator.url, "--for", "0.6s", "-o", os.devnull)
    assert code == 0
    assert "items in 0." in err


def test_a_vanished_reader_ends_the_stream_with_a_message(simulator: Simulator) -> None:
    with started("sample", "--base-url", simulator.url) as program:
        assert program.stdout is not None
        assert program.stdout.readline().startswith(b'{"data"')
        program.stdout.close()
        assert program.stderr is not None
        err = program.stderr.read().decode()
        assert program.wait(GUARD) == 0
    assert err.splitlines()[-1] == "The reader of standard output has exited."
    assert "Traceback" not in err


def test_a_vanished_reader_is_noticed_without_items() -> None:
    with (
        Simulator(rate=0, then=(Serve(1), Stall())) as simulator,
        started("sample", "--base-url", simulator.url) as program,
    ):
        assert program.stdout is not None
        program.stdout.readline()
        program.stdout.close()
        assert program.wait(GUARD) == 0


@pytest.mark.parametrize(
    ("output", "said"),
    [
        pytest.param("/dev/full", "No space left", marks=posix("it has no /dev/full")),
        ("/missing/file", "No such file or directory"),
    ],
)
def test_a_file_that_cannot_be_written_is_a_sentence(simulator: Simulator, output: str, said: str) -> None:
    code, _, err = called("sample", "--base-url", simulator.url, "-o", output)
    assert code == ExitCode.FAILED
    assert "could not be written" in err
    assert said in err.splitlines()[-1]


def test_standard_output_on_a_full_disk_is_a_sentence(simulator: Simulator) -> None:
    with Path("/dev/full").open("wb") as full:
        code, _, err = finished("sample", "--base-url", simulator.url, stdout=full)
    assert code == ExitCode.FAILED
    assert "standard output could not be written: No space left" in err


# Reports.


def test_each_transition_is_a_json_line_that_names_its_row() -> None:
    with Simulator(script=[(Serve(2), Reset())], rate=100) as simulator:
        _, _, err = called("sample", "--base-url", simulator.url, "-n", 5, "--log-format", "json")
    told = [json.loads(line) for line in err.splitlines()]
    changes = [
        (event["source"], event["dest"], event["trigger"]) for event in told if event["event"] == "transition"
    ]
    assert changes == [
        ("DISCONNECTED", "CONNECTING", "START"),
        ("CONNECTING", "STREAMING", "OPENED"),
        ("STREAMING", "BACKOFF", "BROKE"),
        ("BACKOFF", "BACKOFF", "RETRY"),
        ("BACKOFF", "CONNECTING", "WAITED"),
        ("CONNECTING", "STREAMING", "OPENED"),
        ("STREAMING", "DISCONNECTED", "STOP"),
    ]
    assert all(event["reason"] for event in told if event["event"] == "transition")
    assert {"gap", "summary"} <= {event["event"] for event in told}
    assert (told[-1]["event"], told[-1]["items"], told[-1]["reconnects"]) == ("summary", 5, 1)
    assert all({"event", "at", "level"} <= event.keys() for event in told)
    levels = {event["trigger"]: event["level"] for event in told if event["event"] == "transition"}
    assert (levels["OPENED"], levels["BROKE"], told[-1]["level"]) == ("INFO", "WARNING", "INFO")


def test_in_the_json_log_the_reason_for_the_end_is_json_too() -> None:
    with Simulator(then=(Refuse(401),)) as simulator:
        code, _, err = finished("sample", "--base-url", simulator.url, "--log-format", "json")
    *_, transition, summary, reason = map(json.loads, err.splitlines())
    assert code == 3
    assert (transition["dest"], transition["level"], summary["event"]) == ("FAILED", "ERROR", "summary")
    assert (reason["event"], reason["level"]) == ("error", "ERROR")
    assert reason["message"].startswith("AUTHENTICATION_ERROR: ")


def test_output_bytes_count_all_parts_of_a_rotation(tmp_path: Path) -> None:
    with Simulator(rate=500) as simulator:
        _, _, err = finished(
            *("sample", "--base-url", simulator.url, "-n", 20, "-o", tmp_path / "posts.ndjson"),
            *("--rotate", "1kB", "--log-format", "json"),
        )
    parts = [part.stat().st_size for part in tmp_path.iterdir()]
    assert len(parts) > 1
    assert json.loads(err.splitlines()[-1])["output_bytes"] == sum(parts)


def test_quiet_is_quiet(simulator: Simulator) -> None:
    code, out, err = called("sample", "--base-url", simulator.url, "-n", 2, "--quiet")
    assert (code, len(out.splitlines()), err) == (0, 2, "")


def test_text_output_has_one_safe_line_per_post(simulator: Simulator) -> None:
    _, out, _ = called("sample", "--base-url", simulator.url, "-n", 30, "--format", "text")
    lines = out.decode().splitlines()
    assert len(lines) == 30
    assert all(number in line and "@" in line for number, line in zip(sent(simulator), lines, strict=False))
    assert all(line.isprintable() for line in lines)


# What was recorded.


@pytest.mark.parametrize("name", ["posts.ndjson", "posts.ndjson.gz", "posts.ndjson.zst"])
def test_a_recording_replayed_is_the_same_byte_for_byte(name: str, tmp_path: Path) -> None:
    with Simulator(rate=500) as simulator:
        called("sample", "--base-url", simulator.url, "-n", 50, "-o", tmp_path / name, "--all-fields")
        first = sent(simulator)[:50]
    code, out, _ = called("replay", tmp_path / name)
    assert (code, ids(out)) == (0, first)
    (tmp_path / "again.ndjson").write_bytes(out)
    with Simulator(replay=tmp_path / "again.ndjson", rate=500) as simulator:
        _, again, _ = called("sample", "--base-url", simulator.url, "-n", 50)
    assert again == out


@posix("a program there is sent no signal that it can handle")
def test_a_kill_loses_nothing_that_the_checkpoint_counts_as_written(tmp_path: Path) -> None:
    output, checkpoint = tmp_path / "posts.ndjson.zst", tmp_path / "seen"
    with Simulator(rate=300, backlog=60) as simulator:
        arguments = ("--base-url", simulator.url, "-o", output, "--checkpoint", checkpoint, "--backfill")
        for _ in range(3):
            before = len([*recorded(output, print)]) if output.exists() else 0
            with started("sample", *arguments) as program:
                wait_for_items(output, before + 250)
                program.kill()
                program.communicate()
        posts = published(simulator)
        owed = posts[posts.index(written_ids(output)[0]) :]
        with started("sample", *arguments) as program:  # which gets them in the order of no clock
            wait_until(lambda: set(owed) <= set(written_ids(output)))
            program.send_signal(signal.SIGTERM)
            program.communicate(timeout=GUARD)
    assert program.returncode == ExitCode.TERMINATED
    assert set(owed) <= set(written_ids(output))


def written_ids(output: Path) -> list[str]:
    return [json.loads(line)["data"]["id"] for line in recorded(output, print)]


def published(simulator: Simulator) -> list[str]:
    """The ids of all posts until now, sent or not."""
    sample = ENDPOINTS["/2/tweets/sample/stream"]
    numbers = range(simulator.timeline.published(time.time()))
    return [str(simulator.item(number, sample, {})[1]) for number in numbers]


def test_replay_warns_of_a_recording_that_was_cut_short(tmp_path: Path) -> None:
    path = tmp_path / "posts.ndjson"
    path.write_bytes(b'{"data":{"id":"1","text":"one"}}\r\n\r\n{"data":{"id":"2"')
    code, out, err = called("replay", path)
    assert (code, out) == (0, b'{"data":{"id":"1","text":"one"}}\n')
    assert "in the middle of a line" in err
    assert called("replay", "-f", "text", path)[1] == b"1  one\n"


def test_replay_of_what_is_no_recording_is_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "posts.ndjson.zst"
    path.write_bytes(b"not compressed at all\n")
    code, _, err = finished("replay", path)
    assert code == ExitCode.FAILED
    assert "could not be replayed" in err
    assert "Traceback" not in err


def test_replay_keeps_the_requested_pace(tmp_path: Path) -> None:
    path = tmp_path / "posts.ndjson"
    lines = [b'{"data":{"created_at":"2026-11-23T13:00:0%d.000Z"}}\n' % second for second in range(4)]
    path.write_bytes(b"".join(lines))
    before = time.monotonic()
    assert called("replay", path, "--speed", 6, "--limit", 4)[1] == b"".join(lines)
    assert time.monotonic() - before >= 0.5


@posix("command lines are in /proc")
def test_the_token_is_never_on_a_command_line(simulator: Simulator) -> None:
    with started("sample", "--base-url", simulator.url, "-o", os.devnull) as program:
        shown = Path(f"/proc/{program.pid}/cmdline").read_bytes()
    assert ENVIRONMENT["X_BEARER_TOKEN"].encode() not in shown
