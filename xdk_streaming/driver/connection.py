"""One connection: reads its bytes, decodes its lines, and finds how it ends. Each successful dial makes one.

A connection reports facts (data has come, it has settled, it has ended) and does not decide what follows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from operator import length_hint
from typing import Any, NamedTuple

from xdk_streaming.driver.parts import Parts
from xdk_streaming.errors import StreamError, StreamErrorType, excerpt
from xdk_streaming.state import NoticeReceived, Trigger
from xdk_streaming.wire import problems
from xdk_streaming.wire.answer import Answer
from xdk_streaming.wire.beginning import Beginning
from xdk_streaming.wire.framing import LineSplitter, Unended, bare, may_be_item
from xdk_streaming.wire.not_an_item import Heartbeat, Invalid, NotAnItem, Partial, Rejected, StreamNotice
from xdk_streaming.wire.refused_fields import refused_fields
from xdk_streaming.wire.scrubbed import without_secrets
from xdk_streaming.wire.wait import Due

SETTLED_AFTER = 10.0
"""Seconds (monotonic) that a connection must last before its loss counts as the first again."""
MIN_LINES_UNDECODED = 4
"""Lines that one read must complete for them to be handed over undecoded."""


class Ending(NamedTuple):
    """How a connection ended: the event for the machine."""

    trigger: Trigger
    error: StreamError | None = None
    demanded: bool = False
    """Whether the settings ask for an end with this error."""


class Connection:
    """A stream that is open. For the driver's thread.

    After `receive`, `lines` holds the lines that are to be decoded. Decode each line with `decode`, or with
    `look_at` if `decode` is None, or raises ValueError or TypeError. A `NotAnItem` goes to `handle_other`.
    Once `ending` is set, these lines are the last. `report` is called when the connection has progressed or
    settled.
    """

    def __init__(self, answer: Answer, parts: Parts, report: Callable[[Trigger], object]) -> None:
        self.lines: Iterator[Any] = iter(())
        self.decode: Callable[[Any], Any] | None = None
        """The quickest way to decode the lines at hand; None if each of them has to be looked at."""
        self.can_stay_undecoded = False
        """Whether the lines at hand are many, and each of them is an item if it is JSON at all."""
        self.ending: Ending | None = None
        """How the connection ended; None while it is open."""
        self.settled = False
        """Whether it has lasted long enough for its loss to count as the first again."""
        self._answer = answer
        self._parts = parts
        self._report = report
        self._splitter = LineSplitter(parts.config.max_item_bytes)
        self._opened_at = parts.clock.monotonic()
        self._progressed = False
        self._parting: StreamError | None = None
        self._beginning: Beginning | None = Beginning()  # None once a JSON object has come: this is a stream

    def receive(self, before_wait: Callable[[], object] | None = None, *, delivered: bool = True) -> None:
        """Read the next bytes, waiting if there are none. `lines` then holds the lines that they complete.

        `before_wait` is called before the read. `delivered`: all items that were yielded are also delivered.
        """
        clock, state, tracker = self._parts.clock, self._parts.state, self._parts.tracker
        splitter, beginning = self._splitter, self._beginning
        if beginning is not None and beginning.is_hopeless:
            self._end(Ending(Trigger.ENDED))
            return
        tracker.before_read(
            clock.monotonic(),
            idle=self._answer.idle(),
            holds=splitter.begun > 0,
            settled=self.settled,
            delivered=delivered and before_wait is None,
        )
        if before_wait is not None:
            before_wait()
        try:
            data = self._answer.read()
        except Due:
            return
        except StreamError as error:
            self._end(Ending(Trigger.BROKE, error))
            return
        if not data:
            self._end(Ending(Trigger.ENDED))
            return
        state.bytes_received += len(data)
        if beginning is not None:
            beginning.take(data)
        state.last_activity_at, now = clock.time(), clock.monotonic()
        lines = splitter.feed(data)
        tracker.after_read(now, lines, holds=splitter.begun > 0)
        if lines:
            self._answer.line_came = True
            self._parting = None
            if not self.settled and now - self._opened_at >= SETTLED_AFTER:
                self.settled = True
                self._report(Trigger.SETTLED)
        self.lines = iter(lines)
        self.decode = self._parts.decoder.quickest(lines) if self._progressed else None
        self.can_stay_undecoded = (
            len(lines) >= MIN_LINES_UNDECODED and self.decode is self._parts.decoder.quick
        )
        if splitter.runaway is not None:
            self._end(Ending(Trigger.BROKE, splitter.runaway), lines)

    def take_undecoded(self) -> list[Any]:
        """Take all lines at hand without decoding them. Only if `can_stay_undecoded`."""
        lines, self.lines = list(self.lines), iter(())
        return lines

    def look_at(self, line: Any) -> Any:
        """Decode a line of any kind. Reports the connection's first data, before the data is delivered.

        Data is a JSON object that is no notice, whether or not the model takes it.
        """
        event = self._parts.decoder(line)
        if self._progressed or isinstance(event, Heartbeat):
            return event
        if isinstance(event, Invalid) and event.cause is None:
            return event
        if self._beginning is not None and not self._beginning.allows(bare(line)):
            return Invalid(bare(line), "an object within a web page")
        self._beginning = None
        if not isinstance(event, StreamNotice):
            self._progressed = True
            self._report(Trigger.PROGRESSED)
        return event

    def handle_other(self, event: NotAnItem) -> bool:
        """Handle a line that is no item, or not only one. Returns whether no later line may be delivered."""
        parts = self._parts
        ending: Ending | None = None
        follows = length_hint(self.lines) > 0
        event = without_secrets(event, parts.request.secrets)
        self._parting = None
        if isinstance(event, Heartbeat):
            parts.state.heartbeats += event.count
        elif isinstance(event, Invalid):
            parts.invalid_lines.take(event)
        elif isinstance(event, Partial):
            parts.invalid_lines.take(event.refused)
        elif isinstance(event, Rejected):
            ending = Ending(Trigger.BROKE, _rejection(event), demanded=True)
        else:
            assert isinstance(event, StreamNotice)
            error = problems.ending(event)
            if error is None:
                if not follows:  # made at once: the notice itself may be large, and is not kept
                    self._parting = problems.parting(event)
                parts.callbacks.report(NoticeReceived(event.content))
            else:
                ending = Ending(Trigger.BROKE, error)
        self.ending = ending or self.ending  # a reason given in the stream says more than the way it ended
        return isinstance(event, Rejected)  # the user wants this error before any later item

    def final_ending(self) -> Ending:
        """How the connection ended, once its last lines were delivered.

        A notice at the end is the cause. A body that never was a stream is an error, however it ended.
        """
        assert self.ending is not None
        if self._beginning is not None and not self.ending.demanded:
            objection = self._beginning.objection(
                self._answer.status, self.ending.error, self._parts.request.secrets
            )
            if objection is not None:
                return Ending(Trigger.BROKE, objection)
        if self.ending.error is None and self._parting is not None:
            return Ending(Trigger.BROKE, self._parting)
        return self.ending

    def count_undelivered(self) -> None:
        """Add the items at hand, which will not be delivered, to `undelivered_items`."""
        is_item = self._parts.decoder.is_item
        self._parts.state.undelivered_items += sum(map(is_item, filter(may_be_item, self.lines)))

    def _end(self, ending: Ending, lines: Sequence[Any] = ()) -> None:
        """Record how the connection ended. `lines`, and the bytes after the last LF, are its last lines."""
        tail = self._splitter.tail()
        if tail:
            self._parting = None
        self.lines = iter([*lines, Unended(tail)] if tail else lines)
        self.decode = None
        self.can_stay_undecoded = False
        self.ending = ending


def _rejection(event: Rejected) -> StreamError:
    error = StreamError(
        f"The response model refused an item: {refused_fields(event.cause)}; correct the model, or set "
        'on_model_error to "report" or "yield"',
        StreamErrorType.FATAL_ERROR,
        event.cause,
        response_body=excerpt(event.line),
    )
    error.__cause__ = event.cause
    return error
