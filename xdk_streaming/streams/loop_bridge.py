"""Between a driver's thread and an event loop: wakes the consumer there, and runs the callbacks there."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextvars import copy_context
from inspect import isawaitable
from typing import Any

from xdk_streaming.driver.threaded import Threaded

LOOP_CHECK_SECONDS = 0.1
"""Seconds after which a thread that waits for a callback looks whether there is still a loop to run it."""
WAKE_AGAIN_SECONDS = 0.02
"""Seconds after which a thread that should end, but still dials, is woken again: it may have begun anew."""


class CallbackCall:
    """One callback, which the loop runs while the driver's thread waits for it.

    `KeyboardInterrupt` and `SystemExit` leave the loop, as asyncio has it. One that is cancelled has ended.
    """

    def __init__(self, callback: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
        self._callback = callback
        self._arguments = arguments
        self._cancelled = False
        self._error: BaseException | None = None
        self.task: asyncio.Future[Any] | None = None
        """What a coroutine function runs as."""
        self.done = threading.Lock()
        self.done.acquire()

    def begin(self) -> None:
        """On the loop."""
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
        """Have it end soon, where it is a coroutine. On the loop."""
        self._cancelled = True
        if self.task is not None and self.task is not asyncio.current_task():
            self.task.cancel()

    def result(self) -> None:
        """Raise what it raised. On the driver's thread, when it is done."""
        error, self._error = self._error, None
        try:
            if error is not None:
                raise error
        finally:
            del error  # its traceback holds this frame

    def _end(self, task: asyncio.Future[Any]) -> None:
        error = None if task.cancelled() else task.exception()
        if not isinstance(error, (KeyboardInterrupt, SystemExit)):
            self._error = error
        self.done.release()


class LoopBridge:
    """Knows the loop, from `open` on. Keeps no reference to the consumer, whose end must be noticed."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ready = asyncio.Event()
        self._call: CallbackCall | None = None
        self.closed = asyncio.Event()
        """Set when the thread is gone and all is settled."""

    def open(self, threaded: Threaded) -> None:
        """Before the thread starts, on the loop that is to be served."""
        self._loop = asyncio.get_running_loop()
        self._context = copy_context()
        self._threaded = threaded

    @property
    def opened(self) -> bool:
        """Whether there is a loop to be served."""
        return self._loop is not None

    def wake(self) -> None:
        """Have the consumer look: from any thread or signal handler."""
        if self._loop is None:
            return
        try:
            self._loop.call_soon_threadsafe(self._ready.set)
        except RuntimeError:  # the loop is closed: nobody will take anything any more
            self._threaded.stop()

    async def woken(self, within: float | None = None) -> None:
        """Wait for a `wake`, so long at most."""
        nudge = within and asyncio.get_running_loop().call_later(within, self._ready.set)
        try:
            await self._ready.wait()
        finally:
            self._ready.clear()
            if nudge:
                nudge.cancel()

    # Callbacks

    def run(self, callback: Callable[..., Any], *arguments: Any) -> None:
        """Run it on the loop, and return or raise when it is done. On the driver's thread."""
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
        """End the callback that runs, if it is a coroutine. On the loop."""
        call = self._call
        if call is not None:
            call.cancel()

    @property
    def inside(self) -> bool:
        """Whether this is asked by the callback that runs."""
        call = self._call
        return call is not None and call.task is not None and call.task is asyncio.current_task()
