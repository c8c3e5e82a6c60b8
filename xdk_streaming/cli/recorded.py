"""Recordings in the form that the simulator reads: plain files of complete lines."""

from __future__ import annotations

import json
import shutil
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO

import typer
import zstandard

from xdk_streaming.cli.frames import READ, Codec, codec_of

LONGEST_TAIL = 64 * 2**20
"""Bytes at the end of a file that are searched for the start of the last line."""


@contextmanager
def whole_lines(path: Path) -> Iterator[Path]:
    """The file itself, or a temporary copy: decompressed, and without an incomplete last line.

    Warns on standard error of anything left out. Raises `OSError`, or `ValueError` if the file is not a
    recording.
    """
    codec = codec_of(path)
    if codec is None and not _half_line(path):
        yield path
        return
    with TemporaryDirectory(prefix="xdk-streaming-") as folder:
        plain = Path(folder) / "recording.ndjson"
        if codec is None:
            shutil.copyfile(path, plain)
        else:
            _inflate(path, codec, plain)
        if half := _half_line(plain):
            with plain.open("r+b") as file:
                file.truncate(plain.stat().st_size - half)
            _warn(f"{path} ends in the middle of a line; the last {half} bytes are ignored")
        yield plain


def _inflate(path: Path, codec: Codec, plain: Path) -> None:
    with path.open("rb") as source, plain.open("wb") as target:
        try:
            whole = _copy(source, codec, target)
        except (zlib.error, zstandard.ZstdError) as damage:
            raise ValueError(f"{path} is damaged or not a {path.suffix} file: {damage}") from damage
    if not whole:
        _warn(f"{path} ends in the middle of a compressed frame; only its complete part is served")


def _copy(source: BinaryIO, codec: Codec, target: BinaryIO) -> bool:
    """Decompress frame after frame. Returns whether the file ends with a complete frame."""
    reader, begun = codec.reader(), False
    while data := source.read(READ):
        while data:
            target.write(reader.decompress(data))
            begun, data = True, b""
            if reader.eof:
                reader, begun, data = codec.reader(), False, reader.unused_data
    return not begun


def _half_line(path: Path) -> int:
    """The length of a last line that has no line end and is not JSON; 0 if the last line is complete."""
    size = path.stat().st_size
    with path.open("rb") as file:
        file.seek(max(0, size - 1))
        if file.read(1) in {b"", b"\n"}:
            return 0
        file.seek(max(0, size - LONGEST_TAIL))
        tail = file.read().rpartition(b"\n")[2]
    return 0 if _is_json(tail) else len(tail)


def _is_json(line: bytes) -> bool:
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return False
    return True


def _warn(sentence: str) -> None:
    typer.echo(f"Warning: {sentence}.", err=True)
