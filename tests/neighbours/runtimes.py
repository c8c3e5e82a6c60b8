"""Other runtimes, clocks and processes. Each function is a case, and returns what was seen."""

from __future__ import annotations

import asyncio
import importlib
import logging
import multiprocessing
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import requests

from neighbours.case import GUARD, PATH, authorized, simulator, take
from neighbours.sessions import streams
from xdk_streaming import AsyncStream, Stream, StreamConfig


def eventlet_patched() -> str:
    """eventlet's monkey_patch, which removes select.poll, before anything else is imported: see `FIRST`."""
    eventlet = importlib.import_module("eventlet")
    assert not hasattr(importlib.import_module("select"), "poll")
    return beside_green_threads(eventlet.spawn, eventlet.sleep)


def gevent_patched() -> str:
    """gevent's monkey_patch: first of all, or when this package is imported already."""
    importlib.import_module("gevent.monkey").patch_all()
    gevent = importlib.import_module("gevent")
    return beside_green_threads(gevent.spawn, gevent.sleep)


def beside_green_threads(
    spawn: Callable[[Callable[[], None]], object], sleep: Callable[[float], object]
) -> str:
    """A stream, and another green thread that goes on meanwhile."""
    turns: list[int] = []

    def other() -> None:
        while True:
            turns.append(1)
            sleep(0.01)

    spawn(other)
    seen = streams(authorized(requests.Session()))
    assert len(turns) > 10, f"the other green thread had {len(turns)} turns"
    return f"{seen}; the other green thread went on"


def trio_says_so() -> str:
    """AsyncStream under trio."""
    trio = importlib.import_module("trio")

    async def iterate() -> None:
        async with AsyncStream(requests.Session(), "get", "http://127.0.0.1:9/") as stream:
            async for _ in stream:
                pass

    said = "nothing: it ran"
    try:
        trio.run(iterate)
    except RuntimeError as refusal:
        said = str(refusal)
    assert "AsyncStream needs asyncio" in said, said
    return said


def trio_in_a_thread() -> str:
    """A Stream in a thread of trio's, which another task stops."""
    trio = importlib.import_module("trio")
    with simulator() as x:
        stream = Stream(authorized(requests.Session()), "get", x.url + PATH)

        async def main() -> int:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(trio.to_thread.run_sync, lambda: list(stream))
                await trio.sleep(0.5)
                stream.stop()
            return stream.state.total_items_received

        with_items = trio.run(main)
    assert with_items > 5, with_items
    return f"{with_items} items"


def frozen_clock() -> str:
    """freezegun, which stops the clocks of the time module."""
    freezegun = importlib.import_module("freezegun")
    with freezegun.freeze_time("2026-11-26", ignore=["neighbours"]):
        return streams(authorized(requests.Session()))


FORKING = """
import os, sys, requests
from xdk_streaming import Buffer, Stream, StreamConfig

session = requests.Session()
session.headers["Authorization"] = "Bearer any"
for buffer in (None, Buffer()):
    with Stream(session, "get", sys.argv[1], StreamConfig(buffer=buffer)) as stream:
        for number, item in enumerate(stream):
            if number == 5:
                child = os.fork()
                if child == 0:
                    sys.exit(0)
                assert os.waitpid(child, 0) == (child, 0)
            if number == 40:
                break
"""


def forked_child() -> str:
    """A child that is forked in the loop and ends by sys.exit; plain and buffered."""
    with simulator() as x:
        ran = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", FORKING, x.url + PATH],
            capture_output=True,
            text=True,
            timeout=3 * GUARD,
            check=False,
        )
        assert ran.returncode == 0, ran.stderr
        assert len(x.requests) == 2, f"{len(x.requests)} connections"
    return "40 items plain and 40 buffered, over one connection each"


def multiprocessing_fork() -> str:
    """A child of multiprocessing, forked in the loop."""
    with simulator() as x, Stream(authorized(requests.Session()), "get", x.url + PATH) as stream:
        take(stream, 5)
        child = multiprocessing.get_context("fork").Process(target=int)
        child.start()
        child.join(GUARD)
        assert child.exitcode == 0
        count = len(take(stream, 20))
        assert len(x.requests) == 1
    return f"{count} items after it, over one connection"


def rich_markup() -> str:
    """A RichHandler with markup, and a server whose text looks like markup."""
    rich = importlib.import_module("rich.logging")
    logging.basicConfig(level=logging.INFO, handlers=[rich.RichHandler(markup=True)])
    simulated = importlib.import_module("xdk_streaming.simulator")
    script = [(simulated.Refuse(503, b"[/bold]"),), (simulated.Serve(3),)]
    with simulator(script=script) as x:
        stream = Stream(
            authorized(requests.Session()), "get", x.url + PATH, StreamConfig(initial_backoff=0.05)
        )
        count = len(take(stream, 3))
        stream.close()
    return f"{count} items after a refusal that says [/bold]"


def uvloop_stream() -> str:
    """AsyncStream on uvloop."""
    uvloop = importlib.import_module("uvloop")

    async def main() -> int:
        with simulator() as x:
            async with AsyncStream(authorized(requests.Session()), "get", x.url + PATH) as stream:
                count = 0
                async for _ in stream:
                    count += 1
                    if count == 10:
                        break
                return count

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return f"{runner.run(main())} items"


CELL = """
import requests
from xdk_streaming import Stream
session = requests.Session()
session.headers["Authorization"] = "Bearer any"
stream = Stream(session, "get", {url!r})
seen = 0
for item in stream:
    seen += 1
"""


def jupyter_kernel() -> str:
    """A cell that streams, interrupted as the notebook's button does it."""
    jupyter = importlib.import_module("jupyter_client.manager")
    manager, client = jupyter.start_new_kernel(kernel_name="python3")
    try:
        with simulator() as x:
            client.execute(CELL.format(url=x.url + PATH))
            time.sleep(2)
            began = time.monotonic()
            manager.interrupt_kernel()
            reply = client.get_shell_msg(timeout=GUARD)["content"]
            took = time.monotonic() - began
        assert reply["status"] == "error", reply
        assert reply["ename"] == "KeyboardInterrupt", reply["ename"]
        assert took < 1, f"the interrupt took {took:.1f} s"
        seen = evaluated(client, "seen")
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
    assert int(seen) > 5, seen
    return f"{seen} items, interrupted in {took:.2f} s"


def evaluated(client: Any, expression: str) -> str:
    """What the kernel says an expression is."""
    client.execute("", user_expressions={"it": expression})
    content = client.get_shell_msg(timeout=GUARD)["content"]
    return str(content["user_expressions"]["it"]["data"]["text/plain"])


RUNTIMES: dict[str, Callable[[], str]] = {
    "eventlet": eventlet_patched,
    "gevent": gevent_patched,
    "gevent, patched late": gevent_patched,
    "trio": trio_says_so,
    "trio, a thread": trio_in_a_thread,
    "uvloop": uvloop_stream,
    "freezegun": frozen_clock,
    "os.fork": forked_child,
    "multiprocessing": multiprocessing_fork,
    "rich, a handler that raises": rich_markup,
    "ipykernel": jupyter_kernel,
}
