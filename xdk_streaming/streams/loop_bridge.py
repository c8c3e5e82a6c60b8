"""The bridge from the driver's thread to an event loop: wakes the consumer and runs the callbacks there."""

from __future__ import annotations

import asyncio
import math
import threading
from collections.abc import Callable
from contextvars import copy_context
from inspect import isawaitable
from typing import Any

from xdk_streaming.driver.threaded import Threaded

LOOP_CHECK_SECONDS = 0.1
"""Seconds after which a thread that waits for a callback checks whether the loop can still run it."""


def check_loop() -> None:
    """Raise RuntimeError if no loop of asyncio runs here, as under trio."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        raise RuntimeError(
            "AsyncStream needs asyncio, and no loop of asyncio runs here; elsewhere, iterate a Stream "
            "in a thread"
        ) from None


class CallbackCall:
    """One call of a callback. The loop runs it while the driver's thread waits.

    `KeyboardInterrupt` and `SystemExit` leave the loop, as asyncio defines. A cancelled call has ended.
    """

    def __init__(self, callback: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
        self._callback = callback
        self._arguments = arguments
        self._cancelled = False
        self._error: BaseException | None = None
        self.task: asyncio.Future[Any] | None = None
        """The task of a coroutine; None if the callback is a plain function."""
        self.done = threading.Lock()
        """Held until the call is done."""
        self.done.acquire()

    def begin(self) -> None:
        """Call the callback. On the loop."""
        try:
            result = self._callback(*self._arguments)
            if isawaitable(result):
                self.task = asyncio.ensure_future(result)
        except (KeyboardInterrupt, SystemExit):
            raise
        except asyncio.CancelledError:
            pass
        except BaseException as error:  # noqa: BLE001 - raised on the driver's thread
            self._error = error
        finally:
            if self.task is None:
                self.done.release()
            else:
                self.task.add_done_callback(self._end)
        if self._cancelled:
            self.cancel()

    def cancel(self) -> None:
        """End the call soon, if it is a coroutine. On the loop."""
        self._cancelled = True
        if self.task is not None and self.task is not asyncio.current_task():
            self.task.cancel()

    def result(self) -> None:
        """Raise the callback's exception, if any. On the driver's thread, once the call is done."""
        error, self._error = self._error, None
        try:
            if error is not None:
                raise error
        finally:
            del error  # the exception's traceback holds this frame

    def _end(self, task: asyncio.Future[Any]) -> None:
        error = None if task.cancelled() else task.exception()
        if not isinstance(error, (KeyboardInterrupt, SystemExit)):
            self._error = error
        self.done.release()


class LoopBridge:
    """Serves a loop once `open` was called. Holds no reference to the consumer, which must be collectable."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ready = asyncio.Event()
        self._call: CallbackCall | None = None
        self.closed = asyncio.Event()
        """Set when the thread is gone and the closing is complete."""

    def open(self, threaded: Threaded) -> None:
        """Serve the running loop. Call this on that loop, before the thread starts."""
        self._loop = asyncio.get_running_loop()
        self._context = copy_context()
        self._threaded = threaded

    @property
    def opened(self) -> bool:
        """Whether `open` was called."""
        return self._loop is not None

    def wake(self) -> None:
        """Wake the consumer, from any thread or signal handler."""
        if self._loop is None:
            return
        try:
            self._loop.call_soon_threadsafe(self._ready.set)
        except RuntimeError:  # the loop is closed, so nothing will take any more items
            self._threaded.stop()

    async def woken(self, seconds: float = math.inf) -> None:
        """Wait for a `wake`, at most for so many seconds."""
        limit = None
        if seconds < math.inf:
            limit = asyncio.get_running_loop().call_later(seconds, self._ready.set)
        try:
            await self._ready.wait()
        finally:
            self._ready.clear()
            if limit is not None:
                limit.cancel()

    # Callbacks

    def run(self, callback: Callable[..., Any], *arguments: Any) -> None:
        """Run the callback on the loop, and return or raise when it is done. On the driver's thread."""
        loop = self._loop
        assert loop is not None
        call = self._call = CallbackCall(callback, arguments)
        loop.call_soon_threadsafe(call.begin, context=self._context)
        while not call.done.acquire(timeout=LOOP_CHECK_SECONDS):
            if loop.is_closed() or (self._threaded.stopping and not loop.is_running()):
                raise RuntimeError("The event loop has ended, and the callback cannot run")
        self._call = None
        call.result()

    def cancel(self) -> None:
        """End the callback that is running, if it is a coroutine. On the loop."""
        call = self._call
        if call is not None:
            call.cancel()

    @property
    def inside(self) -> bool:
        """Whether the caller is the callback that is running."""
        call = self._call
        return call is not None and call.task is not None and call.task is asyncio.current_task()
