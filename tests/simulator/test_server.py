"""The simulated X over real HTTP: paths, tokens, framing, and the live stream."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import islice, pairwise

import pytest

from helpers.clients import (
    GUARD,
    PROBLEM,
    SAMPLE,
    SHORT,
    Until,
    asking,
    chunks,
    get,
    items,
    lines,
    post_ids,
    read_to_the_end,
    split_head,
)
from xdk_streaming.simulator import (
    HEARTBEAT,
    UNAVAILABLE,
    End,
    Live,
    Script,
    Serve,
    Simulator,
    Stall,
)
from xdk_streaming.simulator.body import Encoding, Framing
from xdk_streaming.x import ENDPOINTS

pytestmark = pytest.mark.usefixtures("nothing_is_left", "no_thread_complains")


# Paths, tokens, parameters.


@pytest.fixture(scope="module")
def shared() -> Iterator[Simulator]:
    """A simulator shared by tests that need one item or a refusal."""
    with Simulator(then=SHORT) as simulator:
        yield simulator


@pytest.fixture(scope="module")
def guarded() -> Iterator[Simulator]:
    """A simulator that accepts only the token `right`."""
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
    assert (shared.requests[-1].path, shared.requests[-1].params) == (path, partition)


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
    assert shared.requests[-1].outcome == "refused with 401"


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
def test_only_the_configured_token_is_accepted(guarded: Simulator, token: str | bytes, status: int) -> None:
    with get(guarded, token=token) as response:
        assert response.status_code == status


def test_a_token_need_not_be_ascii() -> None:
    with Simulator(script=[SHORT], token="r\u00efght") as simulator:
        with get(simulator, token="Bearer r\u00efght".encode()) as response:
            assert response.status_code == 200
        with get(simulator, token="Bearer right") as response:
            assert response.status_code == 401


def test_an_unknown_path_is_a_404_problem(shared: Simulator) -> None:
    with get(shared, "/2/tweets/nonsense/stream") as response:
        assert response.status_code == 404
        assert response.headers["Content-Type"] == PROBLEM
        assert response.json()["status"] == 404
    assert shared.requests[-1].outcome == "refused with 404"


@pytest.mark.parametrize("partition", [{}, {"partition": ""}, {"partition": "3"}])
def test_an_invalid_partition_gets_xs_400(shared: Simulator, partition: dict[str, str]) -> None:
    with get(shared, "/2/tweets/sample10/stream", **partition) as response:
        assert response.status_code == 400
        assert response.headers["Content-Type"] == PROBLEM
        problem = response.json()
    assert problem["title"] == "Invalid Request"
    assert list(problem["errors"][0]["parameters"]) == ["partition"]
    assert shared.requests[-1].outcome == "refused with 400"


@pytest.mark.parametrize("script", [SHORT, (UNAVAILABLE,)])
@pytest.mark.parametrize("path", [SAMPLE, "/2/nonsense"])
def test_an_answer_after_which_the_server_closes_says_so(path: str, script: Script) -> None:
    """Otherwise a client could send its next request on a connection that is being closed."""
    with Simulator(script=[script]) as simulator, asking(simulator, path) as connection:
        head, _ = split_head(read_to_the_end(connection))
    assert b"connection: close" in [line.lower() for line in head]


def test_only_requested_fields_are_present() -> None:
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


def test_each_line_is_a_chunk_that_ends_with_crlf() -> None:
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


def test_without_chunks_a_body_is_only_its_lines() -> None:
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


def test_heartbeats_come_only_in_silence() -> None:
    with Simulator(rate=20, heartbeat=0.01) as simulator, get(simulator) as response:
        kinds = [line == b"\r" for line in islice(lines(response), 12)]
    assert True in kinds
    assert False in kinds
    with Simulator(rate=200, heartbeat=GUARD) as simulator, get(simulator) as response:
        assert b"\r" not in list(islice(lines(response), 12))


def test_a_live_stream_skips_no_item_and_ids_rise() -> None:
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


def test_every_received_item_is_in_the_log() -> None:
    with Simulator(rate=500) as simulator, get(simulator) as response:
        for item in islice(items(response), 100):
            assert item["data"]["id"] in {entry.id for entry in list(simulator.log)}
    assert all(entry.whole and entry.request == 0 for entry in simulator.log)


def test_publishing_goes_on_without_clients() -> None:
    pause: Script = (Live(0.05), Stall(0.05), Live(0.05), End())
    with Simulator(script=[pause], rate=200) as simulator, get(simulator) as response:
        ids = list(post_ids(response))
    assert ids == [entry.id for entry in simulator.log]
    numbers = [entry.number for entry in simulator.log]
    (gap,) = {after - before for before, after in pairwise(numbers)} - {1}
    assert gap >= 10  # of 0.05 s at 200 a second
