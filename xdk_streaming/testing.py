"""A session and a clock for unit tests of code that uses streams: no network, no waiting.

`ScriptedSession` plays one script per connection, in memory. A script is a sequence of steps from
`xdk_streaming.simulator`. `FakeClock` records every wait, and ends it immediately. A test that runs until its
scripts end:

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

Use a `Simulator` to test sockets, TLS, framing, compression, or posts in real time.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import requests
from urllib3.exceptions import IncompleteRead, ProtocolError, ReadTimeoutError

from xdk_streaming.clock import Wake
from xdk_streaming.errors import StreamError, StreamErrorType
from xdk_streaming.simulator.script import Flood, Limited, Script

__all__ = ["FakeClock", "NoMoreConnections", "ScriptedSession"]

Chunk = bytes | Exception | Callable[[], object]
"""A piece of a body: bytes, an exception to raise, or a function to call before the next piece."""

REQUEST = inspect.signature(requests.Session.request)


class FakeClock:
    """A clock whose time advances only in waits, and then instantly: `Stream(..., clock=FakeClock())`.

    Use one clock per stream. The stream may call the clock from any thread.
    """

    def __init__(self, now: float = 1_000_000.0) -> None:
        self.now: float = now
        """The wall-clock time in Unix seconds, and the monotonic time. Assign to `now` to let time pass."""
        self.waits: list[float] = []
        """The requested waits in seconds, in order."""
        self.during_wait: Callable[[], object] = lambda: None
        """Called in every wait before time advances, for example `clock.during_wait = stream.stop`."""

    def time(self) -> float:
        """Unix seconds: `now`."""
        return self.now

    def monotonic(self) -> float:
        """Seconds that never jump: `now`."""
        return self.now

    def wait(self, seconds: float, wake: Wake) -> None:
        """Record the wait, call `during_wait`, and advance `now`, unless the stream was stopped."""
        self.waits.append(seconds)
        self.during_wait()
        if not wake.woken:
            self.now += seconds


class NoMoreConnections(StreamError):
    """A `ScriptedSession` has no script left for a connection.

    The error type is FATAL_ERROR, which ends a stream that would otherwise reconnect.
    """


class ScriptedSession(requests.Session):
    """A session that plays one script per connection, instantly and in memory.

    `scripts` may be endless. An exception in place of a script is raised, as if the server did not respond.
    A connection ends cleanly after the last step of its script. The items of `Serve` are `{"data": {"id":
    "1"}}` and so on, numbered across all connections. `clock` is the clock of the stream; a `Stall` with a
    number of seconds needs the clock, to advance the time.

    A request raises `NoMoreConnections` if no script is left, and `NotImplementedError` for `Live`, `Raw` and
    `Flood`, which have no meaning in memory. A stream reports the latter as a `StreamError`, with the
    `NotImplementedError` as `original_exception`. A script that is none raises `TypeError`:
    in the constructor if `scripts` is a sequence, else when its turn comes.
    """

    def __init__(self, scripts: Iterable[Script | BaseException], *, clock: FakeClock | None = None) -> None:
        super().__init__()
        self.calls: list[dict[str, Any]] = []
        """The arguments of each request: `method`, `url`, `params`, `headers`, and any others passed.
        `headers` does not include the session's own headers, which are in `session.headers`."""
        self.responses: list[requests.Response] = []
        """The responses, in order; `response.raw.closed` says whether a response was closed."""
        self._clock = clock
        self._lines = 0
        checked = map(_checked, scripts)
        self._scripts = iter(list(checked)) if isinstance(scripts, Sequence) else checked

    def request(self, *positional: Any, **named: Any) -> requests.Response:
        """Play the next script, for any method and URL."""
        given = REQUEST.bind(self, *positional, **named).arguments
        unsaid = ("self", "allow_redirects", "hooks")  # set for redirects, which are followed by hand
        asked = {name: value for name, value in given.items() if name not in unsaid and value is not None}
        self.calls.append({"params": {}, "headers": {}, **asked})
        script = next(self._scripts, None)
        if script is None:
            raise NoMoreConnections(
                f"Connection {len(self.calls)} was requested, but there are scripts for only "
                f"{len(self.calls) - 1}; stop the stream, or end the scripts with a final refusal, "
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
                        "Flood is endless, which a body in memory cannot be; use a Simulator"
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
        f"{script!r} is not a script; a script is a sequence of steps, such as (Serve(2), Cut()), and "
        "`scripts` has one script per connection"
    )


class _Over(Exception):
    """The connection has ended: no step can follow."""


class _Wire:
    """One connection, from the server's side: collects what a script sends."""

    def __init__(self, next_line: Callable[[], bytes], clock: FakeClock | None) -> None:
        self._next_line = next_line
        self._clock = clock
        self._chunks: list[Chunk] = []
        self._status = 200
        self._headers: Mapping[str, str] = {"Content-Type": "application/json"}

    def answer(self, url: str) -> requests.Response:
        """The result as a response of requests."""
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
        raise NotImplementedError("Live has no meaning in memory, where nothing is published; use Serve")

    def send(self, data: bytes) -> None:
        self._chunks.append(data)

    def uncompressed(self, data: bytes) -> None:
        self.send(data)

    def raw(self, data: bytes) -> None:
        raise NotImplementedError(
            "Raw has no meaning in memory, where bodies have no framing; use a Simulator"
        )

    def half(self, share: float) -> None:
        line = self._next_line()
        self.send(line[: int(share * len(line))])

    def silence(self, seconds: float | None, *, head: bool) -> None:
        if seconds is None:
            self._chunks.append(ReadTimeoutError(None, None, "Read timed out."))  # type: ignore[arg-type]  # of no pool
        elif self._clock is None:
            raise ValueError(
                f"Stall({seconds}) needs the stream's clock to advance the time; "
                "pass the same clock to ScriptedSession(..., clock=clock)"
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
