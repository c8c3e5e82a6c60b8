"""Writes the pages in docs/ made from the command line: its manual, and a picture of the live view."""

from __future__ import annotations

import io
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.terminal_theme import SVG_EXPORT_THEME, TerminalTheme
from typer.main import get_command
from typer.testing import CliRunner

from xdk_streaming import ConnectionState, StreamError, StreamErrorType, StreamState, Transition, Trigger
from xdk_streaming.cli.app import app
from xdk_streaming.cli.exits import MEANINGS
from xdk_streaming.cli.meter import Meter
from xdk_streaming.cli.options import ENVIRONMENT_PREFIX
from xdk_streaming.cli.panel import Facts, picture
from xdk_streaming.cli.recording.opening import supported
from xdk_streaming.cli.recording.pipe import Pipe
from xdk_streaming.cli.reporting import transition_event
from xdk_streaming.cli.stream import VERBS

DOCS = Path(__file__).parent
COMMON = "Fields and expansions to request:"
"""The first option that all streaming verbs share."""
WIDTH, ROWS = 92, 22
NOW = 1_800_000_000.0

INTRODUCTION = f"""\
# The command line

Items go to standard output or to the file named by `--output`, one per line, as X sent them. Everything
else goes to standard error: on a terminal a live view, otherwise a line per event and a summary every
minute.

The bearer token is read from the file named by `--bearer-token-file`, or from `X_BEARER_TOKEN`,
`BEARER_TOKEN` or `TWITTER_BEARER_TOKEN`. Except for `demo`, `diagram` and `faults`, every option can also
be set by an environment variable, which is the same for all verbs: `--overflow` by
`{ENVIRONMENT_PREFIX}_OVERFLOW`, and so on. For an option that may be repeated, separate the values with
spaces. The command line overrides the environment.

On Ctrl-C, SIGTERM or SIGHUP, the program finishes the current item, closes the connection, completes the
file and writes the summary. A second signal ends the program immediately. Under `nohup`, SIGHUP is ignored.

## Files

`--output` appends to a file. Its name ends in {supported()}: a name that promises anything else, such as
`posts.csv`, is refused. A pipe or a device may have any name.

A file whose name ends in `.zst` or `.gz` is written in frames of a second or a mebibyte; all complete
frames can be read at any time. The lines of the incomplete frame are kept, uncompressed, in `FILE.part`.
When FILE is recorded to again, or replayed, these lines are read from there.

The operating system has each line before the next item is requested. So a process that is killed loses no
item that its checkpoint counts as written; items of its last second may be written again, because the
checkpoint lags behind by up to a second. A loss of power can lose the last seconds.

What a file held before stays as it is until there is an item to write. Then a last line that lacks its line
end gets it. A piece of a line or of a frame, as after a loss of power, is moved to `FILE.torn`, with a
warning, and the recording goes on behind what is complete. A file of another kind, and a link in the place
of `FILE.part`, are refused.

If FILE is renamed, removed or replaced, the recording goes on in a new file of that name within a second;
if FILE is truncated, at its new end. So a program that rotates logs may do with FILE what it likes.

With `--rotate`, part files of earlier processes are completed as soon as there is an item to write. A full
disk ends the program, and leaves no partial line or frame behind.

A recording has the mode that the umask gives it. A checkpoint and its lock file can only be read by their
owner.

## JSON log

With `--log-format json`, every line on standard error is an object with `event`, `at` (Unix seconds by the
local clock) and `level`. A transition has `source`, `dest` and `trigger` by name. A summary has `items` and
`output_bytes`: what this process wrote, to all its `output_files` together.

## Exit codes

| code | meaning |
| --- | --- |
"""


def manual() -> str:
    """The page: an introduction, the exit codes, and the help of each verb."""
    lines = [f"| {code.value} | {meaning} |\n" for code, meaning in MEANINGS.items()]
    verbs = list(verbs_of(get_command(app)))
    streams = [verb.__name__ for verb in VERBS[1:]]
    texts = {name: _own(shown_help(name)) if name in streams else shown_help(name) for name in verbs}
    return "".join([INTRODUCTION, *lines, *(f"\n## {name}\n\n```\n{texts[name]}```\n" for name in verbs)])


def _own(text: str) -> str:
    """The help of a streaming verb, without the options that all of them share."""
    before, _, shared = text.partition(COMMON)
    own = shared.rpartition("\nOptions:\n")[2]
    return f"{before}  ... the options of `stream`, and:\n\nOptions:\n{own}"


def verbs_of(command: Any) -> Iterator[str]:
    """The names of all verbs, such as `rules add`."""
    for name, verb in command.commands.items():
        yield from (f"{name} {below}" for below in verb.commands) if hasattr(verb, "commands") else [name]


def shown_help(verb: str) -> str:
    """The help of a verb on a terminal with 80 columns."""
    environment = {"COLUMNS": "80", "TERMINAL_WIDTH": "80"}
    return (
        CliRunner().invoke(app, [*verb.split(), "--help"], prog_name="xdk-streaming", env=environment).stdout
    )


def live_view(width: int = WIDTH, rows: int = ROWS, theme: TerminalTheme = SVG_EXPORT_THEME) -> str:
    """The live view of a stream that has just lost its connection, as SVG."""
    os.environ["TZ"] = "UTC"
    time.tzset()
    console = Console(
        record=True,
        width=width,
        height=rows,
        file=io.StringIO(),
        force_terminal=True,
        color_system="truecolor",
        legacy_windows=False,
        _environ={},
    )
    console.print(picture(_facts(), width, rows))
    title = "xdk-streaming stream --output posts.ndjson.zst"
    svg = console.export_svg(title=title, theme=theme, unique_id="live-view")
    return "\n".join(line.rstrip() for line in svg.splitlines()) + "\n"


def _facts() -> Facts:
    error = StreamError("The connection was reset", StreamErrorType.CONNECTION_ERROR)
    state = StreamState(last_error=error)
    meter = Meter(state, NOW - 7_391)
    for moment, total in ((NOW - 2, 1_202_533), (NOW, 1_203_337)):
        state.total_items_received = total
        meter.tick(moment)
    meter.seconds.extend(0 if 140 < at < 152 else 380 + at % 47 * 3 + at % 13 * 9 for at in range(300))
    meter.heartbeat_at, meter.byte_at = NOW - 14, NOW - 1.2
    state.bytes_received, state.reconnects = 2_890_000_000, 3
    state.gaps, state.gap_seconds = 3, 12.4
    sink = Pipe(1)
    sink.name, sink.size = "posts.ndjson.zst", 402_000_000
    changes = _changes(error)
    events = [transition_event(change) for change in changes]
    return Facts(
        "https://api.x.com/2/tweets/search/stream",
        NOW,
        ConnectionState.BACKOFF,
        changes[-1],
        state,
        meter,
        sink,
        events,
        changes[-1].at,
    )


def _changes(error: StreamError) -> list[Transition]:
    connecting, streaming, backoff = (
        ConnectionState.CONNECTING,
        ConnectionState.STREAMING,
        ConnectionState.BACKOFF,
    )
    return [
        Transition(connecting, streaming, Trigger.OPENED, "the server answered with a stream", NOW - 2_712),
        Transition(streaming, backoff, Trigger.BROKE, "the stream broke", NOW - 1, error=error),
        Transition(backoff, backoff, Trigger.RETRY, "the next attempt is announced", NOW - 1, 1, 4.2),
    ]


if __name__ == "__main__":
    (DOCS / "command-line.md").write_text(manual(), encoding="utf-8")
    (DOCS / "live-view.svg").write_text(live_view(), encoding="utf-8")
