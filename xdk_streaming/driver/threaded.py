"""A driver in a separate thread: heartbeats, notices and reconnects go on while the consumer pauses.

The driver's thread and the consumer's share no lock, for two reasons. `stop()` runs in signal handlers. And a
garbage collection may close the iterator on any thread, whatever locks that thread holds. So only one thread
writes each counter, the queue is a deque, and a thread waits on a bare lock that serves as a baton. The
consumer's wait is cut into slices, for the reason given at `SLICE_SECONDS`.
"""

from __future__ import annotations

import atexit
import threading
from collections.abc import Callable, Generator, Hashable, Iterable
from contextlib import closing, suppress
from typing import Any, Final

from xdk_streaming.clock import Clock, monotonic
from xdk_streaming.config import Buffer
from xdk_streaming.driver.baton import Baton
from xdk_streaming.driver.handover import Hand, Handover
from xdk_streaming.driver.parcel import Parcel
from xdk_streaming.driver.parcel_queue import ParcelQueue
from xdk_streaming.driver.producer import Lines, Producer
from xdk_streaming.errors import StreamError, StreamErrorType
from xdk_streaming.recovery.tracker import Position
from xdk_streaming.state import Lag, StreamState
from xdk_streaming.wire.wait import SLICE_SECONDS

PARCEL_ITEMS = 256
PARCEL_BYTES = 64 * 1024
READ_AHEAD = Buffer(max_bytes=2**19)
"""The buffer if none is set. It holds two of the longest reads, so one can be taken while the next one
arrives. It is so small that a slow consumer soon holds the reader back, as a slow loop would."""
END: Final = Parcel()
"""The parcel that `take` returns if no more will come."""


class Threaded:
    """A driver in a separate thread, and a queue between it and the consumer. Serves one consumer, once.

    `on_ready` is called on the driver's thread when there may be something to take; `on_lag`, on the same
    thread, when the queue passes a watermark. Lines are handed over undecoded if `hands_over_lines` allows
    it.
    """

    def __init__(
        self,
        producer: Producer,
        buffer: Buffer,
        state: StreamState,
        clock: Clock,
        *,
        hands_over_lines: bool = False,
        on_lag: Callable[[Lag], object] | None = None,
        on_ready: Callable[[], object] | None = None,
    ) -> None:
        self._producer = producer
        self._buffer = buffer
        self._state = state
        self._hands_over_lines = hands_over_lines
        self._on_ready = on_ready
        self._queue = ParcelQueue(buffer, state, clock, on_lag)
        self._thread = threading.Thread(target=self._run, name="xdk_streaming", daemon=True)
        self._ready, self._room = Baton(), Baton()
        self.stopping = False
        # Written by the driver's thread.
        self._open = Parcel()
        self._flushed: float | None = None
        self._parcel_bytes = min(PARCEL_BYTES, buffer.max_bytes // 16)
        self._dropped: tuple[int, float, float] | None = None
        self._woken = False  # since the last `take`, which clears it
        self._ended = False
        self._failure: BaseException | None = None
        # Written by the consumer's thread.
        self.hand = Hand()

    # The consumer's side

    def items(self, handover: Handover) -> Generator[Any, None, None]:
        """What `handover` makes of the parcels, then the driver's exception, if any.

        The thread starts at the first `next`. Closing the generator stops the driver, and returns when its
        thread and its connection are gone.
        """
        try:
            self.start()
            while (parcel := self.take()) is not END:
                if parcel is None:
                    self._ready.take(min(SLICE_SECONDS, handover.patience()))
                yield from handover.take(parcel)
            yield from handover.rest()
            self.check()
        finally:
            try:
                self.close()
            finally:
                self.close()  # Ctrl-C may have interrupted the first call

    def start(self) -> None:
        """Start the driver, unless it was stopped before."""
        if not self.stopping:
            atexit.register(self.close)  # after that, daemon threads are frozen, and could not end cleanly
            self._thread.start()

    def take(self) -> Parcel | None:
        """The next parcel; None if there is none yet, `END` if none will come. Never waits."""
        self._woken = False  # first: a parcel that comes later then wakes again
        ended = self._ended  # read before the queue: all parcels are put before this flag is set
        if self.stopping:
            return END
        parcel = self._queue.take()
        if parcel is not None:
            if self._room.wanted:
                self._room.give()
        elif ended:
            return END
        return parcel

    def check(self) -> None:
        """Raise the exception that ended the driver, if any. After `END`, when all items are handed over."""
        self._raise(unless=StreamError if self.stopping else ())  # a stopped stream reports no loss

    def deliver_last(self) -> None:
        """The consumer has finished with what it holds, if anything, and will ask for nothing else."""
        self.hand.last_counts = True

    def delivered(self, keys: Iterable[Hashable], position: float | None) -> None:
        """Record that the items of these keys were delivered, and with them all before this position."""
        for key in keys:
            self._producer.delivered(Position(key, position))

    def stop(self) -> None:
        """End the stream soon: from any thread, signal handler or callback. Takes no lock.

        Items that are queued but not yet yielded are not delivered.
        """
        self.stopping = True
        self._producer.stop()
        self._ready.give()
        self._room.give()

    def close(self) -> None:
        """Stop, and return when the driver's thread is gone. Raises the exception that ended it, if any.

        A `StreamError` is not raised. On the driver's own thread, on which a garbage collection may call this
        method, it only stops.
        """
        self.stop()
        with suppress(RuntimeError):  # this is the driver's thread, or it was not started
            self._thread.join()
        atexit.unregister(self.close)
        left, self.hand.left = self.hand.left, 0
        self._state.undelivered_items += left + self._queue.clear()
        self._raise(unless=StreamError)  # a stopped stream reports no loss

    def _raise(self, unless: type[BaseException] | tuple[()] = ()) -> None:
        failure, self._failure = self._failure, None
        try:
            if failure is not None and not isinstance(failure, unless):
                raise failure
        finally:
            del failure  # the exception's traceback holds this frame

    # The driver's side

    def flush(self) -> None:
        """Hand over the collected parcel, and report lag and dropped items if they are due."""
        parcel, position = self._open, self._producer.position().moment
        if parcel.items:
            self._open = Parcel()
            parcel.position_after = position
            self._queue.put(parcel)
        elif position != self._flushed:
            self._queue.advance(position, monotonic())
        self._flushed = position
        if not self._woken and self._queue.is_worth(self.hand.wanted):
            self._woken = True
            self._wake_consumer()
        if self._queue.look_at_lag() and self._dropped is not None:
            self._report_dropped()

    def _run(self) -> None:
        try:
            try:
                self._collect()
            finally:
                self.flush()
                self._report_dropped()
        except BaseException as error:  # noqa: BLE001 - raised on the consumer's thread
            self._failure = error
        self._ended = True
        self._wake_consumer()

    def _wake_consumer(self) -> None:
        self._ready.give()
        if self._on_ready is not None:
            self._on_ready()

    def _collect(self) -> None:
        receipt, queue = self._producer.receipt, self._queue
        max_bytes, parcel_bytes = self._buffer.max_bytes, self._parcel_bytes
        run = self._producer.run(self.flush, hands_over_lines=self._hands_over_lines)
        with closing(run) as items:
            for item in items:
                size, received_at, position = receipt()
                if type(item) is Lines:
                    self._hand_over(item, received_at)
                    continue
                if queue.bytes_in - queue.bytes_out + self._open.size + size > max_bytes:
                    self.flush()
                    if not self._made_room(size):
                        self._fail(size)
                        continue
                parcel = self._open
                parcel.items.append(item)
                parcel.size += size
                parcel.until = received_at
                if position is not None:
                    parcel.keys.append(position.key)
                if len(parcel.items) == 1:
                    self._begin(parcel, received_at)
                if len(parcel.items) >= PARCEL_ITEMS or parcel.size >= parcel_bytes:
                    self.flush()
                if self.stopping:
                    return

    def _hand_over(self, lines: Lines, received_at: float) -> None:
        """Hand lines over as a parcel of their own. Only if a full buffer blocks.

        They are all lines of one read: a flush came before that read, and the next one puts this parcel.
        """
        self._made_room(lines.size)
        self._open = Parcel(lines.lines, lines.size, self._producer.read)
        self._begin(self._open, received_at)

    def _begin(self, parcel: Parcel, received_at: float) -> None:
        parcel.since = parcel.until = received_at
        parcel.made_at = monotonic()
        parcel.position = self._flushed

    def _made_room(self, size: int) -> bool:
        """Make room for an item of this size, by waiting or dropping. False if the stream must fail."""
        queue, max_bytes = self._queue, self._buffer.max_bytes
        if self._buffer.overflow == "fail":
            queued = queue.bytes_in - queue.bytes_out
            return queued == 0 or queued + size <= max_bytes or self.stopping
        if self._buffer.overflow == "block":
            # Wait for room for a whole parcel: otherwise parcels would become as small as the room.
            size = max(size, self._parcel_bytes)
            self._room.wanted = True  # before the queue is looked at: who takes from it then sees this
            while not self.stopping and max_bytes - size < queue.bytes_in - queue.bytes_out != 0:
                self._room.take()
            self._room.wanted = False
            return True
        while queue.bytes_in - queue.bytes_out + size > max_bytes:
            parcel = queue.drop_oldest()
            if parcel is None:
                break
            if parcel.items:
                self._note_dropped(parcel)
        return True

    def _note_dropped(self, parcel: Parcel) -> None:
        self._state.dropped_items += len(parcel.items)
        before, since, _ = self._dropped or (0, parcel.since, 0.0)
        self._dropped = before + len(parcel.items), since, parcel.until

    def _report_dropped(self) -> None:
        dropped, self._dropped = self._dropped, None
        if dropped is not None:
            self._producer.dropped(*dropped)

    def _fail(self, size: int) -> None:
        """Make the driver raise at its next step, and count the item that did not fit."""
        behind = self._queue.bytes_in - self._queue.bytes_out + size
        message = (
            f"The consumer is {behind} bytes behind, more than the buffer's max_bytes; take "
            'items faster, raise max_bytes, or set overflow to "block" or "drop_oldest"'
        )
        self._state.undelivered_items += 1
        self._producer.fail(StreamError(message, StreamErrorType.FATAL_ERROR))

    # Both sides

    @property
    def running(self) -> bool:
        """Whether the driver's thread is still at work."""
        return self._thread.ident is not None and not self._ended
