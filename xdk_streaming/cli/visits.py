"""What a simulator tells on stderr: who came, who went, and what it came to."""

from __future__ import annotations

import time
from collections import deque
from itertools import takewhile

import typer

from xdk_streaming.simulator import Simulator, Visit
from xdk_streaming.simulator.log import OPEN

POLL = 0.2


def report(simulator: Simulator) -> None:
    """A line for each connection that came, one for each that went, and one for each other request."""
    known = {id(simulator.visits): -1, id(simulator.calls): -1}
    open_ones: list[Visit] = []
    while True:
        for visits in (simulator.visits, simulator.calls):
            came = _after(visits, known[id(visits)])
            if came:
                known[id(visits)] = came[-1].number
            open_ones += came
            for visit in came:
                if visit.outcome == OPEN:
                    typer.echo(_line(visit), err=True)
        for visit in [visit for visit in open_ones if visit.ended_at is not None]:
            open_ones.remove(visit)
            typer.echo(_line(visit), err=True)
        time.sleep(POLL)


def _after(visits: deque[Visit], number: int) -> list[Visit]:
    """Those that came after this one, in their order."""
    return list(takewhile(lambda visit: visit.number > number, reversed(list(visits))))[::-1]


def _line(visit: Visit) -> str:
    moment = time.strftime("%H:%M:%S", time.localtime(visit.ended_at or visit.opened_at))
    who = f"connection {visit.number + 1}  " if visit.path.startswith("/") else ""
    return f"{moment}  {who}{visit.path}  {visit.outcome}"


def summary(simulator: Simulator) -> str:
    """What it came to, in a sentence."""
    visits, calls = (kept[-1].number + 1 if kept else 0 for kept in (simulator.visits, simulator.calls))
    counts = [_count(visits, "connection"), f"{_count(simulator.log.total, 'item')} sent"]
    return f"Stopped after {', '.join(counts)}, {_count(calls, 'other request')}."


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
