"""`connections list|kill`: the cure for TooManyConnections, end to end."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest
import requests
from typer.testing import CliRunner

from helpers.clients import GUARD, asking, get, items, read_to_the_end, wait_for
from xdk_streaming import StreamConfig, StreamError, stream_with_retry
from xdk_streaming.cli.app import app
from xdk_streaming.cli.exits import ExitCode
from xdk_streaming.simulator import Cut, Serve, Simulator, Stall

SAMPLE = "/2/tweets/sample/stream"
Run = Callable[..., Any]

pytestmark = pytest.mark.usefixtures("nothing_is_left")


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    """A simulator with one slot, which a lost connection holds."""
    script = [(Serve(1), Cut(half=False))]
    with Simulator(script=script, then=(Serve(1), Stall()), connections=1, zombie=GUARD) as simulator:
        yield simulator


@pytest.fixture
def connections(simulator: Simulator) -> Run:
    def run(*arguments: str, code: int = 0) -> Any:
        environment = {"X_BEARER_TOKEN": "any", "XDK_STREAMING_BASE_URL": simulator.url, "COLUMNS": "160"}
        given = ["connections", *arguments]
        result = CliRunner().invoke(app, given, prog_name="xdk-streaming", env=environment)
        assert result.exit_code == code, result.output
        return result

    return run


@pytest.fixture
def zombie(simulator: Simulator) -> str:
    """The id of the lost connection that holds the only slot."""
    with asking(simulator) as connection:
        read_to_the_end(connection)
    ((lost),) = simulator.connections.listed("active", ())
    return str(lost["id"])


def first_id(simulator: Simulator, session: requests.Session) -> str:
    """The id of the first post that a retrying client receives."""
    config = StreamConfig(max_retries=0)
    with closing(stream_with_retry(session, "get", simulator.url + SAMPLE, config)) as posts:
        return str(next(posts)["data"]["id"])


@pytest.mark.parametrize("way", ["id", "stream", "all"])
def test_a_zombie_keeps_others_out_until_it_is_killed(
    simulator: Simulator, connections: Run, zombie: str, session: requests.Session, way: str
) -> None:
    with pytest.raises(StreamError, match="maximum allowed connection limit"):
        first_id(simulator, session)
    assert zombie in connections("list").stdout
    result = connections("kill", {"id": zombie, "stream": "sample_stream", "all": "--all"}[way])
    assert (result.stdout, result.stderr) == (f"{zombie}\n", "1 connection ended.\n")
    assert first_id(simulator, session)


def test_a_connection_that_goes_on_is_ended_too_and_makes_room(
    simulator: Simulator, connections: Run, zombie: str, session: requests.Session
) -> None:
    connections("kill", zombie)
    with get(simulator) as response:
        received = items(response)
        next(received)
        connections("kill", "--all")
        list(received)  # to a clean end
    assert first_id(simulator, session)


def test_the_list_tells_what_is_over_and_why(simulator: Simulator, connections: Run, zombie: str) -> None:
    line = connections("list").stdout
    assert line.split()[:2] == [zombie, "sample_stream"]
    assert line.split()[-1] == "127.0.0.1"
    assert connections("list", "--status", "inactive").stderr == "No connections found.\n"
    connections("kill", zombie)
    assert connections("list").stdout == ""
    assert connections("list", "--status", "all").stdout.endswith("cut off\n")
    shown = connections("list", "--status", "all", "--format", "json").stdout
    assert json.loads(shown)["disconnect_reason"] == "cut off"
    assert connections("list", "--status", "all", "--endpoint", "filtered_stream").stdout == ""
    assert zombie in connections("list", "--status", "all", "--endpoint", "sample_stream").stdout


def test_an_unknown_connection_is_reported_and_the_others_are_ended(connections: Run, zombie: str) -> None:
    result = connections("kill", "nobody", zombie, code=ExitCode.REFUSED)
    assert result.stdout == f"{zombie}\n"
    assert result.stderr == (
        "nobody was not ended: There is no active connection with this id.\n1 connection ended, 1 not.\n"
    )


def test_with_nothing_to_end_all_is_well(simulator: Simulator, connections: Run) -> None:
    assert connections("kill", "--all").stderr == "0 connections ended.\n"
    wait_for(lambda: len(simulator.api_requests) == 1)


def test_more_than_one_page_is_listed_and_ended(
    simulator: Simulator, connections: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    nobodies = [f"nobody{number}" for number in range(101)]
    assert connections("kill", *nobodies, code=ExitCode.REFUSED).stderr.endswith(
        "0 connections ended, 101 not.\n"
    )
    assert len(simulator.api_requests) == 2
    monkeypatch.setattr("xdk_streaming.cli.connections.MAX_CONNECTIONS_PER_PAGE", 2)
    entries = [{"id": str(number)} for number in range(5)]
    monkeypatch.setattr(simulator.connections, "listed", lambda status, names: entries)
    assert connections("list").stdout.split() == list("01234")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("kill",), "expected IDs or streams, or --all, but not both"),
        (("kill", "one", "--all"), "expected IDs or streams, or --all, but not both"),
        (("list", "--status", "dead"), "--status"),
        (("list", "--endpoint", "nonsense"), "'nonsense' is not a stream; expected one of filtered_stream"),
    ],
)
def test_a_command_line_that_cannot_be_meant_is_refused(
    simulator: Simulator, connections: Run, arguments: tuple[str, ...], said: str
) -> None:
    assert said in " ".join(connections(*arguments, code=ExitCode.USAGE).stderr.split())
    assert not simulator.api_requests


@pytest.mark.parametrize("verb", ["list", "kill"])
def test_the_help_names_every_option(verb: str) -> None:
    shown = CliRunner().invoke(app, ["connections", verb, "--help"], env={"COLUMNS": "160"}).stdout
    own = {"list": ["--status", "--endpoint", "filtered_stream"], "kill": ["--all", "filtered_stream"]}
    for option in [*own[verb], "--format", "--base-url", "--bearer-token-file", "--proxy", "--ca-file"]:
        assert option in shown
