"""The simulator's log on standard error: connections opened and closed, other requests, and a summary."""

from __future__ import annotations

import time
from collections import deque
from itertools import takewhile

import typer

from xdk_streaming.cli.printable import plain
from xdk_streaming.simulator import ServedRequest, Simulator
from xdk_streaming.simulator.log import OPEN

POLL = 0.2


def report(simulator: Simulator) -> None:
    """Write a line when a stream opens, one when it ends, and one for each other request. Never returns."""
    known = {id(simulator.requests): -1, id(simulator.api_requests): -1}
    open_ones: list[ServedRequest] = []
    while True:
        for requests in (simulator.requests, simulator.api_requests):
            came = _after(requests, known[id(requests)])
            if came:
                known[id(requests)] = came[-1].number
            open_ones += came
            for request in came:
                if request.outcome == OPEN:
                    typer.echo(_line(request), err=True)
        for request in [request for request in open_ones if request.ended_at is not None]:
            open_ones.remove(request)
            typer.echo(_line(request), err=True)
        time.sleep(POLL)


def _after(requests: deque[ServedRequest], number: int) -> list[ServedRequest]:
    """The requests after this number, in order."""
    return list(takewhile(lambda request: request.number > number, reversed(list(requests))))[::-1]


def _line(request: ServedRequest) -> str:
    moment = time.strftime("%H:%M:%S", time.localtime(request.ended_at or request.opened_at))
    who = f"connection {request.number + 1}  " if request.path.startswith("/") else ""
    return plain(f"{moment}  {who}{request.path}  {request.outcome}")  # a client chooses the path


def summary(simulator: Simulator) -> str:
    """A summary of everything that was served, in one sentence."""
    requests, calls = (
        kept[-1].number + 1 if kept else 0 for kept in (simulator.requests, simulator.api_requests)
    )
    counts = [_count(requests, "connection"), f"{_count(simulator.log.total, 'item')} sent"]
    return f"Stopped after {', '.join(counts)}, {_count(calls, 'other request')}."


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
