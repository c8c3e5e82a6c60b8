"""The loop: does the I/O, tells the machine what happened, yields the items, always cleans up.

It measures and reports; what follows from that is the transition table's business. Of
`StreamState` it writes only the counters of what came through.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Generator, Hashable, Iterator, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from xdk_streaming.callbacks import Callbacks
from xdk_streaming.clock import Clock
from xdk_streaming.config import StreamConfig
from xdk_streaming.driver.batch import Lines
from xdk_streaming.driver.invalid_lines import InvalidLines
from xdk_streaming.errors import StreamError, StreamErrorType
from xdk_streaming.gap import Gap, Span
from xdk_streaming.machine.event import Event
from xdk_streaming.machine.machine import ConnectionMachine
from xdk_streaming.recovery.tracker import Tracker
from xdk_streaming.state import ConnectionState, NoticeReceived, RateLimit, StreamState, Trigger
from xdk_streaming.wire import limits, problems
from xdk_streaming.wire.answer import Answer
from xdk_streaming.wire.decoder import Decoder, Heartbeat, Invalid, NotAnItem, Notice, Rejected, Truncated
from xdk_streaming.wire.framing import LineSplitter, Unended
from xdk_streaming.wire.request import Request

logger = logging.getLogger("xdk_streaming")

SETTLED_AFTER = 10.0
"""Seconds a connection must stand before its loss counts as a first one again."""
HEARTBEAT_OF_X = 20.0
"""Seconds between X's heartbeats, at most (docs.x.com/x-api/fundamentals/consuming-streaming-data)."""


BULK = 4
"""Lines that come together from which on they may be handed over unread."""
NO_PROGRESS = (Heartbeat, Notice, Truncated)
"""Events that show no data to have come: the retry budget is not restored by them."""


class Ending(NamedTuple):
    """How a connection ended: what to tell the machine."""

    trigger: Trigger
    error: StreamError | None = None


class Driver:
    """Runs one stream from its first connection to its last. `run` once, on one thread; `stop` from any."""

    def __init__(
        self,
        request: Request,
        config: StreamConfig,
        decoder: Decoder,
        state: StreamState,
        callbacks: Callbacks,
        *,
        clock: Clock,
        rng: Callable[[], float],
        refill: Callable[[Span], Any] | None = None,
    ) -> None:
        self.machine = ConnectionMachine(config, state, callbacks, rng=rng)
        self._request = request
        self._config = config
        self._decoder = decoder
        self._state = state
        self._callbacks = callbacks
        self._clock = clock
        self._quarantine = InvalidLines(state, callbacks, clock)
        self._stopping = False
        self._wake = threading.Lock()
        self._wake.acquire()
        self._answer: Answer | None = None
        self._splitter = LineSplitter(config.max_item_bytes)
        self._lines: Iterator[Any] = iter(())
        self._decode: Callable[[Any], Any] = self._looked_at
        self._bulk = False
        self._aside: tuple[NotAnItem | None, int] = None, 0
        self._ending: Ending | None = None
        self._opened_at = 0.0
        self._progressed = False
        self._settled = False
        self._up_to_date_at: float | None = None
        self._last_line: Any = None
        self._recall = Tracker(config.recovery, refill)
        self._refill = refill
        self._line: Any = b""
        self.before_wait: Callable[[], object] = _nothing
        """Called when no line is left at hand, before anything is done that may take its time."""
        self.hands_over_lines = False
        """Whether `run` may yield `Lines`. Decoded items that wait in numbers cost as much again as decoding:
        in garbage collections, and in memory that is no longer near."""
        self._refused: deque[NotAnItem] = deque()
        self.acknowledges = True
        """Whether asking for the next item tells that the last was delivered; else `delivered` does."""

    def stop(self) -> None:
        """End the run soon, and in good order. Takes no lock: signal handlers may call it."""
        self._stopping = True
        with suppress(RuntimeError):  # it was released before, and nothing has waited since
            self._wake.release()
        answer = self._answer
        if answer is not None:
            answer.wake()

    def fail(self, error: StreamError) -> None:
        """End the run with this error, soon. Only on its own thread, between two items."""
        self._count_undelivered()
        self._ending = Ending(Trigger.BROKE, error)

    def line_bytes(self) -> int:
        """Of the line of the item that was yielded last."""
        return len(self._line)

    def received_at(self) -> float:
        """No item at hand was sent before this, in Unix seconds."""
        return self._recall.received_at

    def mark(self) -> tuple[Hashable, float]:
        """What to tell `delivered` of the item that was yielded last."""
        seam = self._recall.seam
        return (seam.last_key if seam is not None else None), self._recall.resume_from

    def delivered(self, mark: tuple[Hashable, float]) -> None:
        """The item of this mark was delivered. For the consumer's thread, where `acknowledges` is off."""
        note = self._recall.note
        if note is not None:
            note(*mark)

    def deliver_last(self) -> None:
        """The consumer is done with the item in hand, and will ask for no other."""
        self.delivered(self.mark())

    def read(self, lines: Iterator[Any]) -> Iterator[Any]:
        """The items of `Lines`. On the consumer's thread; what is none is kept for `tell_of_refused`."""
        decode = self._decoder.quickest(())
        for line in lines:
            try:
                event = decode(line)
            except (ValueError, TypeError):
                event = self._decoder.decode(line)
            if type(event) is dict or not isinstance(event, NotAnItem):
                yield event
            else:
                self._refused.append(event)

    def tell_of_refused(self) -> None:
        """See to what `read` found to be no item."""
        while self._refused:
            self._state.total_items_received -= 1
            self._is_last(self._refused.popleft())

    def dropped(self, count: int, since: float, until: float) -> None:
        """A buffer has dropped so many items, which were received between these times."""
        gap = Gap(since, until, None, (since, until), "dropped", count, self._refill)
        self._report(gap)

    def settle_up(self) -> None:
        """Have everything that was delivered on disk. For the reader to call where `acknowledges` is off."""
        self.tell_of_refused()
        self._recall.close()

    @property
    def unsettled(self) -> bool:
        """Whether `settle_up` has anything to do."""
        return bool(self._refused) or self._recall.note is not None

    def run(self) -> Generator[Any, None, None]:
        """The items, over as many connections as it takes. Raises `StreamError` where it FAILED.

        The lines are decoded as they are delivered, one by one: items that lie about while others are
        decoded cost as much again, in memory that is no longer near and in garbage collections.
        """
        self._warn_of_short_timeout()
        state = self._state
        try:
            self._fire(Trigger.START)
            self._remember()
            note = self._recall.note if self.acknowledges else None
            while self._step():
                decode, seam = self._decode, self._recall.seam
                if self._bulk and seam is None:
                    lines, self._lines, self._bulk = list(self._lines), iter(()), False
                    state.total_items_received += len(lines)
                    yield Lines(lines, sum(map(len, lines)))
                for line in self._lines:
                    try:
                        event = decode(line)
                    except (ValueError, TypeError):  # the quickest way was not the right one
                        event = self._looked_at(line)
                    if type(event) is dict or not isinstance(event, NotAnItem):
                        if seam is not None and not seam.is_new(event):
                            state.duplicate_items += 1
                            continue
                        self._line = line
                        state.total_items_received += 1
                        yield event
                        if note is not None and seam is not None:
                            note(seam.last_key, self._recall.resume_from)
                    elif self._is_last(event):
                        break
                    if self._stopping:
                        break
        finally:
            self._hang_up()  # first: nothing that comes after it may leave the connection open
            self._count_undelivered()
            if self.acknowledges:
                self._recall.close()
            self._stopping = True
            self._fire(Trigger.STOP)

    def _step(self) -> bool:
        """One move, after which there may be lines at hand; whether more moves can follow."""
        if self.machine.failure is not None:
            raise self.machine.failure
        if not self._stopping:
            self._move()
        if self._stopping:
            self._hang_up()
            self._fire(Trigger.STOP)
        return self.machine.connection_state is not ConnectionState.DISCONNECTED

    def _move(self) -> None:
        self.before_wait()
        if self._refused:
            self.tell_of_refused()
        if self.machine.connection_state is ConnectionState.CONNECTING:
            self._dial()
        elif self.machine.connection_state is ConnectionState.BACKOFF:
            self._back_off()
        elif self._ending is None:
            self._receive()
        else:
            self._lose(self._ending)

    def _fire(
        self,
        trigger: Trigger,
        error: StreamError | None = None,
        rate_limit: RateLimit | None = None,
        parameter: str | None = None,
    ) -> None:
        """Tell the machine, unless stop() was called meanwhile: then it is told that, and nothing else."""
        if self._stopping:
            trigger, error = Trigger.STOP, None
        bounded = self._recall.bounds is not None
        self.machine.fire(Event(trigger, error, self._clock.time(), rate_limit, parameter, bounded))

    def _remember(self) -> None:
        try:
            self._recall.open()
        except StreamError as error:
            self._fire(Trigger.REFUSED, error)

    def _dial(self) -> None:
        connect_timeout, read_timeout = self._timeouts()
        more = self._recall.params(self._clock.time(), self.machine.withdrawn)
        try:
            answer = self._answer = self._request.send(  # in one breath: Ctrl-C may come at any line
                connect_timeout=connect_timeout,
                read_timeout=read_timeout,
                chunk_size=self._config.chunk_size,
                more=more,
            )
        except StreamError as error:
            self._fire(Trigger.REFUSED, error)
            return
        if self._stopping:
            return
        rate_limit = limits.rate_limit(answer.headers)
        if problems.is_stream(answer.status, answer.headers.get("content-type", "")):
            self._begin()
            self._fire(Trigger.OPENED, rate_limit=rate_limit)
            self._end_outage()
            return
        body = answer.read_start(problems.KEPT_OF_BODY, problems.BODY_SECONDS)
        self._hang_up()
        refusal = problems.refusal(answer.status, answer.headers, body, self._clock.time())
        self._fire(Trigger.REFUSED, refusal, rate_limit, next(iter(more), None))

    def _begin(self) -> None:
        """Nothing of the connection before it is carried over."""
        self._splitter = LineSplitter(self._config.max_item_bytes)
        self._aside = None, 0
        self._ending = None
        self._opened_at = self._clock.monotonic()
        self._progressed = self._settled = False
        self._up_to_date_at = self._last_line = None

    def _end_outage(self) -> None:
        refused = self.machine.withdrawn is not None
        gap = self._recall.opened(self._clock.time(), self._request.params, refused=refused)
        if gap is not None:
            self._report(gap)

    def _report(self, gap: Gap) -> None:
        self._state.gaps += 1
        self._state.gap_seconds += gap.seconds
        self._callbacks.tell(gap)

    def _receive(self) -> None:
        """Take the next bytes: the lines that they complete are at hand afterwards."""
        assert self._answer is not None
        asked_at, idle = self._clock.time(), self._answer.idle()
        self._note_read(asked_at if idle else None)
        try:
            data = self._answer.read()
        except StreamError as error:
            self._end(Ending(Trigger.BROKE, error))
            return
        if not data:
            self._end(Ending(Trigger.ENDED))
            return
        self._state.bytes_received += len(data)
        self._state.last_activity_at = now = self._clock.time()
        lines = self._splitter.feed(data)
        if idle:
            self._recall.received_at = asked_at
            self._up_to_date_at = asked_at if self._splitter.holds else now
        if lines:
            self._last_line = lines[-1]
        if lines and not self._settled:
            self._mark_settled()
        self._lines = iter(lines)
        self._decode = self._decoder.quickest(lines) if self._progressed else self._looked_at
        self._bulk = (
            self.hands_over_lines and len(lines) >= BULK and self._decode is self._decoder.quickest(())
        )
        if self._splitter.runaway is not None:
            self._end(Ending(Trigger.BROKE, self._splitter.runaway), lines)

    def _note_read(self, idle_at: float | None = None) -> None:
        """What the last read has shown, now that its items are delivered; `idle_at`: nothing waits now."""
        self._recall.came(lasting=self._settled)
        self._recall.turn(self._clock.monotonic())
        at = self._up_to_date_at if idle_at is None or self._splitter.holds else idle_at
        if at is not None:
            self._recall.up_to_date(at, self._last_line)
        self._up_to_date_at = None

    def _end(self, ending: Ending, lines: Sequence[Any] = ()) -> None:
        """No more bytes of this connection: what is at hand now is the last of it."""
        self._bulk = False
        tail = self._splitter.tail()
        self._lines = iter([*lines, Unended(tail)] if tail else lines)
        self._decode = self._looked_at
        self._ending = ending

    def _lose(self, ending: Ending) -> None:
        proven = self._answer is None or self._answer.delimited
        self._hang_up()
        self._count_undelivered()
        said, before = self._aside
        if ending.error is None and isinstance(said, Notice) and before == self._state.total_items_received:
            ending = Ending(Trigger.BROKE, problems.parting(said))  # the last that came, so it tells why
        self._note_read()
        self._recall.lost(ending.error, self._state.last_activity_at)
        self._fire(*ending)
        if (
            not proven
            and self.machine.connection_state is ConnectionState.DISCONNECTED
            and not self._stopping
        ):
            self._doubt()

    def _doubt(self) -> None:
        gap = self._recall.unproven(self._clock.time())
        if gap is not None:
            logger.warning(
                "The server ended a bounded stream by closing the connection, which a break looks like, too: "
                "some of it may be missing, and is reported as a gap"
            )
            self._report(gap)

    def _looked_at(self, line: Any) -> Any:
        """What a line is, whatever it is. Tells of the connection's first data, before it is delivered."""
        event = self._decoder.decode(line)
        if not (self._progressed or self._stopping or isinstance(event, NO_PROGRESS)):
            self._progressed = True
            self._fire(Trigger.PROGRESSED)
        return event

    def _count_undelivered(self) -> None:
        rest = map(self._decoder.decode, self._lines)
        self._state.undelivered_items += sum(not isinstance(event, NotAnItem) for event in rest)

    def _mark_settled(self) -> None:
        """Tell, at a line, that the connection has lasted."""
        if self._clock.monotonic() - self._opened_at >= SETTLED_AFTER:
            self._settled = True
            self._fire(Trigger.SETTLED)

    def _is_last(self, event: NotAnItem) -> bool:
        """See to a line that is no item: whether what follows it is not to be delivered."""
        ending: Ending | None = None
        self._aside = event, self._state.total_items_received
        if isinstance(event, Heartbeat):
            self._state.heartbeats += 1
            if self._settled:
                self._recall.idle()
        elif isinstance(event, Invalid):
            self._quarantine.take(event)
        elif isinstance(event, Rejected):
            ending = Ending(Trigger.BROKE, _rejection(event))
        else:
            assert isinstance(event, Notice)
            ending = self._noticed(event)
        self._ending = ending or self._ending  # what the stream itself says weighs more than how it ended
        return isinstance(event, Rejected)  # the user asked to see this before anything that follows it

    def _noticed(self, notice: Notice) -> Ending | None:
        error = problems.ending(notice)
        if error is not None:
            return Ending(Trigger.BROKE, error)
        self._callbacks.tell(NoticeReceived(notice.content))
        return None

    def _back_off(self) -> None:
        self._fire(Trigger.RETRY)
        if self.machine.connection_state is ConnectionState.BACKOFF:
            self._clock.wait(self._state.current_backoff, self._wake)
            self._fire(Trigger.WAITED)

    def _hang_up(self) -> None:
        if self._answer is not None:
            self._answer.close()
            self._answer = None

    def _timeouts(self) -> tuple[float | None, float | None]:
        """Seconds for connecting, and for each wait for bytes; None for no bound."""
        timeout, stall = self._config.timeout, self._config.stall_timeout
        connect, each_read = timeout if isinstance(timeout, tuple) else (timeout, timeout)
        return _shorter(connect, stall), _shorter(each_read, stall)

    def _warn_of_short_timeout(self) -> None:
        _, silence = self._timeouts()
        if silence is not None and silence < HEARTBEAT_OF_X:
            logger.warning(
                "%.3g s of silence will count as a fault, but X's heartbeat comes only every %.0f s; "
                "raise timeout or stall_timeout above that",
                silence,
                HEARTBEAT_OF_X,
            )


def _nothing() -> None:
    pass


def _shorter(one: float | None, other: float | None) -> float | None:
    return min((bound for bound in (one, other) if bound is not None), default=None)


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
