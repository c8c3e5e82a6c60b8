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
from xdk_streaming.config import Buffer, NamedValuesSource, StreamConfig
from xdk_streaming.driver.driver import Driver
from xdk_streaming.driver.threaded import END, Threaded
from xdk_streaming.state import StreamState
from xdk_streaming.streams.assembly import Assembly, Model, T
from xdk_streaming.streams.loop_bridge import LoopBridge, check_loop

if TYPE_CHECKING:
    import requests

S = TypeVar("S", bound="AsyncStream[Any]")

DEFAULT_BUFFER = Buffer(max_bytes=2**19)
"""The buffer if none is set. It holds two of the longest reads, so one can be taken while the next one
arrives. It is so small that a slow consumer soon holds the reader back, as a slow loop would."""


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
        self._threaded = self._threaded_driver(config.buffer or DEFAULT_BUFFER, self._bridge.wake)
        self._batches = _Batches(self._threaded, self._bridge, self._driver)
        self._items: AsyncGenerator[T, None] = _one_by_one(self._batches)

    def __aiter__(self) -> AsyncGenerator[T, None]:
        """The items. There is one iterator: a second `aiter()` continues where the first one is."""
        return self._items

    def stop(self) -> None:
        """End the stream soon: from any thread, signal handler, task or callback. Returns at once.

        A blocked read, a wait and an attempt to connect are interrupted. The iteration then ends normally.
        Items that were read but not yet yielded are not delivered; `state.undelivered_items` counts them.
        """
        self._threaded.stop()
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
            self._threaded.deliver_last()
        await self.aclose()


class _Batches:
    """The batches from the thread. Holds no reference to the stream, which is dropped and closed first."""

    def __init__(self, threaded: Threaded, bridge: LoopBridge, driver: Driver) -> None:
        self._threaded = threaded
        self._bridge = bridge
        self._driver = driver

    def __del__(self) -> None:
        self._threaded.stop()  # there may be no loop any more that could close the stream

    async def take(self) -> Generator[Any, None, None] | None:
        """The items of the next batch, as a generator that notes each delivery; None at the end."""
        if self._bridge.opened:
            await asyncio.sleep(0)  # a stream that always has items must not block the loop
        else:
            self._bridge.open(self._threaded)
            self._threaded.start()
        while (batch := self._threaded.take()) is None:
            await self._bridge.woken()
        return None if batch is END else self._threaded.each(batch)

    async def close(self) -> None:
        """Stop, and return when the thread and the connection are gone."""
        # A separate task: if the caller is cancelled again while it waits, the closing still completes.
        await asyncio.shield(self._close())

    async def _close(self) -> None:
        self._threaded.stop()
        self._bridge.cancel()
        while self._threaded.running:
            with suppress(asyncio.CancelledError):  # the loop is being shut down, and this is part of it
                await self._bridge.woken()
        try:
            self._threaded.close()
        finally:
            if self._driver.unfinished:
                await asyncio.to_thread(self._driver.finish)  # `finish` waits for the disk and for callbacks
            self._bridge.closed.set()


async def _one_by_one(batches: _Batches) -> AsyncGenerator[Any, None]:
    check_loop()
    try:
        while (batch := await batches.take()) is not None:
            with closing(batch):
                for item in batch:
                    yield item
    finally:
        await batches.close()


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
    batches = stream._batches  # not `stream` itself: this saves one step per item
    try:
        while (batch := await batches.take()) is not None:
            with closing(batch):
                for item in batch:
                    yield item
    finally:
        await batches.close()
