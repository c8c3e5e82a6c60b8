"""Where the complete frames of a compressed file end, and what is behind them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from xdk_streaming.cli.recording.frames import READ, Codec, Damaged

SEARCHED = 4 * 2**20
"""Bytes at the end of a file in which the beginning of its last frames is searched."""
MAX_STARTS = 64
"""Places that are tried as the beginning of a frame before the whole file is read."""

ReadAt = Callable[[int, int], bytes]
"""Reads so many bytes from a place in the file on."""


@dataclass(frozen=True)
class FileEnding:
    """What is known of the end of a file."""

    whole: int
    """Where the last complete frame ends."""
    size: int
    """Where the file ends."""
    frames: int = 0
    """Complete frames that were read. Their checksums make sure that this is not by chance."""
    holds: bool = False
    """Whether one of these frames has exactly the lines that were asked for."""
    begins: bool = False
    """Whether the rest is the beginning of a frame with these lines."""
    ends_line: bool = True
    """Whether the last complete frame ends with a line end."""

    @property
    def clean(self) -> bool:
        """Whether the file ends with a complete frame."""
        return self.whole == self.size


def ending_of(read: ReadAt, size: int, codec: Codec, position: int = 0, lines: bytes = b"") -> FileEnding:
    """The ending of a file. `lines` may be those of a frame that begins at `position` or later.

    The file is read from the position on; without one, from one of its last frames on. Only if that proves
    nothing, the whole file is read.
    """
    if 0 < position < size:
        found = _walk(read, position, size, codec, lines)
        if found.frames or found.begins:
            return found
    for start in _starts(read, size, codec):
        found = _walk(read, start, size, codec, lines)
        if found.frames and found.clean:
            return found
    return _walk(read, 0, size, codec, lines)


def _starts(read: ReadAt, size: int, codec: Codec) -> Iterator[int]:
    """Places where a frame may begin, the last first."""
    first = max(0, size - SEARCHED)
    data = read(size - first, first)
    at = len(data)
    for _ in range(MAX_STARTS):
        at = data.rfind(codec.magic, 0, at)
        if at < 0:
            return
        yield first + at


def _walk(read: ReadAt, start: int, size: int, codec: Codec, lines: bytes) -> FileEnding:
    """ReadAt frame after frame."""
    reader, place, whole = codec.reader(), start, start
    frames, holds, at, same, last = 0, False, 0, bool(lines), b"\n"
    ends_line = True
    while place < size:
        data = read(min(READ, size - place), place)
        if not data:  # the file was truncated meanwhile
            break
        place += len(data)
        while data:
            try:
                out = codec.decompress(reader, data)
            except Damaged:
                return FileEnding(whole, size, frames, holds, False, ends_line)
            same = same and lines.startswith(out, at)
            at, last, data = at + len(out), out[-1:] or last, b""
            if reader.eof:
                frames, whole, ends_line = frames + 1, place - len(reader.unused_data), last == b"\n"
                holds = holds or (same and at == len(lines))
                reader, data, at, same = codec.reader(), reader.unused_data, 0, bool(lines)
    return FileEnding(whole, size, frames, holds, same and whole < size, ends_line)
