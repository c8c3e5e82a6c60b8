"""A local X: the streaming endpoints over real HTTP, with faults on demand.

Speaks as docs.x.com and X's OpenAPI document describe it: paths, bearer check, problem objects, JSON lines
ended by CRLF, heartbeats. Puts the parts together; what each does is its own affair.
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
from xdk_streaming.simulator.feed import Feed
from xdk_streaming.simulator.handler import Handler
from xdk_streaming.simulator.line_cache import Line
from xdk_streaming.simulator.log import Logbook, SentLog, ServedRequest
from xdk_streaming.simulator.recording import Recording
from xdk_streaming.simulator.rules.book import RuleBook
from xdk_streaming.simulator.script import LIVE, Script
from xdk_streaming.simulator.scripts import Scripts
from xdk_streaming.simulator.server import Server
from xdk_streaming.simulator.service import Service, StreamBehaviour
from xdk_streaming.simulator.slots import Slots
from xdk_streaming.simulator.timeline import Timeline
from xdk_streaming.x import HEARTBEAT_SECONDS, MAX_RULES, Endpoint


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
        _want(max_rules >= 1, "most_rules", max_rules, "a number from 1")
        _want(logged >= 1, "logged", logged, "a number from 1")
        self.book = _book(rules or (), max_rules)
        self.slots = Slots(connections, zombie)
        self.connections = Connections(self.slots)
        self._logbook = Logbook(logged)
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
        """When which item is published; another may be set before the first connection."""
        return self._feed.timeline

    @timeline.setter
    def timeline(self, timeline: Timeline) -> None:
        self._feed.timeline = timeline

    @property
    def requests(self) -> deque[ServedRequest]:
        """The streams that were asked for, the oldest first."""
        return self._logbook.requests

    @property
    def api_requests(self) -> deque[ServedRequest]:
        """The requests to the rules and connections, the oldest first."""
        return self._logbook.api_requests

    @property
    def log(self) -> SentLog:
        """The items that were sent, in the order of their sending."""
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
        """An item as this endpoint and these parameters have it, without the line's end; and its id."""
        return self._feed.item(number, endpoint, params)

    def items(
        self, numbers: Sequence[int], endpoint: Endpoint, params: Mapping[str, str]
    ) -> Sequence[Line | None]:
        """Each as `item` makes it, None if it matches no rule."""
        return self._feed.items(numbers, endpoint, params)

    def _handle(self, *connection: Any) -> Handler:
        """Answer the request of one connection, as the simulator is set then."""
        service = Service(
            access=self.access,
            behaviour=self.behaviour,
            feed=self._feed,
            book=self.book,
            slots=self.slots,
            connections=self.connections,
            scripts=self._scripts,
            logbook=self._logbook,
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
