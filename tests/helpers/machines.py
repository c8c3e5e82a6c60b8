"""Machines whose clocks are wrong, step and sleep; and what happens on them while a body is read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from xdk_streaming.testing import FakeClock
from xdk_streaming.x import SNOWFLAKE_EPOCH


class Machine(FakeClock):
    """The clocks of a machine that booted some time ago: its monotonic clock is far from its wall clock."""

    def __init__(self, now: float, *, wrong: float = 0.0) -> None:
        super().__init__(now)
        self.booted = now - 1_000.0
        self.step(wrong)

    def monotonic(self) -> float:
        return self.now - self.booted


class Happens:
    """A step of a script: something that happens while the body is read."""

    def __init__(self, what: Callable[[], object]) -> None:
        self.what = what

    def play(self, wire: Any) -> None:
        wire._chunks.append(self.what)


def post(at: float, number: int = 0) -> bytes:
    """The line of a post that was published then."""
    return b'{"data":{"id":"%d"}}\n' % ((int(at * 1000) - SNOWFLAKE_EPOCH << 22) + number)
