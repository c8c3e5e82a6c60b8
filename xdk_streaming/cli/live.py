"""The live view on the terminal: drawn four times a second, from `StreamState` and not from the items."""

from __future__ import annotations

import os
import sys
from collections import deque

from rich.console import Console
from rich.live import Live
from rich.text import Text

from xdk_streaming.cli.journal import Event
from xdk_streaming.cli.meter import Meter
from xdk_streaming.cli.panel import Facts, picture
from xdk_streaming.cli.sinks import Sink
from xdk_streaming.streams.sync import Stream

MOST_LINES = 500
"""Items that wait to be shown, at most."""
LATEST = 200
"""Events that are kept to be shown."""


class Screen:
    """The terminal as a place for items: above the view, which is drawn on the same one."""

    def __init__(self, console: Console) -> None:
        self.name = "the terminal"
        self.size = 0
        self._console = console
        self._lines: list[str] = []

    def write(self, line: bytes) -> None:
        """Have it shown, with others."""
        self._lines.append(line.decode("utf-8", "replace").rstrip("\n"))
        self.size += len(line)
        if len(self._lines) >= MOST_LINES:
            self.tick()

    def tick(self) -> None:
        """Show what has gathered: at once, so that the view does not flicker with each item."""
        lines, self._lines = self._lines, []
        if lines:
            self._console.out("\n".join(lines), highlight=False)

    def close(self) -> None:
        """Show the last."""
        self.tick()


class LiveView:
    """The view on standard error, for as long as the stream runs. `tell` is for any thread."""

    def __init__(
        self, title: str, stream: Stream[bytes], meter: Meter, sink: Sink, console: Console | None = None
    ) -> None:
        self._title = title
        self._stream = stream
        self._meter = meter
        self._sink = sink
        self._events: deque[Event] = deque(maxlen=LATEST)
        self._console = console or Console(stderr=True, highlight=False)
        self._live = Live(
            console=self._console, auto_refresh=False, redirect_stdout=False, redirect_stderr=False
        )
        self._live.start()

    def tell(self, event: Event) -> None:
        """Have it shown with the next picture."""
        self._events.append(event)

    def tick(self, now: float) -> None:
        """Draw the next picture."""
        history = self._stream.history
        facts = Facts(
            self._title,
            now,
            self._stream.connection_state,
            history[-1] if history else None,
            self._stream.state,
            self._meter,
            self._sink,
            tuple(self._events),
        )
        width, rows = self._console.size
        self._live.update(picture(facts, width, rows - 1), refresh=True)

    def close(self, summary: Event) -> None:
        """Leave the last picture standing, and say in a line what came of it all."""
        self.tick(summary.at)
        self._live.stop()
        self._console.print(Text(summary.words))


def show_cursor() -> None:
    """For who ends the program with a picture on the screen."""
    if sys.stderr.isatty():
        os.write(sys.stderr.fileno(), b"\x1b[?25h\n")  # the other way may be in use by who was interrupted
