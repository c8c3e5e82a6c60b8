"""What docs/guarantees.md promises: each cell of its table is played, and judged by what it promises."""

from __future__ import annotations

import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests
from requests.adapters import HTTPAdapter

from benchmarks.chaos.account import Outcome, account
from benchmarks.chaos.consumer import DIARY, Diary
from benchmarks.chaos.play import running
from benchmarks.chaos.publisher import Published
from benchmarks.chaos.task import Task
from helpers.servers import until
from xdk_streaming import Buffer, Recovery, Stream, StreamConfig
from xdk_streaming.simulator import Cut, Live, Script, Simulator
from xdk_streaming.simulator.script import LIVE
from xdk_streaming.x import ENDPOINTS, published

pytestmark = [pytest.mark.thorough, pytest.mark.usefixtures("nothing_is_left", "no_thread_complains")]

PATH = "/2/tweets/sample/stream"
PAGE = Path(__file__).parent.parent / "docs" / "guarantees.md"
SLOW = "cut off as a slow reader"
RATE = 1_000.0
QUEUE = 1.0
"""Seconds after which the simulator cuts a reader off that takes nothing."""
PEACE = 0.3
"""Seconds that a connection stands, at least, before anything happens to it and before a test is over."""

PROMISES: dict[str, Callable[[Outcome], bool]] = {
    "exactly once": lambda seen: not seen.missing and not seen.repeats,
    "at least once": lambda seen: not seen.missing and not seen.repeats_against_the_rule,
    "at most once, reported": lambda seen: bool(seen.missing) and not seen.unexplained and not seen.repeats,
    "at most once": lambda seen: bool(seen.missing) and not seen.repeats and not seen.gaps,
}
EVENTS = ("a lost connection", "a restart", "`kill -9`", "a pause")


def table() -> tuple[list[str], dict[str, list[str]]]:
    """The page's: the events of its head, and what is promised, by setting."""
    section = PAGE.read_text(encoding="utf-8").partition("\n## What is guaranteed")[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    head, _, *rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return head[1:], {row[0].strip("`"): row[1:] for row in rows}


HEAD, TABLE = table()


def config(setting: str, folder: Path, **more: Any) -> StreamConfig:
    """As the table's first column has it."""
    names = {"Recovery": Recovery, "Buffer": Buffer, "path": folder / "checkpoint"}
    given = {} if setting == "nothing set" else eval(f"dict({setting})", names)  # our own page's
    return StreamConfig(jitter=False, initial_backoff=0.3, **given, **more)


class Narrow(HTTPAdapter):
    """Its sockets hold little, so that a reader that pauses is soon noticed."""

    def init_poolmanager(self, *args: Any, **more: Any) -> None:
        super().init_poolmanager(*args, socket_options=[(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)], **more)


@contextmanager
def opened(url: str, setting: str, folder: Path) -> Iterator[tuple[Stream[Any], Callable[[], str]]]:
    """A stream under this setting, and how to take a post from it, which is written down."""
    diary = Diary(folder)
    with requests.Session() as session:
        session.trust_env = False
        session.headers["Authorization"] = "Bearer any"
        session.mount("http://", Narrow())
        with Stream[Any](session, "get", url, config(setting, folder, on_gap=diary.gap)) as stream:
            items = iter(stream)

            def take() -> str:
                name: str = next(items)["data"]["id"]
                diary.post(name)
                return name

            yield stream, take


@contextmanager
def publishing(*scripts: Script) -> Iterator[Simulator]:
    with Simulator(script=[*scripts, LIVE, LIVE], rate=RATE, queue=QUEUE) as simulator:
        yield simulator


def catch_up(simulator: Simulator, take: Callable[[], str], connections: int) -> None:
    """Take posts until one comes that was published a while from now, on a connection that had stood."""
    now = time.time()
    while True:
        at = published(take()) or 0.0
        if len(simulator.requests) == connections and at > max(simulator.requests[-1].opened_at, now) + PEACE:
            return


def take_for_a_while(take: Callable[[], str]) -> None:
    until_then = time.monotonic() + PEACE
    while time.monotonic() < until_then:
        take()


def seen(simulator: Simulator, folder: Path, kills: list[float]) -> Outcome:
    endpoint, timeline = ENDPOINTS[PATH], simulator.timeline
    numbers = range(timeline.published(time.time()))
    posts = [Published(str(simulator.item(n, endpoint, {})[1]), timeline.dated(n)) for n in numbers]
    ends = [visit.ended_at for visit in simulator.requests if visit.ended_at is not None]
    task = Task("", RATE, len(posts), entitled=False)  # so that what a gap explains counts as explained
    return account(task, posts, ends, (folder / DIARY).read_text().splitlines(), kills)


# What happens to a stream, by the head of the table.


def a_lost_connection(setting: str, folder: Path) -> Outcome:
    with publishing((Live(PEACE), Cut())) as simulator:
        with opened(simulator.url + PATH, setting, folder) as (_, take):
            catch_up(simulator, take, connections=2)
        return seen(simulator, folder, [])


def a_restart(setting: str, folder: Path) -> Outcome:
    with publishing() as simulator:
        with opened(simulator.url + PATH, setting, folder) as (_, take):
            take_for_a_while(take)
        count = simulator.timeline.published(time.time())
        until(lambda: simulator.timeline.published(time.time()) > count + RATE * PEACE)
        with opened(simulator.url + PATH, setting, folder) as (_, take):
            catch_up(simulator, take, connections=2)
        return seen(simulator, folder, [])


def a_kill(setting: str, folder: Path) -> Outcome:
    with publishing() as simulator:
        with running(take_until_killed, simulator.url + PATH, setting, folder) as process:
            until(lambda: (folder / DIARY).exists() and (folder / DIARY).stat().st_size > 20_000)
            process.kill()
            process.join()
            killed_at = time.time()
        count = simulator.timeline.published(time.time())
        until(lambda: simulator.timeline.published(time.time()) > count + RATE * PEACE)
        with opened(simulator.url + PATH, setting, folder) as (_, take):
            catch_up(simulator, take, connections=2)
        return seen(simulator, folder, [killed_at])


def take_until_killed(url: str, setting: str, folder: Path) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    with opened(url, setting, folder) as (_, take):
        while True:
            take()


def a_pause(setting: str, folder: Path) -> Outcome:
    """Wait until the simulator has disconnected the reader, or for as long as that took if it does not."""
    with publishing() as simulator, opened(simulator.url + PATH, setting, folder) as (stream, take):
        take()
        visit = simulator.requests[0]
        state = stream.state
        until(lambda: visit.outcome == SLOW or state.lag_items > 4 * RATE or state.dropped_items)
        catch_up(simulator, take, connections=2 if visit.outcome == SLOW else 1)
        stream.stop()
        return seen(simulator, folder, [])


PLAYS = dict(zip(EVENTS, (a_lost_connection, a_restart, a_kill, a_pause), strict=True))


def test_the_table_names_the_events_that_are_played() -> None:
    assert tuple(HEAD) == EVENTS


@pytest.mark.parametrize("event", EVENTS)
@pytest.mark.parametrize("setting", TABLE)
def test_it_is_as_the_page_promises(setting: str, event: str, tmp_path: Path) -> None:
    promise = TABLE[setting][EVENTS.index(event)]
    outcome = PLAYS[event](setting, tmp_path)
    assert outcome.received > 100
    assert PROMISES[promise](outcome), outcome


def test_a_post_that_never_came_breaks_the_promise_to_deliver_it() -> None:
    posts = [Published(str(number), float(number)) for number in range(1, 5)]
    task = Task("", RATE, 4, entitled=False)
    assert PROMISES["exactly once"](account(task, posts, [], ["1 1", "2 2", "3 3", "4 4"], []))
    lost = account(task, posts, [], ["1 1", "2 2", "4 4"], [])
    assert not any(PROMISES[name](lost) for name in PROMISES if name != "at most once")
    twice = account(task, posts, [], ["1 1", "2 2", "2 3", "3 4", "4 5"], [])
    assert not any(promise(twice) for promise in PROMISES.values())
