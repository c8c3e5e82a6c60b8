"""A lock file beside a checkpoint: one process and one stream at a time. It ends with its process.

SQLite's own lock would not do. POSIX drops it as soon as anything in the process closes the same file, a
copy for a backup among them, and it cannot guard the moment in which a damaged file is renamed.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from xdk_streaming.errors import StreamError, StreamErrorType

_held: set[int] = set()
"""Descriptors of the locks that this process holds."""


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold `<path>.lock`, which is never removed. Raises `StreamError` where another has it."""
    descriptor = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT, 0o666)
    _held.add(descriptor)
    try:
        if not _lock(descriptor):
            raise in_use(path)
        yield
    finally:
        _held.discard(descriptor)
        os.close(descriptor)


def _lock(descriptor: int) -> bool:
    # Not lockf(): within a process its locks refuse nobody, and go when any descriptor is closed.
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def in_use(path: Path) -> StreamError:
    """What to say where another has it."""
    return StreamError(
        f"The checkpoint {path} is in use by another process or stream; "
        "give each stream a checkpoint of its own",
        StreamErrorType.FATAL_ERROR,
    )


def _let_go_in_child() -> None:
    """A child must not hold the lock of a parent that dies. To close is not to unlock it for the parent."""
    while _held:
        os.close(_held.pop())


os.register_at_fork(after_in_child=_let_go_in_child)
