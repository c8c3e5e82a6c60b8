"""The live view on the terminal, drawn four times a second from `StreamState` rather than from the items."""

from __future__ import annotations

import os
import sys
from collections import deque
from contextlib import suppress

import typer
from rich.console import Console
from rich.live import Live
from rich.text import Text

from xdk_streaming.cli.meter import Meter
from xdk_streaming.cli.panel import Facts, picture
from xdk_streaming.cli.printable import plain
from xdk_streaming.cli.recording.sink import Sink
from xdk_streaming.cli.reporting import LogEvent
from xdk_streaming.state import Transition
from xdk_streaming.streams.sync import Stream

MAX_WAITING_LINES = 500
"""The most items that wait to be shown."""
LATEST = 200
"""The most events that are kept for display."""


class Screen:
    """A sink that shows items on the terminal, above the live view."""

    files = 0

    def __init__(self, console: Console) -> None:
        self.name = "the terminal"
        self.size = 0
        self._console = console
        self._lines: list[str] = []

    def write(self, line: bytes) -> None:
        """Queue a line to be shown together with others."""
        self._lines.append(line.decode("utf-8", "replace").rstrip("\n"))
        self.size += len(line)
        if len(self._lines) >= MAX_WAITING_LINES:
            self.tick()

    def tick(self) -> None:
        """Show the queued lines together, so that the view does not flicker with each item."""
        lines, self._lines = self._lines, []
        if lines:
            self._console.out("\n".join(lines), highlight=False)

    def close(self) -> None:
        """Show the remaining lines."""
        self.tick()


class LiveView:
    """The view on standard error, as long as the stream runs. Any thread may call `report`."""

    def __init__(
        self, title: str, stream: Stream[bytes], meter: Meter, sink: Sink, console: Console | None = None
    ) -> None:
        self._title = title
        self._stream = stream
        self._meter = meter
        self._sink = sink
        self._last: Transition | None = None
        self._last_at: float | None = None
        self._events: deque[LogEvent] = deque(maxlen=LATEST)
        self._console = console or Console(stderr=True, highlight=False)
        self._live = Live(
            console=self._console, auto_refresh=False, redirect_stdout=False, redirect_stderr=False
        )
        self._live.start()

    def report(self, event: LogEvent) -> None:
        """Queue an event for the next redraw."""
        self._events.append(event)

    def tick(self, now: float) -> None:
        """Redraw the view."""
        history = self._stream.history
        last = history[-1] if history else None
        if last is not self._last:
            self._last, self._last_at = last, self._meter.now
        facts = Facts(
            self._title,
            self._meter.now,
            self._stream.connection_state,
            last,
            self._stream.state,
            self._meter,
            self._sink,
            tuple(self._events),
            self._last_at,
        )
        width, rows = self._console.size
        with suppress(OSError):  # the stream goes on even if its terminal has been closed
            self._live.update(picture(facts, width, rows - 1), refresh=True)

    def close(self, summary: LogEvent) -> None:
        """Leave the final view on the screen, and write the summary below it."""
        self.tick(summary.at)
        with suppress(OSError):
            self._live.stop()
            self._console.print(Text(summary.words))

    def conclude(self, reason: LogEvent) -> None:
        """Write the reason below the summary."""
        with suppress(OSError):
            typer.echo(plain(reason.words), err=True)


def show_cursor() -> None:
    """Show the cursor again, if the program is ended while the view is on the screen."""
    if sys.stderr.isatty():
        os.write(sys.stderr.fileno(), b"\x1b[?25h\n")  # the interrupted code may hold the lock of sys.stderr
