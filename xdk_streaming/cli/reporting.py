"""Events of a stream, and reporters that show them: here one line per event, as text or as JSON."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Protocol, TextIO

import orjson
import typer

from xdk_streaming.cli.advice import for_command_line
from xdk_streaming.cli.meter import Meter
from xdk_streaming.cli.printable import escaped, plain
from xdk_streaming.cli.quantities import shown_bytes, shown_seconds
from xdk_streaming.cli.recording.sink import Sink
from xdk_streaming.clock import monotonic
from xdk_streaming.config import Record
from xdk_streaming.gap import Gap
from xdk_streaming.state import ConnectionState, InvalidLine, Lag, NoticeReceived, StreamState, Transition

SUMMARY = 60.0
"""Seconds between two summaries."""


@dataclass(frozen=True)
class LogEvent:
    """One event, as people and as programs read it."""

    kind: str
    """The name of the event."""
    at: float
    """When the event happened, in Unix seconds by the wall clock."""
    words: str
    """The event as a sentence, for people."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """The event as fields, for programs."""
    level: str = "INFO"
    """How serious the event is, by the names of `logging`."""


class Reporter(Protocol):
    """Shows events. Any thread may call `report`; one thread calls the other methods."""

    def report(self, event: LogEvent) -> None:
        """Show an event."""

    def tick(self, now: float) -> None:
        """Do what is due at Unix time `now`; called a few times a second."""

    def close(self, summary: LogEvent) -> None:
        """Show the final summary; nothing else follows but `conclude`."""

    def conclude(self, reason: LogEvent) -> None:
        """Show why the stream ended, if there is something to say."""


class SilentReporter:
    """Shows only why the stream ended."""

    def report(self, event: LogEvent) -> None:
        """Show nothing."""

    def tick(self, now: float) -> None:
        """Show nothing."""

    def close(self, summary: LogEvent) -> None:
        """Show nothing."""

    def conclude(self, reason: LogEvent) -> None:
        """Write the reason to standard error."""
        typer.echo(plain(reason.words), err=True)


class LineReporter:
    """Writes a line for each event, and a summary every minute."""

    def __init__(
        self, summary: Callable[[float], LogEvent], *, json: bool, file: TextIO | None = None
    ) -> None:
        self._summary = summary
        self._json = json
        self._file = file or sys.stderr
        self._next = monotonic() + SUMMARY

    def report(self, event: LogEvent) -> None:
        """Write the line of an event."""
        with suppress(OSError):  # the stream goes on even if nobody reads its log
            self._file.write((as_json(event) if self._json else as_text(event)) + "\n")
            self._file.flush()

    def tick(self, now: float) -> None:
        """Write the summary if it is due."""
        if monotonic() >= self._next:
            self._next = monotonic() + SUMMARY
            self.report(self._summary(now))

    def close(self, summary: LogEvent) -> None:
        """Write the last summary."""
        self.report(summary)

    def conclude(self, reason: LogEvent) -> None:
        """Write the reason: as JSON a line like the others, as text the bare sentence."""
        if self._json:
            self.report(reason)
        else:
            with suppress(OSError):
                typer.echo(plain(reason.words), err=True)


class LoggedEvents(logging.Handler):
    """Turns what the library logs into events.

    With `transitions`, that includes the lines about transitions, of which the log of a long outage has few.
    Without, only warnings are taken: each transition is an event already, and a failure is one of them.
    """

    def __init__(self, report: Callable[[LogEvent], None], *, transitions: bool) -> None:
        super().__init__(logging.INFO if transitions else logging.WARNING)
        self._report = report
        self._transitions = transitions

    def emit(self, record: logging.LogRecord) -> None:
        """Report a log record."""
        about_transition = record.module == "transition_log"
        if record.levelno == logging.ERROR and about_transition and not self._transitions:
            return
        words = for_command_line(record.getMessage())
        if about_transition and record.levelno != logging.WARNING:
            self._report(LogEvent("transition", record.created, words, {}, record.levelname))
        else:
            self._report(message_event(record.levelname, words, record.created))


def message_event(level: str, words: str, at: float) -> LogEvent:
    """A message as an event, which has the name of its level."""
    return LogEvent(level.lower(), at, words, {"message": words}, level)


def as_text(event: LogEvent) -> str:
    """The event as a line for people, without terminal control characters."""
    moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(event.at))
    return plain(f"{moment} {event.kind:<10} {event.words}")


def as_json(event: LogEvent) -> str:
    """The event as a line for programs, in which characters that a terminal may obey are escaped."""
    head = {"event": event.kind, "at": round(event.at, 3), "level": event.level}
    return escaped(orjson.dumps({**head, **event.facts}, default=str).decode())


def event_of(record: Record) -> LogEvent:
    """A record that a stream gives its observers, as an event."""
    match record:
        case Transition():
            return transition_event(record)
        case Gap():
            return gap_event(record)
        case Lag():
            return lag_event(record)
        case InvalidLine():
            return invalid_event(record)
        case NoticeReceived():
            return notice_event(record)


def transition_event(transition: Transition) -> LogEvent:
    """A change of state, or the announcement of a retry."""
    facts: dict[str, Any] = {
        "source": transition.source.name,
        "dest": transition.dest.name,
        "trigger": transition.trigger.name,
        "reason": transition.reason,
    }
    if transition.attempt is not None:
        facts |= {"attempt": transition.attempt, "delay": transition.delay}
    if transition.error is not None:
        facts |= {
            "error_type": transition.error.error_type.name,
            "error": str(transition.error),
            "status_code": transition.error.status_code,
        }
    return LogEvent("transition", transition.at, str(transition), facts, _level(transition))


def _level(transition: Transition) -> str:
    if transition.dest is ConnectionState.FAILED:
        return "ERROR"
    return "INFO" if transition.error is None else "WARNING"


def gap_event(gap: Gap) -> LogEvent:
    """An outage that has ended."""
    length = shown_seconds(gap.back_at - gap.lost_at)
    missing = (
        f"{shown_seconds(gap.seconds)} of it missing ({gap.why})" if gap.uncovered else "fully recovered"
    )
    dropped = f"; {gap.dropped_items} items dropped" if gap.dropped_items else ""
    facts = {
        "lost_at": gap.lost_at,
        "back_at": gap.back_at,
        "covered": gap.covered,
        "uncovered": gap.uncovered,
        "why": gap.why,
        "dropped_items": gap.dropped_items,
    }
    level = "WARNING" if gap.uncovered or gap.dropped_items else "INFO"
    return LogEvent("gap", gap.back_at, f"an outage of {length}, {missing}{dropped}", facts, level)


def notice_event(notice: NoticeReceived) -> LogEvent:
    """A notice that X sent about the stream, unchanged."""
    content = notice.content
    return LogEvent("notice", time.time(), orjson.dumps(content, default=str).decode(), {"notice": content})


def invalid_event(invalid: InvalidLine) -> LogEvent:
    """A line that is not an item. The event has the line's length, but not its content, which may be long."""
    length, reason = len(invalid.line), invalid.reason
    words = f"a line of {length} bytes is not an item: {reason}"
    return LogEvent("invalid", time.time(), words, {"bytes": length, "reason": reason}, "WARNING")


def lag_event(lag: Lag) -> LogEvent:
    """The output has fallen behind, or has caught up."""
    words = f"the output is {lag.items} items behind" if lag.behind else "the output has caught up"
    facts = {"behind": lag.behind, "items": lag.items, "bytes": lag.bytes, "seconds": lag.seconds}
    return LogEvent("lag", time.time(), words, facts, "WARNING" if lag.behind else "INFO")


def summary_event(
    state: StreamState, meter: Meter, sink: Sink, now: float, *, final: bool = False
) -> LogEvent:
    """A summary of the stream so far. `now` is Unix seconds of the wall clock.

    The `final` one gives the average rate in words, and not that of the last seconds.
    """
    seconds = meter.now - meter.began_at
    average = meter.written / seconds if seconds > 0 else 0.0
    facts = {
        "seconds": round(seconds, 3),
        "items": meter.written,
        "rate": round(meter.rate(), 1),
        "average_rate": round(average, 1),
        "last_item_seconds": _since(meter.item_at, meter),
        "last_heartbeat_seconds": _since(meter.heartbeat_at, meter),
        "bytes": state.bytes_received,
        "reconnects": state.reconnects,
        "gaps": state.gaps,
        "gap_seconds": round(state.gap_seconds, 3),
        "invalid_items": state.invalid_items,
        "duplicate_items": state.duplicate_items,
        "dropped_items": state.dropped_items,
        "lag_items": state.lag_items,
        "output": sink.name,
        "output_bytes": sink.size,
        "output_files": sink.files,
    }
    words = [
        f"{count(meter.written, 'item')} in {shown_seconds(seconds)}",
        f"{average:,.1f}/s on average" if final else f"{meter.rate():,.0f}/s",
        f"{shown_bytes(state.bytes_received)} received",
        count(state.reconnects, "reconnect"),
        *([f"{count(state.gaps, 'gap')} ({shown_seconds(state.gap_seconds)} missing)"] if state.gaps else []),
        *([count(state.invalid_items, "invalid line")] if state.invalid_items else []),
        *([count(state.duplicate_items, "duplicate") + " left out"] if state.duplicate_items else []),
        *([count(state.dropped_items, "item") + " dropped"] if state.dropped_items else []),
        *_ages(meter),
        f"{shown_bytes(sink.size)} to {sink.name}"
        + (f", the last of {sink.files:,} files" if sink.files > 1 else ""),
    ]
    return LogEvent("summary", now, ", ".join(words), facts)


def _since(moment: float | None, meter: Meter) -> float | None:
    return None if moment is None else round(meter.now - moment, 1)


def _ages(meter: Meter) -> list[str]:
    """How long ago the last item and heartbeat came: in this a quiet stream and a dead one differ."""
    ages = {"item": meter.item_at, "heartbeat": meter.heartbeat_at}
    return [f"last {name} {shown_seconds(meter.now - at)} ago" for name, at in ages.items() if at is not None]


def count(number: int, noun: str) -> str:
    """A number with its noun, in the singular or the plural."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
