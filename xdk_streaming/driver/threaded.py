"""A driver in a thread of its own: heartbeats, notices and reconnects go on while the consumer pauses.

Between the driver's thread and the consumer's there is no lock, for `stop()` runs in signal handlers, and
a garbage collection may close the iterator on any thread, inside whatever that thread holds. Each
counter has one thread that writes it, the queue is a deque, and who waits does so on a bare lock that
serves as a token (`xdk_streaming.clock` tells why).
"""

from __future__ import annotations

import atexit
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from operator import length_hint
from typing import Any, Final, Protocol

from xdk_streaming.clock import Clock
from xdk_streaming.config import Buffer
from xdk_streaming.driver.batch import Lines
from xdk_streaming.errors import StreamError, StreamErrorType
from xdk_streaming.state import Lag, StreamState

BATCH_ITEMS = 256
BATCH_BYTES = 64 * 1024
GLANCE = 1.0
"""Seconds after which an idle consumer looks up: a signal that comes in between Python's last look for one
and the system call does not interrupt that call."""


@dataclass(eq=False)
class Batch:
    """Items that go from one thread to the other together."""

    items: list[Any] = field(default_factory=list)
    marks: list[Any] = field(default_factory=list)
    """One for each item, where somebody wants to know what was delivered."""
    bytes: int = 0
    since: float = 0.0
    """When the first was received."""
    until: float = 0.0
    """When the last was."""
    read: Callable[[Iterator[Any]], Iterator[Any]] | None = None
    """What makes items of them, where they are still lines."""


END: Final = Batch()
"""What `take` gives when nothing more will come."""


class Producer(Protocol):
    """What a driver gives."""

    def run(self) -> Generator[Any, None, None]:
        """The items. Runs on one thread."""

    def stop(self) -> None:
        """End the run soon. Takes no lock."""

    def fail(self, error: StreamError) -> None:
        """Have `run` raise this soon. Called on the thread that runs it."""


class Threaded:
    """A driver in a thread of its own, and a queue between it and the consumer. Serves one consumer, once.

    `size`, `received_at` and `mark` tell of the item that the driver has yielded last, `at_hand` whether
    the next one comes without a wait; they, `on_lag`, `dropped`, `on_ready` and all that the driver
    itself calls run on the driver's thread. `delivered` runs on the consumer's, with an item's mark,
    when the consumer asks for the item after it.
    """

    def __init__(
        self,
        driver: Producer,
        buffer: Buffer,
        state: StreamState,
        clock: Clock,
        *,
        size: Callable[[], int],
        received_at: Callable[[], float],
        at_hand: Callable[[], bool],
        on_lag: Callable[[Lag], object],
        dropped: Callable[[int, float, float], object],
        mark: Callable[[], Any] = lambda: None,
        delivered: Callable[[Any], object] | None = None,
        on_ready: Callable[[], object] = lambda: None,
        read: Callable[[Iterator[Any]], Iterator[Any]] | None = None,
    ) -> None:
        self._driver = driver
        self._buffer = buffer
        self._state = state
        self._clock = clock
        self._size, self._received_at, self._at_hand = size, received_at, at_hand
        self._on_lag, self._dropped, self._on_ready = on_lag, dropped, on_ready
        self._mark, self._delivered, self._read = mark, delivered, read
        self._thread = threading.Thread(target=self._run, name="xdk_streaming", daemon=True)
        self._queue: deque[Batch] = deque()
        self._ready, self._room = _held(), _held()
        self._stopping = False
        # Written by the driver's thread.
        self._open = Batch()
        self._most = min(BATCH_BYTES, buffer.max_bytes // 16)
        self._items_in = self._bytes_in = 0
        self._gap: tuple[int, float, float] | None = None
        self._behind = False
        self._ended = False
        self._failure: BaseException | None = None
        # Written by the consumer's thread.
        self._items_out = self._bytes_out = 0
        self._hand: Batch | None = None
        self._left = 0
        self._last_counts = False

    # The consumer's side

    def items(self) -> Generator[Any, None, None]:
        """The items, then what the driver raised. The thread lives from the first `next` to the end of this.

        Closing it stops the driver and returns when its thread, and with it the connection, is gone.
        """
        try:
            self.start()
            while (batch := self.take()) is not END:
                if batch is None:
                    self._ready.acquire(timeout=GLANCE)
                else:
                    yield from self.each(batch)
        finally:
            try:
                self.close()
            finally:
                self.close()  # Ctrl-C may have cut the first one short

    def start(self) -> None:
        """Start the driver, unless it was stopped before."""
        if not self._stopping:
            atexit.register(self.close)  # later, daemon threads stand still: it could not end in good order
            self._thread.start()

    def take(self) -> Batch | None:
        """The next batch; None when there is none yet, `END` when none will come. Never waits.

        Raises what the driver raised, when all that came before it was taken.
        """
        ended = self._ended  # asked first: what came before the end was queued before it was told
        if self._stopping:
            return END
        self._hand = None
        with suppress(IndexError):
            self._hand = self._queue.popleft()
        batch = self._hand
        if batch is not None:
            self._items_out += len(batch.items)
            self._bytes_out += batch.bytes
            _pass(self._room)
        self._show_lag()
        if batch is None and ended:
            self._raise()
            return END
        return batch

    def each(self, batch: Batch) -> Generator[Any, None, None]:
        """The items of a batch, up to `stop()`."""
        rest = iter(batch.items)
        try:
            for item in rest if batch.read is None else batch.read(rest):
                try:
                    yield item
                except GeneratorExit:
                    if self._last_counts:
                        self._deliver(batch, rest)
                    raise
                if self._delivered is not None:
                    self._deliver(batch, rest)
                if self._stopping:
                    return
        finally:
            self._left += length_hint(rest)

    def deliver_last(self) -> None:
        """The consumer is done with the item at hand, if there is one, and will ask for no other."""
        self._last_counts = True

    def _deliver(self, batch: Batch, rest: Iterator[Any]) -> None:
        if self._delivered is not None:
            self._delivered(batch.marks[-1 - length_hint(rest)])

    def stop(self) -> None:
        """End the stream soon: from any thread, signal handler or callback. Takes no lock.

        What was queued but not yet yielded is not delivered.
        """
        self._stopping = True
        self._driver.stop()
        _pass(self._ready)
        _pass(self._room)

    def close(self) -> None:
        """Stop, and return when the driver's thread is gone; raises what a callback raised to end it all.

        On the driver's own thread, where a garbage collection may come to call it, it only stops.
        """
        self.stop()
        with suppress(RuntimeError):  # it is this thread, or not started: then it will not touch the driver
            self._thread.join()
        atexit.unregister(self.close)
        self._hand = None
        self._queue.clear()
        left, self._left = self._left + self._items_in - self._items_out, 0
        self._items_out, self._bytes_out = self._items_in, self._bytes_in
        self._state.undelivered_items += left
        self._show_lag()
        self._raise(unless=StreamError)  # to a stopped stream no loss matters

    def _raise(self, unless: type[BaseException] | tuple[()] = ()) -> None:
        failure, self._failure = self._failure, None
        try:
            if failure is not None and not isinstance(failure, unless):
                raise failure
        finally:
            del failure  # its traceback holds this frame

    # The driver's side

    def flush(self) -> None:
        """Hand over what is collected, and tell what is to be told. Only on the driver's thread.

        For a driver to call before it waits: what it says of `at_hand` then need not be exact.
        """
        batch = self._open
        if batch.items:
            self._open = Batch()
            self._items_in += len(batch.items)
            self._bytes_in += batch.bytes
            self._queue.append(batch)
            if len(self._queue) == 1:  # else the consumer was woken for those before it
                _pass(self._ready)
                self._on_ready()
        self._show_lag()
        self._tell()

    def _run(self) -> None:
        try:
            try:
                self._collect()
            finally:
                self.flush()
                self._tell_of_gap()
        except BaseException as error:  # noqa: BLE001 - raised on the consumer's thread
            self._failure = error
        self._ended = True
        _pass(self._ready)
        self._on_ready()

    def _collect(self) -> None:
        size, received_at, at_hand = self._size, self._received_at, self._at_hand
        room, marked, most = self._buffer.max_bytes, self._delivered is not None, self._most
        with closing(self._driver.run()) as items:
            for item in items:
                if type(item) is Lines:
                    self._hand_over(item)
                    continue
                more = size()
                if self._bytes_in - self._bytes_out + self._open.bytes + more > room:
                    self.flush()
                    if not self._made_room(more):
                        self._fail(more)
                        continue
                batch = self._open
                batch.items.append(item)
                batch.bytes += more
                batch.until = received_at()
                if len(batch.items) == 1:
                    batch.since = batch.until
                if marked:
                    batch.marks.append(self._mark())
                if not at_hand() or len(batch.items) >= BATCH_ITEMS or batch.bytes >= most:
                    self.flush()
                if self._stopping:
                    return

    def _hand_over(self, lines: Lines) -> None:
        """A batch of its own, from a driver that may give such: only where a full buffer blocks."""
        self.flush()
        self._made_room(lines.bytes)
        now = self._received_at()
        self._open = Batch(lines.lines, [], lines.bytes, now, now, self._read)
        self.flush()

    def _made_room(self, more: int) -> bool:
        """Do what is to be done for an item of this size to fit. False where it may not."""
        most = self._buffer.max_bytes
        if self._buffer.overflow == "fail":
            return self._queued == 0 or self._queued + more <= most or self._stopping
        if self._buffer.overflow == "block":
            more = max(more, self._most)  # or it would go on in batches as small as the room that is made
            while not self._stopping and most - more < self._queued != 0:
                self._room.acquire()
            return True
        with suppress(IndexError):  # the consumer has just taken the last
            while self._queued + more > most:
                self._drop(self._queue.popleft())
        return True

    def _drop(self, batch: Batch) -> None:
        count = len(batch.items)
        self._items_in -= count
        self._bytes_in -= batch.bytes
        self._state.dropped_items += count
        before, since, _ = self._gap or (0, batch.since, 0.0)
        self._gap = before + count, since, batch.until

    def _fail(self, more: int) -> None:
        """Have the driver raise at the next step, and count the item that had no room."""
        message = (
            f"The consumer is {self._queued + more} bytes behind, more than the buffer's max_bytes; take "
            'items faster, raise max_bytes, or set overflow to "block" or "drop_oldest"'
        )
        self._state.undelivered_items += 1
        self._driver.fail(StreamError(message, StreamErrorType.FATAL_ERROR))

    def _tell(self) -> None:
        """Call back where a mark was passed."""
        queued, buffer = self._queued, self._buffer
        low = queued <= buffer.low_watermark * buffer.max_bytes
        if low if self._behind else queued > buffer.high_watermark * buffer.max_bytes:
            self._behind = not self._behind
            state = self._state
            lag = Lag(self._behind, state.lag_items, state.lag_bytes, state.lag_seconds)
            self._on_lag(lag)
        if low:
            self._tell_of_gap()

    def _tell_of_gap(self) -> None:
        gap, self._gap = self._gap, None
        if gap is not None:
            self._dropped(*gap)

    # Both sides

    @property
    def stopping(self) -> bool:
        """Whether it was stopped."""
        return self._stopping

    @property
    def running(self) -> bool:
        """Whether the driver's thread has more to do than to end."""
        return self._thread.ident is not None and not self._ended

    @property
    def _queued(self) -> int:
        """Bytes in the queue."""
        return self._bytes_in - self._bytes_out

    def _show_lag(self) -> None:
        """Write what there is to know of the lag, again if the other thread has changed it meanwhile."""
        state, seen = self._state, None
        while seen != (now := (self._items_in - self._items_out, self._queued, self._oldest())):
            seen = state.lag_items, state.lag_bytes, oldest = now
            state.lag_seconds = 0.0 if oldest is None else max(0.0, self._clock.time() - oldest)

    def _oldest(self) -> float | None:
        """When the oldest item was received of those that the consumer has not seen, or is just seeing."""
        hand = self._hand
        if hand is not None:
            return hand.since
        with suppress(IndexError):
            return self._queue[0].since
        return None


def _held() -> threading.Lock:
    token = threading.Lock()
    token.acquire()
    return token


def _pass(token: threading.Lock) -> None:
    """Let whoever waits for it go on, or not wait the next time."""
    with suppress(RuntimeError):  # it was passed before, and nothing has waited since
        token.release()
