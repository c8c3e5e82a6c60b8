"""A sink that keeps starting new files, for endless recordings. Each file is named after its start time."""

from __future__ import annotations

import errno
import os
import time
from pathlib import Path

from xdk_streaming.cli.quantities import Rotation
from xdk_streaming.cli.recording.followed import Followed
from xdk_streaming.cli.recording.frames import codec_of
from xdk_streaming.cli.recording.part import part_of
from xdk_streaming.clock import monotonic
from xdk_streaming.log import logger


class Rotating:
    """Writes one file after another. A file is created, and named, when its first line is written.

    Then the part files that other processes left in this rotation are completed.
    """

    def __init__(self, path: Path, rotation: Rotation) -> None:
        self.name = path.name
        self._path = path
        self._rotation = rotation
        self._sink: Followed | None = None
        self._closed_size = self._closed_files = 0
        self._until = 0.0
        self._begun = False
        if not os.access(path.parent, os.W_OK):
            raise FileNotFoundError(
                errno.ENOENT, f"the directory {path.parent} does not exist or is read-only"
            )

    @property
    def size(self) -> int:
        """Bytes that were written, to all files."""
        return self._closed_size + (0 if self._sink is None else self._sink.size)

    @property
    def files(self) -> int:
        """Files that were written to."""
        return self._closed_files + (0 if self._sink is None else self._sink.files)

    def write(self, line: bytes) -> None:
        """Write a line, or nothing."""
        if not self._begun:
            self._begun = True
            self._take_up()
        if self._is_full():
            self.close()
        if self._sink is None:
            self._sink = self._begin()
        self._sink.write(line)

    def tick(self) -> None:
        """Close a file that is large enough, or whose time is up."""
        if self._sink is not None:
            self._sink.tick()
            if self._is_full() or (self._rotation.seconds is not None and monotonic() >= self._until):
                self.close()

    def close(self) -> None:
        """Close the current file."""
        sink, self._sink = self._sink, None
        if sink is not None:
            try:
                sink.close()
            finally:
                self._closed_size += sink.size
                self._closed_files += sink.files

    def _is_full(self) -> bool:
        size = self._rotation.size
        return self._sink is not None and size is not None and self._sink.size >= size

    def _begin(self) -> Followed:
        self._until = monotonic() + (self._rotation.seconds or 0)
        path = _fresh(self._path)
        self.name = path.name
        return Followed(path)

    def _take_up(self) -> None:
        """Complete what processes left that did not exit cleanly. What cannot be completed is left alone."""
        for part in _parts(self._path):
            try:
                left = Followed(part.with_suffix(""))
                try:
                    left.take_up()
                finally:
                    left.close()
            except BlockingIOError:  # another process is writing to it
                continue
            except OSError as failure:
                logger.warning("%s could not be completed: %s", part.with_suffix("").name, failure.strerror)


def dated_path(path: Path, moment: str) -> Path:
    """A file name with a timestamp, such as `posts-20261123T130507.123Z.ndjson.zst`. Names sort by time."""
    packed = path.suffix if codec_of(path) else ""
    inner = Path(path.name.removesuffix(packed))
    return path.with_name(f"{inner.stem}-{moment}{inner.suffix}{packed}")


def _parts(path: Path) -> list[Path]:
    """Part files of this rotation, left by processes that did not exit cleanly."""
    start, _, end = part_of(dated_path(path, "*")).name.partition("*")
    return [
        found for found in path.parent.iterdir() if found.name.startswith(start) and found.name.endswith(end)
    ]


def _fresh(path: Path) -> Path:
    while True:
        now = time.time()
        moment = time.strftime("%Y%m%dT%H%M%S", time.gmtime(now))
        found = dated_path(path, f"{moment}.{int(now % 1 * 1000):03}Z")
        if not os.path.lexists(found):
            return found
        time.sleep(0.001)
