"""The simulator as an HTTP server: old clients, odd requests, and those that never come whole."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from helpers.clients import GUARD, SAMPLE, get, items
from xdk_streaming.simulator import End, Live, Serve, Simulator
from xdk_streaming.x import ENDPOINTS, RULES

HEADERS = "Host: x\r\nAuthorization: Bearer any\r\n"


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    with Simulator(then=(Serve(3), End()), rate=0) as simulator:
        yield simulator


def sent(simulator: Simulator, request: str) -> bytes:
    """The whole answer to a request, which is sent as it is."""
    address = urlsplit(simulator.url)
    with socket.create_connection((address.hostname, address.port), timeout=GUARD) as connection:
        connection.sendall(request.encode())
        answer = b""
        while data := connection.recv(65536):
            answer += data
    return answer


def problem(answer: bytes) -> dict[str, object]:
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"application/problem+json" in head
    content = json.loads(body)
    assert isinstance(content, dict)
    assert set(content) == {"title", "detail", "type", "status"}
    return content


def test_a_client_of_http_1_0_gets_no_chunks(simulator: Simulator) -> None:
    head, _, body = sent(simulator, f"GET {SAMPLE} HTTP/1.0\r\n{HEADERS}\r\n").partition(b"\r\n\r\n")
    assert b"Transfer-Encoding" not in head
    assert [json.loads(line)["data"]["id"] for line in body.splitlines()] == [
        entry.id for entry in simulator.log
    ]


def test_a_body_in_chunks_is_read(simulator: Simulator) -> None:
    rule = json.dumps({"add": [{"value": "cats"}]})
    half = len(rule) // 2
    chunks = "".join(f"{len(part):x}\r\n{part}\r\n" for part in (rule[:half], rule[half:]))
    request = f"POST {RULES} HTTP/1.1\r\n{HEADERS}Transfer-Encoding: chunked\r\n\r\n{chunks}0\r\n\r\n"
    assert sent(simulator, request).startswith(b"HTTP/1.1 201 ")
    assert [rule.value for rule in simulator.book.rules] == ["cats"]


@pytest.mark.parametrize(
    ("request_line", "status"),
    [
        (f"OPTIONS {SAMPLE} HTTP/1.1", 405),
        (f"PUT {RULES} HTTP/1.1", 405),
        ("PATCH /nowhere HTTP/1.1", 404),
        ("BREW /coffee HTTP/1.1", 501),
        ("GET", 400),
        ("GET / HTTP/9.9", 505),
        ("\x1b[31m nonsense \x1b[0m", 400),
        (f"GET /{'x' * 10_000} HTTP/1.1", 414),
        (f"POST {RULES} HTTP/1.1\r\nContent-Length: much", 400),
        (f"POST {RULES} HTTP/1.1\r\nContent-Length: 999999999", 413),
        (f"POST {RULES} HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz", 400),
    ],
)
def test_what_cannot_be_served_is_refused_with_a_problem(
    simulator: Simulator, request_line: str, status: int, capfd: pytest.CaptureFixture[str]
) -> None:
    assert problem(sent(simulator, f"{request_line}\r\n{HEADERS}\r\n"))["status"] == status
    assert capfd.readouterr() == ("", "")
    assert sum(len(request.path) for request in simulator.requests) < 8192


def test_a_head_is_refused_without_a_body(simulator: Simulator) -> None:
    answer = sent(simulator, f"HEAD {SAMPLE} HTTP/1.1\r\n{HEADERS}\r\n")
    assert answer.startswith(b"HTTP/1.1 405 ")
    assert answer.endswith(b"\r\n\r\n")


def test_a_request_that_does_not_come_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("xdk_streaming.simulator.half_requests.REQUEST_SECONDS", 0.05)
    with Simulator() as simulator:
        assert sent(simulator, f"GET {SAMPLE} HTTP/1.1\r\nHost") == b""


def test_a_stream_says_how_often_the_app_may_connect(simulator: Simulator) -> None:
    remaining = []
    for _ in range(3):
        with get(simulator, SAMPLE) as response:
            list(items(response))
            assert response.headers["x-rate-limit-limit"] == "50"
            assert re.fullmatch("[0-9]{10}", response.headers["x-rate-limit-reset"])
            remaining.append(response.headers["x-rate-limit-remaining"])
    assert remaining == ["49", "48", "47"]


@pytest.mark.parametrize("path", ["/2/tweets/sample10/stream", "/2/tweets/firehose/stream/lang/en"])
def test_partitions_have_no_item_in_common_and_together_all(path: str) -> None:
    slices: list[set[str]] = []
    with Simulator(rate=400.0, backlog=60.0, then=(Live(0.3), End())) as simulator:
        for partition in range(1, ENDPOINTS[path].partitions + 1):
            with get(simulator, path, partition=str(partition), backfill_minutes="5") as response:
                slices.append({item["data"]["id"] for item in items(response)})
        published = simulator.timeline.published(simulator.requests[0].live_until or 0.0)
        known = {simulator.item(number, ENDPOINTS[path], {})[1] for number in range(published)}
    assert all(slices)
    assert len(set().union(*slices)) == sum(map(len, slices))
    assert known <= set().union(*slices)
