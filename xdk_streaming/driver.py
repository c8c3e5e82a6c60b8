"""The loop: does the I/O, tells the machine what happened, yields the items, always cleans up.

It measures and reports; what follows from that is the transition table's business. Of
`StreamState` it writes only the counters of what came through.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import suppress
from itertools import chain
from typing import Any, NamedTuple

from xdk_streaming.clock import Clock
from xdk_streaming.config import StreamConfig
from xdk_streaming.errors import StreamError, StreamErrorType
from xdk_streaming.machine.machine import ConnectionMachine
from xdk_streaming.quarantine import Quarantine
from xdk_streaming.state import ConnectionState, RateLimit, StreamState, Trigger
from xdk_streaming.wire import limits, problems
from xdk_streaming.wire.decoder import Decoder, Heartbeat, Invalid, NotAnItem, Notice, Rejected, Truncated
from xdk_streaming.wire.framing import LineSplitter
from xdk_streaming.wire.transport import Answer, Request

logger = logging.getLogger("xdk_streaming")

SETTLED_AFTER = 10.0
"""Seconds a connection must stand before its loss counts as a first one again."""
HEARTBEAT_OF_X = 20.0
"""Seconds between X's heartbeats, at most (docs.x.com/x-api/fundamentals/consuming-streaming-data)."""


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
        *,
        clock: Clock,
        chance: Callable[[], float],
    ) -> None:
        self.machine = ConnectionMachine(config, state, chance=chance)
        self._request = request
        self._config = config
        self._decoder = decoder
        self._state = state
        self._clock = clock
        self._quarantine = Quarantine(state, self.machine.callbacks, clock)
        self._stopping = False
        self._wake = threading.Lock()
        self._wake.acquire()
        self._answer: Answer | None = None
        self._events: Iterator[Any] = iter(())
        self._opened_at = 0.0
        self._progressed = False
        self._settled = False

    def stop(self) -> None:
        """End the run soon, and in good order. Takes no lock: signal handlers may call it."""
        self._stopping = True
        with suppress(RuntimeError):  # it was released before, and nothing has waited since
            self._wake.release()
        answer = self._answer
        if answer is not None:
            answer.wake()

    def run(self) -> Generator[Any, None, None]:
        """The items, over as many connections as it takes. Raises `StreamError` where it FAILED."""
        self._warn_of_short_timeout()
        try:
            self._fire(Trigger.START)
            while self.machine.connection is not ConnectionState.DISCONNECTED:
                if self.machine.failure is not None:
                    raise self.machine.failure
                if self._stopping:
                    self._fire(Trigger.STOP)
                elif self.machine.connection is ConnectionState.CONNECTING:
                    self._dial()
                elif self.machine.connection is ConnectionState.STREAMING:
                    yield from self._stream()
                else:
                    self._back_off()
        finally:
            self._hang_up()  # first: nothing that comes after it may leave the connection open
            self._state.undelivered_items += sum(not isinstance(event, NotAnItem) for event in self._events)
            self._stopping = True
            self._fire(Trigger.STOP)

    def _fire(
        self, trigger: Trigger, error: StreamError | None = None, rate_limit: RateLimit | None = None
    ) -> None:
        """Tell the machine, unless stop() was called meanwhile: then it is told that, and nothing else."""
        if self._stopping:
            trigger, error = Trigger.STOP, None
        self.machine.fire(trigger, at=self._clock.time(), error=error, rate_limit=rate_limit)

    def _dial(self) -> None:
        connect_timeout, read_timeout = self._timeouts()
        try:
            answer = self._answer = self._request.send(  # in one breath: Ctrl-C may come at any line
                connect_timeout=connect_timeout,
                read_timeout=read_timeout,
                chunk_size=self._config.chunk_size,
            )
        except StreamError as error:
            self._fire(Trigger.REFUSED, error)
            return
        if self._stopping:
            return
        rate_limit = limits.rate_limit(answer.headers)
        if problems.is_stream(answer.status, answer.headers.get("content-type", "")):
            self._fire(Trigger.OPENED, rate_limit=rate_limit)
            return
        body = answer.read_start(problems.KEPT_OF_BODY, problems.BODY_SECONDS)
        self._hang_up()
        refusal = problems.refusal(answer.status, answer.headers, body, self._clock.time())
        self._fire(Trigger.REFUSED, refusal, rate_limit)

    def _stream(self) -> Generator[Any, None, None]:
        self._opened_at = self._clock.monotonic()
        self._progressed = self._settled = False
        lines = LineSplitter(self._config.max_item_bytes)
        ending: Ending | None = None
        state, event = self._state, None
        while ending is None and not self._stopping:
            ending = self._receive(lines)
            if not self._progressed:
                self._mark_progress()
            if self._stopping:
                break
            for event in self._events:
                if type(event) is dict or not isinstance(event, NotAnItem):
                    state.total_items_received += 1
                    yield event
                else:
                    ending = self._note(event) or ending  # what the stream itself says weighs more
                    if isinstance(event, Rejected):
                        break  # the user asked to see this before anything that follows it
                if self._stopping:
                    break
        self._hang_up()
        if ending == Ending(Trigger.ENDED) and isinstance(event, Notice):
            ending = Ending(Trigger.BROKE, problems.parting(event))
        self._fire(*(ending or Ending(Trigger.STOP)))

    def _receive(self, lines: LineSplitter) -> Ending | None:
        """Take the next bytes: what they hold is at hand afterwards. How the connection ended, where it did.

        The lines are decoded as they are delivered, one by one: items that lie about while others are
        decoded cost as much again, in memory that is no longer near and in garbage collections.
        """
        assert self._answer is not None
        try:
            data = self._answer.read()
        except StreamError as error:
            self._events = self._tail(lines)
            return Ending(Trigger.BROKE, error)
        if not data:
            self._events = self._tail(lines)
            return Ending(Trigger.ENDED)
        self._state.bytes_received += len(data)
        self._state.last_activity_at = self._clock.time()
        whole = lines.feed(data)
        self._events = self._decoder.events(whole)
        if whole and not self._settled:
            self._mark_settled()
        if lines.runaway is None:
            return None
        self._events = chain(self._events, self._tail(lines))
        return Ending(Trigger.BROKE, lines.runaway)

    def _tail(self, lines: LineSplitter) -> Iterator[Any]:
        tail = lines.tail()
        return iter([self._decoder.decode_tail(tail)] if tail else ())

    def _mark_progress(self) -> None:
        """Tell of the connection's first data, before it is delivered."""
        events = list(self._events)
        self._events = iter(events)
        if any(not isinstance(event, NO_PROGRESS) for event in events):
            self._progressed = True
            self._fire(Trigger.PROGRESSED)

    def _mark_settled(self) -> None:
        """Tell, at a line, that the connection has lasted."""
        if self._clock.monotonic() - self._opened_at >= SETTLED_AFTER:
            self._settled = True
            self._fire(Trigger.SETTLED)

    def _note(self, event: NotAnItem) -> Ending | None:
        """See to a line that is no item; how it ends the connection, where it does."""
        if isinstance(event, Heartbeat):
            self._state.heartbeats += 1
        elif isinstance(event, Invalid):
            self._quarantine.take(event)
        elif isinstance(event, Rejected):
            return Ending(Trigger.BROKE, _rejection(event))
        else:
            assert isinstance(event, Notice)
            error = problems.ending(event)
            if error is not None:
                return Ending(Trigger.BROKE, error)
            self.machine.callbacks.call("on_notice", event.content)
        return None

    def _back_off(self) -> None:
        self._fire(Trigger.RETRY)
        if self.machine.connection is ConnectionState.BACKOFF:
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
