"""Sinks, to which items are written as lines: standard output, a plain file, a compressed file.

When `write` returns, the operating system has the line, even if this process is killed next. Checkpoints rely
on this order: an item counts as delivered when the next item is asked for. All sinks raise `OSError` if a
line cannot be written completely; no sink leaves half a line behind.
"""

from __future__ import annotations

import errno
import os
import select
import stat
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

from xdk_streaming import files
from xdk_streaming.cli.frames import Codec, codec_of

FRAME_BYTES = 1 << 20
"""Uncompressed bytes after which a frame is completed."""
FRAME_SECONDS = 1.0
"""Seconds after which a frame is completed."""
TAIL = 64 * 1024


class Sink(Protocol):
    """A destination for items. Only one thread at a time may use a sink."""

    name: str
    """The name to show to the user."""
    size: int
    """Bytes at the destination, all files of a rotation together."""

    def write(self, line: bytes) -> None:
        """Write a line, including the line end."""

    def tick(self) -> None:
        """Do what is due even if no item comes; called a few times a second."""

    def close(self) -> None:
        """Complete and close the output."""


class Pipe:
    """Standard output."""

    def __init__(self, descriptor: int) -> None:
        self.name = "standard output"
        self.size = 0
        self._descriptor = descriptor
        poll = getattr(select, "poll", None)
        self._poll: Any = poll and poll()
        if self._poll is not None:
            self._poll.register(descriptor, 0)  # poll() always reports errors

    def write(self, line: bytes) -> None:
        """Write a line."""
        try:
            write_all(self._descriptor, line)
        except OSError as failure:
            if failure.errno == errno.EINVAL:  # what Windows says if the reader of a pipe has exited
                raise BrokenPipeError from failure
            raise
        self.size += len(line)

    def tick(self) -> None:
        """Raise `BrokenPipeError` if the reader has exited, even if there is nothing to write.

        On Windows only the next line can show that.
        """
        if self._poll is not None and any(events & select.POLLERR for _, events in self._poll.poll(0)):
            raise BrokenPipeError

    def close(self) -> None:
        """Do nothing: standard output stays open."""


class Plain:
    """A plain file of lines. Opening the file removes a partial last line, left by a loss of power."""

    def __init__(self, path: Path) -> None:
        self.name = path.name
        self._descriptor = opened(path)
        self.size = os.fstat(self._descriptor).st_size
        if _is_regular(self._descriptor):
            self.size = _whole_lines(self._descriptor, self.size)
            os.ftruncate(self._descriptor, self.size)

    def write(self, line: bytes) -> None:
        """Write a line, or nothing."""
        append(self._descriptor, line, self.size)
        self.size += len(line)

    def tick(self) -> None:
        """Do nothing: lines are never held back."""

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)


class Framed:
    """A compressed file, written in frames of a second or a mebibyte. Complete frames are always readable.

    The lines of the incomplete frame are kept uncompressed in `FILE.part`, below a line with their position
    in FILE. When FILE is opened again, these lines are added to it: no written line is lost if the process
    dies, and none is written twice. After FILE has been closed, there is no part file.
    """

    def __init__(self, path: Path, codec: Codec) -> None:
        self.name = path.name
        self._codec = codec
        self._descriptor = opened(path)
        self._part_path = part_of(path)
        self._part = opened(self._part_path)
        self.size = os.fstat(self._descriptor).st_size
        self._part_size = 0
        self._lines: list[bytes] = []
        self._held = 0
        self._since = 0.0
        self._take_up()

    def write(self, line: bytes) -> None:
        """Write a line, or nothing."""
        append(self._part, line, self._part_size)
        self._part_size += len(line)
        if not self._lines:
            self._since = time.monotonic()
        self._lines.append(line)
        self._held += len(line)
        if self._held >= FRAME_BYTES:
            self._complete()

    def tick(self) -> None:
        """Complete a frame that has been open long enough."""
        if self._lines and time.monotonic() - self._since >= FRAME_SECONDS:
            self._complete()

    def close(self) -> None:
        """Complete the last frame. If this fails, the lines stay in the part file."""
        try:
            try:
                self._put_frame()
            finally:
                os.close(self._part)
            self._part_path.unlink(missing_ok=True)  # Windows removes no open file
        finally:
            os.close(self._descriptor)

    def _complete(self) -> None:
        self._put_frame()
        self._begin_part()

    def _put_frame(self) -> None:
        if self._lines:
            frame = self._codec.frame(b"".join(self._lines))
            append(self._descriptor, frame, self.size)
            self.size += len(frame)
        self._lines.clear()
        self._held = 0

    def _begin_part(self) -> None:
        os.ftruncate(self._part, 0)
        head = b"%d\n" % self.size
        append(self._part, head, 0)
        self._part_size = len(head)

    def _take_up(self) -> None:
        """Continue after a process that did not close the file."""
        after, lines = read_part(self._part_path) or (self.size, b"")
        self.size = min(after, self.size)
        os.ftruncate(self._descriptor, self.size)
        self._lines = [lines] if lines else []
        self._complete()


def open_file(path: Path) -> Sink:
    """Open a file for appending, compressed according to its suffix."""
    codec = codec_of(path)
    return Plain(path) if codec is None else Framed(path, codec)


def part_of(path: Path) -> Path:
    """The file that holds the lines of the incomplete frame."""
    return path.with_name(f"{path.name}.part")


def read_part(path: Path) -> tuple[int, bytes] | None:
    """The position at which the lines belong, and the lines; None if there is no valid part file."""
    try:
        head, found, lines = path.read_bytes().partition(b"\n")
    except FileNotFoundError:
        return None
    if not (found and head.isdigit()):
        return None
    return int(head), lines[: lines.rfind(b"\n") + 1]


def opened(path: Path) -> int:
    """Open and lock a file for appending. Raises `OSError`, also if another process holds the lock."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | files.BINARY, 0o666)
    try:
        if _is_regular(descriptor):
            files.lock(descriptor)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def append(descriptor: int, data: bytes, size: int) -> None:
    """Append all of the data to a file of this size, or nothing."""
    try:
        write_all(descriptor, data)
    except OSError:
        with suppress(OSError):  # only a regular file can be truncated
            os.ftruncate(descriptor, size)
        raise


def write_all(descriptor: int, data: bytes) -> None:
    """Write all of the data, even if a pipe accepts it in pieces."""
    written = os.write(descriptor, data)
    while written < len(data):
        written += os.write(descriptor, data[written:])


def _is_regular(descriptor: int) -> bool:
    return stat.S_ISREG(os.fstat(descriptor).st_mode)


def _whole_lines(descriptor: int, size: int) -> int:
    """The position after the last line end."""
    while size:
        start = max(0, size - TAIL)
        found = files.read_at(descriptor, size - start, start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        size = start
    return 0
