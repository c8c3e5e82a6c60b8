"""The connections endpoints: listing and ending streams."""

from __future__ import annotations

import importlib
import inspect
import threading
from collections.abc import Iterator
from contextlib import nullcontext
from itertools import islice

import pytest

from helpers.clients import (
    GUARD,
    SAMPLE,
    Until,
    ask,
    asking,
    get,
    items,
    outcomes,
    read_to_the_end,
    read_until,
    wait_for,
)
from helpers.servers import Trust
from xdk_streaming.simulator import Cut, End, Live, Serve, Simulator, Stall
from xdk_streaming.simulator.account import account
from xdk_streaming.simulator.log import KILLED
from xdk_streaming.simulator.service import Kill
from xdk_streaming.x import CONNECTION_NAMES, CONNECTIONS

pytestmark = pytest.mark.usefixtures("nothing_is_left", "no_thread_complains")

LABELS = "/2/tweets/label/stream"


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    with Simulator(rate=200) as simulator:
        yield simulator


def test_without_a_stream_there_is_nothing_to_list(simulator: Simulator) -> None:
    assert ask(simulator, "GET", CONNECTIONS) == (200, {"meta": {"result_count": 0}})


def test_an_ended_stream_is_inactive_with_a_reason() -> None:
    with Simulator(script=[(Serve(1), Live())], rate=0) as simulator:
        with get(simulator, LABELS) as response:
            next(items(response))
            ((active,), meta) = ask(simulator, "GET", CONNECTIONS)[1].values()
            assert meta == {"result_count": 1}
            assert (active["endpoint_name"], active["client_ip"]) == ("tweet_label_stream", "127.0.0.1")
            assert "disconnected_at" not in active
            assert "data" not in ask(simulator, "GET", CONNECTIONS, status="inactive")[1]
        wait_for(lambda: "data" not in ask(simulator, "GET", CONNECTIONS)[1])
        (over,) = ask(simulator, "GET", CONNECTIONS, status="inactive")[1]["data"]
        assert over["id"] == active["id"]
        assert over["disconnect_reason"] == "left by the client"
        assert over["disconnected_at"] >= over["connected_at"]


def test_connections_are_filtered_and_paged() -> None:
    with Simulator(then=(Serve(1), End())) as simulator:
        for path in (SAMPLE, LABELS, SAMPLE):
            with get(simulator, path) as response:
                list(items(response))
        asked = {"status": "all", "connection.fields": "endpoint_name"}
        _, page = ask(simulator, "GET", CONNECTIONS, **asked, max_results="2")
        assert page["data"] == [{"endpoint_name": "sample_stream"}, {"endpoint_name": "tweet_label_stream"}]
        following = page["meta"]["next_token"]
        _, rest = ask(simulator, "GET", CONNECTIONS, **asked, max_results="2", pagination_token=following)
        assert (rest["data"], rest["meta"]) == ([{"endpoint_name": "sample_stream"}], {"result_count": 1})
        _, labels = ask(
            simulator, "GET", CONNECTIONS, **asked, endpoints="tweet_label_stream,filtered_stream"
        )
        assert labels["data"] == [{"endpoint_name": "tweet_label_stream"}]


@pytest.mark.parametrize(
    ("method", "path", "params"),
    [
        ("GET", CONNECTIONS, {"status": "dead"}),
        ("GET", CONNECTIONS, {"endpoints": "nonsense"}),
        ("GET", CONNECTIONS, {"max_results": "101"}),
        ("GET", CONNECTIONS, {"connection.fields": "colour"}),
        ("DELETE", CONNECTIONS + "/activity_stream", {}),
        ("DELETE", CONNECTIONS, {}),
    ],
)
def test_what_x_does_not_know_is_a_400(
    simulator: Simulator, method: str, path: str, params: dict[str, str]
) -> None:
    status, answer = ask(simulator, method, path, **params)
    assert (status, answer["title"]) == (400, "Invalid Request")


@pytest.mark.parametrize("way", ["id", "stream", "all"])
@pytest.mark.parametrize("kill", ["end", "cut"])
def test_a_killed_stream_ends_and_its_items_are_accounted_for(kill: Kill, way: str) -> None:
    with Simulator(rate=200, kill=kill) as simulator:
        killed(simulator, way, cut=kill == "cut")


def killed(simulator: Simulator, way: str, *, cut: bool) -> None:
    with get(simulator) as response:
        received = [item["data"]["id"] for item in islice(items(response), 5)]
        ((one,), _) = ask(simulator, "GET", CONNECTIONS)[1].values()
        below = {"id": "", "stream": "/sample_stream", "all": "/all"}[way]
        body = {"uuids": [one["id"]]} if way == "id" else None
        status, answer = ask(simulator, "DELETE", CONNECTIONS + below, body)
        assert status == 200
        assert answer["data"]["results"] == [{"uuid": one["id"], "success": True}]
        assert answer["data"]["successful_kills"] == 1
        broken = pytest.raises(Exception, match=r"(?i)incomplete|connection") if cut else nullcontext()
        with broken:
            received += [item["data"]["id"] for item in items(response)]
    (request,) = simulator.requests
    wait_for(lambda: request.ended_at is not None and not simulator.slots.holders())
    assert request.outcome == KILLED
    assert account(simulator, received, request.ended_at or 0.0).objections == []


def test_a_stream_killed_before_a_stall_counts_as_killed() -> None:
    killed = threading.Event()
    with Simulator(script=[(Serve(1), Until(killed), Stall())]) as simulator, get(simulator) as response:
        next(items(response))
        simulator.connections.kill_all()
        killed.set()
        wait_for(lambda: simulator.requests[0].outcome == KILLED and len(_streaming_threads()) == 0)
    assert outcomes(simulator) == [KILLED]


def _streaming_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if "process_request_thread" in thread.name]


def test_who_is_not_there_cannot_be_killed_and_the_others_are(simulator: Simulator) -> None:
    with get(simulator) as response:
        next(items(response))
        ((one,), _) = ask(simulator, "GET", CONNECTIONS)[1].values()
        body = {"uuids": ["nobody", one["id"], one["id"]]}
        _, answer = ask(simulator, "DELETE", CONNECTIONS, body)
    assert [result["success"] for result in answer["data"]["results"]] == [False, True, False]
    assert (answer["data"]["successful_kills"], answer["data"]["failed_kills"]) == (1, 2)


def test_a_silent_stream_under_tls_is_killed_as_well(trust: Trust) -> None:
    with (
        Simulator(then=(Serve(1), Stall()), tls=trust.server) as simulator,
        get(simulator, verify=trust.authority) as response,
    ):
        next(items(response))
        assert simulator.connections.kill_all()["successful_kills"] == 1
        assert list(items(response)) == []
    assert outcomes(simulator) == [KILLED]


def test_killing_a_zombie_makes_room_at_once() -> None:
    script = [(Serve(1), Cut(half=False))]
    with Simulator(script=script, connections=1, zombie=GUARD, rate=0) as simulator:
        with asking(simulator) as connection:
            read_to_the_end(connection)
        with get(simulator) as response:
            assert response.json()["connection_issue"] == "TooManyConnections"
        ((zombie,), _) = ask(simulator, "GET", CONNECTIONS)[1].values()
        assert ask(simulator, "DELETE", f"{CONNECTIONS}/sample_stream")[1]["data"]["successful_kills"] == 1
        with asking(simulator) as connection:
            assert b"200 OK" in read_until(connection, b"\r\n\r\n")
        (known,) = (
            entry
            for entry in ask(simulator, "GET", CONNECTIONS, status="inactive")[1]["data"]
            if entry["id"] == zombie["id"]
        )
        assert known["disconnect_reason"] == "cut off"


def test_the_oldest_ended_connections_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("xdk_streaming.simulator.connections.KEPT", 3)
    script = [(Serve(1), Live())]
    with (
        Simulator(script=script, then=(Serve(1), End()), rate=0) as simulator,
        get(simulator, LABELS) as first,
    ):
        next(items(first))
        for _ in range(5):
            with get(simulator) as response:
                list(items(response))
        (active,) = simulator.connections.listed("active", ())
        assert active["endpoint_name"] == "tweet_label_stream"
        assert len(simulator.connections.listed("all", ())) == 3


def test_xs_names_are_those_of_xdk() -> None:
    client = importlib.import_module("xdk.connections.client").ConnectionsClient
    source = inspect.getsource(client.get_connection_history)
    assert {name for name in CONNECTION_NAMES if f'"{name}"' in source} == CONNECTION_NAMES
    assert source.count("_stream") == len(CONNECTION_NAMES)
