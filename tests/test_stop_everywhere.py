"""Stopping wherever a client can hang: each face, each way to stop it, each server that never finishes.

`-s` prints a line for each case, with the seconds that the stop took.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
import requests

from helpers.consumers import GUARD, LONG, PATH, Consumer
from helpers.namespaces import inside
from helpers.servers import Trust, until
from helpers.systems import open_sockets
from helpers.unfinished import (
    GONE,
    NO_ANSWER_TO_SYN,
    SITUATIONS,
    Situation,
    attempts_without_answer,
    situation,
)
from xdk_streaming import AsyncStream, Buffer, ConnectionState, Stream, StreamConfig
from xdk_streaming.simulator import UNAVAILABLE, Cut, End, Refuse, Reset, Script, Serve, Simulator, Stall

SOON = 5.0
"""Seconds that a stop may take on a machine that does five things at once; a quiet one needs less than 1."""

situations = pytest.mark.parametrize("name", SITUATIONS)


def config(**settings: Any) -> StreamConfig:
    return StreamConfig(timeout=LONG, stall_timeout=LONG, initial_backoff=LONG, jitter=False, **settings)


@contextmanager
def hanging(name: str) -> Iterator[Situation]:
    """The situation; what the block starts is in the client's namespace if there is one."""
    with ExitStack() as stack:
        found = stack.enter_context(situation(name))
        if found.link is not None:
            stack.enter_context(inside(found.link.client))
        yield found


def hangs_now(found: Situation) -> None:
    """Return when the client is where it will hang, and has had time to come to rest there."""
    assert found.reached.wait(GUARD)
    if found.link is not None:
        found.link.blackhole()
    time.sleep(0.1)


def report(name: str, way: str, seconds: float) -> None:
    print(f"\n{name:26} {way:22} {seconds:.3f} s", end="")
    assert seconds < SOON


def stopped_in_a_thread(stream: Stream[Any], found: Situation) -> float:
    consumer = Consumer(stream)
    hangs_now(found)
    began = time.monotonic()
    stream.stop()
    consumer.result()
    took = time.monotonic() - began
    assert stream.connection_state is ConnectionState.DISCONNECTED
    return took


@situations
@pytest.mark.parametrize("buffer", [None, Buffer()], ids=["plain", "buffered"])
def test_stop_ends_a_stream_wherever_it_hangs(
    session: requests.Session, name: str, buffer: Buffer | None
) -> None:
    with hanging(name) as found:
        stream = Stream[Any](session, "get", found.url, config(buffer=buffer))
        report(name, "buffered" if buffer else "plain", stopped_in_a_thread(stream, found))


@situations
def test_stop_ends_an_async_stream_wherever_it_hangs(session: requests.Session, name: str) -> None:
    async def main() -> float:
        stream = AsyncStream[Any](session, "get", found.url, config())

        async def consume() -> None:
            async for _ in stream:
                pass

        task = asyncio.ensure_future(consume())
        await asyncio.to_thread(hangs_now, found)
        began = time.monotonic()
        stream.stop()
        await asyncio.wait_for(task, GUARD)
        return time.monotonic() - began

    with hanging(name) as found:
        report(name, "async", asyncio.run(main()))


# In a process of its own, told by a signal

PROGRAM = """
import signal, sys, requests
from xdk_streaming import Stream, StreamConfig
session = requests.Session()
session.trust_env = False
config = StreamConfig(timeout=60.0, stall_timeout=60.0, initial_backoff=60.0, jitter=False)
stream = Stream(session, "get", sys.argv[1], config)
signal.signal(signal.SIGTERM, lambda *_: stream.stop())
try:
    for item in stream:
        pass
except KeyboardInterrupt:
    sys.exit(2)
"""
COMMAND = ("-m", "xdk_streaming", "sample", "--stall-timeout", "60", "--base-url")


def started(found: Situation, *arguments: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "X_BEARER_TOKEN": "any", "no_proxy": "*", "COVERAGE_PROCESS_START": ""}
    command = [sys.executable, *arguments]
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def signalled(name: str, number: signal.Signals, arguments: Callable[[Situation], list[str]]) -> int:
    with hanging(name) as found:
        before = attempts_without_answer(found.url)
        program = started(found, *arguments(found))
        try:
            if name == NO_ANSWER_TO_SYN:
                end = time.monotonic() + GUARD
                while attempts_without_answer(found.url) <= before and time.monotonic() < end:
                    time.sleep(0.01)
            hangs_now(found)
            began = time.monotonic()
            program.send_signal(number)
            code = program.wait(GUARD)
            way = f"{'command' if '-m' in arguments(found) else 'plain'} {number.name}"
            report(name, way, time.monotonic() - began)
        finally:
            program.kill()
            program.communicate()
    return code


@pytest.mark.thorough
@situations
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 2)])
def test_a_signal_ends_a_program_wherever_it_hangs(name: str, number: signal.Signals, code: int) -> None:
    assert signalled(name, number, lambda found: ["-c", PROGRAM, found.url]) == code


@pytest.mark.thorough
@situations
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_ends_the_command_wherever_it_hangs(name: str, number: signal.Signals, code: int) -> None:
    assert signalled(name, number, lambda found: [*COMMAND, found.url.removesuffix(PATH)]) == code


@pytest.mark.thorough
@situations
def test_for_ends_the_command_wherever_it_hangs(name: str) -> None:
    with hanging(name) as found:
        began = time.monotonic()
        with started(found, *COMMAND, found.url.removesuffix(PATH), "--for", "2s") as program:
            if name == GONE:
                hangs_now(found)
            assert program.wait(GUARD) in (0, 3)
        report(name, "command --for 2s", time.monotonic() - began - 2.0)


# At random moments

LIVES: list[Script] = [
    (Serve(3), Stall()),
    (Serve(1), Cut()),
    (Serve(1), Reset()),
    (Serve(2), End()),
    (UNAVAILABLE,),
    (Refuse(429, b"{}", {"Retry-After": "1"}),),
    (Stall(),),
]


@pytest.mark.thorough
@pytest.mark.parametrize("secure", [False, True], ids=["plain", "tls"])
def test_five_hundred_stops_at_random_moments_of_a_life_leave_nothing_open(
    session: requests.Session, trust: Trust, secure: bool
) -> None:
    dice, longest = random.Random(15), 0.0
    if secure:
        session.verify = trust.authority
    sockets, threads = open_sockets(), set(threading.enumerate())
    settings = StreamConfig(stall_timeout=LONG, initial_backoff=0.01, max_backoff=0.05)
    then = [dice.choice(LIVES) for _ in range(20_000)]
    with Simulator(script=then, rate=0, tls=trust.server if secure else None) as simulator:
        for _ in range(500):
            stream = Stream[Any](session, "get", simulator.url + PATH, settings)
            consumer = Consumer(stream)
            time.sleep(dice.random() * 0.03)
            began = time.monotonic()
            stream.stop()
            consumer.result()
            longest = max(longest, time.monotonic() - began)
    print(f"\nlongest of 500 stops: {longest:.3f} s", end="")
    assert longest < SOON
    until(lambda: set(threading.enumerate()) <= threads)
    until(lambda: open_sockets() <= sockets)
