"""Splits bytes into lines. Knows nothing of JSON, HTTP or time.

Only LF ends a line. A text decoder would also end it at U+2028, U+0085 and others, which JSON strings may
contain unescaped. The bytes are scanned once, however they are cut, so the time for a line is proportional to
its length.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from xdk_streaming.errors import StreamError, StreamErrorType

OVERSIZED_HEAD_BYTES = 64 * 1024
"""Bytes that are kept of a line longer than allowed."""
LONG_BYTES = 1024 * 1024
"""A line of more bytes than this is returned as a `Long`. X's longest posts have a tenth of it."""
MIN_ROOM = 40 * 1024 * 1024
"""Bytes that a line may take when it is parsed, at least; more if `max_bytes` is larger than the default."""
FEW_BYTES = 8
"""If the lines of a piece of data are shorter than this on average, its blank lines are gathered."""
BLANK = (b"", b"\r")
RUNAWAY_FACTOR = 4
"""With this many times `max_bytes` and no LF, the data is no longer a stream of lines."""


@dataclass(frozen=True)
class Oversized:
    """A line longer than allowed: its first bytes and its length, without the LF."""

    head: bytes
    length: int

    def __len__(self) -> int:
        return self.length

    def startswith(self, prefix: bytes) -> bool:
        """Whether the line begins with `prefix`, as `bytes.startswith` says it."""
        return self.head.startswith(prefix)


@dataclass(frozen=True)
class Long:
    """A whole line of more than `LONG_BYTES`. Such a line is weighed before it is parsed.

    It is no `bytes`, so the quick functions of a decoder refuse it, and short lines cost no comparison.
    """

    line: bytes
    room: int
    """Bytes that the content of the line may take."""

    def __len__(self) -> int:
        return len(self.line)

    def startswith(self, prefix: bytes) -> bool:
        """Whether the line begins with `prefix`, as `bytes.startswith` says it."""
        return self.line.startswith(prefix)


@dataclass(frozen=True)
class Blanks:
    """Blank lines in a row. The last line of the row is not among them, and follows as a line of its own."""

    count: int

    def __len__(self) -> int:
        return 0


@dataclass(frozen=True)
class Unended:
    """The beginning of a line whose LF did not arrive."""

    line: bytes | Oversized | Long

    def __len__(self) -> int:
        return len(self.line)


StreamLine = bytes | Oversized | Long | Blanks
"""What a splitter returns."""


def bare(line: StreamLine | Unended) -> Any:
    """The line itself, however long it is, and whether an LF ended it or not."""
    if isinstance(line, Unended):
        line = line.line
    return line.line if isinstance(line, Long) else line


def may_be_item(line: StreamLine | Unended) -> bool:
    """Whether a line is long enough for an object with a name and a value: a quick look for who counts."""
    return len(line) > 5 and (type(line) is not bytes or b"{" in line)


class LineSplitter:
    """Collects bytes and returns whole lines, without their LF.

    A line longer than `max_bytes` is returned as `Oversized`, and its excess is not kept. Its neighbours are
    whole. At four times the limit the data is no longer a stream of lines: `runaway` is then the error, and
    all further bytes are ignored. Many blank lines are returned as a few `Blanks`.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._unchecked = min(max_bytes, LONG_BYTES)
        self._room = max(MIN_ROOM, max_bytes + max_bytes // 4)
        self._runaway_at = RUNAWAY_FACTOR * max_bytes + 1
        self._head = min(OVERSIZED_HEAD_BYTES, self._runaway_at)
        self.begun = 0
        """Bytes received of a line whose LF has not arrived yet."""
        self._held = bytearray()
        self.runaway: StreamError | None = None
        """The error if a line went on for too long; None otherwise."""

    def feed(self, data: bytes) -> list[StreamLine]:
        """The lines that `data` completes, in order. Lines from a runaway line on are left out."""
        if self.runaway is not None:
            return []
        lines: list[Any] = data.split(b"\n")
        rest = lines.pop()
        if self.begun + len(data) > self._max_bytes or len(data) > LONG_BYTES:
            lines = list(self._guarded(lines))
        elif lines and self.begun:
            self._hold(lines[0])
            lines[0] = self._release()
        if rest and self.runaway is None:
            self._hold(rest)
        return lines if len(lines) * FEW_BYTES < len(data) else list(_gathered(lines))

    def tail(self) -> bytes | Oversized | Long:
        """The bytes after the last LF, which may be none. The splitter is empty afterwards."""
        return self._release()

    def _guarded(self, whole: list[bytes]) -> Iterator[bytes | Oversized | Long]:
        """The lines, each checked for its length: one of them may be too long."""
        for piece in whole:
            if self.begun or len(piece) > self._unchecked:
                self._hold(piece)
                if self.runaway is not None:
                    return
                yield self._release()
            else:
                yield piece

    def _hold(self, piece: bytes) -> None:
        self.begun += len(piece)
        if self.begun <= self._max_bytes:
            self._held += piece
            return
        room = self._head - len(self._held)
        if room > 0:
            self._held += memoryview(piece)[:room]
        else:
            del self._held[self._head :]
        if self.begun >= self._runaway_at:
            self.begun = self._runaway_at  # the same number, however the bytes were cut
            self.runaway = _runaway(self._max_bytes)

    def _release(self) -> bytes | Oversized | Long:
        line, length = bytes(self._held), self.begun
        self._held, self.begun = bytearray(), 0
        if length <= self._unchecked:
            return line
        return Long(line, self._room) if length <= self._max_bytes else Oversized(line, length)


def _gathered(lines: Sequence[Any]) -> Iterator[Any]:
    """The lines, with all but the last blank line of each row of them as one `Blanks`."""
    for blank, row in groupby(lines, BLANK.__contains__):
        if not blank:
            yield from row
            continue
        *before, last = row
        if before:
            yield Blanks(len(before))
        yield last


def _runaway(max_bytes: int) -> StreamError:
    return StreamError(
        f"A line of more than {RUNAWAY_FACTOR * max_bytes:,} bytes came; this connection is given up. "
        f"Raise max_item_bytes (now {max_bytes:,}) if lines may be that long",
        StreamErrorType.STREAM_INTERRUPTED,
    )
