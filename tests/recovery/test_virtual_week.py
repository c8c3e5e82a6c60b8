"""A week in which the wall clock steps, the machine sleeps, and the clock is wrong at each restart.

Each outage, as the server saw it, must be in a `Gap`, no shorter than it was, and either covered by the
backfill that was asked for or reported as uncovered. No wait for a named moment ends before that moment, or
more than a second after it.
"""

from __future__ import annotations

import math
import random
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from email.utils import formatdate
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.machines import Happens, Machine, post
from xdk_streaming import Gap, Recovery, Stream, StreamConfig
from xdk_streaming.simulator import Cut, Open, Refuse, Script, Send, Stall
from xdk_streaming.simulator.script import Limited
from xdk_streaming.testing import NoMoreConnections, ScriptedSession

T0 = 1_700_000_000.0
URL = "https://api.x.example/2/tweets/search/stream"
DATED = Open(200, {"Content-Type": "application/json"})
CUT = Cut(half=False)
WEEK = 7 * 86_400.0
RESOLUTION = 1.0
"""Seconds of a `Date`: no `Date` shows a smaller fault of a wall clock."""
LADDER = 0.25
"""Seconds of a backoff of ours: shorter than any wait that the server asks for."""


@dataclass
class Week:
    """The truth, which only the server knows, and what the client says of it."""

    rng: random.Random
    path: Path
    at: float = T0
    opened: list[float] = field(default_factory=list)
    lost: list[float] = field(default_factory=list)
    asked: list[int | None] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)
    waits: list[tuple[float, float]] = field(default_factory=list)
    """What the server asked for, and how long the client waited."""

    def process(self) -> None:
        """One process, on a machine whose clock is as wrong as it likes at boot."""
        wrong = self.rng.choice([0.0, 0.0, 0.4, -1e8, -86_400.0, -300.0, -30.0, 30.0, 300.0, 86_400.0])
        clock = self.clock = Machine(self.at, wrong=wrong)
        self.named: list[float] = []
        session: Any = ScriptedSession(self.scripts(clock), clock=clock)
        config = StreamConfig(
            max_retries=-1,
            jitter=False,
            initial_backoff=LADDER,
            backoff_multiplier=1.0,
            recovery=Recovery(checkpoint=self.path),
            on_gap=self.gaps.append,
        )
        with suppress(NoMoreConnections), Stream[Any](session, "get", URL, config, clock=clock) as stream:
            for _ in stream:
                pass
        self.asked += [
            call["params"].get("backfill_minutes")
            for call, answer in zip(session.calls, session.responses, strict=False)
            if answer.status_code == 200
        ]
        waited = [seconds for seconds in clock.waits if seconds != LADDER]
        self.waits += zip(self.named, waited, strict=True)
        self.at = clock.now + self.rng.choice([0.5, 5.0, 100.0, 4_000.0])

    def scripts(self, clock: Machine) -> Iterator[Script]:
        """What the server does at each attempt."""
        for _ in range(self.rng.randint(1, 6)):
            if self.rng.random() < 0.3:
                yield self.refusal(clock)
            else:
                yield self.connection(clock)
            self.disturb(clock)  # while the client reads the answer, or waits

    def refusal(self, clock: Machine) -> Script:
        seconds = self.rng.randint(1, 800)
        self.named.append(float(seconds))
        clock.now = float(math.ceil(clock.now))  # so that the moment that is named has no fraction
        if self.rng.random() < 0.5:
            return (Limited(reset=seconds),)
        date = formatdate(clock.now, usegmt=True)
        return (
            Refuse(503, b"{}", {"Date": date, "Retry-After": formatdate(clock.now + seconds, usegmt=True)}),
        )

    def connection(self, clock: Machine) -> Script:
        self.opened.append(clock.now)
        steps: list[Any] = [DATED, Send(post(clock.now, 0))]
        at = clock.now
        for number in range(self.rng.randint(1, 5)):
            quiet = self.rng.choice([0.1, 3.0, 19.0])
            at += quiet
            steps += [Stall(quiet), Send(post(at, number + 1))]
        steps += [Happens(lambda: self.lost.append(clock.now)), CUT]
        if self.rng.random() < 0.3:  # the machine sleeps, and the connection is gone when it wakes
            asleep = self.rng.choice([30.0, 600.0, 30_000.0])
            steps.insert(-1, Stall(asleep))
        return tuple(steps)

    def disturb(self, clock: Machine) -> None:
        step = self.rng.choice([0.0, 0.0, -170.0, 170.0, -3_600.0, 3_600.0, -1e7, 1e7])

        def once() -> None:
            clock.during_wait = lambda: None
            clock.step(step)

        clock.during_wait = once

    def check(self) -> None:
        assert len(self.opened) == len(self.lost) == len(self.asked)
        assert len(self.gaps) == len(self.opened) - 1  # each outage once, and nothing else
        for lost, opened, asked, gap in zip(
            self.lost, self.opened[1:], self.asked[1:], self.gaps, strict=False
        ):
            truly = lost, opened
            assert gap.lost_at <= gap.back_at, (gap, truly)
            assert gap.back_at - gap.lost_at >= opened - lost - 1e-3, (gap, truly)
            assert gap.lost_at <= lost + RESOLUTION, (gap, truly)
            assert opened - RESOLUTION <= gap.back_at <= opened + 2 * RESOLUTION, (gap, truly)
            assert asked is not None
            assert gap.covered is not None
            assert gap.covered[0] >= opened - 60 * asked - RESOLUTION, (
                gap,
                truly,
            )  # it claims no more than was asked
            begun = gap.covered[0] if gap.uncovered is None else gap.uncovered[0]
            assert begun <= lost + RESOLUTION, (gap, truly)
            if gap.uncovered is not None:
                assert gap.uncovered[1] == gap.covered[0]
        for asked_for, waited in self.waits:
            assert asked_for <= waited <= asked_for + 1.0


def live(seed: int, until: float, path: Path) -> Week:
    week = Week(random.Random(seed), path / "seen")
    while week.at < until:
        week.process()
    week.check()
    return week


def test_in_a_week_no_outage_is_hidden_and_no_wait_is_wrong(tmp_path: Path) -> None:
    week = live(7, T0 + WEEK, tmp_path)
    assert week.at - T0 >= WEEK
    assert len(week.gaps) > 100
    assert len(week.waits) > 30
    assert any(gap.uncovered is None for gap in week.gaps)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32))
def test_the_same_holds_for_any_life(seed: int) -> None:
    with tempfile.TemporaryDirectory() as path:
        live(seed, T0 + 20_000.0, Path(path))
