"""The loop: does the I/O, reports events to the machine, yields the items, and always cleans up.

The driver measures and reports; the transition table decides what follows. Of `StreamState` the driver writes
only the counters of items, bytes and gaps. `run` is only the loop, and stays inlined: a generator around it
would cost 5 to 17 % of the throughput.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any, Final

from xdk_streaming.clock import monotonic
from xdk_streaming.driver.connection import Connection, Ending
from xdk_streaming.driver.parts import Parts
from xdk_streaming.driver.producer import Lines
from xdk_streaming.errors import StreamError, forget_locals
from xdk_streaming.gap import Gap
from xdk_streaming.log import logger
from xdk_streaming.machine.event import Event
from xdk_streaming.state import ConnectionState, Trigger
from xdk_streaming.wire import dates, limits, problems
from xdk_streaming.wire.answer import Answer
from xdk_streaming.wire.framing import bare
from xdk_streaming.wire.not_an_item import NotAnItem, Partial
from xdk_streaming.wire.timeouts import Timeouts, warn_of_short_timeout
from xdk_streaming.wire.wait import Due, Wait

DUE: Final = object()
"""What `run` yields in place of an item if `Wait.due_at` has come: nothing else is at hand."""


class Driver:
    """Runs one stream from its first connection to its last. Call `run` once, and `stop` on any thread."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._stopping = False
        self.wait = Wait()
        self.holding = False
        """Whether items that were yielded are not delivered yet. The consumer says so if it gathers them."""
        self._recovery_params: dict[str, Any] = {}
        """The tracker's parameters of the attempt in progress."""
        self._delay_ends_at: float | None = None
        """When the delay in progress ends (monotonic); None between two delays."""
        self._answer: Answer | None = None
        self._connection: Connection | None = None
        self.line: Any = b""
        """The line of the item that was yielded last, while the item is in hand."""

    def run(
        self,
        before_wait: Callable[[], object] | None = None,
        *,
        hands_over_lines: bool = False,
        gathered: bool = False,
    ) -> Generator[Any, None, None]:
        """The items, over as many connections as needed. Raises `StreamError` if the stream FAILED.

        Each line is decoded just before its item is delivered. Decoding lines in advance doubles the cost:
        their items fall out of the processor's caches, and make more work for the garbage collector.

        With `before_wait` the items are read ahead of their consumer. `before_wait` is called when no item is
        at hand, before any step that may take time. The request for the next item then does not mean that the
        last was delivered. With `hands_over_lines`, some items may be `Lines`. With `gathered` the consumer
        gathers the items on this thread, and notes what is delivered; some items may be `DUE`.
        """
        state, tracker = self._parts.state, self._parts.tracker
        by_line = self._parts.decoder.keyed_by_line and not self._parts.has_own_key
        delivers = before_wait is None and not gathered
        try:
            warn_of_short_timeout(self._parts.config)
            self._fire(Trigger.START)
            while self._step(before_wait):
                if self.wait.due_at is not None and self.wait.is_due():
                    yield DUE
                connection = self._connection
                if connection is None or self._stopping:
                    continue
                accepts, decode = tracker.accepts, connection.decode or connection.look_at
                delivered = tracker.delivered if delivers else None
                if hands_over_lines and accepts is None and connection.can_stay_undecoded:
                    lines = connection.take_undecoded()
                    state.total_items_received += len(lines)
                    yield Lines(lines, sum(map(len, lines)))
                for line in connection.lines:
                    try:
                        event = decode(line)
                    except (ValueError, TypeError):  # the quickest way was not the right one
                        event = connection.look_at(line)
                    if type(event) is not dict and isinstance(event, NotAnItem):
                        if connection.handle_other(event):
                            break
                        if type(event) is not Partial:
                            if self._stopping:
                                break
                            continue
                        event = event.item
                    if accepts is not None and not accepts(bare(line) if by_line else event):
                        state.duplicate_items += 1
                        continue
                    self.line = line
                    state.total_items_received += 1
                    yield event
                    if delivered is not None:
                        delivered()
                    if self._stopping:
                        break
                event, line, self.line = None, None, b""  # not kept while the next read waits
        finally:
            self._hang_up()  # first, so that no failure in what follows leaves the connection open
            self._count_undelivered()
            self._connection = None
            try:
                if delivers:
                    tracker.close()
            finally:
                self._stopping = True
                self._parts.request.leave()
                self.wait.close()
                self._fire(Trigger.STOP)

    def stop(self) -> None:
        """End the run soon and cleanly. Takes no lock, so any thread and any signal handler may call it."""
        self._stopping = True
        self.wait.wake()
        answer = self._answer
        if answer is not None:
            answer.wake()

    def fail(self, error: StreamError) -> None:
        """End the run with this error, soon. Only on the run's own thread, between two items."""
        connection = self._connection
        assert connection is not None  # it has just brought an item
        connection.count_undelivered()
        connection.ending = Ending(Trigger.BROKE, error, demanded=True)

    def deliver_last(self) -> None:
        """The consumer is done with the item in hand, and will ask for no other."""
        note = self._parts.tracker.delivered
        if note is not None:
            note()

    # One step after the other

    def _step(self, before_wait: Callable[[], object] | None) -> bool:
        """One step, after which there may be lines at hand; False if the stream is over.

        An open connection is read until it ends. Between two connections the machine's state says what to do.
        """
        connection = self._connection
        if self._stopping:
            self._hang_up()
            self._fire(Trigger.STOP)
        elif connection is not None and connection.ending is None:
            connection.receive(before_wait, delivered=not self.holding)
            return True
        elif before_wait is not None:
            before_wait()
            if self._stopping:
                return True
        if connection is None or self._stopping:
            return self._move_on()
        self._lose(connection)
        return True

    def _move_on(self) -> bool:
        """Do what the machine's state asks for if no connection is open; False if nothing is left to do."""
        machine = self._parts.machine
        if machine.failure is not None:
            raise machine.failure
        if machine.connection_state is ConnectionState.CONNECTING:
            self._dial()
        elif machine.connection_state is ConnectionState.BACKOFF:
            self._back_off()
        return machine.connection_state is not ConnectionState.DISCONNECTED

    def _fire(self, trigger: Trigger, error: StreamError | None = None, **facts: Any) -> None:
        """Report an event to the machine; after stop() was called, report STOP in its place.

        `facts` are other fields of `Event`.
        """
        if self._stopping:
            trigger, error = Trigger.STOP, None
        if error is not None:
            forget_locals(error)
        clock = self._parts.clock
        self._parts.machine.fire(Event(trigger, error, clock.time(), monotonic=clock.monotonic(), **facts))

    def _dial(self) -> None:
        request, tracker, machine = self._parts.request, self._parts.tracker, self._parts.machine
        try:
            if not request.goes_on:
                self._recovery_params = tracker.params(machine.withdrawn)
            answer = self._answer = request.send(  # in one statement: Ctrl-C may come at any line
                timeouts=Timeouts.of(self._parts.config),
                wait=self.wait,
                chunk_size=self._parts.config.chunk_size,
                more=self._recovery_params,
            )
        except Due:
            return
        except StreamError as error:
            self._fire(Trigger.REFUSED, error)
            return
        if self._stopping:
            return
        if problems.is_stream(answer.status, answer.headers.get("content-type", "")):
            self._open(answer)
        else:
            self._refuse(answer, next(iter(self._recovery_params), None))

    def _open(self, answer: Answer) -> None:
        at = self._parts.clock.monotonic()  # first: a callback of the next lines may take its time
        self._connection = Connection(answer, self._parts, self._note)
        self._fire(Trigger.OPENED, rate_limit=limits.rate_limit(answer.headers))
        if self._stopping:  # on_connect stopped the stream: nothing is read, so no gap has ended
            return
        gap = self._parts.tracker.opened(at, self._parts.request.params, dates.answered(answer.headers))
        if gap is not None:
            self.report(gap)

    def _refuse(self, answer: Answer, parameter: str | None) -> None:
        """The answer is no stream."""
        clock, request = self._parts.clock, self._parts.request
        now, since = clock.time(), clock.monotonic()
        body = answer.read_start(problems.MAX_BODY_BYTES, problems.BODY_SECONDS)
        self._hang_up()
        refusal = problems.refusal(
            answer.status, answer.headers, body, now, clock.monotonic() - since, request.secrets
        )
        rate_limit = limits.rate_limit(answer.headers)
        renewed = request.renewed(refusal)
        self._fire(Trigger.REFUSED, refusal, rate_limit=rate_limit, parameter=parameter, renewed=renewed)

    def _note(self, trigger: Trigger) -> None:
        """Pass on a fact that the connection reports."""
        if not self._stopping:
            self._fire(trigger)

    def _lose(self, connection: Connection) -> None:
        proven = self._answer is None or self._answer.delimited
        self._hang_up()
        self._count_undelivered()
        ending = connection.final_ending()
        doubt = self._parts.tracker.lost(
            self._parts.clock.monotonic(), ending.error, proven=proven, settled=connection.settled
        )
        self._connection = None
        bounded = self._parts.tracker.bounded
        self._fire(ending.trigger, ending.error, bounded=bounded, demanded=ending.demanded)
        over = self._parts.machine.connection_state is ConnectionState.DISCONNECTED
        if doubt is not None and over and not self._stopping:
            logger.warning(
                "The server ended a bounded stream by closing the connection. A break looks the same, so "
                "items may be missing; the gap is reported"
            )
            self.report(doubt)

    def _back_off(self) -> None:
        clock, wait = self._parts.clock, self.wait
        if self._delay_ends_at is None:
            self._fire(Trigger.RETRY)
            if self._parts.machine.connection_state is not ConnectionState.BACKOFF:
                return
            left = self._parts.state.current_backoff
            self._delay_ends_at = clock.monotonic() + left
        else:
            left = max(0.0, self._delay_ends_at - clock.monotonic())
        due_in = left if wait.due_at is None else max(0.0, wait.due_at - monotonic())
        clock.wait(min(left, due_in), wait)
        if due_in < left and not self._stopping:
            return
        self._delay_ends_at = None
        self._fire(Trigger.WAITED)

    def _hang_up(self) -> None:
        if self._answer is not None:
            self._answer.close()
            self._answer = None

    def _count_undelivered(self) -> None:
        if self._connection is not None:
            self._connection.count_undelivered()

    def report(self, gap: Gap) -> None:
        """Count the gap, and report it."""
        self._parts.state.gaps += 1
        self._parts.state.gap_seconds += gap.seconds
        self._parts.callbacks.report(gap)
