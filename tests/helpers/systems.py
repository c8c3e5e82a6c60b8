"""Where tests differ from system to system, and why."""

from __future__ import annotations

import gc
import os
import signal
import socket
import sys
from contextlib import suppress
from pathlib import Path

import pytest

WINDOWS = sys.platform == "win32"


def posix(reason: str) -> pytest.MarkDecorator:
    """Mark what tests something that Windows, or Wine in its place, does not have."""
    return pytest.mark.skipif(WINDOWS, reason=f"POSIX: {reason}")


def open_sockets() -> set[str]:
    """The open sockets of this process, whosever they are; on Windows, those of Python."""
    if WINDOWS:
        return {
            f"{id(each)}"
            for each in gc.get_objects()
            if isinstance(each, socket.socket) and each.fileno() >= 0
        }
    found = set()
    for link in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):  # closed meanwhile
            target = os.readlink(link)  # noqa: PTH115 - what it names is no path
            if target.startswith("socket:"):
                found.add(target)
    return found


USER_SIGNAL: signal.Signals = getattr(signal, "SIGUSR1", signal.SIGINT)
"""A signal that a test may send to itself."""


def send_signal(thread: int, number: signal.Signals) -> None:
    """Send a signal to a thread of this process. On Windows it is always the main thread that handles it."""
    if sys.platform == "win32":
        signal.raise_signal(number)
    else:
        signal.pthread_kill(thread, number)


def end_accept(listener: socket.socket) -> None:
    """End an `accept` in progress: by a shutdown, or where that is refused, by a connection."""
    try:
        listener.shutdown(socket.SHUT_RDWR)
    except OSError:
        with suppress(OSError):
            socket.create_connection(listener.getsockname()[:2], 1).close()
