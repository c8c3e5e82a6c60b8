"""The synchronous stream: `Stream`, and `stream_with_retry` with the signature of `xdk.streaming`."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from inspect import GEN_CREATED, GEN_RUNNING, GEN_SUSPENDED, getgeneratorstate
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

from xdk_streaming.callbacks import CALLBACKS, Callbacks
from xdk_streaming.config import NamedValuesSource, StreamConfig
from xdk_streaming.driver.batch_limits import BatchLimits
from xdk_streaming.driver.gatherer import Gatherer
from xdk_streaming.driver.handover import Handover, InBatches, OneByOne
from xdk_streaming.driver.threaded import Threaded
from xdk_streaming.state import StreamState
from xdk_streaming.streams.assembly import Assembly, Model, T
from xdk_streaming.wire.arguments import check_callback

if TYPE_CHECKING:
    import requests

S = TypeVar("S", bound="Stream[Any]")


class Stream(Assembly[T]):
    """One stream, over as many connections as needed.

        with Stream(session, "get", url) as stream:
            for post in stream:
                ...

    Or, for a consumer that stores many at once, in lists: `for posts in stream.batches(500)`.

    Iterate the stream on one thread. Callbacks run on that thread, or, with a `StreamConfig.buffer`, on the
    thread that reads. `stop()`, `state`, `connection_state` and `history` are for any thread. Nothing
    connects before the first item is asked for. Only `with` guarantees that the connection is closed if the
    consumer raises and keeps the iterator. If the block is left without an exception, the last item counts as
    delivered.

    `params` and `headers` may be callables, which are called at every attempt, for tokens that expire.
    `response_model` is a pydantic model class, a `TypeAdapter`, a msgspec Struct, or a function from a line
    to an item. Without one the items are dicts; with `bytes` they are the lines as they were received.
    `state` is a `StreamState` of your own, which the stream keeps up to date. `clock` and `rng` replace time
    and jitter in tests.

    Iterating raises `StreamError` if an error cannot be retried, and `RetriesExhausted` if no attempt is
    left. The constructor raises `ValueError` for a bad argument, and `TypeError` if `config` is no
    `StreamConfig`.
    """

    @staticmethod
    def _another_stream(*arguments: Any) -> Stream[Any]:
        return Stream(*arguments)

    def _make_callbacks(self, config: StreamConfig) -> Callbacks:
        for name in CALLBACKS:
            check_callback(name, getattr(config, name))
        for observer in config.observers:
            check_callback("an observer", observer)
        return Callbacks(config, self.state)

    def _prepare(self, config: StreamConfig) -> None:
        self._in_batches: InBatches | Gatherer | None = None
        self._items: Generator[Any, None, None] = self._driver.run()
        if config.buffer is not None:
            threaded = self._threaded = self._threaded_driver(config.buffer)
            self._items = self._handed_over(threaded, OneByOne(threaded))

    def _handed_over(self, threaded: Threaded, handover: Handover) -> Generator[Any, None, None]:
        try:
            yield from threaded.items(handover)
        finally:
            self._ahead.finish()

    def __iter__(self) -> Iterator[T]:
        """The items. There is one iterator: a second `iter()` continues where the first one is.

        Raises RuntimeError if `batches()` was called.
        """
        if self._in_batches is not None:
            raise RuntimeError("This stream hands over batches; iterate what batches() has returned")
        return self._items

    def batches(self, max_items: int = 500, max_seconds: float = 1.0) -> Iterator[list[T]]:
        """The items in lists, for a consumer that stores many at once.

        A list is handed over when it has `max_items`, or `max_seconds` after its first item was received,
        also if nothing else comes. The whole list counts as delivered when the next one is asked for, or when
        the `with` block is left without an exception. If the consumer raises, nothing of it does. A list
        comes early if its lines take more than 16 MiB, or 4 KiB an item asked for if that is more. After
        `stop()`, what was gathered by then is handed over as a last list.

        There is one iterator: a second call continues with new limits. Raises ValueError if a limit is none,
        and RuntimeError if the items are being iterated one by one.
        """
        limits = BatchLimits(max_items, max_seconds)
        if self._in_batches is not None:
            self._in_batches.limits = limits
        elif getgeneratorstate(self._items) != GEN_CREATED:
            raise RuntimeError("This stream is iterated item by item; call batches() on a new one")
        elif self._threaded is None:
            self._in_batches = gatherer = Gatherer(self._driver, self._parts, limits)
            self._items = gatherer.batches()
        else:
            self._in_batches = in_batches = InBatches(self._threaded, limits)
            self._items = self._handed_over(self._threaded, in_batches)
        return self._items

    def stop(self) -> None:
        """End the stream soon: from any thread, signal handler or callback. Returns at once.

        An attempt to connect, a blocked read and a wait are interrupted. The iteration then ends normally.
        Items that were read but not yet yielded are not delivered; `state.undelivered_items` counts them.
        """
        (self._threaded or self._driver).stop()

    def close(self) -> None:
        """Stop, and close the connection before returning. While another thread iterates, only stop."""
        self.stop()
        if getgeneratorstate(self._items) != GEN_RUNNING:
            self._items.close()

    def __enter__(self: S) -> S:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None and getgeneratorstate(self._items) == GEN_SUSPENDED:
            if self._threaded is not None:
                self._threaded.deliver_last()
            elif isinstance(self._in_batches, Gatherer):
                self._in_batches.last_counts = True
            else:
                self._driver.deliver_last()
        self.close()


def stream_with_retry(
    session: requests.Session,
    method: str,
    url: str,
    config: StreamConfig | None = None,
    params: NamedValuesSource = None,
    headers: NamedValuesSource = None,
    json_data: Any = None,
    response_model: Model[T] | None = None,
    *,
    state: StreamState | None = None,
) -> Generator[T, None, None]:
    """The items of a stream, with automatic reconnects: the function of `xdk.streaming`, name for name.

    A generator: nothing happens before the first `next()`, and closing it closes the connection. `state` is a
    `StreamState` of your own, in which to watch the stream. The arguments are those of `Stream`, which also
    offers `stop()`.

    Raises `StreamError` if an error cannot be retried, `RetriesExhausted` if no attempt is left, and
    `ValueError` for a bad argument, all of them at the first `next()`.
    """
    with Stream(
        session, method, url, config, params, headers, json_data, response_model, state=state
    ) as stream:
        yield from stream
