"""One simulated connection: plays the steps of a script on a real socket."""

from __future__ import annotations

import math
import random
import select
import socket
import struct
import time
from collections import deque
from collections.abc import Mapping
from typing import Protocol

from xdk_streaming.faults import RANDOM_FAULTS
from xdk_streaming.script import Script
from xdk_streaming.simulator.body import Body, Encoding, Framing
from xdk_streaming.simulator.endpoints import Endpoint
from xdk_streaming.simulator.log import OPEN, Sent, Visit
from xdk_streaming.simulator.timeline import Timeline

AT_ONCE = struct.pack("ii", 1, 0)
"""SO_LINGER that makes close() send RST."""
SILENT = "silent"
SHORT_PAUSE = 0.05
"""Seconds before a reset, for the client to read what was sent before it: RST may overtake data."""


class ClientLeft(Exception):
    """The client closed the connection, or the simulator is being closed."""


class Over(Exception):
    """The connection was ended by the script: nothing can follow."""


class World(Protocol):
    """What a connection must know of the simulator that it belongs to."""

    timeline: Timeline
    log: deque[Sent]
    heartbeat: float
    random_faults: float
    seed: int
    framing: Framing
    encoding: Encoding | None

    def item(self, number: int, endpoint: Endpoint, params: Mapping[str, str]) -> tuple[bytes, str | None]:
        """An item as a line without its end, and its id."""


class Exchange(Protocol):
    """The request that a connection answers."""

    connection: socket.socket
    visit: Visit
    endpoint: Endpoint
    params: dict[str, str]

    def answer(self, status: int, headers: Mapping[str, str], body: bytes = b"") -> None:
        """Send the head, and what of the body is known."""


class SocketWire:
    """The `Wire` of a real connection. Each method is a step's deed; see there."""

    def __init__(self, world: World, exchange: Exchange) -> None:
        self._world = world
        self._exchange = exchange
        self._visit = exchange.visit
        self._socket: socket.socket = exchange.connection
        self._body = Body(world.framing, world.encoding)
        self._open = False
        self._quiet_since = time.time()
        self._chance = random.Random(f"{world.seed}:{self._visit.number}")

    def play(self, script: Script) -> None:
        """Play the script, and write down how the connection ended."""
        try:
            for step in script:
                step.play(self)
            self.end()
        except Over:
            return
        except (ClientLeft, OSError):
            silent = self._visit.outcome == SILENT
            self._visit.close("silent until the client left" if silent else "left by the client")

    def refuse(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self._visit.close(f"refused with {status}")
        self._exchange.answer(status, {**headers, "Content-Length": str(len(body))}, body)
        raise Over

    def open(self, status: int, headers: Mapping[str, str]) -> None:
        self._open = True
        usual = {"Content-Type": "application/json; charset=utf-8", **self._body.headers}
        self._exchange.answer(status, {**usual, **headers})

    def serve(self, count: int) -> None:
        self._items(self._world.timeline.take(count))

    def live(self, seconds: float | None) -> None:
        timeline = self._world.timeline
        now = time.time()
        until = math.inf if seconds is None else now + seconds
        position = timeline.join(now)
        self._visit.live_since = now
        self._open_body()
        while True:
            now = min(time.time(), until)
            due = timeline.published(now)
            for number in range(position, due):
                self._visit.live_until = timeline.due_at(number)
                timeline.advance(number + 1)
                self._items(range(number, number + 1))
                self._perhaps_fail()
            position = max(position, due)
            self._visit.live_until = now
            if now == until:
                return
            if now >= self._quiet_since + self._world.heartbeat:
                self.send(b"\r\n")
            heartbeat = self._quiet_since + self._world.heartbeat
            self._wait(min(heartbeat, timeline.due_at(position), until) - time.time())

    def send(self, data: bytes) -> None:
        self._open_body()
        self._write(self._body.piece(data))

    def uncompressed(self, data: bytes) -> None:
        self._open_body()
        self._write(self._body.framed(data))

    def raw(self, data: bytes) -> None:
        self._write(data)

    def half(self) -> None:
        for number in self._world.timeline.take(1):
            line = self._line(number, whole=False)
            self._open_body()
            self._write(self._body.half(line))

    def silence(self, seconds: float | None, *, head: bool) -> None:
        if head:
            self._open_body()
        self._visit.outcome = SILENT
        self._wait(seconds)
        self._visit.outcome = OPEN

    def end(self) -> None:
        self._open_body()
        self._write(self._body.end())
        self._visit.close("ended cleanly")
        raise Over

    def cut(self) -> None:
        self._visit.close("cut off")
        raise Over

    def reset(self) -> None:
        self._wait(SHORT_PAUSE)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, AT_ONCE)
        self._visit.close("reset")
        raise Over

    def _items(self, numbers: range) -> None:
        for number in numbers:
            line = self._line(number, whole=True)
            self.send(line)

    def _line(self, number: int, *, whole: bool) -> bytes:
        """The item as a line; logged before it is sent, so that whoever receives it finds it in the log."""
        exchange = self._exchange
        line, item_id = self._world.item(number, exchange.endpoint, exchange.params)
        self._world.log.append(Sent(self._visit.number, number, item_id, time.time(), whole))
        return line + b"\r\n"

    def _perhaps_fail(self) -> None:
        if self._chance.random() < self._world.random_faults:
            for step in self._chance.choice(RANDOM_FAULTS).script:
                step.play(self)

    def _open_body(self) -> None:
        if not self._open:
            self.open(200, {})

    def _write(self, data: bytes) -> None:
        self._socket.sendall(data)
        self._quiet_since = time.time()

    def _wait(self, seconds: float | None) -> None:
        """Wait so long, for ever where that is None or infinite; raise where the client leaves meanwhile."""
        bounded = None if seconds is None or math.isinf(seconds) else max(0.0, seconds)
        if select.select([self._socket], [], [], bounded)[0] and not self._socket.recv(4096):
            raise ClientLeft
