"""`simulate`, as a program: what it prints works when it is pasted, and each flag does what it says."""

from __future__ import annotations

import gzip
import inspect
import json
import os
import re
import signal
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import requests
import trustme
import typer
import zstandard
from typer.testing import CliRunner

import xdk_streaming
from helpers.systems import posix
from xdk_streaming.cli import certificates, shell_commands
from xdk_streaming.cli import simulate as simulate_module
from xdk_streaming.cli.app import app
from xdk_streaming.cli.certificates import tls_setup
from xdk_streaming.cli.fault_option import seconds
from xdk_streaming.cli.recording.whole_lines import whole_lines
from xdk_streaming.simulator import Simulator
from xdk_streaming.x import ENDPOINTS

GUARD = 30.0
SAMPLE, SEARCH = "/2/tweets/sample/stream", "/2/tweets/search/stream"
LINES = [
    b'{"data":{"id":"1"}, "odd" : [1,  2]}',
    '{"data":{"id":"2","text":"\u00e9\u2028\U0001f408"}}'.encode(),
]
RECORDED = b"".join(line + b"\n" for line in LINES)


def environment(folder: Path) -> dict[str, str]:
    """With `xdk-streaming` on the path, whatever is installed."""
    script = folder / "xdk-streaming"
    script.write_text(f'#!/bin/sh\nexec {sys.executable} -m xdk_streaming "$@"\n', encoding="utf-8")
    script.chmod(0o755)
    package = str(Path(xdk_streaming.__file__).parents[1])
    return {
        **{name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")},
        "PATH": os.pathsep.join([str(folder), os.environ["PATH"]]),
        "PYTHONPATH": os.pathsep.join([package, os.environ.get("PYTHONPATH", "")]),
        "no_proxy": "*",
    }


class Program:
    """A simulator that runs, and what it printed to be pasted."""

    def __init__(self, process: subprocess.Popen[str], folder: Path, printed: int) -> None:
        self.process = process
        self.folder = folder
        assert process.stdout is not None
        self.printed = [process.stdout.readline().rstrip("\n") for _ in range(printed)]
        found = re.search(r"https?://[^;]+", self.printed[0])
        assert found is not None, self.printed
        self.url = found[0]

    def pasted(self, line: str, count: int) -> list[Any]:
        """The first items that a shell gets by this line."""
        command = subprocess.Popen(
            ["bash", "-c", line],
            env=environment(self.folder),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        guard = threading.Timer(GUARD, os.killpg, (command.pid, signal.SIGKILL))
        guard.start()
        with command:
            assert command.stdout is not None
            assert command.stderr is not None
            received = list(islice(command.stdout, count))
            guard.cancel()
            guard.join()
            if len(received) == count:
                os.killpg(command.pid, signal.SIGKILL)
            assert len(received) == count, command.stderr.read()
        return [json.loads(line) for line in received]

    def run(self, line: str) -> str:
        """What a shell prints for this line."""
        done = subprocess.run(
            ["bash", "-c", line], env=environment(self.folder), capture_output=True, text=True, timeout=GUARD
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def end(self, how: signal.Signals = signal.SIGTERM) -> list[str]:
        """Its last lines on stderr."""
        self.process.send_signal(how)
        _, said = self.process.communicate(timeout=GUARD)
        assert self.process.returncode == 0, said
        return said.splitlines()


Start = Callable[..., Any]


@pytest.fixture
def start(tmp_path: Path) -> Start:
    @contextmanager
    def started(*arguments: str, printed: int = 6) -> Iterator[Program]:
        with subprocess.Popen(
            [sys.executable, "-m", "xdk_streaming", "simulate", "--port", "0", *arguments],
            env=environment(tmp_path),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        ) as process:
            try:
                yield Program(process, tmp_path, printed)
            finally:
                process.kill()

    return started


# What is printed


@posix("the commands are printed for a POSIX shell")
@pytest.mark.parametrize("tls", [(), ("--tls",)], ids=["plain", "tls"])
def test_the_printed_commands_work(start: Start, tls: tuple[str, ...]) -> None:
    with start("--rate", "200", *tls) as program:
        _, curl, sample, comment, add, stream = program.printed
        assert [item["data"]["id"] for item in program.pasted(curl, 3)]
        assert comment == "# To stream from the filtered stream, first add a rule:"
        id = program.run(add).split()[0]
        posts = program.pasted(curl.replace(SAMPLE, SEARCH), 3)
        assert [post["matching_rules"] for post in posts] == [[{"id": id}]] * 3
        assert sample.startswith(f"X_BEARER_TOKEN=any xdk-streaming sample --base-url {program.url}")
        assert stream == sample.replace(" sample ", " stream ")
        assert ("--ca-file" in sample) == bool(tls)
        summary = program.end()[-1]
        ca_file = re.search(r"--cacert (\S+)", curl)
    assert re.fullmatch(r"Stopped after 2 connections, \d+ items sent, 1 other request\.", summary)
    assert ca_file is None or not Path(ca_file[1]).exists()


@posix("the commands are printed for a POSIX shell")
def test_with_a_token_file_the_token_stays_in_it(start: Start, tmp_path: Path) -> None:
    file = tmp_path / "a token's file"
    file.write_text("s3cret\n", encoding="utf-8")
    with start("--rate", "200", "--token-file", str(file), "--rule", "from:x", printed=4) as program:
        _, curl, _, stream = program.printed
        assert not any("s3cret" in line for line in program.printed)
        assert program.pasted(curl, 1)
        rules = stream.replace(" stream ", " rules list ")
        assert "from:x" in program.run(rules)
        assert not any("s3cret" in line for line in program.end())


@posix("a program there is sent no signal that it can handle")
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_simulator_cleanly_with_a_summary(start: Start, how: signal.Signals) -> None:
    with start("--rate", "200") as program:
        program.pasted(program.printed[1], 2)
        said = program.end(how)
    assert said[-1].startswith("Stopped after 1 connection, ")
    assert not any("Traceback" in line for line in said)


def test_a_suggested_rule_matches_many_of_the_posts() -> None:
    with Simulator(rules=[simulate_module.SUGGESTED], rate=0) as simulator:
        made = simulator.items(range(200), ENDPOINTS[SEARCH], {})
    assert sum(line is not None for line in made) > 40


# Flags


def simulated(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> tuple[list[Simulator], Any]:
    """The simulator that a command line makes, and how the command ended."""
    seen: list[Simulator] = []

    def report(simulator: Simulator) -> None:
        seen.append(simulator)
        raise KeyboardInterrupt

    monkeypatch.setattr(simulate_module, "_report", report)
    given = ["simulate", "--port", "0", *arguments]
    return seen, CliRunner().invoke(app, given, prog_name="xdk-streaming", env={"COLUMNS": "160"})


def test_each_flag_reaches_the_simulator(monkeypatch: pytest.MonkeyPatch) -> None:
    given = {
        "--heartbeat": "500ms",
        "--queue": "1.5s",
        "--backlog": "2m",
        "--zombie": "30",
        "--connections": "2",
        "--max-rules": "3",
    }
    words = [word for option in given.items() for word in option]
    flags = ["--no-slow-notice", "--no-entitled", "--rule", "cat", "--rule", "dog bird"]
    (simulator,), result = simulated(monkeypatch, *words, *flags)
    assert result.exit_code == 0, result.output
    behaviour = simulator.behaviour
    seen = (behaviour.heartbeat, behaviour.patience.seconds, behaviour.backlog, simulator.book.most)
    assert seen == (0.5, 1.5, 120.0, 3)
    assert (behaviour.patience.notice, simulator.access.entitled) == (False, False)
    assert [rule.value for rule in simulator.book.rules] == ["cat", "dog bird"]
    assert [simulator.slots.enter(request) for request in range(3)] == [True, True, False]
    simulator.slots.leave(0, abrupt=True)
    assert not simulator.slots.enter(3)  # a zombie holds the place


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("10", 10),
        ("0", 0),
        ("1.5", 1.5),
        ("10s", 10),
        ("2m", 120),
        ("500ms", 0.5),
        ("1h30m", 5400),
        ("1e3", 1000),
    ],
)
def test_lengths_of_time_have_units_or_are_seconds(text: str, expected: float) -> None:
    assert seconds(text) == pytest.approx(expected)


@pytest.mark.parametrize(
    "text", ["", "s", "ms", "-1s", "-1", "10 s", "nan", "inf", "nanms", "1e10", "10x", "2m-1s"]
)
def test_an_invalid_duration_is_refused(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="not a duration"):
        seconds(text)


@pytest.mark.parametrize("fault", ["end@10ms", "end@0.01s", "end@0.01"])
def test_a_fault_comes_after_a_time_with_a_unit(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[bytes] = []

    def report(simulator: Simulator) -> None:
        with requests.Session() as session:
            session.trust_env = False
            headers = {"Authorization": "Bearer any"}
            with session.get(simulator.url + SAMPLE, headers=headers, timeout=GUARD) as answer:
                seen.append(answer.content)
        raise KeyboardInterrupt

    monkeypatch.setattr(simulate_module, "_report", report)
    given = ["simulate", "--port", "0", "--rate", "1000", "--fault", fault]
    assert CliRunner().invoke(app, given).exit_code == 0
    assert 1 <= seen[0].count(b"\r\n") <= 11


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--heartbeat", "0s"),
        ("--heartbeat", "soon"),
        ("--queue", "0"),
        ("--queue", "-1s"),
        ("--zombie", "-1"),
        ("--zombie", "for ever"),
        ("--backlog", "nan"),
        ("--connections", "0"),
        ("--max-rules", "0"),
        ("--tls-cert", "no-such-file"),
        ("--tls-key", "no-such-file"),
        ("--fault", "reset@10x"),
        ("--fault", "reset@-1s"),
    ],
)
def test_a_value_that_cannot_work_is_refused_with_its_options_name(
    option: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen, result = simulated(monkeypatch, option, value)
    assert (result.exit_code, result.stdout, seen) == (2, "", [])
    assert option in result.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--rule", "(cat"), "rules has '(cat': A parenthesis is not closed (at position 1)"),
        (("--rule", "cat", "--rule", "dog", "--max-rules", "1"), "exceed its maximum number of rules"),
        (("--host", "256.0.0.1"), "could not start"),
    ],
)
def test_a_failure_to_start_is_one_error_message(
    arguments: Sequence[str], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen, result = simulated(monkeypatch, *arguments)
    assert (result.exit_code, result.stdout, seen) == (1, "", [])
    assert said in result.stderr
    assert result.stderr.count("\n") == 1


def test_the_help_has_every_parameter_of_the_simulator() -> None:
    shown = CliRunner().invoke(app, ["simulate", "--help"], env={"COLUMNS": "200"}).stdout
    elsewhere = {
        "self": "",
        "script": "--fault",
        "then": "",
        "random_faults": "--fault",
        "token": "--token-file",
        "rules": "--rule",
        "most_rules": "--max-rules",
        "logged": "",
    }
    for name in inspect.signature(Simulator.__init__).parameters:
        assert elsewhere.get(name, f"--{name.replace('_', '-')}") in shown


# TLS


@pytest.fixture
def own(tmp_path: Path) -> tuple[Path, Path]:
    """A certificate and its key, in a file each."""
    certificate = trustme.CA().issue_cert("127.0.0.1")
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    certificate.cert_chain_pems[0].write_to_path(str(cert))
    certificate.private_key_pem.write_to_path(str(key))
    return cert, key


def test_with_an_own_certificate_no_ca_file_is_printed(
    own: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    cert, key = map(str, own)
    (simulator,), result = simulated(monkeypatch, "--tls-cert", cert, "--tls-key", key)
    assert simulator.url.startswith("https://")
    assert "cacert" not in result.stdout


@pytest.mark.parametrize("which", ["without its key", "without a certificate", "nothing"])
def test_a_certificate_that_cannot_be_used_is_refused(
    own: tuple[Path, Path], which: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    cert, key = own
    nothing = tmp_path / "nothing.pem"
    nothing.write_text("nothing", encoding="utf-8")
    arguments, option = {
        "without its key": (("--tls-cert", str(cert)), "--tls-cert"),
        "without a certificate": (("--tls-key", str(key)), "--tls-key"),
        "nothing": (("--tls-cert", str(nothing)), "--tls-cert"),
    }[which]
    seen, result = simulated(monkeypatch, *arguments)
    assert (result.exit_code, result.stdout, seen) == (2, "", [])
    assert option in result.stderr


def test_without_trustme_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "trustme", None)
    seen, result = simulated(monkeypatch, "--tls")
    assert (result.exit_code, seen) == (1, [])
    assert result.stderr == certificates.MISSING + "\n"
    assert "pip install 'xdk-streaming[tls]'" in result.stderr


def test_a_generated_certificate_is_trusted_only_by_its_ca() -> None:
    with tls_setup("127.0.0.1", tls=True, cert=None, key=None) as made:
        assert made is not None
        assert made.ca_file is not None
        ssl.create_default_context(cafile=str(made.ca_file))
        assert [file.name for file in made.ca_file.parent.iterdir()] == ["ca.pem"]  # no key lies about
    assert not made.ca_file.parent.exists()


def test_a_path_with_a_space_is_quoted(tmp_path: Path) -> None:
    file = tmp_path / "two words"
    with Simulator() as simulator:
        lines = shell_commands.ShellCommands(simulator, None, file)
        assert f"'{file}'" in lines.curl()
        assert lines.ours("rules", "add", "a b").startswith(
            "xdk-streaming rules add 'a b' --base-url http://"
        )


# Replay


def zst(data: bytes) -> bytes:
    return zstandard.ZstdCompressor().compress(data)


PACKED: Mapping[str, Callable[[bytes], bytes]] = {"": bytes, ".gz": gzip.compress, ".zst": zst}


@posix("a program there is sent no signal that it can handle")
@pytest.mark.parametrize("suffix", PACKED)
def test_a_recording_is_served_byte_for_byte_whatever_the_rules(
    start: Start, tmp_path: Path, suffix: str
) -> None:
    """As it was recorded: a frame after the other, each with so many lines."""
    pack = PACKED[suffix]
    path = tmp_path / f"recorded.ndjson{suffix}"
    path.write_bytes(b"".join(pack(line + b"\n") for line in LINES))
    options = ("--rate", "1000", "--replay", str(path), "--fault", "end@200ms")
    with start(*options, printed=4) as program, requests.Session() as session:
        session.trust_env = False
        headers = {"Authorization": "Bearer any"}
        answer = session.get(program.url + SEARCH, headers=headers, timeout=GUARD)
        assert (answer.status_code, answer.content) == (200, b"".join(line + b"\r\n" for line in LINES))
        assert "2 items sent" in program.end()[-1]


@pytest.mark.parametrize("suffix", PACKED)
def test_half_a_line_at_the_end_is_left_out_with_a_warning(
    tmp_path: Path, suffix: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / f"recorded.ndjson{suffix}"
    path.write_bytes(PACKED[suffix](RECORDED + b'{"data":{"id"'))
    with whole_lines(path) as plain:
        assert plain.read_bytes() == RECORDED
    assert capsys.readouterr().err == (
        f"Warning: {path} ends in the middle of a line; the last 13 bytes are ignored.\n"
    )
    assert plain == path or not plain.exists()


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
def test_half_a_frame_at_the_end_is_left_out_with_a_warning(
    tmp_path: Path, suffix: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / f"recorded.ndjson{suffix}"
    path.write_bytes(PACKED[suffix](RECORDED) + PACKED[suffix](b'{"data":{"id":"3"}}\n')[:12])
    with whole_lines(path) as plain:
        assert plain.read_bytes() == RECORDED
    assert "ends in the middle of a compressed frame" in capsys.readouterr().err


@pytest.mark.parametrize("content", [RECORDED, RECORDED.removesuffix(b"\n"), b"", b"\n"])
def test_a_plain_file_of_whole_lines_is_served_as_it_is(
    tmp_path: Path, content: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "recorded.ndjson"
    path.write_bytes(content)
    with whole_lines(path) as plain:
        assert plain == path
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
def test_a_damaged_archive_is_one_error_message(
    tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / f"recorded.ndjson{suffix}"
    path.write_bytes(RECORDED)
    seen, result = simulated(monkeypatch, "--replay", str(path))
    assert (result.exit_code, result.stdout, seen) == (1, "", [])
    assert f"{path} is damaged or not a {suffix} file" in result.stderr
    assert result.stderr.count("\n") == 1
