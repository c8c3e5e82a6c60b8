from __future__ import annotations

import math
import time
from queue import SimpleQueue

import pytest

from xdk_streaming.clock import Clock, SystemClock

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


@pytest.mark.parametrize("seconds", [3600.0, math.inf])
def test_a_wait_is_over_at_once_where_it_was_woken_before(seconds: float) -> None:
    wake: SimpleQueue[None] = SimpleQueue()
    wake.put(None)
    started = time.monotonic()
    SystemClock().wait(seconds, wake)
    assert time.monotonic() - started < GUARD
    assert wake.empty()


def test_a_wait_that_nobody_wakes_lasts_its_time_and_raises_nothing() -> None:
    wake: SimpleQueue[None] = SimpleQueue()
    started = time.monotonic()
    SystemClock().wait(0.005, wake)
    assert 0.004 < time.monotonic() - started < GUARD


def test_a_wait_of_no_time_is_over_at_once() -> None:
    wake: SimpleQueue[None] = SimpleQueue()
    started = time.monotonic()
    SystemClock().wait(0.0, wake)
    assert time.monotonic() - started < GUARD


def test_one_wake_ends_one_wait() -> None:
    wake: SimpleQueue[None] = SimpleQueue()
    wake.put(None)
    wake.put(None)
    SystemClock().wait(3600.0, wake)
    assert wake.qsize() == 1
