"""The face for asyncio: `AsyncStream` and `astream_with_retry`.

Not a second stream: the driver runs in a thread of its own, as it does behind a buffer, and its items come
to the loop in batches, with one wake-up for each.
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
from xdk_streaming.streams.loop_bridge import WAKE_AGAIN_SECONDS, LoopBridge
from xdk_streaming.wire.request import Request

if TYPE_CHECKING:
    import requests

S = TypeVar("S", bound="AsyncStream[Any]")

DEFAULT_BUFFER = Buffer(max_bytes=2**19)
"""What is read ahead where no buffer is set: two of the longest reads, so that one can be taken while the
next one comes, and so little that a slow consumer soon holds the reader back, as a slow loop would."""


class AsyncStream(Assembly[T]):
    """One stream for asyncio, over as many connections as it takes.

        async with AsyncStream(session, "get", url) as stream:
            async for post in stream:
                ...

    The arguments, `state`, `connection_state` and `history` are those of `Stream`, and so is what iterating
    raises. The session is one of `requests`: a thread reads, and the loop never waits for the network.
    `params` and `headers`, where they are callables, are called on that thread. Iterate it in one
    task at a time.

    Callbacks are plain or coroutine functions, and run on the loop, one after the other; the thread
    waits for each. One may run before the items that came before it are taken: at most a buffer full of
    them. A coroutine that still runs when the stream is closed is cancelled; `on_disconnect`, which
    closing calls, is waited for.

    Only `async with` promises that the connection is closed when the consumer raises and keeps the
    iterator. Without it, it is closed when the iterator is dropped or the loop is shut down.
    """

    @staticmethod
    def _another_stream(*arguments: Any) -> AsyncStream[Any]:
        return AsyncStream(*arguments)

    def _make_callbacks(self, config: StreamConfig) -> Callbacks:
        self._bridge = LoopBridge()
        return Callbacks(config, self.state, self._bridge.run)

    def _prepare(self, config: StreamConfig) -> None:
        self._threaded = self._threaded_driver(config.buffer or DEFAULT_BUFFER, self._bridge.wake)
        self._batches = _Batches(self._threaded, self._bridge, self._parts.request, self._driver)
        self._items: AsyncGenerator[T, None] = _one_by_one(self._batches)

    def __aiter__(self) -> AsyncGenerator[T, None]:
        """The items. There is one iterator: a second one goes on where the first stands."""
        return self._items

    def stop(self) -> None:
        """End the stream soon: from any thread, signal handler, task or callback. Returns at once.

        A blocked read, a wait and an attempt to connect are woken. The iteration then ends normally.
        Items read but not yet yielded are not delivered; `state.undelivered_items` tells how many.
        """
        self._threaded.stop()
        self._bridge.wake()

    async def aclose(self) -> None:
        """Stop, and close the connection before returning; in a callback of this stream, stop."""
        self.stop()
        if self._bridge.inside:
            return
        if self._items.ag_running:  # type: ignore[attr-defined]  # typeshed has it on its own type alone
            await self._bridge.closed.wait()  # whoever iterates sees to it
        elif self._bridge.opened:
            await self._items.aclose()

    async def __aenter__(self: S) -> S:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._threaded.deliver_last()
        await self.aclose()


class _Batches:
    """What comes from the thread. Knows no stream: that is dropped, and closed, before this is."""

    def __init__(self, threaded: Threaded, bridge: LoopBridge, request: Request, driver: Driver) -> None:
        self._threaded = threaded
        self._bridge = bridge
        self._request = request
        self._driver = driver

    def __del__(self) -> None:
        self._threaded.stop()  # there may be no loop any more that could close it

    async def take(self) -> Generator[Any, None, None] | None:
        """The next batch, its items to be asked for as they are delivered; None at the end."""
        if self._bridge.opened:
            await asyncio.sleep(0)  # a stream that is never at a loss for items must not keep the loop
        else:
            self._bridge.open(self._threaded)
            self._threaded.start()
        while (batch := self._threaded.take()) is None:
            await self._bridge.woken()
        return None if batch is END else self._threaded.each(batch)

    async def close(self) -> None:
        """Stop, and return when the thread is gone, and the connection with it."""
        # A task of its own: who is cancelled again while waiting for it goes, and it is done nevertheless.
        await asyncio.shield(self._close())

    async def _close(self) -> None:
        self._threaded.stop()
        self._bridge.cancel()
        while self._threaded.running:
            self._request.wake()
            with suppress(asyncio.CancelledError):  # the loop is shut down: this is what is to be done
                await self._bridge.woken(within=WAKE_AGAIN_SECONDS)
        try:
            self._threaded.close()
        finally:
            if self._driver.unfinished:
                await asyncio.to_thread(self._driver.finish)  # it waits for the disk, and for callbacks
            self._bridge.closed.set()


async def _one_by_one(batches: _Batches) -> AsyncGenerator[Any, None]:
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
    """The items of a stream for asyncio, reconnecting by itself: `stream_with_retry` with `async for`.

    An async generator: nothing happens before the first item is asked for, and closing it closes
    the connection. Left by `break`, an error or a cancellation it is closed by the loop. For
    `stop()` and the rest take `AsyncStream`, whose arguments these are.

    Raises `StreamError` where an error cannot be retried, `RetriesExhausted` where the retries
    are spent.
    """
    stream = AsyncStream[Any](
        session, method, url, config, params, headers, json_data, response_model, state=state
    )
    batches = stream._batches  # and not `stream` itself: one step less for each item
    try:
        while (batch := await batches.take()) is not None:
            with closing(batch):
                for item in batch:
                    yield item
    finally:
        await batches.close()
