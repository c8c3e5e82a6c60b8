"""The one way to wait: for a socket, for a wake, or for a moment, on every system.

`select.poll` on POSIX, because `select.select` ends at descriptor 1024; `select.select` elsewhere, because
Windows has no poll, and eventlet removes it. The function is looked up at each wait, since monkey-patching
may come late. A `socket.socketpair()` wakes both; on Windows that is a TCP connection on loopback.
"""

from __future__ import annotations

import os
import select
import socket
import sys
import weakref
from contextlib import suppress
from typing import Any

from xdk_streaming.errors import StreamError, StreamErrorType

SLICE_SECONDS = 0.1 if sys.platform == "win32" else 1.0
"""Seconds of one system call at most. A signal between Python's last check for signals and the call does not
interrupt the call, and on Windows no signal does. A machine may also sleep during the call."""


class Woken(StreamError):
    """The wait was ended by `wake`. Never reported: the caller of `wake` knows why."""


class Wait:
    """The waiting of one stream. One thread waits; `wake` and `ring` are for any thread or signal handler."""

    def __init__(self) -> None:
        self.woken = False
        """Whether `wake` was called. This is never undone."""
        self._pid = os.getpid()
        self._ends: _Ends | None = None

    def wake(self) -> None:
        """End the wait in progress, and all later waits. Takes no lock."""
        self.woken = True
        self.ring()

    def ring(self) -> None:
        """End the `pause` in progress; if there is none, the next one. Takes no lock."""
        ends = self._ends
        # A forked child shares the ends with its parent, which must not hear the child.
        if ends is not None and os.getpid() == self._pid:
            with suppress(OSError):  # full: the wait ends in any case
                ends.outer.send(b"\0")

    def close(self) -> None:
        """No more waits will follow."""
        self._ends = None

    def check(self) -> None:
        """Raise `Woken` if `wake` was called."""
        if self.woken:
            raise Woken("The stream was stopped", StreamErrorType.CONNECTION_ERROR)

    def pause(self, seconds: float, sock: Any = None, *, writing: bool = False) -> bool:
        """Wait at most `seconds`, and at most a slice. Returns whether `sock` can be read, or written to.

        Also returns after `ring` and `wake`, and for no reason at all: the caller checks, and pauses again.
        """
        if self._ends is None:
            self._ends = _Ends(*socket.socketpair())
        inner = self._ends.inner
        if self.woken:  # checked now that `wake` can be heard
            return False
        seconds = min(max(seconds, 0.0), SLICE_SECONDS)
        poll = getattr(select, "poll", None)
        ready = (
            _polled(poll(), inner, sock, seconds, writing=writing)
            if poll is not None
            else _selected(inner, sock, seconds, writing=writing)
        )
        if inner.fileno() in ready:
            with suppress(OSError):
                inner.recv(4096)
        return sock is not None and sock.fileno() in ready


class _Ends:
    """A pair of connected sockets: a byte sent to the outer end wakes a wait on the inner one.

    Closed when nobody holds the pair. A `ring` in progress holds it, so the byte of that `ring` never goes to
    another file that was given the same descriptor.
    """

    def __init__(self, inner: socket.socket, outer: socket.socket) -> None:
        self.inner, self.outer = inner, outer
        inner.setblocking(False)
        outer.setblocking(False)
        # Not by __del__: in a cycle, the sockets' own finalizers might come first, and warn.
        weakref.finalize(self, _close, inner, outer)


def _close(*sockets: socket.socket) -> None:
    for each in sockets:
        each.close()


def is_readable(sock: Any) -> bool:
    """Whether there is something to receive at this moment; an end or a fault also counts."""
    poll = getattr(select, "poll", None)
    return bool(_polled(poll(), sock, None, 0.0) if poll is not None else _selected(sock, None, 0.0))


def _polled(poll: Any, inner: Any, sock: Any, seconds: float, *, writing: bool = False) -> list[int]:
    """The descriptors that are ready; faults and ends count."""
    poll.register(inner, select.POLLIN)
    if sock is not None:
        poll.register(sock, select.POLLOUT if writing else select.POLLIN)
    return [descriptor for descriptor, _ in poll.poll(seconds * 1000)]


def _selected(inner: Any, sock: Any, seconds: float, *, writing: bool = False) -> list[int]:
    """The same by `select`. On Windows a connect that failed shows only in the third set."""
    written = [sock] if sock is not None and writing else []
    read = [inner, sock] if sock is not None and not writing else [inner]
    return [each.fileno() for ready in select.select(read, written, written, seconds) for each in ready]
