from __future__ import annotations

import math
import time

import pytest

import xdk_streaming.clock
from xdk_streaming.clock import Clock, SystemClock
from xdk_streaming.wire.wait import Wait

GUARD = 5.0
"""Seconds that no wait here comes near, on the slowest machine."""


def test_the_system_clock_tells_the_systems_time() -> None:
    clock: Clock = SystemClock()
    before, now, after = time.time(), clock.time(), time.time()
    assert before <= now <= after


def test_the_monotonic_time_does_not_go_back() -> None:
    clock = SystemClock()
    before, now, after = clock.monotonic(), clock.monotonic(), clock.monotonic()
    assert before <= now <= after


@pytest.mark.skipif(not hasattr(time, "CLOCK_BOOTTIME"), reason="a clock of Linux")
def test_the_monotonic_time_counts_the_seconds_for_which_the_machine_was_suspended() -> None:
    before = time.clock_gettime(time.CLOCK_BOOTTIME)
    now = SystemClock().monotonic()
    assert before <= now <= time.clock_gettime(time.CLOCK_BOOTTIME)


def test_without_a_clock_that_counts_a_suspend_the_monotonic_time_is_pythons(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(xdk_streaming.clock, "COUNTING_CLOCK", None)
    before, now, after = time.monotonic(), SystemClock().monotonic(), time.monotonic()
    assert before <= now <= after


class System:
    """A `time` module with these clocks."""

    def __init__(self, refused: bool = False, **clocks: int) -> None:
        self.__dict__.update(clocks)
        self.refused = refused

    def clock_gettime(self, clock: int) -> float:
        if self.refused:
            raise OSError("Operation not permitted")
        return 1.0


@pytest.mark.parametrize(
    ("system", "clock"),
    [
        (System(CLOCK_MONOTONIC_RAW=4, CLOCK_BOOTTIME=7), 7),
        (System(CLOCK_MONOTONIC_RAW=4), 4),
        (System(), None),
        (System(refused=True, CLOCK_BOOTTIME=7), None),
    ],
    ids=["Linux", "macOS", "Windows", "a sandbox"],
)
def test_each_system_has_its_clock_that_counts_a_suspend(
    monkeypatch: pytest.MonkeyPatch, system: System, clock: int | None
) -> None:
    monkeypatch.setattr(xdk_streaming.clock, "time", system)
    assert xdk_streaming.clock._counting_clock() == clock


def woken() -> Wait:
    wait = Wait()
    wait.wake()
    return wait


@pytest.mark.parametrize("seconds", [3600.0, math.inf])
def test_a_wait_that_was_woken_before_returns_at_once(seconds: float) -> None:
    started = time.monotonic()
    SystemClock().wait(seconds, woken())
    assert time.monotonic() - started < GUARD


def test_a_wait_that_is_not_woken_lasts_its_time() -> None:
    started = time.monotonic()
    SystemClock().wait(0.005, Wait())
    assert 0.004 < time.monotonic() - started < GUARD


@pytest.mark.parametrize("seconds", [0.0, 1e-9, 1e-7, 1e-5, 1e-4])
def test_a_wait_of_hardly_any_time_ends(seconds: float) -> None:
    started, wait = time.monotonic(), Wait()
    for _ in range(200):
        SystemClock().wait(seconds, wait)
    assert time.monotonic() - started < GUARD
