"""The readers: this package on both routes, its peers, and the floor. Each reads items on request.

The hand-written peers (requests, httpx, aiohttp) are the loops of their documentation, with the
standard library's json. `+orjson` are the same loops, optimised: with this package's JSON parser, and the
fastest call into the model. Does not measure time.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import logging
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import islice
from types import MappingProxyType
from typing import Any

import requests
import requests.adapters

from benchmarks.speed import floor as least
from benchmarks.speed.decoding import Decode, decoder, usual_decoder
from benchmarks.speed.server import Source
from benchmarks.speed.workloads import Workload
from xdk_streaming import StreamConfig, stream_with_retry

Take = Callable[[int], Any]
"""Reads a number of items, and returns the last one."""
Opened = Callable[[Workload, Source, ExitStack], Take]
Handwritten = Callable[[Decode | None, Workload, Source, ExitStack], Take]

PORTABLE = "XDK_STREAMING_PORTABLE"
INFLATE = "XDK_STREAMING_INFLATE"
FLOOR, OURS, OUR_PORTABLE, XDK = "floor", "xdk_streaming", "portable", "xdk"


@dataclass(frozen=True)
class Reader:
    """A column of the table. `opened` connects when the first item is taken, or before."""

    name: str
    opened: Opened
    package: str
    """The packages that the reader needs."""
    lacks: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """Workloads that the reader cannot read, by name, and why."""
    settings: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """Environment variables while the reader connects."""

    def connected(self, workload: Workload, source: Source, stack: ExitStack) -> Take:
        """Open the reader and take one item, so that only reading is measured."""
        settings = {**self.settings, **({INFLATE: "stdlib"} if workload.stdlib_inflate else {})}
        with environment(settings):
            take = self.opened(workload, source, stack)
            take(1)
        return take


@contextmanager
def environment(settings: Mapping[str, str]) -> Iterator[None]:
    """Set these variables within the block, and remove both of this package."""
    before = {name: os.environ.pop(name) for name in (PORTABLE, INFLATE) if name in os.environ}
    os.environ.update(settings)
    try:
        yield
    finally:
        for name in settings:
            del os.environ[name]
        os.environ.update(before)


def pulled(items: Iterator[Any]) -> Take:
    """A `Take` from an iterator."""

    def take(count: int) -> Any:
        last = None
        for item in islice(items, count):
            last = item
        return last

    return take


def session(source: Source, stack: ExitStack) -> requests.Session:
    """A session that trusts the server and ignores the environment."""
    made = stack.enter_context(requests.Session())
    made.trust_env = False
    made.verify = source.authority or True
    return made


def read_floor(workload: Workload, source: Source, stack: ExitStack) -> Take:
    """A raw socket, with only the necessary work."""
    connection = stack.enter_context(least.connect(source))
    return pulled(least.items(connection, decoder(workload), gzip=workload.gzip))


def read_ours(workload: Workload, source: Source, stack: ExitStack) -> Take:
    """This package, with its defaults."""
    config = StreamConfig(chunk_size=workload.chunk_size) if workload.chunk_size else StreamConfig()
    items = stream_with_retry(
        session(source, stack), "get", source.url, config, response_model=workload.response_model
    )
    stack.callback(items.close)
    return pulled(items)


def read_xdk(workload: Workload, source: Source, stack: ExitStack) -> Take:
    """X's own SDK, with its defaults."""
    theirs = importlib.import_module("xdk.streaming")
    config = theirs.StreamConfig(chunk_size=workload.chunk_size) if workload.chunk_size else None
    items = theirs.stream_with_retry(
        session(source, stack), "get", source.url, config, response_model=workload.items
    )
    stack.callback(items.close)
    return pulled(items)


def read_requests(decode: Decode | None, workload: Workload, source: Source, stack: ExitStack) -> Take:
    """requests' `iter_lines`."""
    response = stack.enter_context(session(source, stack).get(source.url, stream=True, timeout=30))
    lines = response.iter_lines(workload.chunk_size) if workload.chunk_size else response.iter_lines()
    return pulled(decoded(lines, decode))


def read_httpx(decode: Decode | None, _: Workload, source: Source, stack: ExitStack) -> Take:
    """httpx's `iter_lines`, which yields text."""
    httpx = importlib.import_module("httpx")
    verify = source.tls() or True
    client = stack.enter_context(httpx.Client(trust_env=False, verify=verify, timeout=30))
    response = stack.enter_context(client.stream("GET", source.url))
    return pulled(decoded(response.iter_lines(), decode))


def decoded(lines: Iterator[Any], decode: Decode | None) -> Iterator[Any]:
    """Items from non-empty lines."""
    for line in lines:
        if line:
            yield line if decode is None else decode(line)


def read_aiohttp(decode: Decode | None, _: Workload, source: Source, stack: ExitStack) -> Take:
    """aiohttp's `readline`, in an event loop that runs while items are taken."""
    aiohttp = importlib.import_module("aiohttp")
    loop = asyncio.new_event_loop()
    stack.callback(loop.close)

    async def connect() -> Any:
        timeout = aiohttp.ClientTimeout(total=None, sock_read=30)
        client = aiohttp.ClientSession(timeout=timeout)
        return client, await client.get(source.url, ssl=source.tls() or True)

    async def read(count: int) -> Any:
        for _ in range(count):
            line = await readline()
            item = line.rstrip() if decode is None else decode(line)
        return item

    async def close() -> None:
        if response.connection is not None:  # close() would wait for TLS's reply, behind all pending data
            response.connection.transport.abort()
        response.close()
        await client.close()
        await asyncio.sleep(0.05)  # a transport is closed by later turns of the loop

    client, response = loop.run_until_complete(connect())
    stack.callback(lambda: loop.run_until_complete(close()))
    readline = response.content.readline
    return lambda count: loop.run_until_complete(read(count))


def usual(read: Handwritten) -> Opened:
    """With the standard library's json."""
    return lambda workload, source, stack: read(usual_decoder(workload), workload, source, stack)


def best(read: Handwritten) -> Opened:
    """With orjson, and the fastest call into a model."""
    return lambda workload, source, stack: read(decoder(workload), workload, source, stack)


def read_tweepy(workload: Workload, source: Source, stack: ExitStack) -> Take:
    """tweepy's StreamingClient, which calls back on its own thread; see `Turns`."""
    turns = Turns()
    client = tweepy_client(workload, turns)
    client.on_disconnect = turns.ended
    client.session.trust_env = False
    client.verify = source.authority or True
    client.session.mount("https://api.twitter.com", Rerouted(source.url))
    client.sample(threaded=True)
    stack.callback(turns.end, client)
    return turns.take


class Turns:
    """Lets a thread that calls back take so many items, and then wait.

    Only one of the two threads runs at a time, so the CPU time of the process between the two
    ends of `take` is that of the reading.
    """

    def __init__(self) -> None:
        self._go = threading.Semaphore(0)
        self._done = threading.Semaphore(0)
        self._wanted = 0
        self._left = 0  # the other thread's own
        self._item: Any = None
        self._over = False

    def take(self, count: int) -> Any:
        """Let the thread read a number of items. Returns the last one."""
        self._wanted = count
        self._go.release()
        self._done.acquire()
        if self._over:
            raise RuntimeError("tweepy's stream has ended")
        return self._item

    def receive(self, item: Any) -> None:
        """Accept an item on the other thread; blocks while no item is wanted."""
        if not self._left:
            self._go.acquire()
            self._left = self._wanted
        self._item = item
        self._left -= 1
        if not self._left:
            self._done.release()

    def ended(self) -> None:
        """Note that no more items come."""
        self._over = True
        self._done.release()

    def end(self, client: Any) -> None:
        """Let the thread end."""
        client.disconnect()
        self._wanted = 1
        self._go.release()
        client.thread.join()


def tweepy_client(workload: Workload, turns: Turns) -> Any:
    """A client that hands over what the workload is about.

    With a model these are tweepy's own Tweet objects, by its own `on_data`; else `on_data` is
    overridden, and spared the making of those. Its JSON is the standard library's.
    """
    tweepy = importlib.import_module("tweepy")
    # tweepy logs every end, including those requested here.
    logging.getLogger("tweepy").addHandler(logging.NullHandler())
    size = {"chunk_size": workload.chunk_size} if workload.chunk_size else {}
    client = tweepy.StreamingClient("token", daemon=True, max_retries=0, **size)
    if workload.items is None:
        client.on_data = lambda line: turns.receive(json.loads(line))
    elif workload.items is bytes:
        client.on_data = turns.receive
    else:
        client.on_response = turns.receive
    return client


class Rerouted(requests.adapters.HTTPAdapter):
    """Sends X's requests to the benchmark's server."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self._url = url

    def send(self, request: requests.PreparedRequest, *positional: Any, **named: Any) -> requests.Response:
        """Send the request to the other server."""
        request.url = self._url
        return super().send(request, *positional, **named)


SAME = "as in the row above: it inflates with the standard library whatever is installed"
PARSES = "always parses, and has no way to hand on the line"
NO_JSON = "there is no JSON to parse: as without orjson"
TEXT = "its lines are text"
ITS_OWN = "makes its own objects, as in the row of the pydantic model"
NO_STRUCTS = "knows no Structs"
NO_SIZE = "has no such setting"
FAST = {"gzip-fast": SAME}
OTHER_MODELS = ("dict-model", "json-model", "struct")
READERS = (
    Reader(FLOOR, read_floor, "orjson"),
    Reader(OURS, read_ours, "xdk-streaming"),
    Reader(OUR_PORTABLE, read_ours, "xdk-streaming", settings={PORTABLE: "1"}),
    Reader(XDK, read_xdk, "xdk", {"raw": PARSES, "struct": NO_STRUCTS}),
    Reader("tweepy", read_tweepy, "tweepy", {**FAST, **dict.fromkeys(OTHER_MODELS, ITS_OWN)}),
    Reader("requests", usual(read_requests), "requests", FAST),
    Reader("httpx", usual(read_httpx), "httpx", {**FAST, "raw": TEXT, "chunk-size": NO_SIZE}),
    Reader("aiohttp", usual(read_aiohttp), "aiohttp", {**FAST, "chunk-size": NO_SIZE}),
    Reader("requests+orjson", best(read_requests), "requests", {**FAST, "raw": NO_JSON}),
    Reader("aiohttp+orjson", best(read_aiohttp), "aiohttp", {**FAST, "raw": NO_JSON, "chunk-size": NO_SIZE}),
)
