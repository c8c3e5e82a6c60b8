"""The part file of a compressed recording: `FILE.part`, in which the lines of the incomplete frame are plain.

Its first line is the position in FILE at which the frame begins. The lines of the frame follow.
"""

from __future__ import annotations

import errno
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from xdk_streaming.cli.recording.appended import AppendedFile
from xdk_streaming.cli.recording.lines import is_json, looks_like_item
from xdk_streaming.log import logger

MAX_PART = 2**28
"""Bytes above which a file is no part of a recording: a frame is a mebibyte and a line."""
MAX_DIGITS = 20


class ForeignPart(ValueError):
    """What is in the place of a part file was not written by a recorder."""


@dataclass(frozen=True)
class Held:
    """What a part file holds."""

    position: int = 0
    """Where in FILE the frame begins."""
    lines: bytes = b""
    """The complete lines, each with its line end."""
    torn: int | None = None
    """Where in the part file a line begins that is incomplete; None if there is none."""


def part_of(path: Path) -> Path:
    """The part file of a recording."""
    return path.with_name(f"{path.name}.part")


def held_by(data: bytes) -> Held:
    """What a part file with this content holds. Raises `ForeignPart`."""
    head, found, lines = data.partition(b"\n")
    if len(head) > MAX_DIGITS or not (head.isdigit() or data == b""):
        raise ForeignPart
    if not found:  # the process died while it wrote the position
        return Held()
    whole = lines.rfind(b"\n") + 1
    rest = lines[whole:]
    if not all(looks_like_item(line) for line in lines[:whole].split(b"\n") if line):
        raise ForeignPart
    if looks_like_item(rest) and is_json(rest):  # all but the line end was written
        return Held(int(head), lines + b"\n")
    return Held(int(head), lines[:whole], len(head) + 1 + whole if rest else None)


class Part:
    """An open part file."""

    def __init__(self, path: Path) -> None:
        self.name = path.name
        try:
            self.file = AppendedFile(path, alone=True)
        except BlockingIOError:
            raise
        except OSError as refusal:
            if refusal.errno in (errno.ELOOP, errno.EMLINK, errno.EINVAL):
                words = f"{path.name} is a link or no regular file; remove it, or record to another file"
                raise OSError(refusal.errno, words) from refusal
            raise

    def take_up(self) -> Held:
        """What an earlier process left. What it did not complete, or did not write, is set aside."""
        size = self.file.size()
        try:
            held = held_by(self.file.read(size, 0) if size <= MAX_PART else b"too long")
        except ForeignPart:
            aside = self.file.set_aside(0)
            logger.warning("%s was no part of a recording; its content is now in %s", self.name, aside.name)
            return Held()
        if held.torn is not None:
            aside = self.file.set_aside(held.torn)
            logger.warning("%s ended within a line; the piece is now in %s", self.name, aside.name)
        return held

    def begin(self, position: int) -> None:
        """Begin the lines of another frame. Those of the last one are in FILE by now."""
        self.file.truncate(0)
        self.file.append(b"%d\n" % position)

    def remove(self) -> None:
        """Close and remove the file, if it is still in its place."""
        here = not self.file.moved()
        self.file.close()  # Windows removes no open file
        if here:
            with suppress(FileNotFoundError):
                self.file.path.unlink()
