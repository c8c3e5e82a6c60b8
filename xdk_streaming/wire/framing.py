"""Splits bytes into lines. Knows nothing of JSON, HTTP or time.

Only LF ends a line. A text decoder would also end it at U+2028, U+0085 and others, which JSON strings may
contain unescaped. The bytes are scanned once, however they are cut, so the time for a line is proportional to
its length.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from xdk_streaming.errors import StreamError, StreamErrorType

OVERSIZED_HEAD_BYTES = 64 * 1024
"""Bytes that are kept of a line longer than allowed."""
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
class Unended:
    """The beginning of a line whose LF did not arrive."""

    line: bytes | Oversized

    def __len__(self) -> int:
        return len(self.line)


def bare(line: bytes | Oversized | Unended) -> bytes | Oversized:
    """The line itself, whether an LF ended it or not."""
    return line.line if isinstance(line, Unended) else line


class LineSplitter:
    """Collects bytes and returns whole lines, without their LF.

    A line longer than `max_bytes` is returned as `Oversized`, and its excess is not kept. Its neighbours are
    whole. At four times the limit the data is no longer a stream of lines: `runaway` is then the error, and
    all further bytes are ignored.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._runaway_at = RUNAWAY_FACTOR * max_bytes + 1
        self._kept = min(max(max_bytes, OVERSIZED_HEAD_BYTES), self._runaway_at)
        self.begun = 0
        """Bytes received of a line whose LF has not arrived yet."""
        self._held = bytearray()
        self.runaway: StreamError | None = None
        """The error if a line went on for too long; None otherwise."""

    def feed(self, data: bytes) -> list[bytes | Oversized]:
        """The lines that `data` completes, in order. Lines from a runaway line on are left out."""
        if self.runaway is not None:
            return []
        lines: list[Any] = data.split(b"\n")
        rest = lines.pop()
        if self.begun + len(data) > self._max_bytes:
            return self._guarded(lines, rest)
        if lines and self.begun:
            self._hold(lines[0])
            lines[0] = self._release()
        if rest:
            self._hold(rest)
        return lines

    def tail(self) -> bytes | Oversized:
        """The bytes after the last LF, which may be none. The splitter is empty afterwards."""
        return self._release()

    def _guarded(self, whole: list[bytes], rest: bytes) -> list[bytes | Oversized]:
        """The lines, each checked for its length: one of them may be too long."""
        lines: list[bytes | Oversized] = []
        for piece in whole:
            self._hold(piece)
            if self.runaway is not None:
                return lines
            lines.append(self._release())
        self._hold(rest)
        return lines

    def _hold(self, piece: bytes) -> None:
        room = self._kept - self.begun
        if room > 0:
            self._held += memoryview(piece)[:room]
        self.begun += len(piece)
        if self.begun >= self._runaway_at:
            self.begun = self._runaway_at  # the same number, however the bytes were cut
            self.runaway = _runaway(self._max_bytes)

    def _release(self) -> bytes | Oversized:
        line, length = bytes(self._held), self.begun
        self._held, self.begun = bytearray(), 0
        return line if length <= self._max_bytes else Oversized(line[:OVERSIZED_HEAD_BYTES], length)


def _runaway(max_bytes: int) -> StreamError:
    return StreamError(
        f"A line of more than {RUNAWAY_FACTOR * max_bytes:,} bytes came; this connection is given up. "
        f"Raise max_item_bytes (now {max_bytes:,}) if lines may be that long",
        StreamErrorType.STREAM_INTERRUPTED,
    )
