"""One connection: what its bytes bring, and how it ends. Made by a successful dial, and dead with it.

It reports what it sees (data, that it has lasted, its end) and decides nothing that follows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from xdk_streaming.driver.parts import Parts
from xdk_streaming.errors import StreamError, StreamErrorType
from xdk_streaming.state import NoticeReceived, Trigger
from xdk_streaming.wire import problems
from xdk_streaming.wire.answer import Answer
from xdk_streaming.wire.decoder import Heartbeat, Invalid, NotAnItem, Rejected, StreamNotice, Truncated
from xdk_streaming.wire.framing import LineSplitter, Unended

SETTLED_AFTER = 10.0
"""Seconds a connection must stand before its loss counts as a first one again."""
MIN_LINES_UNDECODED = 4
"""Lines that must come together for them to be handed over undecoded."""
NO_PROGRESS = (Heartbeat, StreamNotice, Truncated)
"""Events that show no data to have come: the retry budget is not restored by them."""


class Ending(NamedTuple):
    """How a connection ended: what to tell the machine."""

    trigger: Trigger
    error: StreamError | None = None


class Connection:
    """A stream that is open. For the driver's thread.

    After `receive`, `lines` holds the lines that are to be decoded. Decode each line with `decode`, or with
    `look_at` if `decode` raises ValueError or TypeError. A `NotAnItem` goes to `handle_other`. Once `ending`
    is set, these lines are the last. `report` is called when the connection has progressed or settled.
    """

    def __init__(self, answer: Answer, parts: Parts, report: Callable[[Trigger], object]) -> None:
        self.lines: Iterator[Any] = iter(())
        self.decode: Callable[[Any], Any] = self.look_at
        self.can_stay_undecoded = False
        """The lines at hand came in numbers, and each of them is an item if it is JSON at all."""
        self.ending: Ending | None = None
        self.settled = False
        self._answer = answer
        self._parts = parts
        self._report = report
        self._splitter = LineSplitter(parts.config.max_item_bytes)
        self._opened_at = parts.clock.monotonic()
        self._progressed = False
        self._last_other: tuple[NotAnItem | None, int] = None, 0

    def receive(self) -> None:
        """Take the next bytes, waiting for them if need be: the lines that they complete are then at hand."""
        clock, state, tracker = self._parts.clock, self._parts.state, self._parts.tracker
        splitter = self._splitter
        now = clock.time()
        tracker.before_read(now, idle=self._answer.idle(), holds=splitter.begun > 0, settled=self.settled)
        try:
            data = self._answer.read()
        except StreamError as error:
            self._end(Ending(Trigger.BROKE, error))
            return
        if not data:
            self._end(Ending(Trigger.ENDED))
            return
        state.bytes_received += len(data)
        state.last_activity_at = now = clock.time()
        lines = splitter.feed(data)
        tracker.after_read(now, lines, holds=splitter.begun > 0)
        if lines and not self.settled:
            self._look_whether_settled()
        self.lines = iter(lines)
        self.decode = self._parts.decoder.quickest(lines) if self._progressed else self.look_at
        self.can_stay_undecoded = (
            len(lines) >= MIN_LINES_UNDECODED and self.decode is self._parts.decoder.quick
        )
        if splitter.runaway is not None:
            self._end(Ending(Trigger.BROKE, splitter.runaway), lines)

    def take_undecoded(self) -> list[Any]:
        """All lines at hand, where `can_stay_undecoded` says so."""
        lines, self.lines = list(self.lines), iter(())
        return lines

    def look_at(self, line: Any) -> Any:
        """What a line is, whatever it is. Reports the connection's first data, before it is delivered."""
        event = self._parts.decoder(line)
        if not (self._progressed or isinstance(event, NO_PROGRESS)):
            self._progressed = True
            self._report(Trigger.PROGRESSED)
        return event

    def handle_other(self, event: NotAnItem) -> bool:
        """See to a line that is no item: whether what follows it is not to be delivered."""
        parts = self._parts
        ending: Ending | None = None
        self._last_other = event, parts.state.total_items_received
        if isinstance(event, Heartbeat):
            parts.state.heartbeats += 1
        elif isinstance(event, Invalid):
            parts.invalid_lines.take(event)
        elif isinstance(event, Rejected):
            ending = Ending(Trigger.BROKE, _rejection(event))
        else:
            assert isinstance(event, StreamNotice)
            error = problems.ending(event)
            if error is None:
                parts.callbacks.report(NoticeReceived(event.content))
            else:
                ending = Ending(Trigger.BROKE, error)
        self.ending = ending or self.ending  # what the stream itself says weighs more than how it ended
        return isinstance(event, Rejected)  # the user asked to see this before anything that follows it

    def final_ending(self) -> Ending:
        """How it ended, once its last lines are delivered: a notice that came last tells why."""
        assert self.ending is not None
        event, before = self._last_other
        if (
            self.ending.error is None
            and isinstance(event, StreamNotice)
            and before == self._parts.state.total_items_received
        ):
            return Ending(Trigger.BROKE, problems.parting(event))
        return self.ending

    def count_undelivered(self) -> None:
        """Count the items at hand, which will not be delivered."""
        rest = map(self._parts.decoder, self.lines)
        self._parts.state.undelivered_items += sum(not isinstance(event, NotAnItem) for event in rest)

    def _end(self, ending: Ending, lines: Sequence[Any] = ()) -> None:
        """No more bytes of this connection: what is at hand now is the last of it."""
        tail = self._splitter.tail()
        self.lines = iter([*lines, Unended(tail)] if tail else lines)
        self.decode = self.look_at
        self.can_stay_undecoded = False
        self.ending = ending

    def _look_whether_settled(self) -> None:
        """Report, at a line, that the connection has lasted."""
        if self._parts.clock.monotonic() - self._opened_at >= SETTLED_AFTER:
            self.settled = True
            self._report(Trigger.SETTLED)


def _rejection(event: Rejected) -> StreamError:
    error = StreamError(
        f"The response model refused an item: {event.cause}; correct the model, or set on_model_error to "
        '"report" or "yield"',
        StreamErrorType.FATAL_ERROR,
        event.cause,
        response_body=event.line.decode(errors="replace"),
    )
    error.__cause__ = event.cause
    return error
