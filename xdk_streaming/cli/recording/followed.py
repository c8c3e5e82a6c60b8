"""A recording whose file may be replaced at any time, as programs that rotate logs do."""

from __future__ import annotations

from pathlib import Path

from xdk_streaming.cli.recording.compressed import Compressed
from xdk_streaming.cli.recording.frames import codec_of
from xdk_streaming.cli.recording.plain import Plain
from xdk_streaming.clock import monotonic
from xdk_streaming.log import logger

LOOK_SECONDS = 0.5
"""Seconds between two looks at the path, at most, if items or ticks come."""


class Followed:
    """The file that `path` names at any time: if it was renamed or removed, another one is begun there.

    The old file is completed first. If it was removed, the lines of the last half second go into the new
    one. A file that was truncated is the same file, and goes on at its new end.
    """

    def __init__(self, path: Path) -> None:
        self.name = path.name
        self.files = 1
        self._path = path
        self._sink: Plain | Compressed | None = _opened(path)
        self._closed_size = 0
        self._seen_size = 0
        """Bytes that were written to the present file when it was last seen in its place."""
        self._look_at = monotonic() + LOOK_SECONDS

    @property
    def size(self) -> int:
        """Bytes that were written, to all files."""
        return self._closed_size + (0 if self._sink is None else self._sink.size)

    def write(self, line: bytes) -> None:
        """Write a line, or nothing."""
        self._followed().write(line)

    def tick(self) -> None:
        """Do what is due even if no item comes."""
        self._followed().tick()

    def take_up(self) -> None:
        """Add what an earlier process left, without writing a line."""
        if isinstance(self._sink, Compressed):
            self._sink.take_up()

    def close(self) -> None:
        """Complete and close the file."""
        sink, self._sink = self._sink, None
        if sink is not None:
            try:
                sink.close()
            finally:
                self._closed_size += sink.size

    def _followed(self) -> Plain | Compressed:
        if self._sink is None:  # another file could not be opened before
            self._sink = self._begin()
        if monotonic() < self._look_at:
            return self._sink
        self._look_at = monotonic() + LOOK_SECONDS
        if self._sink.moved():
            rescued = self._sink.rescued(self._seen_size)
            logger.warning("%s is another file now, or none; the recording goes on at this path", self.name)
            self.close()
            self._sink = self._begin()
            if rescued:
                self._sink.write(rescued)
        self._seen_size = self._sink.size
        return self._sink

    def _begin(self) -> Plain | Compressed:
        sink = _opened(self._path)
        self._seen_size = 0
        self.files += 1
        return sink


def _opened(path: Path) -> Plain | Compressed:
    codec = codec_of(path)
    return Plain(path) if codec is None else Compressed(path, codec)
