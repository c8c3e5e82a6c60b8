"""Scripts, random faults and recordings, as a client sees them."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path

import pytest
import requests

from helpers.clients import (
    RECORDED,
    SAMPLE,
    SHORT,
    asking,
    chunks,
    get,
    items,
    lines,
    outcomes,
    read_to_the_end,
    read_until,
    split_head,
    wait_for,
)
from helpers.systems import posix
from xdk_streaming import StreamConfig, StreamState, stream_with_retry
from xdk_streaming.simulator import (
    OPERATIONAL_DISCONNECT,
    Cut,
    End,
    Live,
    Notice,
    Refuse,
    Reset,
    Script,
    Send,
    Serve,
    Simulator,
    Stall,
    Step,
)
from xdk_streaming.simulator.account import account
from xdk_streaming.simulator.faults import RANDOM_FAULTS

pytestmark = pytest.mark.usefixtures("nothing_is_left", "no_thread_complains")


# Scripts.


def test_connections_play_their_scripts_in_order() -> None:
    scripts: list[Script] = [(Serve(1), End()), (Refuse(503),), (Serve(2), End())]
    with Simulator(script=scripts, then=(Serve(3), End())) as simulator:
        seen = []
        for _ in range(5):
            with get(simulator) as response:
                seen.append((response.status_code, len(list(items(response)))))
    assert seen == [(200, 1), (503, 0), (200, 2), (200, 3), (200, 3)]


def test_refused_requests_use_up_no_script() -> None:
    with Simulator(script=[(Serve(2), End())], then=SHORT) as simulator:
        for path, token in [(SAMPLE, ""), ("/2/nonsense", "Bearer a")]:
            with get(simulator, path, token) as response:
                assert response.status_code >= 400
        with get(simulator) as response:
            assert len(list(items(response))) == 2


def test_a_refusal_has_the_status_headers_and_body_of_its_step() -> None:
    refusal = Refuse(429, b'{"title":"Too Many Requests"}', {"x-rate-limit-reset": "1750000000"})
    with Simulator(script=[(refusal,)]) as simulator, get(simulator) as response:
        assert response.status_code == 429
        assert response.headers["x-rate-limit-reset"] == "1750000000"
        assert response.content == b'{"title":"Too Many Requests"}'
    assert outcomes(simulator) == ["refused with 429"]


def test_the_end_of_a_script_completes_the_body() -> None:
    with Simulator(script=[(Serve(1), End()), (Serve(1),), ()]) as simulator:
        for expected in (1, 1, 0):
            with asking(simulator) as connection:
                _, body = split_head(read_to_the_end(connection))
            assert len(chunks(body)) == expected
    assert outcomes(simulator) == ["ended cleanly"] * 3


def test_nothing_follows_an_end() -> None:
    with Simulator(script=[(End(), Serve(1))]) as simulator, get(simulator) as response:
        assert list(items(response)) == []
    assert not simulator.log


def test_a_cut_closes_in_the_middle_of_an_item() -> None:
    with Simulator(script=[(Serve(1), Cut())]) as simulator, asking(simulator) as connection:
        _, body = split_head(read_to_the_end(connection))
    assert outcomes(simulator) == ["cut off"]
    whole, half = body.split(b"\r\n", 1)[1].split(b"\r\n\r\n")
    size, _, start = half.partition(b"\r\n")
    assert json.loads(whole)["data"]["id"] == simulator.log[0].id
    assert 0 < len(start) < int(size, 16)
    assert [entry.whole for entry in simulator.log] == [True, False]
    assert simulator.log[1].number == simulator.log[0].number + 1


def test_to_requests_a_cut_is_an_incomplete_body() -> None:
    with (
        Simulator(script=[(Serve(1), Cut())]) as simulator,
        get(simulator) as response,
        pytest.raises(requests.exceptions.ChunkedEncodingError),
    ):
        list(response.iter_lines())


def test_framed_by_the_close_a_cut_leaves_half_a_line() -> None:
    with Simulator(script=[(Cut(),)], framing="close") as simulator, asking(simulator) as connection:
        _, half = split_head(read_to_the_end(connection))
    assert half.startswith(b'{"')
    assert not half.endswith(b"\n")
    with pytest.raises((json.JSONDecodeError, UnicodeDecodeError)):
        json.loads(half)


@posix("Wine ends a connection that should be reset")
def test_a_reset_is_one_for_the_client_after_half_an_item() -> None:
    with Simulator(script=[(Serve(1), Reset())]) as simulator, asking(simulator) as connection:
        received = b""
        with pytest.raises(ConnectionResetError):
            while data := connection.recv(2**16):
                received += data
    assert received.count(b'{"data":') == 2
    assert received.count(b"\r\n\r\n") == 2  # the head's, and the first chunk's
    assert outcomes(simulator) == ["reset"]
    assert [entry.whole for entry in simulator.log] == [True, False]


def test_a_stall_is_silent_without_heartbeats_until_the_client_leaves() -> None:
    with Simulator(script=[(Serve(1), Stall())], rate=1_000, heartbeat=0.01) as simulator:
        with asking(simulator) as connection:
            read_until(connection, b"}\r\n\r\n")
            connection.settimeout(0.1)
            with pytest.raises(TimeoutError):
                connection.recv(1)
            assert outcomes(simulator) == ["silent"]
        wait_for(lambda: outcomes(simulator) == ["silent until the client left"])
    assert len(simulator.log) == 1


def test_after_a_stall_of_some_seconds_the_script_goes_on() -> None:
    with (
        Simulator(script=[(Serve(1), Stall(0.02), Serve(1), End())]) as simulator,
        get(simulator) as response,
    ):
        assert len(list(items(response))) == 2
    assert outcomes(simulator) == ["ended cleanly"]


def test_a_client_that_leaves_after_a_stall_was_not_left_in_silence() -> None:
    with Simulator(script=[(Stall(0.01), Live())], rate=100) as simulator:
        with get(simulator) as response:
            next(items(response))
        wait_for(lambda: outcomes(simulator) != ["open"])
    assert outcomes(simulator) == ["left by the client"]


def test_a_client_that_leaves_an_idle_stream_is_noticed() -> None:
    with Simulator(rate=0) as simulator:
        with asking(simulator) as connection:
            read_until(connection, b"\r\n\r\n")
            (request,) = simulator.requests
            assert (request.outcome, request.ended_at) == ("open", None)
        wait_for(lambda: request.outcome == "left by the client")
        assert request.ended_at is not None


def test_a_notice_is_a_line_of_its_own() -> None:
    script: Script = (Serve(1), Notice({"errors": [{"title": "über"}]}), OPERATIONAL_DISCONNECT, End())
    with Simulator(script=[script]) as simulator, get(simulator) as response:
        post, notice, disconnect = items(response)
    assert "data" in post
    assert notice == {"errors": [{"title": "über"}]}
    assert disconnect == OPERATIONAL_DISCONNECT.content
    assert [entry.whole for entry in simulator.log] == [True]


def test_raw_bytes_are_sent_unchanged() -> None:
    script: Script = (Send(b'{"a":'), Send(b""), Send(b"\xff}\n"), Send(b"rest"), End())
    with Simulator(script=[script]) as simulator, get(simulator) as response:
        assert response.content == b'{"a":\xff}\nrest'


def test_a_live_stretch_of_a_script_ends_on_time_idle_or_not() -> None:
    scripts: list[Script] = [(Live(0), End()), (Live(0.05), End())]
    with Simulator(script=scripts, rate=0) as simulator:
        for _ in scripts:
            with get(simulator) as response:
                assert list(lines(response)) == []
    lasted = [(request.live_until or 0) - (request.live_since or 0) for request in simulator.requests]
    assert lasted == [0, pytest.approx(0.05, abs=1e-3)]


# Random faults.


def fates(seed: int, connections: int, chance: float) -> list[tuple[str, int]]:
    """How each connection ended, and after how many items."""
    with Simulator(rate=1_000, random_faults=chance, seed=seed) as simulator:
        for number in range(connections):
            with asking(simulator) as connection:
                listen(connection, simulator, number)
    sent = [entry.request for entry in simulator.log if entry.whole]
    return [(request.outcome, sent.count(request.number)) for request in simulator.requests]


def listen(connection: socket.socket, simulator: Simulator, number: int) -> None:
    """Read until the server closes the connection, or notes that it is silent."""
    connection.settimeout(0.02)
    while True:
        try:
            if not connection.recv(2**16):
                return
        except ConnectionResetError:
            return
        except TimeoutError:
            if len(simulator.requests) > number and simulator.requests[number].outcome == "silent":
                return


def test_random_faults_depend_only_on_seed_and_connection() -> None:
    first = fates(3, 6, 0.4)
    assert fates(3, 6, 0.4) == first
    assert fates(4, 6, 0.4) != first
    assert len(set(first)) > 1


def test_random_faults_are_of_every_kind() -> None:
    befallen = fates(0, 16, 1.0)
    assert {count for _, count in befallen} == {1}
    assert {outcome for outcome, _ in befallen} == {
        "ended cleanly",
        "cut off",
        "reset",
        "silent until the client left",
    }
    names = [fault.name for fault in RANDOM_FAULTS]
    assert names == ["end", "cut", "reset", "stall", "operational-disconnect"]


def test_a_random_fault_never_sends_an_item_again() -> None:
    with Simulator(rate=1_000, random_faults=1.0, seed=0) as simulator:
        for number in range(16):
            with asking(simulator) as connection:
                listen(connection, simulator, number)
    assert "cut off" in outcomes(simulator)
    assert "reset" in outcomes(simulator)
    numbers = [entry.number for entry in simulator.log]
    assert sorted(set(numbers)) == numbers


def test_every_item_is_accounted_for_through_random_faults() -> None:
    received: list[str | None] = []
    state = StreamState()
    config = StreamConfig(max_retries=-1, initial_backoff=0.01, max_backoff=0.02, stall_timeout=0.15)
    with Simulator(rate=400, random_faults=0.1, seed=5, heartbeat=0.02) as simulator:
        with requests.Session() as session:
            session.trust_env = False
            session.headers["Authorization"] = "Bearer a-token"
            posts = stream_with_retry(session, "get", simulator.url + SAMPLE, config, state=state)
            with closing(posts):
                received += [post["data"]["id"] for post in islice(posts, 60)]
            left_at = time.time()
        result = account(simulator, received, left_at)
    assert result.objections == []
    assert result.received == 60
    assert state.reconnects >= 3


# Replay.


def until_idle(stream: Iterator[bytes]) -> list[bytes]:
    """The lines before three heartbeats in a row."""
    received: list[bytes] = []
    while received[-3:] != [b"\r"] * 3:
        received.append(next(stream))
    return [line for line in received if line != b"\r"]


def test_a_replay_sends_the_file_byte_for_byte(recorded: Path) -> None:
    with Simulator(replay=recorded, rate=200, heartbeat=0.02) as simulator, get(simulator) as response:
        assert until_idle(lines(response)) == [line + b"\r" for line in RECORDED]
    assert [entry.id for entry in simulator.log] == ["7", "8", None, "9"]


def test_a_replay_begins_with_the_first_client(recorded: Path) -> None:
    with Simulator(replay=recorded, rate=1_000, heartbeat=0.02) as simulator:
        time.sleep(0.02)  # long enough for the whole file, had anybody listened
        with get(simulator, token="") as response:
            assert response.status_code == 401
        with get(simulator) as response:
            assert until_idle(lines(response)) == [line + b"\r" for line in RECORDED]


def test_a_replay_continues_on_the_next_connection(recorded: Path) -> None:
    with Simulator(script=[(Serve(1), End())], then=(Serve(9), End()), replay=recorded) as simulator:
        received = []
        for _ in range(3):
            with get(simulator) as response:
                received.append(list(lines(response)))
    assert received == [[RECORDED[0] + b"\r"], [line + b"\r" for line in RECORDED[1:]], []]


def test_an_empty_or_missing_replay_is_refused(tmp_path: Path) -> None:
    empty = tmp_path / "empty.ndjson"
    empty.touch()
    with pytest.raises(ValueError, match="no lines to replay"):
        Simulator(replay=empty)
    with pytest.raises(FileNotFoundError):
        Simulator(replay=tmp_path / "missing.ndjson")


@pytest.mark.parametrize("step", [Cut(half=False), Reset(half=False)], ids=["cut", "reset"])
def test_the_connection_is_closed_even_without_a_response(step: Step) -> None:
    with Simulator(script=[(step,)]) as simulator, requests.Session() as session:
        session.trust_env = False
        with pytest.raises(requests.ConnectionError):
            session.get(simulator.url + SAMPLE, headers={"Authorization": "Bearer any"}, timeout=10)
