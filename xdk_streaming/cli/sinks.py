"""Where items go, a line each: standard output, a file, a compressed file.

`write` has the line with the operating system when it returns, whatever becomes of this process then.
That is what makes a checkpoint true: an item counts as delivered when the next is asked for. All raise
`OSError` where a line could not be written whole; none leaves half a line behind.
"""

from __future__ import annotations

import fcntl
import os
import select
import stat
import time
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from xdk_streaming.cli.frames import Codec, codec_of

FRAME_BYTES = 1 << 20
"""What a frame holds, uncompressed, before it is completed."""
FRAME_SECONDS = 1.0
"""How long it stays open, at most."""
TAIL = 64 * 1024


class Sink(Protocol):
    """What items are written to. For one thread at a time."""

    name: str
    """What to call it."""
    size: int
    """Bytes there, as far as they are known."""

    def write(self, line: bytes) -> None:
        """Write a line, its end included."""

    def tick(self) -> None:
        """What is to be done now and then, though nothing comes."""

    def close(self) -> None:
        """Complete what is open."""


class Pipe:
    """Standard output."""

    def __init__(self, descriptor: int) -> None:
        self.name = "standard output"
        self.size = 0
        self._descriptor = descriptor
        self._poll = select.poll()
        self._poll.register(descriptor, 0)  # errors are told unasked

    def write(self, line: bytes) -> None:
        """Write a line."""
        write_all(self._descriptor, line)
        self.size += len(line)

    def tick(self) -> None:
        """See whether the reader has gone, before there is anything to write to it."""
        if any(events & select.POLLERR for _, events in self._poll.poll(0)):
            raise BrokenPipeError

    def close(self) -> None:
        """Nothing is open."""


class Plain:
    """A file of lines. One that was cut short within a line, by a loss of power, loses that piece."""

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
        """Nothing waits."""

    def close(self) -> None:
        """Close it."""
        os.close(self._descriptor)


class Framed:
    """A compressed file, in frames of a second or a mebibyte: readable to its last complete one at any time.

    The lines of the frame that is not complete stand uncompressed in `FILE.part`, under a line that tells
    where in FILE they belong. Who opens FILE again puts them there: nothing that was written is lost
    with the process, and nothing comes twice. A FILE that was closed has no part.
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
        """Complete a frame that has been open for long."""
        if self._lines and time.monotonic() - self._since >= FRAME_SECONDS:
            self._complete()

    def close(self) -> None:
        """Complete the last frame. Where that fails its lines stay in the part."""
        try:
            self._put_frame()
            self._part_path.unlink(missing_ok=True)
        finally:
            os.close(self._part)
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
        """Go on where a process stopped that did not close the file."""
        after, lines = read_part(self._part_path) or (self.size, b"")
        self.size = min(after, self.size)
        os.ftruncate(self._descriptor, self.size)
        self._lines = [lines] if lines else []
        self._complete()


def open_file(path: Path) -> Sink:
    """A file to append to, compressed as its suffix says."""
    codec = codec_of(path)
    return Plain(path) if codec is None else Framed(path, codec)


def part_of(path: Path) -> Path:
    """Where the lines of a frame that is not complete are."""
    return path.with_name(f"{path.name}.part")


def read_part(path: Path) -> tuple[int, bytes] | None:
    """Where in the file the lines belong, and the lines; None without any such thing."""
    try:
        head, found, lines = path.read_bytes().partition(b"\n")
    except FileNotFoundError:
        return None
    if not (found and head.isdigit()):
        return None
    return int(head), lines[: lines.rfind(b"\n") + 1]


def opened(path: Path) -> int:
    """A descriptor to append with, which no other process has. Raises `OSError`."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)
    try:
        if _is_regular(descriptor):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def append(descriptor: int, data: bytes, size: int) -> None:
    """Write all of it to the end of a file of this size, or nothing."""
    try:
        write_all(descriptor, data)
    except OSError:
        with suppress(OSError):  # no regular file: it cannot be taken back
            os.ftruncate(descriptor, size)
        raise


def write_all(descriptor: int, data: bytes) -> None:
    """Write all of it, though a pipe may take it in pieces."""
    written = os.write(descriptor, data)
    while written < len(data):
        written += os.write(descriptor, data[written:])


def _is_regular(descriptor: int) -> bool:
    return stat.S_ISREG(os.fstat(descriptor).st_mode)


def _whole_lines(descriptor: int, size: int) -> int:
    """The place behind the last end of a line."""
    while size:
        start = max(0, size - TAIL)
        found = os.pread(descriptor, size - start, start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        size = start
    return 0
