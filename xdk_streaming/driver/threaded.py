"""A driver in a separate thread: heartbeats, notices and reconnects go on while the consumer pauses.

The driver's thread and the consumer's share no lock, for two reasons. `stop()` runs in signal handlers. And a
garbage collection may close the iterator on any thread, whatever locks that thread holds. So only one thread
writes each counter, the queue is a deque, and a thread waits on a bare lock that serves as a token. The
consumer's wait is cut into slices, for the reason given at `SLICE_SECONDS`.
"""

from __future__ import annotations

import atexit
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, suppress
from operator import length_hint
from typing import Any, Final

from xdk_streaming.clock import Clock
from xdk_streaming.config import Buffer
from xdk_streaming.driver.batch import Batch
from xdk_streaming.driver.batch_queue import BatchQueue
from xdk_streaming.driver.producer import Lines, Producer
from xdk_streaming.errors import StreamError, StreamErrorType
from xdk_streaming.state import Lag, StreamState
from xdk_streaming.wire.wait import SLICE_SECONDS

BATCH_ITEMS = 256
BATCH_BYTES = 64 * 1024
END: Final = Batch()
"""The batch that `take` returns if no more will come."""


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
        self._queue = BatchQueue(buffer, state, clock, on_lag)
        self._thread = threading.Thread(target=self._run, name="xdk_streaming", daemon=True)
        self._ready, self._room = _token(), _token()
        self._stopping = False
        # Written by the driver's thread.
        self._open = Batch()
        self._batch_bytes = min(BATCH_BYTES, buffer.max_bytes // 16)
        self._dropped: tuple[int, float, float] | None = None
        self._ended = False
        self._failure: BaseException | None = None
        # Written by the consumer's thread.
        self._left = 0
        self._last_counts = False

    # The consumer's side

    def items(self) -> Generator[Any, None, None]:
        """The items, then the driver's exception, if any. The thread starts at the first `next`.

        Closing the generator stops the driver, and returns when its thread and its connection are gone.
        """
        try:
            self.start()
            while (batch := self.take()) is not END:
                if batch is None:
                    self._ready.acquire(timeout=SLICE_SECONDS)
                else:
                    yield from self.each(batch)
        finally:
            try:
                self.close()
            finally:
                self.close()  # Ctrl-C may have interrupted the first call

    def start(self) -> None:
        """Start the driver, unless it was stopped before."""
        if not self._stopping:
            atexit.register(self.close)  # after that, daemon threads are frozen, and could not end cleanly
            self._thread.start()

    def take(self) -> Batch | None:
        """The next batch; None if there is none yet, `END` if none will come. Never waits.

        Raises the driver's exception once all batches were taken.
        """
        ended = self._ended  # read first: all batches are queued before this flag is set
        if self._stopping:
            return END
        batch = self._queue.take()
        if batch is not None:
            _release(self._room)
        elif ended:
            self._raise()
            return END
        return batch

    def each(self, batch: Batch) -> Generator[Any, None, None]:
        """The items of a batch, until `stop()` is called."""
        rest = iter(batch.items)
        try:
            for item in rest if batch.read is None else batch.read(rest):
                try:
                    yield item
                except GeneratorExit:
                    if self._last_counts:
                        self._deliver(batch, rest)
                    raise
                self._deliver(batch, rest)
                if self._stopping:
                    return
        finally:
            self._left += length_hint(rest)

    def deliver_last(self) -> None:
        """The consumer has finished with the item that it holds, if any, and will ask for no other."""
        self._last_counts = True

    def _deliver(self, batch: Batch, rest: Iterator[Any]) -> None:
        if batch.positions:
            self._producer.delivered(batch.positions[-1 - length_hint(rest)])

    def stop(self) -> None:
        """End the stream soon: from any thread, signal handler or callback. Takes no lock.

        Items that are queued but not yet yielded are not delivered.
        """
        self._stopping = True
        self._producer.stop()
        _release(self._ready)
        _release(self._room)

    def close(self) -> None:
        """Stop, and return when the driver's thread is gone. Raises the exception that ended it, if any.

        A `StreamError` is not raised. On the driver's own thread, on which a garbage collection may call this
        method, it only stops.
        """
        self.stop()
        with suppress(RuntimeError):  # this is the driver's thread, or it was not started
            self._thread.join()
        atexit.unregister(self.close)
        left, self._left = self._left, 0
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
        """Hand over the collected batch, and report lag and dropped items if they are due."""
        batch = self._open
        if batch.items:
            self._open = Batch()
            if self._queue.put(batch):  # else the consumer was woken for an earlier batch
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
        """Wake the consumer."""
        _release(self._ready)
        if self._on_ready is not None:
            self._on_ready()

    def _collect(self) -> None:
        receipt, queue = self._producer.receipt, self._queue
        max_bytes, batch_bytes = self._buffer.max_bytes, self._batch_bytes
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
                batch = self._open
                batch.items.append(item)
                batch.size += size
                batch.until = received_at
                if position is not None:
                    batch.positions.append(position)
                if len(batch.items) == 1:
                    batch.since = batch.until
                if len(batch.items) >= BATCH_ITEMS or batch.size >= batch_bytes:
                    self.flush()
                if self._stopping:
                    return

    def _hand_over(self, lines: Lines, received_at: float) -> None:
        """Hand lines over as a batch of their own. Only if a full buffer blocks."""
        self.flush()
        self._made_room(lines.size)
        self._open = Batch(lines.lines, [], lines.size, received_at, received_at, self._producer.read)
        self.flush()

    def _made_room(self, size: int) -> bool:
        """Make room for an item of this size, by waiting or dropping. False if the stream must fail."""
        queue, max_bytes = self._queue, self._buffer.max_bytes
        if self._buffer.overflow == "fail":
            queued = queue.bytes_in - queue.bytes_out
            return queued == 0 or queued + size <= max_bytes or self._stopping
        if self._buffer.overflow == "block":
            # Wait for room for a whole batch: otherwise batches would become as small as the room.
            size = max(size, self._batch_bytes)
            while not self._stopping and max_bytes - size < queue.bytes_in - queue.bytes_out != 0:
                self._room.acquire()
            return True
        while queue.bytes_in - queue.bytes_out + size > max_bytes:
            batch = queue.drop_oldest()
            if batch is None:
                break
            self._note_dropped(batch)
        return True

    def _note_dropped(self, batch: Batch) -> None:
        self._state.dropped_items += len(batch.items)
        before, since, _ = self._dropped or (0, batch.since, 0.0)
        self._dropped = before + len(batch.items), since, batch.until

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
    def stopping(self) -> bool:
        """Whether `stop` was called."""
        return self._stopping

    @property
    def running(self) -> bool:
        """Whether the driver's thread is still at work."""
        return self._thread.ident is not None and not self._ended


def _token() -> threading.Lock:
    token = threading.Lock()
    token.acquire()
    return token


def _release(token: threading.Lock) -> None:
    """Let the thread that waits for the token go on; if none waits, let the next wait return at once."""
    with suppress(RuntimeError):  # the token was passed before, and no thread has waited since
        token.release()
