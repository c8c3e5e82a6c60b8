"""The one way to wait: for a socket, for a wake, or for a moment, on every system.

`select.poll` on POSIX, because `select.select` ends at descriptor 1024; `select.select` elsewhere, because
Windows has no poll, and eventlet removes it. The function is looked up at each wait, since monkey-patching
may come late. A `socket.socketpair()` wakes both; on Windows that is a TCP connection on loopback.

One wait does without: that of a plain socket on POSIX, in its own receive. `waiting_socket` says why.
"""

from __future__ import annotations

import os
import select
import socket
import sys
import weakref
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

from xdk_streaming.clock import monotonic
from xdk_streaming.errors import StreamError, StreamErrorType

SLICE_SECONDS = 0.1 if sys.platform == "win32" else 1.0
"""Seconds of one system call at most. A signal between Python's last check for signals and the call does not
interrupt the call, and on Windows no signal does. A machine may also sleep during the call."""

DEAF_SECONDS = 0.1
"""The same if the process has no file left for hearing `wake`."""


Watch = Callable[[float | None], list[tuple[int, int]]]
"""Waits for so many milliseconds at most, or without a limit. Returns pairs, each with the descriptor of a
socket that is ready, as `select.poll` does."""


class Woken(StreamError):
    """The wait was ended by `wake`. Never reported: the caller of `wake` knows why."""


class Due(Exception):
    """`Wait.due_at` has come first. What was waited for may still come: ask again."""


class Wait:
    """The waiting of one stream. One thread waits; `wake` and `ring` are for any thread or signal handler."""

    def __init__(self) -> None:
        self.woken = False
        """Whether `wake` was called. This is never undone."""
        self.due_at: float | None = None
        """A moment (monotonic) at which the stream's thread is wanted back; None for no such moment."""
        self._other: Wait | None = None
        self._rung = False
        """Whether `ring` was called, maybe before anything could hear it."""
        self._pid = os.getpid()
        self._ends: _Ends | None = None
        self._inner = -1
        """The descriptor of the end that is waited for."""
        self._watch = watch([], [])
        self._watched: tuple[Any, bool, Any] | None = None
        """For what `_watch` waits: a socket, whether it is to be written to, and by which `select.poll`."""

    def wake(self) -> None:
        """End the wait in progress, and all later waits. Takes no lock."""
        self.woken = True
        self.ring()
        other = self._other
        if other is not None:
            other.wake()

    def for_another_thread(self) -> Wait:
        """A wait for another thread at the same time, which `wake` ends as well. One at a time."""
        other = self._other = Wait()
        if self.woken:
            other.wake()
        return other

    def ring(self) -> None:
        """End the `pause` in progress; if there is none, the next one. Takes no lock."""
        self._rung = True  # set first: either the ends are there, or the pause that makes them sees this
        ends = self._ends
        try:
            # A forked child shares the ends with its parent, which must not hear the child.
            if ends is not None and os.getpid() == self._pid:
                with suppress(OSError):  # full: the wait ends in any case
                    ends.outer.send(b"\0")
        finally:
            del ends  # as in `pause`

    def close(self) -> None:
        """No more waits will follow."""
        self._ends = self._watched = None
        self._watch = watch([], [])

    def is_due(self) -> bool:
        """Whether `due_at` has come."""
        return self.due_at is not None and monotonic() >= self.due_at

    def check(self) -> None:
        """Raise `Woken` if `wake` was called."""
        if self.woken:
            raise Woken("The stream was stopped", StreamErrorType.CONNECTION_ERROR)

    def pause(self, seconds: float, sock: Any = None, *, writing: bool = False) -> bool:
        """Wait at most `seconds`, and at most a slice. Returns whether `sock` can be read, or written to.

        Also returns after `ring` and `wake`, and for no reason at all: the caller checks, and pauses again.
        """
        if self._ends is None:
            self._make_audible()
            if self._rung:
                self._rung = False
                return False
        if self.woken:  # checked now that `wake` can be heard
            return False
        if self._watched != (sock, writing, getattr(select, "poll", None)):
            self._watch_also(sock, writing=writing)
        # No variable holds the ends: the traceback of a Ctrl-C would keep them open.
        longest = SLICE_SECONDS if self._ends else DEAF_SECONDS
        readable = False
        for descriptor, _ in self._watch(1000 * min(max(seconds, 0.0), longest)):
            if descriptor != self._inner:
                readable = True
            else:
                assert self._ends is not None  # the descriptor is that of its inner end
                with suppress(OSError):
                    self._ends.inner.recv(4096)
        return readable

    def _make_audible(self) -> None:
        """Let `wake` and `ring` be heard, unless the process has no file to spare."""
        self._watched = None
        with suppress(OSError):
            self._ends = _Ends(*socket.socketpair())
            self._inner = self._ends.inner.fileno()

    def _watch_also(self, sock: Any, *, writing: bool) -> None:
        """Wait for this socket from now on, besides `wake`: most waits are for the same one."""
        inner = [] if self._ends is None else [self._ends.inner]
        socks = [] if sock is None else [sock]
        self._watch = watch(inner, socks) if writing else watch([*inner, *socks], [])
        self._watched = (sock, writing, getattr(select, "poll", None))


class _Ends:
    """A pair of connected sockets: a byte sent to the outer end wakes a wait on the inner one.

    Closed when nobody holds the pair. A `ring` in progress holds it, so the byte of that `ring` never goes to
    another file that was given the same descriptor.
    """

    def __init__(self, inner: socket.socket, outer: socket.socket) -> None:
        self.inner, self.outer = inner, outer
        inner.setblocking(False)
        outer.setblocking(False)
        # Not `__del__`: in a cycle of garbage the sockets may be finalized before it, and then warn.
        weakref.finalize(self, _close, inner, outer).atexit = False


def _close(inner: socket.socket, outer: socket.socket) -> None:
    inner.close()
    outer.close()


def watch(reading: Sequence[Any], writing: Sequence[Any]) -> Watch:
    """What waits for the first of these sockets that can be read or written, or has ended or failed."""
    poll = getattr(select, "poll", None)
    if poll is None:
        return partial(_selected, reading, writing)
    polling = poll()
    for each in reading:
        polling.register(each, select.POLLIN)
    for each in writing:
        polling.register(each, select.POLLOUT)
    wait: Watch = polling.poll
    return wait


def _selected(
    reading: Sequence[Any], writing: Sequence[Any], milliseconds: float | None
) -> list[tuple[int, int]]:
    """By `select`. On Windows a connect that failed shows only in the third set."""
    seconds = None if milliseconds is None else milliseconds / 1000
    found = select.select(reading, writing, writing, seconds)
    return [(each.fileno(), 0) for ready in found for each in ready]
