"""The simulator over real HTTP, seen by requests, and by a bare socket where framing matters."""

from __future__ import annotations

import json
import math
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import pytest
import requests
import trustme

from xdk_streaming import StreamConfig, StreamState, stream_with_retry
from xdk_streaming.simulator import (
    HEARTBEAT,
    OPERATIONAL_DISCONNECT,
    UNAVAILABLE,
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
)
from xdk_streaming.simulator.account import account
from xdk_streaming.simulator.body import Encoding, Framing
from xdk_streaming.simulator.endpoints import ENDPOINTS
from xdk_streaming.simulator.script import RANDOM_FAULTS, Wire

SAMPLE = "/2/tweets/sample/stream"
GUARD = 20.0
"""Seconds after which a wait that should be over counts as hanging."""

SHORT: Script = (Serve(1), End())
PROBLEM = "application/problem+json"

pytestmark = pytest.mark.usefixtures("nothing_is_left", "no_thread_complains")


@pytest.fixture
def nothing_is_left() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    wait_for(lambda: set(threading.enumerate()) <= before)  # a simulator that is shared may take a moment


@pytest.fixture
def no_thread_complains(capfd: pytest.CaptureFixture[str]) -> Iterator[None]:
    """The server's threads write what surprises them to stderr."""
    yield
    assert capfd.readouterr().err == ""


@contextmanager
def get(
    simulator: Simulator,
    path: str = SAMPLE,
    token: str | bytes = "Bearer a-token",
    verify: str | bool = True,
    **params: str,
) -> Iterator[requests.Response]:
    """An answer, its body still to come, on a connection of its own."""
    with requests.Session() as session:
        session.trust_env = False
        session.verify = verify
        with session.get(
            simulator.url + path,
            params={name.replace("_", "."): value for name, value in params.items()},
            headers={"Authorization": token} if token else {},
            stream=True,
            timeout=GUARD,
        ) as response:
            yield response


def lines(response: requests.Response) -> Iterator[bytes]:
    """Each line as soon as it is there, without its LF; half a line at the end does not count."""
    rest = b""
    while data := response.raw.read1(2**16, decode_content=True):
        *whole, rest = (rest + data).split(b"\n")
        yield from whole


def items(response: requests.Response) -> Iterator[Any]:
    return (json.loads(line) for line in lines(response) if line.strip())


def post_ids(response: requests.Response) -> Iterator[str]:
    return (item["data"]["id"] for item in items(response))


@contextmanager
def connected(simulator: Simulator) -> Iterator[socket.socket]:
    host, _, port = simulator.url.removeprefix("http://").removeprefix("https://").rpartition(":")
    with socket.create_connection((host, int(port)), timeout=GUARD) as connection:
        yield connection


def request(path: str = SAMPLE) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer a-token\r\n\r\n".encode()


@contextmanager
def asking(simulator: Simulator, path: str = SAMPLE) -> Iterator[socket.socket]:
    """A socket on which the stream was asked for."""
    with connected(simulator) as connection:
        connection.sendall(request(path))
        yield connection


def read_to_the_end(connection: socket.socket) -> bytes:
    """All that comes until the server closes."""
    received = b""
    while data := connection.recv(2**16):
        received += data
    return received


def read_until(connection: socket.socket, ending: bytes) -> bytes:
    received = b""
    while not received.endswith(ending):
        data = connection.recv(2**16)
        assert data, f"closed after {received!r}"
        received += data
    return received


def split_head(answer: bytes) -> tuple[list[bytes], bytes]:
    """The lines of the head, and the body."""
    head, _, body = answer.partition(b"\r\n\r\n")
    return head.split(b"\r\n"), body


def outcomes(simulator: Simulator) -> list[str]:
    """How the connections ended; to be asked when the simulator is closed."""
    return [visit.outcome for visit in simulator.visits]


def wait_for(condition: Callable[[], bool]) -> None:
    """For what no event and no byte tells."""
    deadline = time.monotonic() + GUARD
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)


@dataclass(frozen=True)
class Until:
    """A step of a script: go on when this happens."""

    event: threading.Event

    def play(self, wire: Wire) -> None:
        assert self.event.wait(GUARD)


# Paths, tokens, parameters.


@pytest.fixture(scope="module")
def shared() -> Iterator[Simulator]:
    """One for those who ask for one item, or for a refusal."""
    with Simulator(then=SHORT) as simulator:
        yield simulator


@pytest.fixture(scope="module")
def guarded() -> Iterator[Simulator]:
    """One that takes the token `right`, and no other."""
    with Simulator(then=SHORT, token="right") as simulator:
        yield simulator


@pytest.mark.parametrize("path", ENDPOINTS)
def test_each_of_xs_streams_answers_200_and_json_lines(shared: Simulator, path: str) -> None:
    partition = {"partition": "1"} if ENDPOINTS[path].partitions else {}
    with get(shared, path, **partition) as response:
        assert response.status_code == 200
        assert response.headers["Content-Type"].partition(";")[0] == "application/json"
        (item,) = items(response)
    assert isinstance(item, dict)
    assert (shared.visits[-1].path, shared.visits[-1].params) == (path, partition)


def test_there_are_sixteen_streams() -> None:
    assert len(ENDPOINTS) == 16


@pytest.mark.parametrize(
    "token", ["", "Bearer", "Bearer ", "Bearer   ", "Basic a-token", "a-token", "BearerX t"]
)
def test_without_a_bearer_token_the_answer_is_xs_401(shared: Simulator, token: str) -> None:
    with get(shared, token=token) as response:
        assert response.status_code == 401
        assert response.headers["Content-Type"] == PROBLEM
        assert response.json() == {
            "title": "Unauthorized",
            "detail": "Unauthorized",
            "type": "about:blank",
            "status": 401,
        }
    assert shared.visits[-1].outcome == "refused with 401"


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_any_token_will_do_and_the_scheme_in_any_case(shared: Simulator, scheme: str) -> None:
    with get(shared, token=f"{scheme} any") as response:
        assert response.status_code == 200


@pytest.mark.parametrize(
    ("token", "status"),
    [
        ("Bearer right", 200),
        ("bearer right", 200),
        ("Bearer wrong", 401),
        ("Bearer righ", 401),
        ("Bearer RIGHT", 401),
        ("Bearer", 401),
        ("Bearer r\u00efght".encode("latin-1"), 401),
        ("Bearer r\u00efght".encode(), 401),
    ],
)
def test_where_a_token_is_set_only_that_one_will_do(
    guarded: Simulator, token: str | bytes, status: int
) -> None:
    with get(guarded, token=token) as response:
        assert response.status_code == status


def test_a_token_need_not_be_ascii() -> None:
    with Simulator(script=[SHORT], token="r\u00efght") as simulator:
        with get(simulator, token="Bearer r\u00efght".encode()) as response:
            assert response.status_code == 200
        with get(simulator, token="Bearer right") as response:
            assert response.status_code == 401


def test_a_path_that_is_no_stream_answers_404_as_a_problem(shared: Simulator) -> None:
    with get(shared, "/2/tweets/nonsense/stream") as response:
        assert response.status_code == 404
        assert response.headers["Content-Type"] == PROBLEM
        assert response.json()["status"] == 404
    assert shared.visits[-1].outcome == "refused with 404"


@pytest.mark.parametrize("partition", [{}, {"partition": ""}, {"partition": "3"}])
def test_without_a_partition_that_there_is_the_answer_is_xs_400(
    shared: Simulator, partition: dict[str, str]
) -> None:
    with get(shared, "/2/tweets/sample10/stream", **partition) as response:
        assert response.status_code == 400
        assert response.headers["Content-Type"] == PROBLEM
        problem = response.json()
    assert problem["title"] == "Invalid Request"
    assert list(problem["errors"][0]["parameters"]) == ["partition"]
    assert shared.visits[-1].outcome == "refused with 400"


@pytest.mark.parametrize("script", [SHORT, (UNAVAILABLE,)])
@pytest.mark.parametrize("path", [SAMPLE, "/2/nonsense"])
def test_an_answer_after_which_the_server_closes_says_so(path: str, script: Script) -> None:
    """Else a client may send its next request on a connection that is just being closed."""
    with Simulator(script=[script]) as simulator, asking(simulator, path) as connection:
        head, _ = split_head(read_to_the_end(connection))
    assert b"connection: close" in [line.lower() for line in head]


def test_fields_that_are_asked_for_are_there_and_others_are_not() -> None:
    asked = {"tweet_fields": "lang,created_at", "expansions": "author_id", "user_fields": "username"}
    with Simulator(script=[SHORT, SHORT]) as simulator:
        with get(simulator) as response:
            (plain,) = items(response)
        with get(simulator, **asked) as response:
            (full,) = items(response)
    assert set(plain["data"]) == {"id", "text", "edit_history_tweet_ids"}
    assert {"lang", "created_at", "author_id"} <= set(full["data"])
    assert [user["id"] for user in full["includes"]["users"]] == [full["data"]["author_id"]]


# Framing.


def chunks(body: bytes) -> list[bytes]:
    """The chunks of a whole body, taken apart by the letter of RFC 9112."""
    found: list[bytes] = []
    while True:
        size, _, body = body.partition(b"\r\n")
        chunk, end, body = body[: int(size, 16)], body[int(size, 16) :][:2], body[int(size, 16) + 2 :]
        assert end == b"\r\n"
        if not chunk:
            assert body == b""
            return found
        found.append(chunk)


def test_a_body_is_chunked_and_each_line_a_chunk_that_ends_with_crlf() -> None:
    script: Script = (Serve(2), HEARTBEAT, Serve(1), End())
    with Simulator(script=[script]) as simulator, asking(simulator) as connection:
        head, body = split_head(read_to_the_end(connection))
    assert head[0] == b"HTTP/1.1 200 OK"
    assert b"Transfer-Encoding: chunked" in head
    first, second, heartbeat, third = chunks(body)
    assert heartbeat == b"\r\n"
    for item in (first, second, third):
        assert item.endswith(b"\r\n")
        assert item.count(b"\n") == item.count(b"\r") == 1
        assert json.loads(item)["data"]["id"]


def test_framed_by_the_close_a_body_is_its_lines_and_nothing_else() -> None:
    script: Script = (Serve(2), HEARTBEAT, End())
    with Simulator(script=[script], framing="close") as simulator, asking(simulator) as connection:
        head, body = split_head(read_to_the_end(connection))
    assert b"Connection: close" in head
    assert not [line for line in head if line.lower().startswith((b"transfer-encoding", b"content-length"))]
    first, second, heartbeat, rest = body.split(b"\r\n")
    assert json.loads(first)["data"]["id"] < json.loads(second)["data"]["id"]
    assert (heartbeat, rest) == (b"", b"")


@pytest.mark.parametrize("framing", ["chunked", "close"])
@pytest.mark.parametrize("encoding", [None, "gzip", "deflate"])
def test_an_item_can_be_read_before_the_server_sends_its_next_byte(
    framing: Framing, encoding: Encoding | None
) -> None:
    first_is_read, second_is_read = threading.Event(), threading.Event()
    script: Script = (Serve(1), Until(first_is_read), Serve(1), Until(second_is_read), End())
    with (
        Simulator(script=[script], framing=framing, encoding=encoding) as simulator,
        get(simulator) as response,
    ):
        assert response.headers.get("Content-Encoding") == encoding
        received = items(response)
        one = next(received)
        first_is_read.set()
        two = next(received)
        second_is_read.set()
        assert list(received) == []
    assert [item["data"]["id"] for item in (one, two)] == [entry.id for entry in simulator.log]


# The live stream.


def test_an_idle_stream_has_heartbeats() -> None:
    with Simulator(rate=0, heartbeat=0.02) as simulator, get(simulator) as response:
        assert list(islice(lines(response), 3)) == [b"\r"] * 3
    assert not simulator.log


def test_between_items_there_are_heartbeats_and_under_load_none() -> None:
    with Simulator(rate=20, heartbeat=0.01) as simulator, get(simulator) as response:
        kinds = [line == b"\r" for line in islice(lines(response), 12)]
    assert True in kinds
    assert False in kinds
    with Simulator(rate=200, heartbeat=GUARD) as simulator, get(simulator) as response:
        assert b"\r" not in list(islice(lines(response), 12))


def test_a_live_stream_has_every_item_from_its_first_on_with_rising_ids() -> None:
    with Simulator(rate=200) as simulator, get(simulator) as response:
        ids = list(islice(post_ids(response), 30))
    assert sorted(ids, key=int) == ids
    assert len(set(ids)) == 30
    sent = list(islice(simulator.log, 30))
    assert [entry.id for entry in sent] == ids
    assert [entry.number for entry in sent] == list(range(sent[0].number, sent[0].number + 30))


def test_ids_rise_from_one_connection_to_the_next() -> None:
    with Simulator(rate=200) as simulator:
        ids = []
        for _ in range(3):
            with get(simulator) as response:
                ids += list(islice(post_ids(response), 3))
    assert sorted(set(ids), key=int) == ids


def test_clients_at_once_get_the_same_items() -> None:
    with Simulator(rate=100) as simulator, ExitStack() as stack:
        streams = [lines(stack.enter_context(get(simulator))) for _ in range(4)]
        reference = list(islice(streams.pop(), 20))
        for stream in streams:
            joined_earlier = iter(stream)
            skipped = next(line for line in joined_earlier if line == reference[0])
            assert [skipped, *islice(joined_earlier, 19)] == reference


def test_whoever_has_an_item_finds_it_in_the_log() -> None:
    with Simulator(rate=500) as simulator, get(simulator) as response:
        for item in islice(items(response), 100):
            assert item["data"]["id"] in {entry.id for entry in list(simulator.log)}
    assert all(entry.whole and entry.visit == 0 for entry in simulator.log)


def test_a_world_without_an_audience_goes_on_and_who_joins_gets_the_present() -> None:
    pause: Script = (Live(0.05), Stall(0.05), Live(0.05), End())
    with Simulator(script=[pause], rate=200) as simulator, get(simulator) as response:
        ids = list(post_ids(response))
    assert ids == [entry.id for entry in simulator.log]
    numbers = [entry.number for entry in simulator.log]
    (gap,) = {after - before for before, after in pairwise(numbers)} - {1}
    assert gap >= 10  # of 0.05 s at 200 a second


# Scripts.


def test_connections_play_their_scripts_in_order_and_later_ones_what_follows() -> None:
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


def test_a_refusal_has_the_status_the_headers_and_the_body_of_the_script() -> None:
    refusal = Refuse(429, b'{"title":"Too Many Requests"}', {"x-rate-limit-reset": "1750000000"})
    with Simulator(script=[(refusal,)]) as simulator, get(simulator) as response:
        assert response.status_code == 429
        assert response.headers["x-rate-limit-reset"] == "1750000000"
        assert response.content == b'{"title":"Too Many Requests"}'
    assert outcomes(simulator) == ["refused with 429"]


def test_an_end_completes_the_body_and_so_does_the_end_of_the_script() -> None:
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


def test_who_leaves_after_a_stall_is_over_was_not_left_in_silence() -> None:
    with Simulator(script=[(Stall(0.01), Live())], rate=100) as simulator:
        with get(simulator) as response:
            next(items(response))
        wait_for(lambda: outcomes(simulator) != ["open"])
    assert outcomes(simulator) == ["left by the client"]


def test_a_client_that_leaves_an_idle_stream_is_noticed_at_once() -> None:
    with Simulator(rate=0) as simulator:
        with asking(simulator) as connection:
            read_until(connection, b"\r\n\r\n")
            (visit,) = simulator.visits
            assert (visit.outcome, visit.ended_at) == ("open", None)
        wait_for(lambda: visit.outcome == "left by the client")
        assert visit.ended_at is not None


def test_a_notice_is_a_line_of_its_own() -> None:
    script: Script = (Serve(1), Notice({"errors": [{"title": "über"}]}), OPERATIONAL_DISCONNECT, End())
    with Simulator(script=[script]) as simulator, get(simulator) as response:
        post, notice, disconnect = items(response)
    assert "data" in post
    assert notice == {"errors": [{"title": "über"}]}
    assert disconnect == OPERATIONAL_DISCONNECT.content
    assert [entry.whole for entry in simulator.log] == [True]


def test_bytes_are_sent_as_they_are_and_nothing_is_sent_for_none() -> None:
    script: Script = (Send(b'{"a":'), Send(b""), Send(b"\xff}\n"), Send(b"rest"), End())
    with Simulator(script=[script]) as simulator, get(simulator) as response:
        assert response.content == b'{"a":\xff}\nrest'


def test_a_live_stretch_of_a_script_ends_on_time_idle_or_not() -> None:
    scripts: list[Script] = [(Live(0), End()), (Live(0.05), End())]
    with Simulator(script=scripts, rate=0) as simulator:
        for _ in scripts:
            with get(simulator) as response:
                assert list(lines(response)) == []
    lasted = [(visit.live_until or 0) - (visit.live_since or 0) for visit in simulator.visits]
    assert lasted == [0, pytest.approx(0.05, abs=1e-3)]


# Random faults.


def fates(seed: int, connections: int, chance: float) -> list[tuple[str, int]]:
    """How each connection ended, and after how many items."""
    with Simulator(rate=1_000, random_faults=chance, seed=seed) as simulator:
        for number in range(connections):
            with asking(simulator) as connection:
                listen(connection, simulator, number)
    sent = [entry.visit for entry in simulator.log if entry.whole]
    return [(visit.outcome, sent.count(visit.number)) for visit in simulator.visits]


def listen(connection: socket.socket, simulator: Simulator, number: int) -> None:
    """Until the server closes, or has gone silent: it says so, and a client cannot know."""
    connection.settimeout(0.02)
    while True:
        try:
            if not connection.recv(2**16):
                return
        except ConnectionResetError:
            return
        except TimeoutError:
            if len(simulator.visits) > number and simulator.visits[number].outcome == "silent":
                return


def test_random_faults_happen_and_are_the_same_for_the_same_seed_and_connection() -> None:
    first = fates(3, 6, 0.4)
    assert fates(3, 6, 0.4) == first
    assert fates(4, 6, 0.4) != first
    assert len(set(first)) > 1


def test_random_faults_are_of_every_kind_and_with_a_chance_of_one_follow_each_first_item() -> None:
    befallen = fates(0, 16, 1.0)
    assert {count for _, count in befallen} == {1}
    assert {outcome for outcome, _ in befallen} == {
        "ended cleanly",
        "cut off",
        "reset",
        "silent until the client left",
    }
    assert set(RANDOM_FAULTS) == {"end", "cut", "reset", "stall", "operational-disconnect"}


def test_a_random_fault_never_sends_an_item_again() -> None:
    with Simulator(rate=1_000, random_faults=1.0, seed=0) as simulator:
        for number in range(16):
            with asking(simulator) as connection:
                listen(connection, simulator, number)
    assert "cut off" in outcomes(simulator)
    assert "reset" in outcomes(simulator)
    numbers = [entry.number for entry in simulator.log]
    assert sorted(set(numbers)) == numbers


def test_a_client_that_reconnects_through_random_faults_can_account_for_every_item() -> None:
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

RECORDED = [
    b'{"data":{"id":"7"}, "odd" : [1,  2]}',
    '{"data":{"id":"8","text":"a\u2028b \U0001f408"}}'.encode(),
    b"not json at all",
    b'{"data":{"id":"9"}}  ',
]


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    path = tmp_path / "recorded.ndjson"
    path.write_bytes(b"\n\r\n".join(RECORDED))
    return path


def until_idle(stream: Iterator[bytes]) -> list[bytes]:
    """The lines before three heartbeats in a row."""
    received: list[bytes] = []
    while received[-3:] != [b"\r"] * 3:
        received.append(next(stream))
    return [line for line in received if line != b"\r"]


def test_a_replay_sends_the_lines_of_the_file_byte_for_byte_and_is_idle_from_then_on(recorded: Path) -> None:
    with Simulator(replay=recorded, rate=200, heartbeat=0.02) as simulator, get(simulator) as response:
        assert until_idle(lines(response)) == [line + b"\r" for line in RECORDED]
    assert [entry.id for entry in simulator.log] == ["7", "8", None, "9"]


def test_a_replay_begins_when_the_first_client_comes_and_not_before(recorded: Path) -> None:
    with Simulator(replay=recorded, rate=1_000, heartbeat=0.02) as simulator:
        time.sleep(0.02)  # long enough for the whole file, had anybody listened
        with get(simulator, token="") as response:
            assert response.status_code == 401
        with get(simulator) as response:
            assert until_idle(lines(response)) == [line + b"\r" for line in RECORDED]


def test_a_replay_goes_on_where_the_last_connection_stopped_and_does_not_begin_again(recorded: Path) -> None:
    with Simulator(script=[(Serve(1), End())], then=(Serve(9), End()), replay=recorded) as simulator:
        received = []
        for _ in range(3):
            with get(simulator) as response:
                received.append(list(lines(response)))
    assert received == [[RECORDED[0] + b"\r"], [line + b"\r" for line in RECORDED[1:]], []]


def test_a_replay_of_nothing_is_refused_and_of_no_file_an_oserror(tmp_path: Path) -> None:
    empty = tmp_path / "empty.ndjson"
    empty.touch()
    with pytest.raises(ValueError, match="no line to replay"):
        Simulator(replay=empty)
    with pytest.raises(FileNotFoundError):
        Simulator(replay=tmp_path / "missing.ndjson")


# TLS.


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def certificates(authority: trustme.CA, tmp_path: Path) -> str:
    """A file of the certificates that the client is to trust."""
    path = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(path)
    return str(path)


@pytest.fixture
def tls(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context


@pytest.mark.parametrize("framing", ["chunked", "close"])
def test_under_tls_a_stream_is_the_same(tls: ssl.SSLContext, certificates: str, framing: Framing) -> None:
    is_read = threading.Event()
    script: Script = (Serve(1), Until(is_read), Serve(1), End())
    with Simulator(script=[script], tls=tls, framing=framing) as simulator:
        assert simulator.url.startswith("https://127.0.0.1:")
        with get(simulator, verify=certificates) as response:
            received = post_ids(response)
            one = next(received)
            is_read.set()
            (two,) = received
    assert [one, two] == [entry.id for entry in simulator.log]
    assert outcomes(simulator) == ["ended cleanly"]


def test_under_tls_a_client_that_leaves_is_noticed(tls: ssl.SSLContext, certificates: str) -> None:
    with (
        Simulator(tls=tls, rate=0, heartbeat=0.01) as simulator,
        get(simulator, verify=certificates) as response,
    ):
        assert next(lines(response)) == b"\r"
        response.close()
        wait_for(lambda: outcomes(simulator) == ["left by the client"])


def test_a_client_without_tls_gets_nothing_and_troubles_nobody(
    tls: ssl.SSLContext, certificates: str
) -> None:
    with Simulator(tls=tls, then=SHORT) as simulator:
        with asking(simulator) as connection, pytest.raises((AssertionError, ConnectionResetError)):
            read_until(connection, b"200 OK")
        with get(simulator, verify=certificates) as response:
            assert len(list(items(response))) == 1


def test_a_client_slow_in_its_handshake_delays_nobody(tls: ssl.SSLContext, certificates: str) -> None:
    with (
        Simulator(tls=tls, then=SHORT) as simulator,
        connected(simulator),
        get(simulator, verify=certificates) as response,
    ):
        assert len(list(items(response))) == 1


# Coming and going.


def closed_by_the_other_side(connection: socket.socket) -> bool:
    """Whether the stream ends, whatever of it is still to be read; raises TimeoutError where it does not."""
    try:
        read_to_the_end(connection)
    except ConnectionResetError:
        return True
    return True


STUCK: Mapping[str, tuple[Script, bytes]] = {
    "idle": ((Live(),), request()),
    "stalled": ((Stall(),), request()),
    "not reading": ((Send(b"x" * 2**24),), request()),
    "silent before its request": ((), b""),
    "in the middle of its request": ((), request()[:20]),
}


@pytest.mark.parametrize("kind", STUCK)
def test_closing_the_simulator_closes_a_connection_that_is(kind: str) -> None:
    script, sent = STUCK[kind]
    with ExitStack() as clients:
        with Simulator(script=[script], rate=0) as simulator:
            connection = clients.enter_context(connected(simulator))
            connection.sendall(sent)
            if script:
                assert connection.recv(1) == b"H"
            else:
                wait_for(lambda: len(handlers()) == 1)
        assert not handlers()
        assert closed_by_the_other_side(connection)


def handlers() -> Sequence[threading.Thread]:
    return [thread for thread in threading.enumerate() if "process_request_thread" in thread.name]


def test_closing_the_simulator_closes_a_connection_in_the_middle_of_its_tls_handshake(
    tls: ssl.SSLContext,
) -> None:
    client = ssl.create_default_context()
    outgoing = ssl.MemoryBIO()
    hello = client.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="localhost")
    with pytest.raises(ssl.SSLWantReadError):
        hello.do_handshake()
    with ExitStack() as clients:
        with Simulator(tls=tls) as simulator:
            connection = clients.enter_context(connected(simulator))
            connection.sendall(outgoing.read())
            assert connection.recv(1) == b"\x16"  # the server's part of the handshake; ours never comes
        assert closed_by_the_other_side(connection)


class SlowToWrap(ssl.SSLContext):
    """Holds each connection just accepted until it is told to go on."""

    holding: threading.Event
    release: threading.Event

    def wrap_socket(self, *arguments: Any, **named: Any) -> ssl.SSLSocket:
        self.holding.set()
        assert self.release.wait(GUARD)
        return super().wrap_socket(*arguments, **named)


@pytest.fixture
def slow_to_wrap(authority: trustme.CA) -> SlowToWrap:
    context = SlowToWrap(ssl.PROTOCOL_TLS_SERVER)
    context.holding, context.release = threading.Event(), threading.Event()
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context


def test_closing_the_simulator_closes_a_connection_accepted_at_that_very_moment(
    slow_to_wrap: SlowToWrap,
) -> None:
    simulator = Simulator(tls=slow_to_wrap).__enter__()
    closing_it = threading.Thread(target=simulator.__exit__, args=(None, None, None))
    with connected(simulator):
        assert slow_to_wrap.holding.wait(GUARD)
        closing_it.start()
        closing_it.join(0.15)  # time to close all connections but the one that is held
        slow_to_wrap.release.set()
        closing_it.join(2.0)
        hung = closing_it.is_alive()
    closing_it.join(GUARD)  # now that the client is gone it ends in any case
    assert not hung


def test_a_client_gone_before_its_connection_is_accepted_troubles_nobody(
    slow_to_wrap: SlowToWrap, certificates: str
) -> None:
    with Simulator(tls=slow_to_wrap, then=SHORT) as simulator:
        with connected(simulator):
            assert slow_to_wrap.holding.wait(GUARD)
            with connected(simulator) as impatient:
                impatient.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            slow_to_wrap.release.set()
        with get(simulator, verify=certificates) as response:
            assert len(list(items(response))) == 1


def test_a_hundred_clients_are_closed_with_all_their_threads() -> None:
    with ExitStack() as clients:
        with Simulator(rate=0) as simulator:
            connections = [clients.enter_context(asking(simulator)) for _ in range(100)]
            assert {connection.recv(1) for connection in connections} == {b"H"}
            assert len(simulator.visits) == 100
        assert not handlers()
        assert all(map(closed_by_the_other_side, connections))
    assert set(outcomes(simulator)) == {"left by the client"}


def test_a_simulator_listens_on_loopback_unless_told_otherwise() -> None:
    with Simulator() as simulator:
        assert simulator.url.startswith("http://127.0.0.1:")
    with pytest.raises(requests.ConnectionError), get(simulator):
        pass


def test_two_simulators_have_ports_of_their_own() -> None:
    with Simulator() as one, Simulator() as other:
        assert one.url != other.url


def test_an_address_of_ipv6_stands_in_brackets() -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:  # a machine without IPv6 says so
        with pytest.raises(OSError, match="address"):
            Simulator(host="::1")
        return
    with Simulator(script=[SHORT], host="::1") as simulator:
        assert simulator.url.startswith("http://[::1]:")
        with get(simulator) as response:
            assert len(list(items(response))) == 1


def test_a_port_in_use_is_an_oserror_and_nothing_stays_open(recorded: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        with pytest.raises(OSError, match="in use"):
            Simulator(port=taken.getsockname()[1])
        with pytest.raises(OSError, match="in use"):
            Simulator(port=taken.getsockname()[1], replay=recorded)


def test_a_port_is_free_again_when_the_simulator_is_closed() -> None:
    with Simulator() as first:
        port = int(first.url.rpartition(":")[2])
        with asking(first) as connection:
            connection.recv(1)
    with Simulator(port=port, script=[SHORT]) as second, get(second) as response:
        assert second.url == first.url
        assert len(list(items(response))) == 1


def test_visits_tell_who_came_when_and_with_what() -> None:
    before = time.time()
    script: Script = (Live(0.01), End())
    with Simulator(script=[script], rate=0) as simulator, get(simulator, tweet_fields="lang") as response:
        assert list(lines(response)) == []
    (visit,) = simulator.visits
    assert (visit.number, visit.path, visit.params) == (0, SAMPLE, {"tweet.fields": "lang"})
    moments = [before, visit.opened_at, visit.live_since, visit.live_until, visit.ended_at, time.time()]
    assert None not in moments
    assert moments == sorted(moment for moment in moments if moment is not None)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[("rate", value) for value in (-1.0, math.inf, math.nan)],
        *[("heartbeat", value) for value in (0.0, -1.0, math.nan)],
        *[("random_faults", value) for value in (-0.1, 1.1, math.nan)],
    ],
)
def test_a_bad_value_is_refused_with_its_name_and_what_is_allowed(name: str, value: float) -> None:
    settings: Any = {name: value}
    with pytest.raises(ValueError, match=rf"{name} is {value}, must be "):
        Simulator(**settings)
