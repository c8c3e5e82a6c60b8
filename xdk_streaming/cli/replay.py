"""`xdk-streaming replay`: write the items of a recording again."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Annotated

import typer

from xdk_streaming.cli import items
from xdk_streaming.cli.exits import ExitCode
from xdk_streaming.cli.options import DisplayOptions
from xdk_streaming.cli.recording.frames import Damaged
from xdk_streaming.cli.recording.pipe import Pipe
from xdk_streaming.cli.recording.reading import recorded
from xdk_streaming.wire.decoder import LineDecoder
from xdk_streaming.wire.not_an_item import Invalid

MAX_WARNINGS = 3
"""Lines that are no items of which a warning names the number; the others are counted."""

Files = Annotated[
    list[Path],
    typer.Argument(
        exists=True, dir_okay=False, help="Recordings to replay, in this order: NDJSON, plain, .zst or .gz."
    ),
]
Speed = Annotated[
    float | None,
    typer.Option(
        "--speed",
        min=0.001,
        help="Replay at this multiple of the original speed; default: as fast as possible.",
        metavar="FACTOR",
    ),
]


@dataclass(frozen=True)
class Recordings:
    """Recordings to replay, and how fast."""

    files: list[Path]
    speed: float | None


def replay(files: Files, speed: Speed = None) -> Recordings:
    """Write the items of a recording to standard output again, byte for byte.

    If a recording was not closed or is cut short, its complete items are written, with a warning.
    """
    return Recordings(files, speed)


def show_again(recordings: Recordings, shown: DisplayOptions) -> None:
    """Write the items, up to the limit. Exits with an error message if a recording cannot be read."""
    sink = Pipe(sys.stdout.fileno())
    form = _form(shown)
    try:
        for line in islice(_paced(recordings), shown.limit):
            sink.write(form(line))
    except BrokenPipeError:
        raise typer.Exit(ExitCode.DONE) from None
    except KeyboardInterrupt:
        raise typer.Exit(ExitCode.INTERRUPTED) from None
    except (OSError, Damaged, NoRecording) as failure:
        typer.echo(f"The recording could not be replayed: {failure}", err=True)
        raise typer.Exit(ExitCode.FAILED) from failure


class NoRecording(ValueError):
    """A file has lines, and none of them is an item."""


def _form(shown: DisplayOptions) -> Callable[[bytes], bytes]:
    if shown.format == "text":
        return items.readable
    return items.printable_json if sys.stdout.isatty() else items.as_it_came


def _items(path: Path) -> Iterator[bytes]:
    """The lines of a recording that are items. The others are left out, with warnings."""
    written = left_out = 0
    decode = LineDecoder()
    incomplete: list[str] = []
    for number, line in enumerate(recorded(path, incomplete.append), 1):
        if isinstance(decode(line), Invalid):
            left_out += 1
            if left_out <= MAX_WARNINGS and written:
                _warn(f"line {number} of {path} is no item, and is left out")
            continue
        if not written and left_out:
            _warn(f"the first {left_out:,} lines of {path} are no items, and are left out")
        written += 1
        yield line
    if (left_out or incomplete) and not written:
        raise NoRecording(f"{path} is no recording: not one of its lines is a JSON object")
    for sentence in incomplete:
        _warn(sentence)
    if left_out > MAX_WARNINGS:
        _warn(f"{left_out:,} lines of {path} are no items, and were left out")


def _warn(sentence: str) -> None:
    typer.echo(sentence, err=True)


def _paced(recordings: Recordings) -> Iterator[bytes]:
    """The lines, paced by the times of their posts, at the speed that was asked for."""
    lines = (line for path in recordings.files for line in _items(path))
    if recordings.speed is None:
        yield from lines
        return
    began, first = time.monotonic(), None
    for line in lines:
        moment = items.created_at(line)
        if moment is not None:
            first = moment if first is None else first
            time.sleep(max(0.0, (moment - first) / recordings.speed - (time.monotonic() - began)))
        yield line
