"""A compressed file of lines, written in frames."""

from __future__ import annotations

import time
from contextlib import suppress
from io import BytesIO
from pathlib import Path

from xdk_streaming.cli.recording.appended import AppendedFile
from xdk_streaming.cli.recording.ending import ending_of
from xdk_streaming.cli.recording.foreign import refuse_foreign
from xdk_streaming.cli.recording.frames import READ, Codec, Damaged, inflated
from xdk_streaming.cli.recording.part import Held, Part, part_of
from xdk_streaming.log import logger

FRAME_BYTES = 1 << 20
"""Uncompressed bytes after which a frame is completed."""
FRAME_SECONDS = 1.0
"""Seconds after which a frame is completed."""


class Compressed:
    """A compressed file, written in frames of a second or a mebibyte. Complete frames are always readable.

    The lines of the incomplete frame are kept uncompressed in `FILE.part`. When FILE is opened again, they
    are added to it: no written line is lost if the process dies, and none is written twice. After FILE has
    been closed, there is no part file.

    Nothing in either file changes before the first line is written. Then an incomplete frame at the end is
    removed if its lines are in the part file, and otherwise set aside.
    """

    files = 1

    def __init__(self, path: Path, codec: Codec) -> None:
        self.name = path.name
        self._codec = codec
        self._file = AppendedFile(path)
        try:
            refuse_foreign(self._file.read(READ, 0), path)
            self._part = Part(part_of(path.resolve()))
        except OSError:
            self._file.close()
            raise
        self._begun = False
        self._lines: list[bytes] = []
        self._held = 0
        self._since = 0.0

    @property
    def size(self) -> int:
        """Bytes that were written in complete frames."""
        return self._file.added

    def write(self, line: bytes) -> None:
        """Write a line, or nothing."""
        self.take_up()
        if self._held >= FRAME_BYTES:
            self._complete()
        self._part.file.append(line)
        if not self._lines:
            self._since = time.monotonic()
        self._lines.append(line)
        self._held += len(line)

    def tick(self) -> None:
        """Complete a frame that is large enough, or has been open long enough."""
        if self._held >= FRAME_BYTES or (self._lines and time.monotonic() - self._since >= FRAME_SECONDS):
            self._complete()

    def moved(self) -> bool:
        """Whether the path names another file by now, or none."""
        return self._file.moved() or self._part.file.moved()

    def take_up(self) -> None:
        """Add what an earlier process left in the part file. The second call does nothing."""
        if self._begun:
            return
        held = self._part.take_up()
        if not self._is_there(held) and held.lines:
            self._file.append(self._codec.frame(held.lines))
        self._part.begin(self._file.size())
        self._begun = True

    def rescued(self, size: int) -> bytes:
        """The lines that were written after so many bytes, if the file was removed; otherwise nothing."""
        if not self._file.removed():
            return b""
        frames = BytesIO(self._file.last(self.size - size))
        lines = b"".join([*inflated(frames, self._codec), *self._lines])
        self._lines.clear()
        return lines

    def close(self) -> None:
        """Complete the last frame. If this fails, the lines stay in the part file.

        A file without any line becomes a compressed file of nothing, which other programs can read.
        """
        try:
            if self._begun:
                self._put_frame()
                self._part.remove()
            else:
                self._leave_as_found()
        except OSError:
            self._part.file.close()
            raise
        finally:
            self._file.close()

    def _add_lines_of(self, aside: Path) -> None:
        """Add the complete lines of an incomplete frame, as far as it can be decompressed."""
        rest = b""
        with aside.open("rb") as file, suppress(Damaged):
            for data in inflated(file, self._codec):
                rest += data
                whole = rest.rfind(b"\n") + 1
                if whole >= FRAME_BYTES:
                    self._file.append(self._codec.frame(rest[:whole]))
                    rest = rest[whole:]
        if whole := rest.rfind(b"\n") + 1:
            self._file.append(self._codec.frame(rest[:whole]))

    def _leave_as_found(self) -> None:
        if self._part.file.size():
            self._part.file.close()  # its lines wait for another recorder
            return
        if not self._file.size():
            self._file.append(self._codec.frame(b""))
        self._part.remove()

    def _complete(self) -> None:
        self._put_frame()
        self._part.begin(self._file.size())

    def _put_frame(self) -> None:
        if self._lines:
            self._file.append(self._codec.frame(b"".join(self._lines)))
        self._lines.clear()
        self._held = 0

    def _is_there(self, held: Held) -> bool:
        """Whether the lines are in the file already. Makes sure that the file ends with a complete frame."""
        size = self._file.size()
        ending = ending_of(self._file.read, size, self._codec, held.position, held.lines)
        if not ending.clean:
            if held.lines and ending.begins:
                self._file.truncate(ending.whole)
            else:
                aside = self._file.set_aside(ending.whole)
                logger.warning(
                    "%s ended within a frame, or with other data; its last %d bytes are now in %s. "
                    "Their complete lines were added again",
                    self.name,
                    size - ending.whole,
                    aside.name,
                )
                self._add_lines_of(aside)
        if not ending.ends_line:
            self._file.append(self._codec.frame(b"\n"))
        return ending.holds
