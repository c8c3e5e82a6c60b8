"""The stream for asyncio: `AsyncStream` and `astream_with_retry`.

There is no second implementation: the driver runs in a separate thread, as it does with a buffer. Items come
to the loop in batches, with one wake-up per batch.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Generator
from contextlib import closing, suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

from xdk_streaming.callbacks import Callbacks
from xdk_streaming.config import NamedValuesSource, StreamConfig
from xdk_streaming.driver.batch_limits import BatchLimits
from xdk_streaming.driver.handover import Handover, InBatches, OneByOne
from xdk_streaming.driver.read_ahead import ReadAhead
from xdk_streaming.driver.threaded import END, READ_AHEAD, Threaded
from xdk_streaming.state import StreamState
from xdk_streaming.streams.assembly import Assembly, Model, T
from xdk_streaming.streams.loop_bridge import LoopBridge, check_loop

if TYPE_CHECKING:
    import requests

S = TypeVar("S", bound="AsyncStream[Any]")


class AsyncStream(Assembly[T]):
    """One stream for asyncio, over as many connections as needed.

        async with AsyncStream(session, "get", url) as stream:
            async for post in stream:
                ...

    The arguments, the attributes and the exceptions are those of `Stream`. The session is one of `requests`:
    a separate thread reads, and the loop never waits for the network. That thread calls `params` and
    `headers` if they are callables. Iterate the stream in one task at a time.

    Callbacks are plain or coroutine functions. They run on the loop, one after the other, while the thread
    waits for each. A callback may run before earlier items are taken, at most a buffer full of items. Closing
    the stream cancels a coroutine that still runs, but waits for `on_disconnect`, which closing calls.

    Only `async with` guarantees that the connection is closed if the consumer raises and keeps the iterator.
    Without `async with`, the connection is closed when the iterator is dropped or the loop is shut down.
    """

    @staticmethod
    def _another_stream(*arguments: Any) -> AsyncStream[Any]:
        return AsyncStream(*arguments)

    def _make_callbacks(self, config: StreamConfig) -> Callbacks:
        self._bridge = LoopBridge()
        return Callbacks(config, self.state, self._bridge.run)

    def _prepare(self, config: StreamConfig) -> None:
        threaded = self._threaded = self._threaded_driver(config.buffer or READ_AHEAD, self._bridge.wake)
        self._parcels = _Parcels(threaded, self._bridge, self._ahead)
        self._in_batches: InBatches | None = None
        self._items: AsyncGenerator[Any, None] = _handed_over(self._parcels, OneByOne(threaded))

    def __aiter__(self) -> AsyncGenerator[T, None]:
        """The items. There is one iterator: a second `aiter()` continues where the first one is.

        Raises RuntimeError if `batches()` was called.
        """
        if self._in_batches is not None:
            raise RuntimeError("This stream hands over batches; iterate what batches() has returned")
        return self._items

    def batches(self, max_items: int = 500, max_seconds: float = 1.0) -> AsyncGenerator[list[T], None]:
        """The items in lists, as by `Stream.batches`: `async for posts in stream.batches(500)`.

        Raises ValueError if a limit is none, and RuntimeError if the items are being iterated one by one.
        """
        limits = BatchLimits(max_items, max_seconds)
        if self._in_batches is not None:
            self._in_batches.limits = limits
        elif self._bridge.opened:
            raise RuntimeError("This stream is iterated item by item; call batches() on a new one")
        else:
            self._in_batches = InBatches(self._parcels.threaded, limits)
            self._items = _handed_over(self._parcels, self._in_batches)
        return self._items

    def stop(self) -> None:
        """End the stream soon: from any thread, signal handler, task or callback. Returns at once.

        A blocked read, a wait and an attempt to connect are interrupted. The iteration then ends normally.
        Items that were read but not yet yielded are not delivered; `state.undelivered_items` counts them.
        """
        self._parcels.threaded.stop()
        self._bridge.wake()

    async def aclose(self) -> None:
        """Stop, and close the connection before returning. In a callback of this stream, only stop."""
        self.stop()
        if self._bridge.inside:
            return
        if self._items.ag_running:  # type: ignore[attr-defined]  # typeshed has it on its own type alone
            await self._bridge.closed.wait()  # the task that iterates closes the connection
        elif self._bridge.opened:
            await self._items.aclose()

    async def __aenter__(self: S) -> S:
        check_loop()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._parcels.threaded.deliver_last()
        await self.aclose()


class _Parcels:
    """The parcels from the thread. Holds no reference to the stream, which is dropped and closed first."""

    def __init__(self, threaded: Threaded, bridge: LoopBridge, ahead: ReadAhead) -> None:
        self.threaded = threaded
        self._bridge = bridge
        self._ahead = ahead
        self._ended = False

    def __del__(self) -> None:
        self.threaded.stop()  # there may be no loop any more that could close the stream

    async def take(self, handover: Handover) -> Generator[Any, None, None] | None:
        """What can be handed over next, as a generator that notes each delivery; None after the last."""
        if self._bridge.opened:
            await asyncio.sleep(0)  # a stream that always has items must not block the loop
        else:
            self._bridge.open(self.threaded)
            self.threaded.start()
        if self._ended:
            self.threaded.check()
            return None
        parcel = self.threaded.take()
        if parcel is None:
            await self._bridge.woken(handover.patience())
        self._ended = parcel is END
        return handover.rest() if self._ended else handover.take(parcel)

    async def close(self) -> None:
        """Stop, and return when the thread and the connection are gone."""
        # A separate task: if the caller is cancelled again while it waits, the closing still completes.
        await asyncio.shield(self._close())

    async def _close(self) -> None:
        self.threaded.stop()
        self._bridge.cancel()
        while self.threaded.running:
            with suppress(asyncio.CancelledError):  # the loop is being shut down, and this is part of it
                await self._bridge.woken()
        try:
            self.threaded.close()
        finally:
            if self._ahead.unfinished:
                await asyncio.to_thread(self._ahead.finish)  # `finish` waits for the disk and for callbacks
            self._bridge.closed.set()


async def _handed_over(parcels: _Parcels, handover: Handover) -> AsyncGenerator[Any, None]:
    check_loop()
    try:
        while (some := await parcels.take(handover)) is not None:
            with closing(some):
                for each in some:
                    yield each
    finally:
        await parcels.close()


async def astream_with_retry(
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
) -> AsyncGenerator[T, None]:
    """The items of a stream for asyncio, with automatic reconnects: `stream_with_retry` for `async for`.

    An async generator: nothing happens before the first item is asked for, and closing it closes the
    connection. After a `break`, an error or a cancellation, the loop closes it. The arguments are those of
    `AsyncStream`, which also offers `stop()`.

    Raises `StreamError` if an error cannot be retried, `RetriesExhausted` if no attempt is left, and
    `ValueError` for a bad argument, all of them at the first item.
    """
    stream = AsyncStream[Any](
        session, method, url, config, params, headers, json_data, response_model, state=state
    )
    parcels, handover = stream._parcels, OneByOne(stream._parcels.threaded)
    try:  # not by iterating `stream`: this saves one step per item
        while (some := await parcels.take(handover)) is not None:
            with closing(some):
                for item in some:
                    yield item
    finally:
        await parcels.close()
