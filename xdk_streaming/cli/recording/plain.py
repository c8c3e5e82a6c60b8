"""A plain file of lines."""

from __future__ import annotations

from pathlib import Path

from xdk_streaming.cli.recording.appended import AppendedFile
from xdk_streaming.cli.recording.foreign import refuse_foreign
from xdk_streaming.cli.recording.lines import is_json
from xdk_streaming.log import logger

TAIL = 64 * 1024
MAX_TAIL = 2**28
"""Bytes above which a last line is not parsed, and counts as torn."""


class Plain:
    """A plain file of lines.

    Nothing in the file changes before the first line is written. Then a last line without its line end gets
    it, or is set aside if it is incomplete, as after a loss of power.
    """

    files = 1

    def __init__(self, path: Path) -> None:
        self.name = path.name
        self._file = AppendedFile(path)
        try:
            refuse_foreign(self._file.read(TAIL, 0), path)
        except OSError:
            self._file.close()
            raise
        self._begun = False

    @property
    def size(self) -> int:
        """Bytes that were written."""
        return self._file.added

    def write(self, line: bytes) -> None:
        """Write a line, or nothing."""
        if not self._begun:
            self._end_last_line()
            self._begun = True
        self._file.append(line)

    def tick(self) -> None:
        """Do nothing: lines are never held back."""

    def moved(self) -> bool:
        """Whether the path names another file by now, or none."""
        return self._file.moved()

    def rescued(self, size: int) -> bytes:
        """The lines that were written after so many bytes, if the file was removed; otherwise nothing."""
        return self._file.last(self.size - size) if self._file.removed() else b""

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _end_last_line(self) -> None:
        size = self._file.size()
        start = self._whole_lines(size)
        if start == size:
            return
        if size - start <= MAX_TAIL and is_json(self._file.read(size - start, start)):
            self._file.append(b"\n")
            return
        aside = self._file.set_aside(start)
        logger.warning(
            "%s ended within a line; the piece of %d bytes is now in %s", self.name, size - start, aside.name
        )

    def _whole_lines(self, size: int) -> int:
        """The position after the last line end."""
        while size:
            start = max(0, size - TAIL)
            found = self._file.read(size - start, start).rfind(b"\n")
            if found >= 0:
                return start + found + 1
            size = start
        return 0
