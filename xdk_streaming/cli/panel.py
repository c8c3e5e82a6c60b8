"""The live view as text: as many lines as the terminal has room for, drawn from a snapshot of the stream."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.text import Text

from xdk_streaming.cli import small_diagram
from xdk_streaming.cli.meter import MINUTES, Meter
from xdk_streaming.cli.printable import plain
from xdk_streaming.cli.quantities import shown_bytes, shown_seconds
from xdk_streaming.cli.recording.sink import Sink
from xdk_streaming.cli.reporting import LogEvent, count
from xdk_streaming.state import ConnectionState, StreamState, Transition, Trigger

BARS = " ▁▂▃▄▅▆▇█"
LABEL = 12
WIDEST = 120
"""Maximum width of the figures, in columns; the list of events may be wider."""
RATE_WIDTH = 10
LEAST_EVENTS = 2
"""Rows that the list of events must have; with fewer, the diagram shrinks to one line."""


@dataclass(frozen=True)
class Facts:
    """A snapshot of the stream, to be drawn."""

    title: str
    now: float
    """When the snapshot was taken, in seconds of the monotonic clock, like the meter's times."""
    connection: ConnectionState
    last: Transition | None
    state: StreamState
    meter: Meter
    sink: Sink
    events: Sequence[LogEvent]
    last_at: float | None = None
    """When the last transition was seen, by the same clock; None if there was none."""


def picture(facts: Facts, width: int, rows: int) -> Text:
    """The view, in at most `rows` rows, none wider than `width` columns."""
    figures = [_figure(label, shown, width) for label, shown in _figures(facts, min(width, WIDEST))]
    heading = [_heading(facts, min(width, WIDEST)), *_diagram(facts.connection, width, rows - len(figures))]
    lines = [*heading, *figures]
    room = rows - len(lines) - 1
    if room > 0 and facts.events:
        lines.append(Text("─" * min(width, WIDEST), style="dim"))
        lines += [_event(event, width) for event in facts.events[-room:]]
    return Text("\n", no_wrap=True, overflow="crop").join(lines[:rows])


def _heading(facts: Facts, width: int) -> Text:
    running = shown_seconds(facts.now - facts.meter.began_at)
    title = Text(facts.title, style="bold")
    title.truncate(max(1, width - len(running) - 2), overflow="ellipsis")
    return Text.assemble(title, " " * (width - title.cell_len - len(running)), (running, "dim"))


def _diagram(lit: ConnectionState, width: int, rows: int) -> list[Text]:
    if width < small_diagram.WIDTH:
        return [Text(lit.name, style=f"bold {small_diagram.COLOURS[lit]}")]
    if rows < 1 + small_diagram.HEIGHT + 1 + LEAST_EVENTS:
        return [small_diagram.line(lit)]
    return [*small_diagram.draw(lit).split("\n")]


def _figure(label: str, shown: Text, width: int) -> Text:
    line = Text.assemble((f"{label:<{LABEL}}", "dim"), shown)
    line.truncate(width, overflow="ellipsis")
    return line


def _figures(facts: Facts, width: int) -> Iterator[tuple[str, Text]]:
    state, now = facts.state, facts.now
    yield "connection", _connection(facts)
    yield "posts/s", _rate(facts.meter, width - LABEL)
    received = f"{count(state.total_items_received, 'item')}, {shown_bytes(state.bytes_received)}"
    yield "received", Text(received).append_text(_odd(state))
    yield "lag", _lag(state)
    beat, byte = _ago(facts.meter.heartbeat_at, now), _ago(facts.meter.byte_at, now)
    yield "heartbeat", Text(f"{beat}; last byte {byte}")
    yield "reconnects", _reconnects(state)
    yield "gaps", _gaps(state)
    yield "output", Text(f"{facts.sink.name}, {shown_bytes(facts.sink.size)}")


def _connection(facts: Facts) -> Text:
    last = facts.last
    if facts.connection is ConnectionState.BACKOFF and last and last.trigger is Trigger.RETRY:
        left = max(0.0, (facts.last_at or facts.now) + (last.delay or 0.0) - facts.now)
        return Text(f"attempt {last.attempt} in {shown_seconds(left)}", style="bold yellow")
    if facts.meter.opened_at is not None:
        return Text(f"open for {shown_seconds(facts.now - facts.meter.opened_at)}", style="green")
    return Text(last.reason if last else "not started", style=small_diagram.COLOURS[facts.connection])


def _rate(meter: Meter, room: int) -> Text:
    scale = f" {MINUTES} min"
    room = max(1, room - RATE_WIDTH - len(scale))
    bars = meter.bars(room)
    most = max(bars, default=0.0) or 1.0
    drawn = "".join(BARS[max(int(bar > 0), round(bar / most * (len(BARS) - 1)))] for bar in bars)
    return Text.assemble(
        (f"{meter.rate():<{RATE_WIDTH},.0f}", "bold"), (drawn.rjust(room), "cyan"), (scale, "dim")
    )


def _odd(state: StreamState) -> Text:
    counts = {
        "invalid": state.invalid_items,
        "repeated": state.duplicate_items,
        "dropped": state.dropped_items,
    }
    words = "".join(f", {count:,} {name}" for name, count in counts.items() if count)
    return Text(words, style="yellow")


def _lag(state: StreamState) -> Text:
    if not state.lag_items:
        return Text("none")
    words = f"{state.lag_items:,} items, {shown_bytes(state.lag_bytes)}, {shown_seconds(state.lag_seconds)}"
    return Text(words, style="yellow")


def _reconnects(state: StreamState) -> Text:
    shown, error = Text(f"{state.reconnects:,}"), state.last_error
    if error is not None:
        style = "dim" if state.is_connected else "yellow"
        shown.append(f"; last: {error.error_type.name}: {plain(error)}", style=style)
    return shown


def _gaps(state: StreamState) -> Text:
    if not state.gaps:
        return Text("none")
    return Text(f"{state.gaps:,}, {shown_seconds(state.gap_seconds)} missing", style="yellow")


def _event(event: LogEvent, width: int) -> Text:
    moment = time.strftime("%H:%M:%S ", time.localtime(event.at))
    line = Text.assemble((moment, "dim"), plain(event.words))
    line.truncate(width, overflow="ellipsis")
    return line


def _ago(moment: float | None, now: float) -> str:
    return "none yet" if moment is None else f"{shown_seconds(max(0.0, now - moment))} ago"
