"""Makes calls of other code on a thread that can be left: a session's request, or a read of its body.

Such a call may block for as long as it likes, and nothing can interrupt it on every system. So it is made on
a thread of its own, and the stream's thread waits for its end in the usual way. If the wait ends first, the
call is left alone: its sockets are shut down, its result is closed when it comes, and the thread then ends.
Only a name lookup, and an adapter that hides its sockets, keep the thread until their own timeouts.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from contextlib import suppress
from contextvars import copy_context
from types import FrameType
from typing import Any

from xdk_streaming.clock import monotonic
from xdk_streaming.wire import interrupt
from xdk_streaming.wire.wait import SLICE_SECONDS, Due, Wait

LEAVE_SECONDS = 0.4
"""Seconds in which the sockets of a call that is left are shut down again and again: the call may be before
its first socket, or between two."""
LEAVE_PAUSE = 0.01
"""Seconds between two of these times."""


class Call:
    """One call. `done` is set last; the result or the error then stands."""

    # Class attributes, so that close() finds them at any time: Ctrl-C may come at any line.
    result: Any = None
    error: BaseException | None = None
    done = False
    left = False

    def __init__(self, function: Callable[[], Any]) -> None:
        self.function: Callable[[], Any] | None = function

    def make(self) -> None:
        """Make the call. On the caller's thread."""
        function, self.function = self.function, None  # the function holds the headers, and may be kept long
        assert function is not None
        try:
            self.result = function()
        except BaseException as error:  # noqa: BLE001 - raised on the stream's thread
            self.error = error
        self.done = True
        if self.left:
            self.close()

    def close(self) -> None:
        """Close the result, which nobody takes. On any thread."""
        result, self.result, self.error = self.result, None, None
        if result is not None:
            with suppress(Exception):  # foreign code
                result.close()


class Caller:
    """A thread for calls of other code, one at a time. The thread starts with the first call.

    The calls see the context variables of the thread that made the caller. For the stream's thread.
    """

    def __init__(self, wait: Wait) -> None:
        self._wait = wait
        # Looked up now: gevent and eventlet may have replaced it since this file was imported.
        self._calls: queue.SimpleQueue[Call | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._pending: tuple[Any, ...] | None = None

    def call(
        self,
        function: Callable[[], Any],
        ends_at: float | None = None,
        late: Callable[[], Exception] = TimeoutError,
        shut_down: Callable[[], object] = lambda: None,
        *,
        heeds_due: bool = False,
    ) -> Any:
        """What the function returns or raises.

        Raises `Woken` after `Wait.wake`, and the error that `late` makes if the moment `ends_at` (monotonic)
        comes first. The call is then left; `shut_down` helps to end it. With `heeds_due` it raises `Due` at
        `Wait.due_at`; the call then goes on, and `resume` waits for it again.
        """
        call = Call(function)
        if not self._started():
            call.make()  # no thread can be had: better an attempt that cannot be woken than none
            return self._outcome(call)
        return self._awaited((call, ends_at, late, shut_down, heeds_due), begins=True)

    @property
    def goes_on(self) -> bool:
        """Whether a call is being made that `resume` may wait for."""
        return self._pending is not None

    def resume(self) -> Any:
        """Wait again for the call that goes on: as `call` does."""
        assert self._pending is not None
        return self._awaited(self._pending)

    def leave(self) -> None:
        """Leave the call that goes on, if there is one."""
        if self._pending is not None:
            call, _, _, shut_down, _ = self._pending
            self._pending = None
            self._leave(call, shut_down)

    def _awaited(self, pending: tuple[Any, ...], *, begins: bool = False) -> Any:
        call, ends_at, late, shut_down, heeds_due = self._pending = pending  # found by `leave` from now on
        try:
            if begins:
                self._calls.put(call)
            self._until_done(call, ends_at, late, heeds_due=heeds_due)
        except Due:
            raise
        except BaseException:
            self._pending = None
            self._leave(call, shut_down)
            raise
        self._pending = None
        return self._outcome(call)

    def end(self) -> None:
        """Let the thread end after its last call."""
        self._calls.put(None)

    def _started(self) -> bool:
        if self._thread is None:
            thread = threading.Thread(target=copy_context().run, args=[self._run], daemon=True)
            with suppress(RuntimeError):
                thread.start()
                self._thread = thread
        return self._thread is not None

    def _run(self) -> None:
        while (call := self._calls.get()) is not None:
            call.make()
            self._wait.ring()
            del call  # or its result would be kept until the next call

    def _until_done(
        self, call: Call, ends_at: float | None, late: Callable[[], Exception], *, heeds_due: bool
    ) -> None:
        while not call.done:
            self._wait.check()
            left = SLICE_SECONDS if ends_at is None else ends_at - monotonic()
            if left <= 0:
                raise late()
            if heeds_due and self._wait.due_at is not None:
                if self._wait.is_due():
                    raise Due
                left = min(left, self._wait.due_at - monotonic())
            self._wait.pause(left)

    @staticmethod
    def _outcome(call: Call) -> Any:
        result, error = call.result, call.error
        try:
            if error is not None:
                raise error
            return result
        finally:
            del error, call  # the error's traceback holds this frame

    def _leave(self, call: Call, shut_down: Callable[[], object]) -> None:
        """Shut down the sockets of the call, so that it ends, and let it close its own result."""
        self.end()
        call.left = True
        if call.done:
            call.close()
        thread = self._thread
        assert thread is not None  # it makes the call
        ends_at = monotonic() + LEAVE_SECONDS
        while thread.is_alive() and monotonic() < ends_at:
            shut_down()
            interrupt.shut_down_sockets(thread.ident or 0, self._is_run_of)
            thread.join(LEAVE_PAUSE)

    def _is_run_of(self, frame: FrameType) -> bool:
        return frame.f_code is Caller._run.__code__ and frame.f_locals.get("self") is self
