"""Files as every system has them: exclusive locks, and flags of `os.open` that only some systems know."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

BINARY: int = getattr(os, "O_BINARY", 0)
"""Without this flag Windows would write CR LF for LF."""
PRIVATE = 0o600
"""The mode of a file that only its owner may read and write. Windows has no such modes."""
WITHOUT_WAITING: int = getattr(os, "O_NONBLOCK", 0)
"""With this flag opening a pipe does not wait for the pipe's other end."""
WITHOUT_LINKS: int = getattr(os, "O_NOFOLLOW", 0)
"""With this flag a symbolic link is not followed. Windows has no such flag."""
LOCKED_BYTE = 2**40
"""The byte that a lock covers on Windows, far behind all data: a lock there also forbids reading."""


def lock(descriptor: int) -> None:
    """Lock an open file for as long as the descriptor is open. Raises `BlockingIOError` if it is locked.

    The lock excludes other processes, and other descriptors of this process.
    """
    if sys.platform == "win32":
        place = os.lseek(descriptor, 0, os.SEEK_CUR)
        os.lseek(descriptor, LOCKED_BYTE, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError as refusal:  # the number differs from system to system
            raise BlockingIOError(refusal.errno, "The file is locked") from refusal
        finally:
            os.lseek(descriptor, place, os.SEEK_SET)
    else:
        # Not lockf(): its locks exclude no one within the process, and end when any descriptor is closed.
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def read_at(descriptor: int, count: int, place: int) -> bytes:
    """Read so many bytes of a regular file from this place on; fewer at its end."""
    os.lseek(descriptor, place, os.SEEK_SET)
    return os.read(descriptor, count)


def create_private(path: Path) -> None:
    """Create an empty file that only its owner may read, unless the file exists. Raises `OSError`."""
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | BINARY, PRIVATE))
