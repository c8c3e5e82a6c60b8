"""The parts of a simulator that serve a request, and the behaviour of its streams. Values only."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

from xdk_streaming.simulator.access import Access
from xdk_streaming.simulator.body import BodyFormat
from xdk_streaming.simulator.client_socket import SlowReaderPolicy
from xdk_streaming.simulator.connections import Connections
from xdk_streaming.simulator.connects import Connects
from xdk_streaming.simulator.feed import Feed
from xdk_streaming.simulator.half_requests import HalfRequests
from xdk_streaming.simulator.log import Logbook, ServedRequest
from xdk_streaming.simulator.rules.book import RuleBook
from xdk_streaming.simulator.scripts import Scripts
from xdk_streaming.simulator.slots import Slots
from xdk_streaming.x import Endpoint

Kill = Literal["end", "cut"]


@dataclass(frozen=True)
class StreamBehaviour:
    """How the streams of a simulator behave. Durations are in seconds."""

    heartbeat: float
    """Silence before a heartbeat."""
    random_faults: float
    """Probability of a fault after each item of a live stream, drawn from `seed`."""
    seed: int
    backlog: float
    """How far back a backfill can reach."""
    kill: Kill
    """How a stream ends that another request kills."""
    sending: BodyFormat
    patience: SlowReaderPolicy


@dataclass(frozen=True)
class Service:
    """Everything needed to serve a request."""

    access: Access
    behaviour: StreamBehaviour
    feed: Feed
    book: RuleBook
    slots: Slots
    connections: Connections
    scripts: Scripts
    logbook: Logbook
    connects: Connects
    half_requests: HalfRequests


class SendResponse(Protocol):
    """Sends the head of a response, and the body if it is known."""

    def __call__(self, status: int, headers: Mapping[str, str], body: bytes = b"") -> None:
        """Send the head, and this body."""


@dataclass(frozen=True)
class Exchange:
    """One request for a stream, and how to respond to it."""

    connection: socket.socket
    request: ServedRequest
    endpoint: Endpoint
    params: Mapping[str, str]
    answer: SendResponse
    takes_chunks: bool = True
    """Whether the client takes a body in chunks, which HTTP/1.0 does not have (RFC 9112, section 6.1)."""
