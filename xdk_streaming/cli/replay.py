"""`xdk-streaming replay`: write the items of a recording again."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer

from xdk_streaming.cli.exits import ExitCode
from xdk_streaming.cli.frames import Damaged, codec_of, inflated
from xdk_streaming.cli.items import readable
from xdk_streaming.cli.options import DisplayOptions
from xdk_streaming.cli.sinks import Pipe, part_of, read_part

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
    try:
        for line in islice(_paced(recordings), shown.limit):
            sink.write(line + b"\n" if shown.format == "json" else readable(line))
    except BrokenPipeError:
        raise typer.Exit(ExitCode.DONE) from None
    except KeyboardInterrupt:
        raise typer.Exit(ExitCode.INTERRUPTED) from None
    except (OSError, Damaged, orjson.JSONDecodeError) as failure:
        typer.echo(f"The recording could not be replayed: {failure}", err=True)
        raise typer.Exit(ExitCode.FAILED) from failure


def recorded(path: Path) -> Iterator[bytes]:
    """The lines of a recording, without line ends; blank lines are skipped."""
    part = read_part(part_of(path))
    rest = b""
    for data in _contents(path, None if part is None else part[0]):
        *lines, rest = (rest + data).split(b"\n")
        yield from filter(None, (line.rstrip(b"\r") for line in lines))
    if part is not None:
        yield from filter(None, part[1].split(b"\n"))
    if rest:
        _warn(path, rest)


def _contents(path: Path, end: int | None) -> Iterator[bytes]:
    codec = codec_of(path)
    with path.open("rb") as file:
        if codec is None:
            yield from iter(lambda: file.read(1 << 20), b"")
        else:
            yield from inflated(file, codec, end)


def _warn(path: Path, rest: bytes) -> None:
    typer.echo(
        f"{path} is cut short: the last {len(rest)} bytes are not a complete item, and are ignored", err=True
    )


def _paced(recordings: Recordings) -> Iterator[bytes]:
    """The lines, paced by the times of their posts, at the speed that was asked for."""
    lines = (line for path in recordings.files for line in recorded(path))
    if recordings.speed is None:
        yield from lines
        return
    began, first = time.monotonic(), None
    for line in lines:
        moment = _written_at(line)
        if moment is not None:
            first = moment if first is None else first
            time.sleep(max(0.0, (moment - first) / recordings.speed - (time.monotonic() - began)))
        yield line


def _written_at(line: bytes) -> float | None:
    item: Any = orjson.loads(line)
    data = item.get("data") if isinstance(item, dict) else None
    moment = data.get("created_at") if isinstance(data, dict) else None
    if not isinstance(moment, str):
        return None
    return datetime.fromisoformat(moment.replace("Z", "+00:00")).timestamp()
