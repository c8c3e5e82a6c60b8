"""Servers that begin something and never finish it: where a stop, a deadline or a limit has to end it."""

from __future__ import annotations

import itertools
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from helpers.namespaces import SERVER, Link, inside, linked, needs_namespaces
from helpers.servers import Peer, head, served

PAUSE = 0.05
"""Seconds between two bytes of a server that drips."""
ITEM = b'{"data":{"id":"1"}}\r\n'
PATH = "/2/tweets/sample/stream"


@dataclass(frozen=True)
class Situation:
    """Where a client hangs; `reached` is set when it does."""

    url: str
    reached: threading.Event
    link: Link | None = None


Reach = Callable[[], object]


def drip(peer: Peer, data: bytes) -> None:
    """Send the data a byte at a time, again and again."""
    for byte in itertools.cycle(data):
        peer.send(bytes([byte]))
        time.sleep(PAUSE)


def mute(peer: Peer, reach: Reach) -> None:
    reach()
    peer.wait_until_left()


def dripping_headers(peer: Peer, reach: Reach) -> None:
    peer.request()
    peer.send(b"HTTP/1.1 200 OK\r\nX-Long: ")
    reach()
    drip(peer, b"x")


def endless_continue(peer: Peer, reach: Reach) -> None:
    peer.request()
    reach()
    while True:
        peer.send(b"HTTP/1.1 100 Continue\r\n\r\n" * 20)
        time.sleep(0.005)


def mute_after_hints(peer: Peer, reach: Reach) -> None:
    peer.request()
    peer.send(head(status="103 Early Hints"))
    reach()
    peer.wait_until_left()


def dripping_redirect(peer: Peer, reach: Reach) -> None:
    """The redirect's body drips for ever; the request that follows it is not answered."""
    if b" /next " in peer.request():
        mute(peer, reach)
        return
    peer.send(head("Location: /next", status="302 Found"))
    drip(peer, b"moved")


def unavailable(peer: Peer, reach: Reach) -> None:
    peer.request()
    peer.send(head("Content-Length: 0", status="503 Service Unavailable"))
    reach()


def silent(peer: Peer, reach: Reach) -> None:
    peer.request()
    peer.send(head("Content-Type: application/json") + ITEM)
    reach()
    peer.wait_until_left()


def dripping_body(peer: Peer, reach: Reach) -> None:
    peer.request()
    peer.send(head("Content-Type: application/json") + ITEM)
    reach()
    drip(peer, b"x")


SERVERS: dict[str, Callable[[Peer, Reach], None]] = {
    "accepted and mute": mute,
    "TLS handshake mute": mute,
    "headers drip": dripping_headers,
    "100 Continue for ever": endless_continue,
    "103 and mute": mute_after_hints,
    "redirect that drips": dripping_redirect,
    "wait for the next attempt": unavailable,
    "silent peer": silent,
    "body that drips": dripping_body,
}
GONE = "peer that is gone"
NO_ANSWER_TO_SYN = "no answer to a SYN"
CONNECTING = (
    NO_ANSWER_TO_SYN,
    "accepted and mute",
    "TLS handshake mute",
    "headers drip",
    "100 Continue for ever",
    "103 and mute",
    "redirect that drips",
)
"""The situations of an attempt to connect."""
SITUATIONS = [
    *(NO_ANSWER_TO_SYN, *SERVERS),
    pytest.param(GONE, marks=needs_namespaces),
]


@contextmanager
def situation(name: str) -> Iterator[Situation]:
    reached = threading.Event()
    with ExitStack() as stack:
        if name == NO_ANSWER_TO_SYN:
            url = stack.enter_context(full_backlog())
            reached.set()
            yield Situation(url + PATH, reached)
        elif name == GONE:
            link = stack.enter_context(linked())
            with inside(link.server):
                url = stack.enter_context(served(lambda peer: silent(peer, reached.set), host=SERVER))
            yield Situation(url + PATH, reached, link)
        else:
            serve = SERVERS[name]
            url = stack.enter_context(served(lambda peer: serve(peer, reached.set)))
            scheme = "https:" if name.startswith("TLS") else "http:"
            yield Situation(url.replace("http:", scheme) + PATH, reached)


def attempts_without_answer(url: str) -> int:
    """Connections of this machine to the URL's port whose SYN has no answer yet; needs Linux."""
    port = f":{urlsplit(url).port:04X}"
    rows = [line.split() for line in Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]]
    return sum(row[2].endswith(port) and row[3] == "02" for row in rows)


@contextmanager
def full_backlog() -> Iterator[str]:
    """A port whose queue is full: the system drops the next SYN."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(3):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
