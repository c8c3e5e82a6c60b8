"""Opening an output by its path: a recording, or a pipe or device."""

from __future__ import annotations

from pathlib import Path

from xdk_streaming.cli.recording.followed import Followed
from xdk_streaming.cli.recording.frames import CODECS, codec_of
from xdk_streaming.cli.recording.pipe import NamedPipe
from xdk_streaming.cli.recording.sink import Sink

PLAIN_SUFFIXES = ("", ".ndjson", ".jsonl", ".json")
"""Ends of names of plain recordings. Each of them may be followed by that of a compression."""


def open_output(path: Path) -> Sink:
    """Open a recording for appending, compressed according to its suffix; or a pipe or device.

    Raises `OSError`.
    """
    if codec_of(path) is None and path.exists() and not path.is_file():
        return NamedPipe(path)
    return Followed(path)


def is_supported(path: Path) -> bool:
    """Whether a recording of this name can be written: its suffix says nothing else than what is in it."""
    inner = Path(path.stem) if codec_of(path) else path
    return inner.suffix.lower() in PLAIN_SUFFIXES or (path.exists() and not path.is_file())


def supported() -> str:
    """The supported ends of names, for people."""
    return f"{', '.join(PLAIN_SUFFIXES[1:])} or no suffix, each also followed by {' or '.join(CODECS)}"
