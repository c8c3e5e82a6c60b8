"""What happens to a stream, as events: on standard error a line each, as text or as JSON."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Protocol, TextIO

import orjson

from xdk_streaming.cli.meter import Meter
from xdk_streaming.cli.quantities import shown_bytes, shown_seconds
from xdk_streaming.cli.sinks import Sink
from xdk_streaming.config import Record
from xdk_streaming.gap import Gap
from xdk_streaming.state import InvalidLine, Lag, NoticeReceived, StreamState, Transition

SUMMARY = 60.0
"""Seconds between two summaries."""


@dataclass(frozen=True)
class Event:
    """One thing that happened."""

    kind: str
    at: float
    words: str
    """For people."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """For programs."""


class Teller(Protocol):
    """Who shows what happens. `tell` is for any thread, the others for one."""

    def tell(self, event: Event) -> None:
        """Show an event."""

    def tick(self, now: float) -> None:
        """A moment has passed."""

    def close(self, summary: Event) -> None:
        """Nothing more will come."""


class Silent:
    """Shows nothing."""

    def tell(self, event: Event) -> None:
        """Shows nothing."""

    def tick(self, now: float) -> None:
        """Shows nothing."""

    def close(self, summary: Event) -> None:
        """Shows nothing."""


class Journal:
    """A line for each event, and a summary a minute."""

    def __init__(self, summary: Callable[[float], Event], *, json: bool, file: TextIO | None = None) -> None:
        self._summary = summary
        self._written = as_json if json else as_text
        self._file = file or sys.stderr
        self._next = time.time() + SUMMARY

    def tell(self, event: Event) -> None:
        """Write its line."""
        with suppress(OSError):  # nobody reads it: that is no reason to end the stream
            self._file.write(self._written(event) + "\n")
            self._file.flush()

    def tick(self, now: float) -> None:
        """Write the summary, where it is time."""
        if now >= self._next:
            self._next = now + SUMMARY
            self.tell(self._summary(now))

    def close(self, summary: Event) -> None:
        """Write the last summary."""
        self.tell(summary)


class LogEvents(logging.Handler):
    """Warnings of the library, as events. Of its errors the machine's own are told as transitions."""

    def __init__(self, tell: Callable[[Event], None]) -> None:
        super().__init__(logging.WARNING)
        self._tell = tell

    def emit(self, record: logging.LogRecord) -> None:
        """Tell it, but for a change of state."""
        if record.levelno == logging.ERROR and record.module == "machine":
            return
        level = record.levelname.lower()
        self._tell(Event(level, record.created, record.getMessage(), {"message": record.getMessage()}))


def as_text(event: Event) -> str:
    """A line for people."""
    moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(event.at))
    return " ".join(f"{moment} {event.kind:<10} {event.words}".splitlines())


def as_json(event: Event) -> str:
    """A line for programs."""
    return orjson.dumps({"event": event.kind, "at": round(event.at, 3), **event.facts}, default=str).decode()


def event_of(record: Record) -> Event:
    """A record of the stream's as an event."""
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


def transition_event(transition: Transition) -> Event:
    """A change of state, or an announced retry."""
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
    return Event("transition", transition.at, str(transition), facts)


def gap_event(gap: Gap) -> Event:
    """An outage that is over."""
    length = shown_seconds(gap.back_at - gap.lost_at)
    missing = (
        f"{shown_seconds(gap.seconds)} of it missing ({gap.why})" if gap.uncovered else "all brought back"
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
    return Event("gap", gap.back_at, f"an outage of {length}, {missing}{dropped}", facts)


def notice_event(notice: NoticeReceived) -> Event:
    """What X said of the stream, as it came."""
    content = notice.content
    return Event("notice", time.time(), orjson.dumps(content, default=str).decode(), {"notice": content})


def invalid_event(invalid: InvalidLine) -> Event:
    """A line that was no item. Its length is shown, its content not: it may be long, or anything."""
    length, reason = len(invalid.line), invalid.reason
    words = f"a line of {length} bytes is no item: {reason}"
    return Event("invalid", time.time(), words, {"bytes": length, "reason": reason})


def lag_event(lag: Lag) -> Event:
    """The output lags behind, or has caught up."""
    words = f"the output is {lag.items} items behind" if lag.behind else "the output has caught up"
    facts = {"behind": lag.behind, "items": lag.items, "bytes": lag.bytes, "seconds": lag.seconds}
    return Event("lag", time.time(), words, facts)


def summary_event(state: StreamState, meter: Meter, sink: Sink, now: float) -> Event:
    """How the stream is doing."""
    facts = {
        "seconds": round(now - meter.began_at, 3),
        "items": meter.written,
        "rate": round(meter.rate(), 1),
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
    }
    words = [
        f"{count(meter.written, 'item')} in {shown_seconds(now - meter.began_at)}",
        f"{meter.rate():,.0f}/s",
        f"{shown_bytes(state.bytes_received)} received",
        count(state.reconnects, "reconnect"),
        *([f"{count(state.gaps, 'gap')} ({shown_seconds(state.gap_seconds)} missing)"] if state.gaps else []),
        *([count(state.invalid_items, "invalid line")] if state.invalid_items else []),
        *([count(state.duplicate_items, "repeat") + " left out"] if state.duplicate_items else []),
        *([count(state.dropped_items, "item") + " dropped"] if state.dropped_items else []),
        f"{sink.name}: {shown_bytes(sink.size)}",
    ]
    return Event("summary", now, ", ".join(words), facts)


def count(number: int, noun: str) -> str:
    """So many of them."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
