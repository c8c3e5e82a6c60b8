"""Recordings as lines, whatever state they are in. Nothing is changed."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from xdk_streaming import files
from xdk_streaming.cli.recording.ending import FileEnding, ending_of
from xdk_streaming.cli.recording.frames import Codec, Damaged, codec_of, inflated
from xdk_streaming.cli.recording.lines import is_json
from xdk_streaming.cli.recording.part import MAX_PART, ForeignPart, Held, held_by, part_of

CHUNK = 1 << 20


def recorded(path: Path, warn: Callable[[str], None]) -> Iterator[bytes]:
    """The lines of a recording, without line ends; blank lines are skipped.

    `warn` takes sentences about what is incomplete and therefore left out. Raises `OSError`, or `Damaged` if
    a compressed file has no complete frame but other data.
    """
    codec = codec_of(path)
    with path.open("rb") as file:
        if codec is None:
            yield from _lines(path, iter(lambda: file.read(CHUNK), b""), warn)
            return
        held = _held(path, warn)
        ending = _ending(file.fileno(), codec, held)
        yield from _lines(path, _decompressed(path, file, codec, ending, warn), warn)
        if not ending.holds:
            yield from _lines(path, iter([held.lines]), warn)


def _lines(path: Path, contents: Iterator[bytes], warn: Callable[[str], None]) -> Iterator[bytes]:
    rest = b""
    for data in contents:
        *lines, rest = (rest + data).split(b"\n")
        yield from filter(None, (line.rstrip(b"\r") for line in lines))
    if rest and is_json(rest):
        yield rest
    elif rest:
        warn(f"{path} ends in the middle of a line; the last {len(rest)} bytes are ignored")


def _decompressed(
    path: Path, file: BinaryIO, codec: Codec, ending: FileEnding, warn: Callable[[str], None]
) -> Iterator[bytes]:
    any_data = False
    try:
        for data in inflated(file, codec, ending.whole if ending.begins else ending.size):
            any_data = True
            yield data
    except Damaged as damage:
        if not any_data:
            raise Damaged(f"{path} is damaged or not a {path.suffix} file: {damage}") from damage
        warn(f"{path} is damaged, or has other data at its end, which is ignored: {damage}")
        return
    if not (ending.clean or ending.begins):
        warn(f"{path} ends in the middle of a compressed frame; only its complete part is read")


def _held(path: Path, warn: Callable[[str], None]) -> Held:
    part = part_of(path.resolve())
    if part.is_symlink() or not part.is_file() or part.stat().st_size > MAX_PART:
        return Held()
    try:
        held = held_by(part.read_bytes())
    except ForeignPart:
        warn(f"{part} is no part of a recording, and is ignored")
        return Held()
    if held.torn is not None:
        warn(f"{part} ends in the middle of a line, which is ignored")
    return held


def _ending(descriptor: int, codec: Codec, held: Held) -> FileEnding:
    def read(count: int, place: int) -> bytes:
        return files.read_at(descriptor, count, place)

    place = os.lseek(descriptor, 0, os.SEEK_CUR)
    try:
        return ending_of(read, os.fstat(descriptor).st_size, codec, held.position, held.lines)
    finally:
        os.lseek(descriptor, place, os.SEEK_SET)
