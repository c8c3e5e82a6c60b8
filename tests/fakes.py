"""Stand-ins for time and the network: a clock that jumps, and a session that plays scripts in memory."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import requests
from urllib3.exceptions import IncompleteRead, ProtocolError, ReadTimeoutError

from xdk_streaming.simulator import Script


class FakeClock:
    """Time passes only in waits, and there at once."""

    def __init__(self, now: float = 1_000_000.0) -> None:
        self.now = now
        self.waits: list[float] = []
        self.during_wait: Callable[[], object] = lambda: None

    def time(self) -> float:
        return self.now

    def monotonic(self) -> float:
        return self.now

    def wait(self, seconds: float, wake: threading.Lock) -> None:
        self.waits.append(seconds)
        self.during_wait()
        if not wake.acquire(blocking=False):
            self.now += seconds


class NoMoreConnections(Exception):
    """A connection was made that the script does not foresee."""


class Over(Exception):
    """How the end of a connection leaves the wire: nothing can follow."""


class Refused(Over):
    """How a script's refusal leaves the wire."""

    def __init__(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self.answer = (status, headers, body)


class MemoryWire:
    """Collects what a script sends: chunks, and at the end perhaps an exception of requests' own."""

    def __init__(self, session: MemorySession) -> None:
        self._session = session
        self.chunks: list[bytes | Exception | float] = []
        self.status = 200
        self.headers: Mapping[str, str] = {"Content-Type": "application/json"}

    def refuse(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        raise Refused(status, headers, body)

    def open(self, status: int, headers: Mapping[str, str]) -> None:
        self.status, self.headers = status, headers

    def serve(self, count: int) -> None:
        for _ in range(count):
            self.send(self._session.next_line())

    def live(self, seconds: float | None, *, goes_on: bool) -> None:
        raise NotImplementedError("nothing is published in memory; use Serve")

    def send(self, data: bytes) -> None:
        self.chunks.append(data)

    def uncompressed(self, data: bytes) -> None:
        self.send(data)

    def raw(self, data: bytes) -> None:
        raise NotImplementedError("nothing lies beneath a body in memory; use a socket")

    def half(self, share: float) -> None:
        line = self._session.next_line()
        self.send(line[: int(share * len(line))])

    def silence(self, seconds: float | None, *, head: bool) -> None:
        if seconds is None:
            stall = ReadTimeoutError(None, None, "Read timed out.")  # type: ignore[arg-type]
            self.chunks.append(requests.ConnectionError(stall))
        else:
            self.chunks.append(seconds)

    def end(self) -> None:
        raise Over

    def cut(self) -> None:
        broken = ProtocolError("Connection broken: IncompleteRead", IncompleteRead(0, 1))
        self.chunks.append(requests.exceptions.ChunkedEncodingError(broken))
        raise Over

    reset = cut


class MemoryResponse:
    """As much of a requests response as the transport asks for."""

    def __init__(self, clock: FakeClock, wire: MemoryWire) -> None:
        self.status_code = wire.status
        self.headers = wire.headers
        self.closed = 0
        self._clock = clock
        self._chunks = wire.chunks

    def iter_content(self, chunk_size: int | None) -> Iterator[bytes]:
        for chunk in self._chunks:
            if isinstance(chunk, Exception):
                raise chunk
            if isinstance(chunk, float):
                self._clock.now += chunk
            else:
                yield chunk

    def close(self) -> None:
        self.closed += 1


class MemorySession:
    """Plays one script a connection, as the simulator does, but at once and in memory.

    A step may also be an exception: it is raised instead of an answer.
    """

    def __init__(self, clock: FakeClock, scripts: Sequence[Script | Exception]) -> None:
        self.headers: dict[str, str] = {}
        self.calls: list[dict[str, Any]] = []
        self.responses: list[MemoryResponse] = []
        self.lines = 0
        self._clock = clock
        self._scripts = iter(scripts)

    def get(self, url: str, **arguments: Any) -> MemoryResponse:
        self.calls.append({"url": url, **arguments})
        script = next(self._scripts, None)
        if script is None:
            raise NoMoreConnections
        if isinstance(script, Exception):
            raise script
        wire = MemoryWire(self)
        try:
            for step in script:
                step.play(wire)
        except Refused as refused:
            wire.status, wire.headers, body = refused.answer
            wire.chunks.append(body)
        except Over:
            pass
        response = MemoryResponse(self._clock, wire)
        self.responses.append(response)
        return response

    def next_line(self) -> bytes:
        self.lines += 1
        return b'{"data":{"id":"%d"}}\r\n' % self.lines


def ids(items: Sequence[Mapping[str, Any]]) -> list[str]:
    """The ids of posts."""
    return [item["data"]["id"] for item in items]


def namespace(**attributes: Any) -> Any:
    """Something with these attributes and no others."""
    return SimpleNamespace(**attributes)
