"""Clients of the simulator: over requests, and on bare sockets where the framing matters."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import requests

from xdk_streaming.simulator import (
    End,
    Script,
    Serve,
    Simulator,
)
from xdk_streaming.simulator.script import Wire

SAMPLE = "/2/tweets/sample/stream"
GUARD = 20.0
"""Seconds after which a wait that should be over counts as hanging."""

SHORT: Script = (Serve(1), End())
PROBLEM = "application/problem+json"

RECORDED = [
    b'{"data":{"id":"7"}, "odd" : [1,  2]}',
    '{"data":{"id":"8","text":"a\u2028b \U0001f408"}}'.encode(),
    b"not json at all",
    b'{"data":{"id":"9"}}  ',
]


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
            params={name.replace("_fields", ".fields"): value for name, value in params.items()},
            headers={"Authorization": token} if token else {},
            stream=True,
            timeout=GUARD,
        ) as response:
            yield response


def ask(simulator: Simulator, method: str, path: str, body: Any = None, **params: str) -> Any:
    """The status and the body of an answer."""
    with requests.Session() as session:
        session.trust_env = False
        headers = {"Authorization": "Bearer any"}
        url = simulator.url + path
        answer = session.request(method, url, params=params, json=body, headers=headers, timeout=GUARD)
        return answer.status_code, answer.json()


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
    return [visit.outcome for visit in simulator.requests]


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
