from __future__ import annotations

import math
import time

import pytest

from xdk_streaming.clock import Clock, SystemClock
from xdk_streaming.wire.wait import Wait

GUARD = 5.0
"""Seconds that no wait here comes near, on the slowest machine."""


def test_the_system_clock_tells_the_systems_time() -> None:
    clock: Clock = SystemClock()
    before, now, after = time.time(), clock.time(), time.time()
    assert before <= now <= after


def test_the_monotonic_time_is_that_of_the_system_and_does_not_go_back() -> None:
    clock = SystemClock()
    before, now, after = time.monotonic(), clock.monotonic(), time.monotonic()
    assert before <= now <= after


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
