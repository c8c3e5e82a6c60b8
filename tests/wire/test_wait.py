"""The one way to wait: ended by a socket, a wake, a ring, or a moment, by whichever call the system has."""

from __future__ import annotations

import errno
import os
import select
import socket
import threading
import time
from collections.abc import Iterator
from unittest.mock import Mock

import pytest

from helpers.clients import GUARD
from xdk_streaming.wire.wait import DEAF_SECONDS, SLICE_SECONDS, Wait, Woken, watch

LONG = 10 * GUARD


def is_readable(sock: socket.socket) -> bool:
    return bool(watch([sock], [])(0))


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    one, other = socket.socketpair()
    with one, other:
        yield one, other


@pytest.fixture(params=["poll", "select"])
def by(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The call that a system has."""
    if request.param == "select":
        monkeypatch.delattr(select, "poll", raising=False)
    return str(request.param)


@pytest.mark.usefixtures("by")
class TestOnEachSystem:
    def test_a_pause_ends_when_there_are_bytes(self, pair: tuple[socket.socket, socket.socket]) -> None:
        one, other = pair
        other.send(b"x")
        assert Wait().pause(LONG, one)
        assert is_readable(one)

    def test_a_pause_ends_when_there_is_room(self, pair: tuple[socket.socket, socket.socket]) -> None:
        assert Wait().pause(LONG, pair[0], writing=True)

    def test_a_pause_ends_at_its_moment(self, pair: tuple[socket.socket, socket.socket]) -> None:
        assert not Wait().pause(0.01, pair[0])
        assert not Wait().pause(-1, pair[0])
        assert not is_readable(pair[0])

    def test_a_pause_lasts_a_slice_at_most(self) -> None:
        began = time.monotonic()
        assert not Wait().pause(LONG)
        assert time.monotonic() - began < SLICE_SECONDS + GUARD / 2

    def test_a_ring_ends_one_pause(self) -> None:
        wait = Wait()
        wait.pause(0)
        wait.ring()
        began = time.monotonic()
        wait.pause(LONG)
        assert time.monotonic() - began < SLICE_SECONDS / 2
        wait.pause(0.05)
        assert time.monotonic() - began >= 0.05

    def test_a_wake_ends_all_pauses(self) -> None:
        wait = Wait()
        threading.Timer(0.05, wait.wake).start()
        began = time.monotonic()
        while not wait.woken:
            wait.pause(LONG)
        for _ in range(3):
            wait.pause(LONG)
        assert time.monotonic() - began < GUARD / 2
        with pytest.raises(Woken):
            wait.check()

    def test_the_descriptors_of_one_who_may_wait_for_ever(
        self, pair: tuple[socket.socket, socket.socket]
    ) -> None:
        one, other = pair
        other.close()
        assert [descriptor for descriptor, _ in watch([one], [])(None)] == [one.fileno()]


def test_a_wake_before_the_first_pause_is_heard() -> None:
    wait = Wait()
    wait.wake()
    began = time.monotonic()
    assert not wait.pause(LONG)
    assert time.monotonic() - began < SLICE_SECONDS / 2


def test_a_ring_before_the_first_pause_ends_it() -> None:
    wait = Wait()
    wait.ring()
    began = time.monotonic()
    wait.pause(LONG)
    assert time.monotonic() - began < SLICE_SECONDS / 2


@pytest.mark.parametrize("woken_before", [False, True])
def test_a_wait_for_another_thread_is_woken_with_its_own(woken_before: bool) -> None:
    wait = Wait()
    if woken_before:
        wait.wake()
    other = wait.for_another_thread()
    assert other.woken == woken_before
    wait.wake()
    began = time.monotonic()
    assert not other.pause(LONG)
    assert other.woken
    assert time.monotonic() - began < SLICE_SECONDS / 2


def test_rings_that_nobody_hears_never_block() -> None:
    wait = Wait()
    wait.pause(0)
    for _ in range(20_000):
        wait.ring()
    wait.wake()
    assert wait.woken


def test_a_ring_after_the_close_does_nothing() -> None:
    wait = Wait()
    wait.pause(0)
    wait.close()
    wait.ring()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="a system without fork() has no forked child")
def test_a_forked_child_does_not_ring_at_its_parents() -> None:
    wait = Wait()
    wait.pause(0)
    child = os.fork()
    if child == 0:
        wait.wake()
        os._exit(0)
    os.waitpid(child, 0)
    assert wait._ends is not None
    assert not is_readable(wait._ends.inner)


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE])
def test_without_a_file_to_spare_a_pause_is_short_and_still_notices_a_wake(
    number: int, monkeypatch: pytest.MonkeyPatch, pair: tuple[socket.socket, socket.socket]
) -> None:
    monkeypatch.setattr(socket, "socketpair", Mock(side_effect=OSError(number, "Too many open files")))
    wait = Wait()
    began = time.monotonic()
    assert not wait.pause(LONG, pair[0])
    assert time.monotonic() - began < DEAF_SECONDS + 0.5
    pair[1].send(b"x")
    assert wait.pause(LONG, pair[0])
    wait.wake()
    assert not wait.pause(LONG, pair[0])
