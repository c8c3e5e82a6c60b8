"""A local X: the streaming endpoints over real HTTP, with faults on demand.

Behaves as docs.x.com and X's OpenAPI document describe: paths, bearer tokens, problem objects, JSON lines
that end with CRLF, heartbeats. This module only assembles the parts.
"""

from __future__ import annotations

import math
import ssl
import threading
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from xdk_streaming.simulator.access import Access
from xdk_streaming.simulator.body import BodyFormat, Encoding, Framing
from xdk_streaming.simulator.client_socket import SlowReaderPolicy
from xdk_streaming.simulator.connections import Connections
from xdk_streaming.simulator.connects import Connects
from xdk_streaming.simulator.feed import Feed
from xdk_streaming.simulator.handler import Handler
from xdk_streaming.simulator.line_cache import Line
from xdk_streaming.simulator.log import Logbook, SentLog, ServedRequest
from xdk_streaming.simulator.recording import Recording
from xdk_streaming.simulator.rules.book import RuleBook
from xdk_streaming.simulator.script import LIVE, Script
from xdk_streaming.simulator.scripts import Scripts
from xdk_streaming.simulator.server import Server
from xdk_streaming.simulator.service import Kill, Service, StreamBehaviour
from xdk_streaming.simulator.slots import Slots
from xdk_streaming.simulator.timeline import Timeline
from xdk_streaming.x import HEARTBEAT_SECONDS, MAX_RULES, Endpoint


class Simulator:
    """A server on loopback that streams generated posts or a recording, and fails on demand.

        with Simulator(rate=50) as simulator:
            stream_with_retry(session, "get", simulator.url + "/2/tweets/sample/stream", ...)

    `rate` is the number of items per second, 0 for an idle stream; `heartbeat` is the silence in
    seconds before a heartbeat. `script` has one script for each of the first connections; later ones
    play `then`. `random_faults` is the probability of a fault after each item of a live stream, drawn
    from `seed`. `replay` is an NDJSON file to serve instead of generated items. If `token` is None,
    any bearer token is accepted. `framing` and `encoding` say how response bodies are sent, `tls` is a
    server-side SSLContext.

    An app that is `entitled` may request recovery, and backfill of up to the last `backlog` seconds.
    `connections` is the number of streams allowed at a time; after an abrupt loss, the slot stays
    taken for `zombie` seconds. A client that reads nothing for `queue` seconds is cut off, with a
    notice if `slow_notice` is set and the bodies are neither compressed nor encrypted.

    `rules` are the first rules of the filtered stream: values, or pairs of a value and a tag. A post
    is sent if it matches a rule, and names its rules. With `()`, the stream is refused with X's 409
    until a rule is added. With None, all posts are sent, with invented rules, until a rule is added. A
    recording is sent whole, regardless of rules. At most `max_rules` rules are allowed.

    `requests` has a `ServedRequest` for each request for a stream, `api_requests` one for each request
    to the rules and connections endpoints, `log` a `Sent` for each item, and `unmatched` the numbers
    of the items that matched no rule. The last `logged` entries of each are kept. The simulator runs in
    its own threads from `__enter__` to `__exit__`. Raises `ValueError` for an invalid argument, and
    `OSError` if the port is in use.
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
        kill: Kill = "end",
        rules: Iterable[str | tuple[str, str]] | None = None,
        max_rules: int = MAX_RULES,
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
        if kill not in ("end", "cut"):
            raise ValueError(f"kill is {kill!r}, must be 'end' or 'cut'")
        _want(max_rules >= 1, "most_rules", max_rules, "a number from 1")
        _want(logged >= 1, "logged", logged, "a number from 1")
        self.book = _book(rules or (), max_rules)
        self.slots = Slots(connections, zombie)
        self.connections = Connections(self.slots)
        self._logbook = Logbook(logged)
        self._connects = Connects()
        self._server = Server((host, port), self._handle, tls)
        try:
            recording = None if replay is None else Recording(replay)
        except (OSError, ValueError):
            self._server.server_close()
            raise
        timeline = Timeline(rate, length=math.inf if recording is None else len(recording))
        self._feed = Feed(timeline, self.book, seed, ruled=rules is not None, recording=recording)
        self.access = Access(token, entitled)
        self.behaviour = StreamBehaviour(
            heartbeat=heartbeat,
            random_faults=random_faults,
            seed=seed,
            backlog=backlog,
            kill=kill,
            sending=BodyFormat(framing, encoding, tls),
            patience=SlowReaderPolicy(queue, slow_notice),
        )
        self._scripts = Scripts(script, then)
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, name="simulator", daemon=True
        )

    @property
    def url(self) -> str:
        """The base URL: scheme, host and port."""
        return self._server.url

    @property
    def timeline(self) -> Timeline:
        """When each item is published; can be replaced before the first connection."""
        return self._feed.timeline

    @timeline.setter
    def timeline(self, timeline: Timeline) -> None:
        self._feed.timeline = timeline

    @property
    def requests(self) -> deque[ServedRequest]:
        """The requests for streams, oldest first."""
        return self._logbook.requests

    @property
    def api_requests(self) -> deque[ServedRequest]:
        """The requests to the rules and connections endpoints, oldest first."""
        return self._logbook.api_requests

    @property
    def log(self) -> SentLog:
        """The items that were sent, in order."""
        return self._logbook.log

    @property
    def unmatched(self) -> deque[int]:
        """The numbers of the items that matched no rule."""
        return self._logbook.unmatched

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
        self._feed.close()

    def item(self, number: int, endpoint: Endpoint, params: Mapping[str, str]) -> Line:
        """An item for this endpoint and these parameters, as a line without line end; and the item's id."""
        return self._feed.item(number, endpoint, params)

    def items(
        self, numbers: Sequence[int], endpoint: Endpoint, params: Mapping[str, str]
    ) -> Sequence[Line | None]:
        """Items as made by `item`; None for an item that matches no rule."""
        return self._feed.items(numbers, endpoint, params)

    def _handle(self, *connection: Any) -> Handler:
        """Handle the request of one connection, with the settings of that moment."""
        service = Service(
            access=self.access,
            behaviour=self.behaviour,
            feed=self._feed,
            book=self.book,
            slots=self.slots,
            connections=self.connections,
            scripts=self._scripts,
            logbook=self._logbook,
            connects=self._connects,
            half_requests=self._server.half_requests,
        )
        return Handler(service, *connection)


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
