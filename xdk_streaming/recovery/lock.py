"""A lock file beside a checkpoint: one process and one stream at a time. The lock ends with its process.

SQLite's own lock is not enough. POSIX drops that lock as soon as anything in the process closes the same
file, for example after a copy for a backup. Nor can it guard the moment in which a damaged file is renamed.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from xdk_streaming import files
from xdk_streaming.errors import StreamError, StreamErrorType

_held: set[int] = set()
"""File descriptors of the locks that this process holds."""


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock file `<path>.lock`, which is never removed.

    Raises `StreamError` if another process or stream holds it, and `OSError` if it cannot be opened.
    """
    descriptor = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | files.BINARY, files.PRIVATE)
    _held.add(descriptor)
    try:
        try:
            files.lock(descriptor)
        except BlockingIOError:
            raise in_use(path) from None
        yield
    finally:
        _held.discard(descriptor)
        os.close(descriptor)


def in_use(path: Path) -> StreamError:
    """The error for a checkpoint that another process or stream holds."""
    return StreamError(
        f"The checkpoint {path} is in use by another process or stream; "
        "give each stream a checkpoint of its own",
        StreamErrorType.FATAL_ERROR,
    )


def _let_go_in_child() -> None:
    """Close the locks in a forked child, which must not keep the lock of a parent that dies.

    Closing the child's descriptor does not release the parent's lock.
    """
    while _held:
        os.close(_held.pop())


if sys.platform != "win32":  # pragma: no branch - Windows has no fork
    os.register_at_fork(after_in_child=_let_go_in_child)
