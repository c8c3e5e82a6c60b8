"""Recordings in the form that the simulator reads: plain files of complete lines."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import typer

from xdk_streaming.cli.recording.frames import codec_of
from xdk_streaming.cli.recording.lines import is_json
from xdk_streaming.cli.recording.reading import recorded

LONGEST_TAIL = 64 * 2**20
"""Bytes at the end of a file that are searched for the start of the last line."""


@contextmanager
def whole_lines(path: Path) -> Iterator[Path]:
    """The file itself, or a temporary copy: decompressed, and without an incomplete last line.

    Warns on standard error of anything left out. Raises `OSError`, or `ValueError` if the file is not a
    recording.
    """
    if codec_of(path) is None and _has_whole_lines(path):
        yield path
        return
    with TemporaryDirectory(prefix="xdk-streaming-") as folder:
        plain = Path(folder) / "recording.ndjson"
        with plain.open("wb") as file:
            file.writelines(line + b"\n" for line in recorded(path, _warn))
        yield plain


def _has_whole_lines(path: Path) -> bool:
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - LONGEST_TAIL))
        tail = file.read().rpartition(b"\n")[2]
    return not tail or is_json(tail)


def _warn(sentence: str) -> None:
    typer.echo(f"Warning: {sentence}.", err=True)
