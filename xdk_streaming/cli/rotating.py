"""A sink that keeps starting new files, for endless recordings. Each file is named after its start time."""

from __future__ import annotations

import errno
import os
import time
from contextlib import suppress
from pathlib import Path

from xdk_streaming.cli.frames import codec_of
from xdk_streaming.cli.quantities import Rotation
from xdk_streaming.cli.sinks import Sink, open_file, part_of
from xdk_streaming.clock import monotonic


class Rotating:
    """Writes one file after another. A file is created, and named, when its first line is written."""

    def __init__(self, path: Path, rotation: Rotation) -> None:
        self.name = path.name
        self.size = 0
        self._path = path
        self._rotation = rotation
        self._sink: Sink | None = None
        self._closed_size = 0
        self._until = 0.0
        if not os.access(path.parent, os.W_OK):
            raise FileNotFoundError(
                errno.ENOENT, f"the directory {path.parent} does not exist or is read-only"
            )
        for part in _parts(path):
            with suppress(BlockingIOError):  # another process is writing to it
                open_file(part.with_suffix("")).close()

    def write(self, line: bytes) -> None:
        """Write a line, or nothing."""
        if self._sink is None:
            self._sink = self._begin()
        self._sink.write(line)
        self.size = self._closed_size + self._sink.size
        if self._rotation.size is not None and self._sink.size >= self._rotation.size:
            self.close()

    def tick(self) -> None:
        """Close a file whose time is up."""
        if self._sink is not None:
            self._sink.tick()
            self.size = self._closed_size + self._sink.size
            if self._rotation.seconds is not None and monotonic() >= self._until:
                self.close()

    def close(self) -> None:
        """Close the current file."""
        sink, self._sink = self._sink, None
        if sink is not None:
            sink.close()
            self._closed_size += sink.size
            self.size = self._closed_size

    def _begin(self) -> Sink:
        self._until = monotonic() + (self._rotation.seconds or 0)
        path = _fresh(self._path)
        self.name = path.name
        return open_file(path)


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
        if not found.exists():
            return found
        time.sleep(0.001)
