"""Writes what of docs/ is made from the command line: its manual, and the picture of the live view."""

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
from xdk_streaming.cli.reporting import transition_event
from xdk_streaming.cli.sinks import Pipe
from xdk_streaming.cli.stream import VERBS

DOCS = Path(__file__).parent
COMMON = "  --tweet-fields"
"""The first of the options that all verbs have that stream."""
WIDTH, ROWS = 92, 22
NOW = 1_800_000_000.0

INTRODUCTION = f"""\
# The command line

Items go to standard output or to `--output`, a line each, as X sent them; everything else goes to
standard error: on a terminal a live view, else a line for each change and a summary a minute.

The bearer token comes from `--bearer-token-file`, else from `X_BEARER_TOKEN`, `BEARER_TOKEN` or
`TWITTER_BEARER_TOKEN`. Every option, but those of `demo`, `diagram` and `faults`, can also come from
the environment: `--overflow` from `{ENVIRONMENT_PREFIX}_OVERFLOW`,
and so on, the same for all verbs; one that
may be given again takes values with blanks between them. The command line outweighs the environment.

Ctrl-C and SIGTERM finish the item in hand, close the connection, complete the file and print the
summary; a second one ends the program at once.

## Files

`--output` appends. A file that ends in `.zst` or `.gz` is written in frames of a second or a mebibyte,
each of them whole: it can be read up to the last one at any time. The lines of the frame that is not
complete stand in `FILE.part`, uncompressed; who records into FILE again, or replays it, takes them from
there. Each line is with the operating system before the next one is asked for, so that a process that is
killed loses nothing that its checkpoint counts as written; what it wrote in its last second may come
again, for so long the checkpoint lags behind. A loss of power can take the last seconds. With `--rotate`
a part is taken up when the same `--output` is recorded to again. A disk that is full ends the program,
and leaves no half line or frame behind.

## Exit codes

| code | meaning |
| --- | --- |
"""


def manual() -> str:
    """The page: what is common, the exit codes, and each verb's own help."""
    lines = [f"| {code.value} | {meaning} |\n" for code, meaning in MEANINGS.items()]
    verbs = list(verbs_of(get_command(app)))
    streams = [verb.__name__ for verb in VERBS[1:]]
    texts = {name: _own(shown_help(name)) if name in streams else shown_help(name) for name in verbs}
    return "".join([INTRODUCTION, *lines, *(f"\n## {name}\n\n```\n{texts[name]}```\n" for name in verbs)])


def _own(text: str) -> str:
    """The help of a verb that streams, without the options that all of them share."""
    return f"{text.partition(COMMON)[0]}  ... and those of `stream`, from {COMMON.strip()} on.\n"


def verbs_of(command: Any) -> Iterator[str]:
    """All verbs, those below others with the names of both."""
    for name, verb in command.commands.items():
        yield from (f"{name} {below}" for below in verb.commands) if hasattr(verb, "commands") else [name]


def shown_help(verb: str) -> str:
    """As a terminal of 80 columns shows it."""
    environment = {"COLUMNS": "80", "TERMINAL_WIDTH": "80"}
    return (
        CliRunner().invoke(app, [*verb.split(), "--help"], prog_name="xdk-streaming", env=environment).stdout
    )


def live_view(width: int = WIDTH, rows: int = ROWS, theme: TerminalTheme = SVG_EXPORT_THEME) -> str:
    """The live view as an SVG, of a stream that has just lost its connection."""
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
    meter.heartbeat_at, state.last_activity_at = NOW - 14, NOW - 1.2
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
