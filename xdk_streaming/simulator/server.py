"""A local X: the streaming endpoints over real HTTP, with faults on demand.

Speaks as docs.x.com and X's OpenAPI document describe it: paths, bearer check, problem
objects, JSON lines ended by CRLF, heartbeats. The standard library's http.server reads the
requests; response bodies are written to the socket as they are, for their framing has to
be broken on purpose, and every fuller server library guards it.
"""

from __future__ import annotations

import hmac
import math
import socket
import ssl
import sys
import threading
import time
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from http.server import ThreadingHTTPServer
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Any

import orjson

from xdk_streaming.simulator.body import Encoding, Framing
from xdk_streaming.simulator.connections import Connections
from xdk_streaming.simulator.content.items import item_id, make_item, ruled_item
from xdk_streaming.simulator.handler import Handler, shut_down
from xdk_streaming.simulator.lines import Line, Lines
from xdk_streaming.simulator.log import Log, Visit
from xdk_streaming.simulator.parameters import forbid_parameters
from xdk_streaming.simulator.recording import Recording
from xdk_streaming.simulator.rules.book import RuleBook
from xdk_streaming.simulator.script import LIVE, Script
from xdk_streaming.simulator.slots import Slots
from xdk_streaming.simulator.timeline import Timeline
from xdk_streaming.x import HEARTBEAT_SECONDS, MAX_RULES, Endpoint, Kind


class Simulator:
    """A server on loopback that streams made-up posts, or a recording, and fails as told.

        with Simulator(rate=50) as simulator:
            stream_with_retry(session, "get", simulator.url + "/2/tweets/sample/stream", ...)

    `rate` is items a second, 0 for an idle stream; `heartbeat` seconds of silence before one.
    `script` holds what the first connections do, one script each; later ones do `then`.
    `random_faults` is the chance of a fault after each item of a live stream, drawn from
    `seed`. `replay` is an NDJSON file to serve instead of made-up items. Any bearer token
    is taken unless `token` names one. `framing` and `encoding` say how bodies are sent,
    `tls` is a server's SSLContext.

    An app that is `entitled` may ask for backfill, of the last `backlog` seconds at most, and
    for recovery. `connections` is how many streams there may be at once; after an abrupt loss
    a place stays taken for `zombie` seconds. A client that takes nothing for `queue` seconds
    is cut off, with a notice where `slow_notice` and plain bodies allow it.

    `rules` are the values of the filtered stream's first rules, each with a tag if one likes; a post
    comes there if it matches one, and says which. With `()` there are none yet, and X's 409 comes
    until one is posted. With None every post comes and bears made-up rules, until the first is
    posted. A recording is served whole, whatever the rules. There may be `most_rules`.

    `visits` and `log` tell what was done: a `Visit` a stream that was asked for, a `Sent` an item;
    `unmatched` has the numbers of the items that matched no rule, `calls` a `Visit` for each request
    to the rules and connections; of each the last `logged`. Runs in threads of its own from
    `__enter__` to `__exit__`. A bad value raises `ValueError`, a port in use `OSError`.
    """

    def __init__(
        self,
        *,
        script: Iterable[Script] = (),
        then: Script = LIVE,
        rate: float = 10.0,
        heartbeat: float = HEARTBEAT_SECONDS,
        random_faults: float = 0.0,
        seed: int = 0,
        replay: str | Path | None = None,
        token: str | None = None,
        framing: Framing = "chunked",
        encoding: Encoding | None = None,
        tls: ssl.SSLContext | None = None,
        entitled: bool = True,
        backlog: float = 300.0,
        connections: int | None = None,
        zombie: float = 0.0,
        queue: float | None = None,
        slow_notice: bool = True,
        rules: Iterable[str | tuple[str, str]] | None = None,
        most_rules: int = MAX_RULES,
        logged: int = 100_000,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        _want(0 <= rate < math.inf, "rate", rate, "a finite number from 0")
        _want(0 < heartbeat < math.inf, "heartbeat", heartbeat, "a finite number above 0")
        _want(0 <= random_faults <= 1, "random_faults", random_faults, "a chance from 0 to 1")
        _want(0 <= backlog < math.inf, "backlog", backlog, "a finite number from 0")
        _want(connections is None or connections >= 1, "connections", connections, "a number from 1, or None")
        _want(0 <= zombie < math.inf, "zombie", zombie, "a finite number from 0")
        _want(queue is None or 0 < queue < math.inf, "queue", queue, "a finite number above 0, or None")
        _want(most_rules >= 1, "most_rules", most_rules, "a number from 1")
        _want(logged >= 1, "logged", logged, "a number from 1")
        self.heartbeat = heartbeat
        self.random_faults = random_faults
        self.seed = seed
        self.framing: Framing = framing
        self.encoding: Encoding | None = encoding
        self.tls = tls
        self.entitled = entitled
        self.backlog = backlog
        self.queue = queue
        self.slow_notice = slow_notice
        self.slots = Slots(connections, zombie)
        self.connections = Connections(self.slots)
        self.book = _book(rules or (), most_rules)
        self._ruled = rules is not None
        self.calls: deque[Visit] = deque(maxlen=logged)
        self.visits: deque[Visit] = deque(maxlen=logged)
        self.log = Log(logged)
        self.unmatched: deque[int] = deque(maxlen=logged)
        self._lines = Lines()
        self._numbers = count()
        self._call_numbers = count()
        self._scripts = iter(script)
        self._then = then
        self._token = token
        self._lock = threading.Lock()
        self._server = Server((host, port), self)
        try:
            self._recording = None if replay is None else Recording(replay)
        except (OSError, ValueError):
            self._server.server_close()
            raise
        self.timeline = Timeline(rate, length=math.inf if self._recording is None else len(self._recording))
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, name="simulator", daemon=True
        )

    @property
    def url(self) -> str:
        """The base URL: scheme, host and port."""
        host, port = self._server.server_address[:2]
        bracketed = f"[{host!s}]" if ":" in str(host) else host
        return f"{'https' if self.tls else 'http'}://{bracketed!s}:{port}"

    def __enter__(self) -> Simulator:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.hang_up()
        self._server.server_close()
        self._thread.join()
        if self._recording is not None:
            self._recording.close()

    def note(self, path: str, params: dict[str, str]) -> Visit:
        """Note a new request."""
        with self._lock:
            visit = Visit(next(self._numbers), path, params, time.time())
            self.visits.append(visit)
        return visit

    def note_call(self, method: str, path: str, params: dict[str, str]) -> Visit:
        """Note a request that asks for no stream."""
        visit = Visit(next(self._call_numbers), f"{method} {path}", params, time.time())
        self.calls.append(visit)
        return visit

    def next_script(self) -> Script:
        """What the connection does that now gets its stream."""
        with self._lock:
            return next(self._scripts, self._then)

    def accepts(self, authorization: str) -> bool:
        """Whether a request with this header may have a stream."""
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            return False
        return self._token is None or hmac.compare_digest(
            token.strip().encode("latin-1"),
            self._token.encode(),  # as http.server has read the header
        )

    def item(self, number: int, endpoint: Endpoint, params: Mapping[str, str]) -> tuple[bytes, str | None]:
        """An item as this endpoint and these parameters have it, without the line's end; and its id."""
        if self._recording is not None:
            line = self._recording.line(number)
            return line, _recorded_id(line)
        item = make_item(endpoint, number, self.timeline.dated(number), self.seed, params)
        return orjson.dumps(item), item_id(item)

    def items(
        self, numbers: Sequence[int], endpoint: Endpoint, params: Mapping[str, str]
    ) -> Sequence[Line | None]:
        """Each as `item` makes it, None where it matches no rule; what was made lately is not made again."""
        if not self.is_ruled(endpoint):
            return self._lines.of(
                numbers, endpoint, params, lambda number: self.item(number, endpoint, params)
            )
        return self._lines.of(
            numbers,
            endpoint,
            params,
            lambda number: self._ruled_item(number, endpoint, params),
            self.book.revision,
        )

    def is_ruled(self, endpoint: Endpoint) -> bool:
        """Whether only posts that match a rule come from this endpoint."""
        in_force = self._ruled or self.book.revision > 0
        return in_force and endpoint.kind is Kind.RULED_POST and self._recording is None

    def _ruled_item(self, number: int, endpoint: Endpoint, params: Mapping[str, str]) -> Line | None:
        at = self.timeline.dated(number)
        item = ruled_item(endpoint, number, at, self.seed, params, self.book.matching)
        return None if item is None else (orjson.dumps(item), item_id(item))

    def forbids(self, endpoint: Endpoint, params: Mapping[str, str]) -> dict[str, Any] | None:
        """The body of the answer to an app that asks for what it is not entitled to; None where it is."""
        return None if self.entitled else forbid_parameters(endpoint, params)


def _book(rules: Iterable[str | tuple[str, str]], most: int) -> RuleBook:
    book = RuleBook(most)
    wanted = [
        {"value": rule} if isinstance(rule, str) else {"value": rule[0], "tag": rule[1]} for rule in rules
    ]
    if wanted:
        _, answer = book.add(wanted)
        for error in answer.get("errors", [answer] if "title" in answer else []):
            reason = "; ".join(error.get("details", [error.get("detail", error["title"])]))
            raise ValueError(f"rules has {error.get('value', 'too many')!r}: {reason}")
    return book


def _want(true: bool, name: str, value: float | None, allowed: str) -> None:
    if not true:
        raise ValueError(f"{name} is {value}, must be {allowed}")


def _recorded_id(line: bytes) -> str | None:
    try:
        item = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    return item_id(item) if isinstance(item, dict) else None


class Server(ThreadingHTTPServer):
    """Accepts, and keeps hold of what it accepted, so that closing it leaves no connection behind."""

    daemon_threads = False  # so that server_close() waits for them
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], simulator: Simulator) -> None:
        self.simulator = simulator
        self._connections: set[socket.socket] = set()
        self._closing = False
        if ":" in address[0]:
            self.address_family = socket.AF_INET6
        super().__init__(address, Handler)

    def get_request(self) -> tuple[socket.socket, Any]:
        """Accept a connection, and keep hold of it from that moment."""
        request, address = super().get_request()
        request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._hold(request)
        return request, address

    def finish_request(self, request: Any, client_address: Any) -> None:
        """Serve one connection, on its own thread: a client slow in its TLS handshake delays nobody."""
        tls = self.simulator.tls
        if tls is None:
            super().finish_request(request, client_address)
            return
        # Of a client that is gone by now, wrap_socket() would make an SSLSocket that nobody closes.
        if not request.recv(1, socket.MSG_PEEK):
            return
        with tls.wrap_socket(request, server_side=True, do_handshake_on_connect=False) as wrapped:
            self._hold(wrapped)
            try:
                wrapped.do_handshake()
                super().finish_request(wrapped, client_address)
            finally:
                self._connections.discard(wrapped)

    def shutdown_request(self, request: Any) -> None:
        """Close without the FIN of socketserver's own: a script may have asked for RST."""
        self.close_request(request)
        self._connections.discard(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes is no error of ours; anything else is shown."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)

    def hang_up(self) -> None:
        """Shut all connections down, those included that are only just being taken on."""
        self._closing = True
        for connection in list(self._connections):
            shut_down(connection)

    def _hold(self, connection: socket.socket) -> None:
        self._connections.add(connection)
        if self._closing:
            shut_down(connection)
