"""Real scripts in processes of their own: one press of Ctrl-C, or one SIGTERM, wherever the stream stands."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from helpers.consumers import GUARD, witness
from helpers.servers import Peer, Trust, head, until

pytestmark = pytest.mark.thorough

SCRIPT = """
import signal
import sys

import requests
from xdk_streaming import Stream, StreamConfig
from xdk_streaming.wire import problems

problems.BODY_SECONDS = 600.0
url, authority = sys.argv[1:]


def say(*words):
    print(*words, flush=True)


config = StreamConfig(initial_backoff=600.0, stall_timeout=600.0)
config.on_reconnect = lambda attempt, delay: say("waits")
with requests.Session() as session:
    session.trust_env = False
    session.verify = authority or True
    session.headers["Authorization"] = "Bearer a-token"
    session.hooks["response"].append(lambda response, **_: say("answered", response.status_code))
    stream = Stream(session, "get", url, config)
    %s
"""

PLAIN = """
    for post in stream:
        say("item", post["data"]["id"])
"""

HANDLED = """
    try:
        for post in stream:
            say("item", post["data"]["id"])
    except KeyboardInterrupt:
        say("interrupted", stream.connection_state.name)
        sys.stdin.read()
"""

TERMINATED = """
    signal.signal(signal.SIGTERM, lambda *_: stream.stop())
    for post in stream:
        say("item", post["data"]["id"])
    say("after", stream.connection_state.name)
    sys.stdin.read()
"""

LINE = b'{"data":{"id":"1"}}\r\n'


def streams(peer: Peer) -> None:
    peer.send(head("Transfer-Encoding: chunked") + b"%x\r\n%b\r\n" % (len(LINE), LINE))


def refuses(peer: Peer) -> None:
    peer.send(head("Content-Length: 4", status="503 Service Unavailable") + b"busy")


def refuses_at_length(peer: Peer) -> None:
    peer.send(head("Content-Length: 1000", status="503 Service Unavailable") + b"busy")


PLACES: dict[str, tuple[Callable[[Peer], None], str]] = {
    "in a read": (streams, "item 1"),
    "in a backoff wait": (refuses, "waits"),
    "in an error body": (refuses_at_length, "answered 503"),
}
"""Where the script is to be blocked: what the server does for it, and the script's last word before."""


class Script:
    """A script that runs."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def says(self, expected: str) -> None:
        """Read what it prints up to this line."""
        assert self._process.stdout is not None
        while line := self._process.stdout.readline():
            if line.rstrip() == expected:
                return
        pytest.fail(f"it ended without saying {expected!r}: {self._process.communicate()[1]}")

    def gets(self, number: signal.Signals) -> None:
        """Send it this, once it is blocked: then one signal is enough."""
        until(self._is_blocked)
        self._process.send_signal(number)

    def ends(self) -> tuple[int, str]:
        """Its exit code, and what it has complained of."""
        _, complaints = self._process.communicate(timeout=GUARD)
        return self._process.returncode, complaints

    def _is_blocked(self) -> bool:
        """Whether its main thread stays in one system call, for as long as one looks."""
        before = self._sleep()
        time.sleep(0.01)
        return before is not None and before == self._sleep()

    def _sleep(self) -> str | None:
        """The number of the main thread's present sleep; None while it is awake."""
        process = self._process.pid
        status = Path(f"/proc/{process}/task/{process}/status").read_text(encoding="ascii")
        facts = dict(line.split(":\t", 1) for line in status.splitlines())
        return facts["voluntary_ctxt_switches"] if facts["State"].startswith("S") else None


@contextmanager
def script(tmp_path: Path, body: str, url: str, tls: Trust | None) -> Iterator[Script]:
    file = tmp_path / "script.py"
    file.write_text(SCRIPT % body.strip(), encoding="utf-8")
    with subprocess.Popen(
        [sys.executable, "-X", "dev", str(file), url, tls.authority if tls else ""],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield Script(process)
        finally:
            process.kill()


@pytest.fixture(params=PLACES)
def place(request: pytest.FixtureRequest) -> tuple[Callable[[Peer], None], str]:
    return PLACES[request.param]


Place = tuple[Callable[[Peer], None], str]


def test_ctrl_c_ends_a_script_as_python_ends_one(
    session: requests.Session, tmp_path: Path, place: Place
) -> None:
    answer, last_word = place
    with witness(session, None, answer) as (url, left), script(tmp_path, PLAIN, url, None) as running:
        running.says(last_word)
        running.gets(signal.SIGINT)
        code, complaints = running.ends()
        assert left.wait(GUARD)
    assert code == -signal.SIGINT
    assert complaints.rstrip().endswith("\nKeyboardInterrupt")
    assert complaints.count("Traceback") == 1
    assert "Warning" not in complaints


def test_ctrl_c_can_be_caught_and_by_then_the_connection_is_closed(
    session: requests.Session, tmp_path: Path, trust: Trust, place: Place
) -> None:
    answer, last_word = place
    with witness(session, trust, answer) as (url, left), script(tmp_path, HANDLED, url, trust) as running:
        running.says(last_word)
        running.gets(signal.SIGINT)
        running.says("interrupted DISCONNECTED")
        assert left.wait(GUARD)  # while the script still runs
        assert running.ends() == (0, "")


def test_a_sigterm_handler_that_stops_the_stream_lets_the_script_finish(
    session: requests.Session, tmp_path: Path, tls: Trust | None, place: Place
) -> None:
    answer, last_word = place
    with witness(session, tls, answer) as (url, left), script(tmp_path, TERMINATED, url, tls) as running:
        running.says(last_word)
        running.gets(signal.SIGTERM)
        running.says("after DISCONNECTED")
        assert left.wait(GUARD)  # while the script still runs
        assert running.ends() == (0, "")
