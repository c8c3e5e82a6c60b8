"""A regular file that is open and locked, to which data is appended completely or not at all.

Other programs may rename, truncate, replace or extend the file at any moment. Therefore no size is
remembered: what has to be taken back is the end of the file as it is found then, if it was written here.
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from pathlib import Path

from xdk_streaming import files

COPIED = 1 << 20
"""Bytes that are copied at a time when a piece is set aside."""


class AppendedFile:
    """The file at `path`, created if it does not exist. One process at a time has it.

    With `alone`, a link in the place of the file is refused, because changes would reach the link's target.
    Raises `OSError`: also `BlockingIOError` if another process has the file.
    """

    def __init__(self, path: Path, *, alone: bool = False) -> None:
        self.path = path
        self.added = 0
        """Bytes that were appended here."""
        if alone and path.is_symlink():
            raise OSError(errno.ELOOP, f"{path.name} is a link")
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | files.BINARY | files.WITHOUT_WAITING
        self._descriptor = os.open(path, flags | (files.WITHOUT_LINKS if alone else 0), 0o666)
        try:
            found = os.fstat(self._descriptor)
            if not stat.S_ISREG(found.st_mode):
                raise OSError(errno.EINVAL, f"{path.name} is not a regular file")
            if alone and found.st_nlink > 1:
                raise OSError(errno.EMLINK, f"{path.name} is a link")
            files.lock(self._descriptor)
        except OSError:
            os.close(self._descriptor)
            raise
        self._identity = found.st_dev, found.st_ino

    def append(self, data: bytes) -> None:
        """Append all of the data, or nothing."""
        written = 0
        try:
            while written < len(data):
                written += os.write(self._descriptor, data[written:])
        except OSError:
            self._take_back(data[:written])
            raise
        self.added += len(data)

    def size(self) -> int:
        """Bytes in the file at this moment."""
        return os.fstat(self._descriptor).st_size

    def read(self, count: int, place: int) -> bytes:
        """Read so many bytes from this place on; fewer at the end."""
        return files.read_at(self._descriptor, count, place)

    def truncate(self, size: int) -> None:
        """Cut off what is behind this place. For what was written here, or is kept elsewhere."""
        os.ftruncate(self._descriptor, size)

    def moved(self) -> bool:
        """Whether the path names another file by now, or none."""
        try:
            found = self.path.stat()
        except (FileNotFoundError, NotADirectoryError):
            return True
        except OSError:  # a path that cannot be looked at proves nothing
            return False
        return (found.st_dev, found.st_ino) != self._identity

    def removed(self) -> bool:
        """Whether the file has no name any longer: what is in it is lost when it is closed."""
        return os.fstat(self._descriptor).st_nlink == 0

    def last(self, count: int) -> bytes:
        """The last bytes of the file."""
        start = max(0, self.size() - count)
        return self.read(count, start)

    def set_aside(self, start: int) -> Path:
        """Move everything behind `start` into a new file beside this one, and return the new file's path.

        The bytes are in the new file before they leave this one.
        """
        place = _free(self.path)
        try:
            with place.open("xb") as aside:
                at = start
                while data := self.read(COPIED, at):
                    aside.write(data)
                    at += len(data)
                aside.flush()
                os.fsync(aside.fileno())
        except OSError:
            with suppress(OSError):
                place.unlink()
            raise
        self.truncate(start)
        return place

    def close(self) -> None:
        """Close the file, which ends the lock. May be called again."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def _take_back(self, piece: bytes) -> None:
        with suppress(OSError):
            start = self.size() - len(piece)
            if piece and start >= 0 and self.read(len(piece), start) == piece:
                self.truncate(start)


def _free(path: Path) -> Path:
    """A name beside the file that is not taken: `FILE.torn`, `FILE.torn-2`, and so on."""
    number, found = 1, path.with_name(f"{path.name}.torn")
    while os.path.lexists(found):
        number += 1
        found = path.with_name(f"{path.name}.torn-{number}")
    return found
