"""A session and a clock for tests of your own code: no network, no waiting.

`ScriptedSession` plays one script per connection, in memory. A script is a sequence of the steps of
`xdk_streaming.simulator`. `FakeClock` makes every wait pass at once, and records the wait. This test ends
when its scripts are used up:

    >>> from xdk_streaming import Stream
    >>> from xdk_streaming.simulator import UNAVAILABLE, Cut, Send, Serve
    >>> from xdk_streaming.testing import FakeClock, NoMoreConnections, ScriptedSession
    >>> session = ScriptedSession([(UNAVAILABLE,), (Serve(2), Cut()), (Send(b'{"data":{"id":"mine"}}'),)])
    >>> try:
    ...     for post in Stream(session, "get", "https://api.x.com/2/tweets/sample/stream", clock=FakeClock()):
    ...         print(post["data"]["id"])
    ... except NoMoreConnections:
    ...     print(len(session.calls), "attempts")
    1
    2
    mine
    4 attempts

Use a `Simulator` to test sockets, TLS, framing, compression, and posts in real time.
"""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import requests
from urllib3.exceptions import IncompleteRead, ProtocolError, ReadTimeoutError

from xdk_streaming.errors import StreamError, StreamErrorType
from xdk_streaming.simulator.script import Flood, Limited, Script

__all__ = ["FakeClock", "NoMoreConnections", "ScriptedSession"]

Chunk = bytes | Exception | Callable[[], object]
"""A piece of a body: bytes, a fault to raise, or a call to make before the next piece."""

REQUEST = inspect.signature(requests.Session.request)


class FakeClock:
    """A clock on which time passes only in waits, and each wait returns at once.

    Pass it as `Stream(..., clock=FakeClock())`. Each stream needs a clock of its own. The stream calls the
    clock on whichever thread reads.
    """

    def __init__(self, now: float = 1_000_000.0) -> None:
        self.now: float = now
        """The time in Unix seconds, and the monotonic time as well. Assign a later time to let time pass."""
        self.waits: list[float] = []
        """Every wait that the stream asked for, in seconds, in order."""
        self.during_wait: Callable[[], object] = lambda: None
        """Called in every wait, before the time passes: for example `clock.during_wait = stream.stop`."""

    def time(self) -> float:
        """Unix seconds: `now`."""
        return self.now

    def monotonic(self) -> float:
        """Monotonic seconds: `now`."""
        return self.now

    def wait(self, seconds: float, wake: threading.Lock) -> None:
        """Record the wait, call `during_wait`, and advance `now` unless `wake` has been released."""
        self.waits.append(seconds)
        self.during_wait()
        if not wake.acquire(blocking=False):
            self.now += seconds


class NoMoreConnections(StreamError):
    """A `ScriptedSession` was asked for a connection after its last script.

    Its type is FATAL_ERROR, so it ends a stream that would otherwise go on reconnecting.
    """


class ScriptedSession(requests.Session):
    """A session that plays one script per connection, at once and in memory.

    `scripts` may be an endless iterator. An exception in place of a script is raised, as if the server gave
    no answer. A connection whose script runs out ends cleanly. The items of `Serve` are
    `{"data": {"id": "1"}}` and so on, counted over all connections. `clock` is the clock of the stream.
    `Stall` with a number of seconds advances this clock, and needs it.

    A request raises `NoMoreConnections` when no script is left, and `NotImplementedError` for a step that
    has no meaning in memory: `Live`, `Raw`, `Flood`. A stream raises the latter as the `original_exception`
    of a `StreamError`. The constructor raises `TypeError` if one of `scripts` is no script.
    """

    def __init__(self, scripts: Iterable[Script | BaseException], *, clock: FakeClock | None = None) -> None:
        super().__init__()
        self.calls: list[dict[str, Any]] = []
        """The arguments of each request, in order: `method`, `url`, `params`, `headers`, and any others that
        were given. Headers that the session itself adds are not among `headers`."""
        self.responses: list[requests.Response] = []
        """The responses, in order; `response.raw.closed` says whether a response was closed."""
        self._clock = clock
        self._lines = 0
        checked = map(_checked, scripts)
        self._scripts = iter(list(checked)) if isinstance(scripts, Sequence) else checked

    def request(self, *positional: Any, **named: Any) -> requests.Response:
        """Play the next script, for any method and any URL."""
        given = REQUEST.bind(self, *positional, **named).arguments
        unsaid = ("self", "allow_redirects")  # requests adds the latter by itself
        asked = {name: value for name, value in given.items() if name not in unsaid and value is not None}
        self.calls.append({"params": {}, "headers": {}, **asked})
        script = next(self._scripts, None)
        if script is None:
            raise NoMoreConnections(
                f"Connection {len(self.calls)} was asked for, and there are scripts for "
                f"{len(self.calls) - 1}; stop the stream, or end the last script with a final refusal, "
                "such as Refuse(401)",
                StreamErrorType.FATAL_ERROR,
            )
        if isinstance(script, BaseException):
            raise script
        response = self._played(script).answer(str(asked["url"]))
        self.responses.append(response)
        return response

    def _played(self, script: Script) -> _Wire:
        wire = _Wire(self._next_line, self._clock)
        try:
            for step in script:
                if isinstance(step, Limited) and self._clock is not None:
                    wire.refuse(429, step.headers(self._clock.now), step.body)
                if isinstance(step, Flood):
                    raise NotImplementedError(
                        "Flood is endless, and a body in memory is not; use a Simulator"
                    )
                step.play(wire)
        except _Over:
            pass
        return wire

    def _next_line(self) -> bytes:
        self._lines += 1
        return b'{"data":{"id":"%d"}}\r\n' % self._lines


def _checked(script: Any) -> Script | BaseException:
    if isinstance(script, BaseException):
        return script
    if isinstance(script, Sequence) and all(hasattr(step, "play") for step in script):
        return script
    raise TypeError(
        f"{script!r} is no script; a script is a sequence of steps, such as (Serve(2), Cut()); "
        "give a sequence of scripts, one per connection"
    )


class _Over(Exception):
    """The connection has ended: no step can follow."""


class _Wire:
    """The server's side of one connection: collects what a script sends."""

    def __init__(self, next_line: Callable[[], bytes], clock: FakeClock | None) -> None:
        self._next_line = next_line
        self._clock = clock
        self._chunks: list[Chunk] = []
        self._status = 200
        self._headers: Mapping[str, str] = {"Content-Type": "application/json"}

    def answer(self, url: str) -> requests.Response:
        """The response of requests that carries all that was sent."""
        response = requests.Response()
        response.status_code = self._status
        response.headers.update(self._headers)
        response.url = url
        response.raw = _Body(self._chunks)
        return response

    def refuse(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self._status, self._headers = status, headers
        self.send(body)
        raise _Over

    def open(self, status: int, headers: Mapping[str, str]) -> None:
        self._status, self._headers = status, headers

    def serve(self, count: int) -> None:
        for _ in range(count):
            self.send(self._next_line())

    def live(self, seconds: float | None, *, goes_on: bool) -> None:
        raise NotImplementedError(
            "Live has no meaning in memory, because nothing is published there; use Serve"
        )

    def send(self, data: bytes) -> None:
        self._chunks.append(data)

    def uncompressed(self, data: bytes) -> None:
        self.send(data)

    def raw(self, data: bytes) -> None:
        raise NotImplementedError(
            "Raw has no meaning in memory, because a body there has no connection beneath it; use a Simulator"
        )

    def half(self, share: float) -> None:
        line = self._next_line()
        self.send(line[: int(share * len(line))])

    def silence(self, seconds: float | None, *, head: bool) -> None:
        if seconds is None:
            self._chunks.append(ReadTimeoutError(None, None, "Read timed out."))  # type: ignore[arg-type]  # of no pool
        elif self._clock is None:
            raise ValueError(
                f"Stall({seconds}) lets time pass, and needs the stream's clock; "
                "pass the same clock to the stream and to ScriptedSession(..., clock=clock)"
            )
        else:
            self._chunks.append(partial(_pass, self._clock, seconds))

    def end(self) -> None:
        raise _Over

    def cut(self) -> None:
        self._chunks.append(ProtocolError("Connection broken: IncompleteRead", IncompleteRead(0, 1)))
        raise _Over

    reset = cut


def _pass(clock: FakeClock, seconds: float) -> None:
    clock.now += seconds


class _Body:
    """The part of urllib3's response that requests uses."""

    def __init__(self, chunks: list[Chunk]) -> None:
        self.closed = False
        self._chunks = chunks

    def stream(self, amount: int | None, decode_content: bool | None = None) -> Iterator[bytes]:
        for chunk in self._chunks:
            if isinstance(chunk, bytes):
                yield chunk
            elif isinstance(chunk, Exception):
                raise chunk
            else:
                chunk()

    def close(self) -> None:
        self.closed = True

    release_conn = close
