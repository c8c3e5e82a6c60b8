"""The command line: in process where that shows the same, as a program where it does not."""

from __future__ import annotations

import errno
import logging
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import pytest
import requests
from typer.testing import CliRunner

import xdk_streaming
from helpers.systems import posix
from xdk_streaming import ConnectionState, StreamConfig, stream_with_retry
from xdk_streaming.__main__ import main
from xdk_streaming.cli import demo as demo_module
from xdk_streaming.cli import simulate as simulate_module
from xdk_streaming.cli.app import app
from xdk_streaming.machine import diagram
from xdk_streaming.simulator import End, Live, Reset, Simulator, Stall
from xdk_streaming.simulator.faults import RANDOM_FAULTS

SAMPLE = "/2/tweets/sample/stream"
GUARD = 30.0
"""Seconds after which a program that should have ended counts as hanging."""

# The terminal's width and colours are the user's; SIGINT is ignored in the children of some shells.
ENVIRONMENT = {
    **os.environ,
    "PYTHONPATH": os.pathsep.join(
        [str(Path(xdk_streaming.__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    ),
    "PYTHONWARNINGS": "default",
    "COLUMNS": "160",
    "NO_COLOR": "1",
    "PYTHONIOENCODING": "utf-8",
    "TERM": "dumb",
}
INTERRUPTIBLE = [
    "-c",
    "import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL); "
    "os.execv(sys.executable, [sys.executable, *sys.argv[1:]])",
]
if sys.platform == "win32":  # where no signal is sent, and execv() starts a second process
    INTERRUPTIBLE = []


def run(*arguments: str) -> Any:
    """The command line, in this process."""
    return CliRunner().invoke(app, arguments, prog_name="xdk-streaming", env={"COLUMNS": "160"})


def refusal(*arguments: str, code: int) -> str:
    """What is said on stderr by a command line that ends with this code, and says nothing else."""
    result = run(*arguments)
    assert result.exit_code == code, result.output
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    return str(result.stderr)


def start(*arguments: str) -> subprocess.Popen[str]:
    """The command line as a program of its own."""
    return subprocess.Popen(
        [sys.executable, *INTERRUPTIBLE, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        env=ENVIRONMENT,
    )


@contextmanager
def started(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    with start(*arguments) as program:
        try:
            yield program
        finally:
            program.kill()


def finished(*arguments: str) -> tuple[int, str, str]:
    """Its exit code, and what it wrote to stdout and stderr."""
    with started(*arguments) as program:
        out, err = program.communicate(timeout=GUARD)
        return program.returncode, out, err


# The program as such.


def test_the_help_names_every_verb() -> None:
    result = run("--help")
    assert result.exit_code == 0
    for verb in ("demo", "diagram", "faults", "simulate"):
        assert re.search(rf"^ +{verb} ", result.stdout, re.MULTILINE)


@pytest.mark.parametrize(
    ("verb", "options"),
    [
        ("demo", []),
        ("diagram", ["--format", "--output", "--highlight"]),
        ("faults", ["--format", "--output"]),
        (
            "simulate",
            ["--host", "--port", "--rate", "--heartbeat", "--fault", "--seed", "--replay", "--token-file"],
        ),
    ],
)
def test_the_help_of_a_verb_names_its_options(verb: str, options: list[str]) -> None:
    result = run(verb, "--help")
    assert result.exit_code == 0
    assert result.stdout.startswith(f"Usage: xdk-streaming {verb}")
    for option in options:
        assert option in result.stdout


def test_the_help_names_every_random_fault_and_format() -> None:
    said = " ".join(run("simulate", "--help").stdout.split())
    assert all(kind in said for kind in (*(fault.name for fault in RANDOM_FAULTS), "random:P"))
    assert "xdk-streaming faults" in said
    assert all(name in run("diagram", "--help").stdout for name in diagram.FORMATS)


def test_the_version_is_the_packages() -> None:
    result = run("--version")
    assert (result.exit_code, result.stdout) == (0, f"xdk-streaming {xdk_streaming.__version__}\n")


def test_without_arguments_the_help_is_shown() -> None:
    result = run()
    assert result.exit_code == 2
    assert result.output == run("--help").output


def test_an_unknown_verb_is_refused_by_name() -> None:
    assert "nonsense" in refusal("nonsense", code=2)


def test_python_dash_m_is_the_command_line() -> None:
    version = f"xdk-streaming {xdk_streaming.__version__}\n"
    assert finished("-m", "xdk_streaming", "--version") == (0, version, "")


WITHOUT = """
import sys

class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name == sys.argv[1]:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Hidden())
from xdk_streaming.__main__ import main
main()
"""
"""The command line in a Python that lacks a package."""


@pytest.mark.parametrize("missing", ["typer", "rich"])
def test_without_the_extra_one_sentence_says_what_to_install(missing: str) -> None:
    code, out, err = finished("-c", WITHOUT, missing)
    assert (code, out) == (1, "")
    assert err == f"The command line needs {missing}; install it with: pip install 'xdk-streaming[cli]'\n"


def test_another_missing_module_is_not_blamed_on_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "xdk_streaming.cli.app", None)
    with pytest.raises(ModuleNotFoundError, match=r"xdk_streaming\.cli\.app"):
        main()


# diagram


@pytest.fixture
def drawing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A Graphviz that draws the same picture everywhere."""
    program = tmp_path / "dot"
    program.write_text("#!/bin/sh\ncat > /dev/null\necho '<svg/>'\n", encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)


pictures = pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=posix("Graphviz is not there")) if name == "svg" else name
        for name in diagram.FORMATS
    ],
)


@pictures
@pytest.mark.usefixtures("drawing")
def test_a_diagram_goes_to_stdout_as_it_is(name: str) -> None:
    result = run("diagram", "--format", name)
    assert (result.exit_code, result.stdout) == (0, diagram.FORMATS[name]())


@pictures
@pytest.mark.parametrize("option", ["-o", "--output"])
@pytest.mark.usefixtures("drawing")
def test_or_to_a_file_and_then_nothing_to_stdout(name: str, option: str, tmp_path: Path) -> None:
    path = tmp_path / "picture"
    result = run("diagram", "-f", name, option, str(path))
    assert (result.exit_code, result.output) == (0, "")
    assert path.read_text(encoding="utf-8") == diagram.FORMATS[name]()


def test_mermaid_is_the_default_format() -> None:
    assert run("diagram").stdout == diagram.mermaid()


@pytest.mark.parametrize("state", ["STREAMING", "streaming", "Streaming"])
def test_a_state_is_highlighted_regardless_of_case(state: str) -> None:
    result = run("diagram", "--highlight", state)
    assert (result.exit_code, result.stdout) == (0, diagram.mermaid(highlight=ConnectionState.STREAMING))


@pytest.mark.parametrize("state", ConnectionState, ids=lambda state: state.name)
def test_every_state_can_be_highlighted(state: ConnectionState) -> None:
    result = run("diagram", "--format", "markdown", "--highlight", state.name)
    assert (result.exit_code, result.stdout) == (0, diagram.markdown(highlight=state))


def test_an_unknown_format_is_refused_with_those_there_are() -> None:
    said = refusal("diagram", "--format", "png", code=2)
    assert "png" in said
    assert all(name in said for name in diagram.FORMATS)


def test_an_unknown_state_is_refused_with_those_there_are() -> None:
    said = refusal("diagram", "--highlight", "SLEEPING", code=2)
    assert "SLEEPING" in said
    assert all(state.name in said.upper() for state in ConnectionState)


def test_a_file_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "missing" / "connection.mmd"
    assert refusal("diagram", "-o", str(path), code=1) == (
        f"{path} could not be written: No such file or directory\n"
    )


def test_a_folder_is_no_file_to_write(tmp_path: Path) -> None:
    assert "is a directory" in refusal("diagram", "-o", str(tmp_path), code=2)


def test_without_graphviz_the_error_names_the_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    path = tmp_path / "connection.svg"
    said = refusal("diagram", "--format", "svg", "-o", str(path), code=1)
    assert "install the package graphviz" in said
    assert said.count("\n") == 1
    assert not path.exists()


# simulate, in process: while it runs, a function of the test takes the place of its reports.

Visitor = Callable[[Simulator], None]


def simulate_for(visitor: Visitor, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> Any:
    def report(simulator: Simulator) -> None:
        visitor(simulator)
        raise KeyboardInterrupt

    monkeypatch.setattr(simulate_module, "_report", report)
    return run("simulate", "--port", "0", *arguments)


def get(url: str, token: str = "any") -> requests.Response:
    """An answer whose body is still to come; to be closed."""
    with requests.Session() as session:
        session.trust_env = False
        return session.get(
            url + SAMPLE, headers={"Authorization": f"Bearer {token}"}, stream=True, timeout=GUARD
        )


def fate(simulator: Simulator) -> None:
    """Be a client until the server closes, or has gone silent: it says so, and a client cannot know."""
    before = len(simulator.requests)
    host, port = simulator.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=0.02) as connection:
        connection.sendall(f"GET {SAMPLE} HTTP/1.1\r\nAuthorization: Bearer any\r\n\r\n".encode())
        while not any(visit.outcome == "silent" for visit in islice(simulator.requests, before, None)):
            try:
                if not connection.recv(2**16):
                    return
            except ConnectionResetError:
                return
            except TimeoutError:
                continue


OUTCOMES = {
    "end": "ended cleanly",
    "cut": "cut off",
    "reset": "reset",
    "stall": "silent until the client left",
    "operational-disconnect": "ended cleanly",
}


def test_connections_get_the_given_faults_in_turn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[Simulator] = []

    def visit(simulator: Simulator) -> None:
        seen.append(simulator)
        for _ in (*OUTCOMES, "end"):
            fate(simulator)

    given = [word for kind in OUTCOMES for word in ("--fault", f"{kind}@0.01")]
    result = simulate_for(visit, monkeypatch, *given, "--rate", "200")
    assert result.exit_code == 0, result.output
    (simulator,) = seen
    assert [visit.outcome for visit in simulator.requests] == [*OUTCOMES.values(), "ended cleanly"]
    assert set(OUTCOMES) == {fault.name for fault in RANDOM_FAULTS}


def test_a_timed_refusal_meets_the_next_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[Simulator] = []

    def visit(simulator: Simulator) -> None:
        seen.append(simulator)
        for _ in range(4):
            fate(simulator)

    given = ("--fault", "unavailable@0.01", "--fault", "no-rules@0", "--rate", "200")
    result = simulate_for(visit, monkeypatch, *given)
    assert result.exit_code == 0, result.output
    (simulator,) = seen
    assert [visit.outcome for visit in simulator.requests] == [
        *("ended cleanly", "refused with 503", "refused with 409", "ended cleanly")
    ]


def test_a_fault_of_a_compressed_body_wants_one(monkeypatch: pytest.MonkeyPatch) -> None:
    said = " ".join(refusal("simulate", "--port", "0", "--fault", "corrupt-gzip@1", code=2).split())
    assert "'corrupt-gzip@1': this fault needs --encoding gzip" in said
    arguments = ("--fault", "corrupt-gzip@1", "--encoding", "gzip")
    assert simulate_for(lambda simulator: None, monkeypatch, *arguments).exit_code == 0


def test_a_random_fault_needs_only_its_chance(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[float, int]] = []
    result = simulate_for(
        lambda simulator: seen.append((simulator.behaviour.random_faults, simulator.behaviour.seed)),
        monkeypatch,
        *("--fault", "random:0.25", "--seed", "7"),
    )
    assert (result.exit_code, seen) == (0, [(0.25, 7)])


@pytest.mark.parametrize(
    "fault",
    [
        "",
        "end",
        "end@",
        "end@soon",
        "end@-1",
        "end@nan",
        "@1",
        "flood@1",
        "connection-refused@1",
        "END@1",
        "random",
        "random:",
        "random:often",
        "random:1.5",
        "random:-0.1",
        "random:nan",
        "random@1",
    ],
)
def test_an_invalid_fault_is_refused_with_the_expected_form(
    fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(simulate_module, "_report", lambda simulator: None)
    said = " ".join(refusal("simulate", "--port", "0", "--fault", fault, code=2).split())
    assert "--fault" in said
    assert f"{fault!r}: " in said
    assert "Expected NAME@SECONDS, or random:P with P from 0 to 1" in said


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--rate", "-1"),
        ("--rate", "nan"),
        ("--rate", "inf"),
        ("--heartbeat", "0"),
        ("--heartbeat", "nan"),
        ("--port", "65536"),
        ("--port", "-1"),
        ("--framing", "sse"),
        ("--encoding", "br"),
        ("--replay", "no-such-file.ndjson"),
        ("--token-file", "no-such-file"),
    ],
)
def test_a_value_that_cannot_work_is_refused_with_its_options_name(
    option: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(simulate_module, "_report", lambda simulator: None)
    given = ("simulate", "--port", "0", option, value)
    assert option in refusal(*given, code=2)


def test_the_token_in_the_file_is_the_only_one_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "token"
    path.write_text("  s3cret\n", encoding="utf-8")
    statuses: list[int] = []

    def visit(simulator: Simulator) -> None:
        for token in ("s3cret", "other"):
            with closing(get(simulator.url, token)) as response:
                statuses.append(response.status_code)

    result = simulate_for(visit, monkeypatch, "--token-file", str(path))
    assert (result.exit_code, statuses) == (0, [200, 401])
    assert "s3cret" not in result.output


def test_a_token_file_without_a_token_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simulate_module, "_report", lambda simulator: None)
    path = tmp_path / "token"
    path.write_text(" \n", encoding="utf-8")
    result = run("simulate", "--port", "0", "--token-file", str(path))
    assert result.exit_code in (1, 2)
    assert "token" in result.stderr


def test_a_body_is_framed_and_compressed_as_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    heads: list[Any] = []

    def visit(simulator: Simulator) -> None:
        with closing(get(simulator.url)) as response:
            heads.append(response.headers)

    result = simulate_for(visit, monkeypatch, "--framing", "close", "--encoding", "gzip")
    assert result.exit_code == 0
    assert heads[0]["Content-Encoding"] == "gzip"
    assert heads[0]["Connection"] == "close"
    assert "Transfer-Encoding" not in heads[0]


def test_a_file_with_nothing_to_replay_is_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "empty.ndjson"
    path.touch()
    said = refusal("simulate", "--port", "0", "--replay", str(path), code=1)
    assert said == (
        f"The simulator could not start: {path} has no lines to replay; expected one JSON object per line\n"
    )


def test_a_port_in_use_is_one_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        said = refusal("simulate", "--port", str(taken.getsockname()[1]), code=1)
    assert re.fullmatch(rf"The simulator could not start: .*{errno.EADDRINUSE}.*\n", said)


# simulate, as a program


def url_from(program: subprocess.Popen[str]) -> str:
    assert program.stdout is not None
    found = re.search(r"http://127\.0\.0\.1:\d+", program.stdout.readline())
    assert found is not None
    assert found[0] + SAMPLE in program.stdout.readline()  # how to see it stream
    return found[0]


def interrupt(program: subprocess.Popen[str]) -> tuple[int, list[str]]:
    """Press Ctrl-C; the exit code, and the lines on stderr."""
    program.send_signal(signal.SIGINT)
    _, err = program.communicate(timeout=GUARD)
    return program.returncode, err.splitlines()


@posix("a program there is sent no signal that it can handle")
def test_ctrl_c_ends_a_simulator_without_a_traceback(
    session: requests.Session,
) -> None:
    with started("-m", "xdk_streaming", "simulate", "--port", "0", "--rate", "100") as program:
        posts = stream_with_retry(session, "get", url_from(program) + SAMPLE)
        with closing(posts):
            ids = [post["data"]["id"] for post in islice(posts, 5)]
            assert sorted(set(ids), key=int) == ids
            code, said = interrupt(program)  # with a client still connected
    assert code == 0
    assert re.fullmatch(r"Stopped after 1 connection, \d+ items sent, 0 other requests\.", said[-1])
    assert all(re.fullmatch(rf"\d\d:\d\d:\d\d  connection 1  {SAMPLE}  \w.*", line) for line in said[:-1])


@posix("a program there is sent no signal that it can handle")
def test_a_recording_is_replayed_with_a_fault_and_each_connection_reported(
    session: requests.Session, tmp_path: Path
) -> None:
    path = tmp_path / "recorded.ndjson"
    path.write_bytes(b'{"data":{"id":"1"}}\n\n{"data":{"id":"2","text":"\xc3\xa9"}}\n')
    options = ("--port", "0", "--rate", "1000", "--replay", str(path), "--fault", "end@0.1")
    with started("-m", "xdk_streaming", "simulate", *options) as program:
        with session.get(url_from(program) + SAMPLE, stream=True, timeout=GUARD) as response:
            assert response.content == b'{"data":{"id":"1"}}\r\n{"data":{"id":"2","text":"\xc3\xa9"}}\r\n'
        assert program.stderr is not None
        line = program.stderr.readline()
        while "ended cleanly" not in line:
            assert line.rstrip().endswith("open")
            line = program.stderr.readline()
        assert interrupt(program)[0] == 0


# demo, in process and in short


@pytest.fixture
def short_demo(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Ten seconds become one and a half; the demo's quiet log is as loud as before when it is over."""
    monkeypatch.setattr(demo_module, "DEMO_SECONDS", 1.5)
    monkeypatch.setattr(demo_module, "POSTS_PER_SECOND", 60.0)
    monkeypatch.setattr(demo_module, "STALL_TIMEOUT", 0.4)
    monkeypatch.setattr(demo_module, "HEARTBEAT_INTERVAL", 0.05)
    monkeypatch.setattr(
        demo_module,
        "PLAN",
        {
            **demo_module.PLAN,
            "ended cleanly": (Live(0.2), End()),
            "reset": (Live(0.2), Reset()),
            "silent until the client left": (Live(0.2), Stall()),
        },
    )
    monkeypatch.setattr(
        demo_module,
        "StreamConfig",
        lambda **options: StreamConfig(**{**options, "initial_backoff": 0.05, "max_backoff": 0.1}),
    )
    logger = logging.getLogger("xdk_streaming")
    level = logger.level
    yield
    logger.setLevel(level)


@pytest.mark.usefixtures("short_demo")
def test_a_demo_in_short_agrees_as_well() -> None:
    result = run("demo")
    assert result.exit_code == 0, result.output
    assert "Both sides agree" in result.output


Tamper = Callable[[Iterator[Any]], Iterator[Any]]


def drop_the_fifth(posts: Iterator[Any]) -> Iterator[Any]:
    return (post for number, post in enumerate(posts) if number != 4)


def repeat_the_fifth(posts: Iterator[Any]) -> Iterator[Any]:
    return (post for number, post in enumerate(posts) for _ in range(1 + (number == 4)))


def swap_the_first_two(posts: Iterator[Any]) -> Iterator[Any]:
    yield from reversed(list(islice(posts, 2)))
    yield from posts


def invent_one(posts: Iterator[Any]) -> Iterator[Any]:
    yield {"data": {"id": "1", "text": "never sent", "lang": "en"}}
    yield from posts


@pytest.mark.usefixtures("short_demo")
@pytest.mark.parametrize(
    ("tamper", "objection"),
    [
        (drop_the_fifth, r"! .* item \d+ was sent whole on connection \d, but not received"),
        (repeat_the_fifth, r"! .* item \d+ was received 2 times"),
        (swap_the_first_two, r"! .* items were received in another order"),
        (invent_one, r"! .* item 1 was received but never sent"),
    ],
)
def test_a_demo_with_a_discrepancy_exits_with_1(
    tamper: Tamper, objection: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def tampered(*arguments: Any, **options: Any) -> Iterator[Any]:
        with closing(stream_with_retry(*arguments, **options)) as posts:
            yield from tamper(posts)

    monkeypatch.setattr(demo_module, "stream_with_retry", tampered)
    monkeypatch.setattr(demo_module, "DEMO_SECONDS", 0.4)
    monkeypatch.setattr(demo_module, "PLAN", {"ended cleanly": (Live(0.2), End())})
    result = run("demo")
    assert result.exit_code == 1
    assert re.search(objection, result.output)
    assert "The two sides disagree" in result.output


@pytest.mark.usefixtures("short_demo")
def test_a_demo_without_a_planned_fault_exits_with_1(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(demo_module, "DEMO_SECONDS", 0.1)
    result = run("demo")
    assert result.exit_code == 1
    assert "a planned fault did not happen: silent until the client left" in result.output
    assert "Both sides agree" not in result.output


# demo, as a program of its own and at half its length (`make demo` runs it whole).

AT_HALF_LENGTH = """
import sys
from xdk_streaming.__main__ import main
from xdk_streaming.cli import demo
from xdk_streaming.simulator import UNAVAILABLE, End, Live, Reset, Stall

demo.DEMO_SECONDS, demo.POSTS_PER_SECOND, demo.HEARTBEAT_INTERVAL, demo.STALL_TIMEOUT = 4.5, 30.0, 0.02, 0.3
first, second, third, fourth = demo.PLAN
demo.PLAN = {
    first: (Live(0.3), End()),
    second: (Live(0.3), Reset()),
    third: (UNAVAILABLE,),
    fourth: (Live(0.3), Stall()),
}
sys.argv = ["xdk-streaming", "demo"]
main()
"""


@pytest.fixture(scope="module", autouse=True)
def real_demo() -> Iterator[subprocess.Popen[str]]:
    """Started before the first test of this file, so that its time is the others' time, too."""
    with started("-c", AT_HALF_LENGTH) as program:
        yield program


@pytest.fixture(scope="module")
def shown(real_demo: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = real_demo.communicate(timeout=GUARD)
    return real_demo.returncode, out, err


def test_the_demo_ends_well_and_both_sides_agree(shown: tuple[int, str, str]) -> None:
    code, out, err = shown
    assert (code, err) == (0, "")
    assert "Both sides agree: every missing post is explained." in out
    assert re.search(r"\d+ reconnects, \d+ heartbeats, [\d,]+ bytes, \d+ incomplete lines reported", out)


def test_the_demo_names_every_fault_that_it_planned(shown: tuple[int, str, str]) -> None:
    _, out, _ = shown
    assert len(demo_module.PLAN) == 4
    for number, fault in enumerate(demo_module.PLAN, 1):
        assert f"connection {number} was {fault}" in out


def test_the_demo_shows_every_transition_with_its_reason_attempt_and_delay(
    shown: tuple[int, str, str],
) -> None:
    _, out, _ = shown
    shown_states = re.findall(r"^\d\d:\d\d:\d\d ([A-Z]+) → ([A-Z]+)  (\w+): \w", out, re.MULTILINE)
    assert shown_states[0] == ("DISCONNECTED", "CONNECTING", "start")
    assert shown_states[-1] == ("STREAMING", "DISCONNECTED", "stop")
    assert all(before[1] == after[0] for before, after in pairwise(shown_states))
    assert [trigger for _, _, trigger in shown_states].count("ended") == 1
    assert [trigger for _, _, trigger in shown_states].count("broke") == 2
    assert [trigger for _, _, trigger in shown_states].count("refused") == 1
    retries = re.findall(r"BACKOFF → BACKOFF  retry: .*\[attempt (\d+), in (\d+\.\d\d) s\]", out)
    assert [attempt for attempt, _ in retries] == ["1", "1", "2", "1"]
    assert all(0 < float(delay) <= 1 for _, delay in retries)


def test_the_demo_shows_and_counts_the_posts(shown: tuple[int, str, str]) -> None:
    _, out, _ = shown
    ids = re.findall(r"^  (\d{15,})  \w{2,3} +\S", out, re.MULTILINE)
    assert len(ids) > 20
    assert sorted(set(ids), key=int) == ids
    counted = re.search(r"(\d+) \S received exactly once", out)
    assert counted is not None
    assert int(counted[1]) == len(ids)
