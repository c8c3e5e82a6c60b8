"""What was delivered, kept in a file: a process that starts again asks for what it missed, and no more.

All of SQLite happens on one thread, and its connection is known to that thread's frames alone: a process
that is forked off has no such thread, and so can neither use the connection nor close it.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Hashable, Iterable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotYet
from contextlib import ExitStack, closing, suppress
from pathlib import Path

from xdk_streaming.errors import StreamError, StreamErrorType
from xdk_streaming.recovery.lock import in_use, locked
from xdk_streaming.recovery.sqlite_store import SQLiteStore as CheckpointStore  # this line says where
from xdk_streaming.recovery.store import Delivered, Store, StoredKey

logger = logging.getLogger("xdk_streaming")

COMMIT_SECONDS = 0.5
"""Seconds between what is noted and its commit, at most, where the disk keeps up."""
RETRY_SECONDS = 1.0
"""Seconds until what could not be written is tried again."""
CLOSE_TIMEOUT = 10.0
"""Seconds that `commit` and `close` wait for the disk."""
MAX_PENDING = 500_000
"""Items kept while they cannot be written; those before them are forgotten."""
STORABLE_INTEGERS = range(-(2**63), 2**64)


class Checkpoint:
    """Notes what was delivered, in the file `path`. One stream at a time uses it, in one process.

    Keys of `window` seconds are kept, of `max_keys` at most. Only str, bytes and integers of 64 bits
    outlive the process; of other keys the first is logged, and none is kept.

    What was noted is in the file a second later at the latest, and stays there whatever ends the process.
    When the power fails the last seconds may be lost, the file not. `load` and `close` belong to one
    thread, `note` to any one; a process that is forked off has no part in it.
    """

    def __init__(
        self, path: str | os.PathLike[str], *, window: float = 600.0, max_keys: int = 4_300_000
    ) -> None:
        self.path = Path(path)
        self._window = window
        self._max_keys = max_keys
        self._pending: deque[tuple[Hashable, float]] = deque(maxlen=MAX_PENDING)
        self._asked: deque[Future[bool]] = deque()
        self._opened: Future[Delivered] = Future()
        self._closing = False
        self._failing = False
        self._unkept = False
        self._idle = False
        self._wake = threading.Lock()
        self._wake.acquire()
        self._thread: threading.Thread | None = None

    def load(self) -> Delivered:
        """Open the file, and give what it holds. Takes a second for four million keys.

        Raises `StreamError` (FATAL_ERROR) where the file is in use or cannot be opened. One that is
        damaged is set aside, with a warning, and a fresh one is begun.
        """
        if self._thread is not None and self._thread.is_alive():
            raise in_use(self.path)
        self._closing = False
        opened = self._opened = Future()
        self._thread = threading.Thread(target=self._run, name="xdk-streaming-checkpoint", daemon=True)
        self._thread.start()
        try:
            return opened.result()
        finally:
            self._opened = Future()  # what was read is the caller's alone, and may be much

    def note(self, key: Hashable, received_at: float) -> None:
        """An item was delivered that came at `received_at`, in Unix seconds. None is the key of none."""
        self._pending.append((key, received_at))
        if self._idle:
            self._rouse()

    def commit(self) -> bool:
        """Write what is pending, now; whether all of it is in the file. Waits ten seconds at most."""
        thread = self._thread
        if thread is None or not thread.is_alive():
            return False
        written: Future[bool] = Future()
        self._asked.append(written)
        self._rouse()
        give_up_at = time.monotonic() + CLOSE_TIMEOUT
        while thread.is_alive() and time.monotonic() < give_up_at:
            with suppress(NotYet):
                return written.result(0.1)
        return written.done() and written.result()

    def close(self) -> None:
        """Write what is pending, and let go of the file. Waits ten seconds at most; may be called again."""
        self._closing = True
        self._rouse()
        thread = self._thread
        if thread is None or thread.ident is None:  # interrupted before its start
            return
        thread.join(CLOSE_TIMEOUT)
        if thread.is_alive():
            logger.error("The checkpoint %s is still being written, and is left to itself", self.path)

    def _rouse(self) -> None:
        """As safe in a signal handler as on a thread: a bare lock is released."""
        self._idle = False
        with suppress(RuntimeError):  # it was released before, and nothing has waited since
            self._wake.release()

    # Everything below runs on the writing thread.

    def _run(self) -> None:
        try:
            with ExitStack() as held:
                file = self._open(held)
                if file is not None:
                    self._serve(file)
        finally:
            while self._asked:
                self._asked.popleft().set_result(False)

    def _open(self, held: ExitStack) -> Store | None:
        """The file, to be let go with `held`; None where `load` is told why not."""
        opened = self._opened
        try:
            path = self.path.resolve()
            held.enter_context(locked(path))
            file = held.enter_context(closing(CheckpointStore(path, self._window, self._max_keys)))
            opened.set_result(file.begin())
        except StreamError as error:
            opened.set_exception(error)
        except (OSError, RuntimeError, sqlite3.Error, MemoryError) as error:
            opened.set_exception(_unusable(self.path, error))
        else:
            return file
        return None

    def _serve(self, file: Store) -> None:
        """Sleep until something is noted, let more of it gather, write it down; and again, until the end."""
        unsaved: deque[tuple[Hashable, float]] = deque(maxlen=MAX_PENDING)
        while not self._closing:
            self._idle = True
            if not (self._pending or unsaved or self._asked or self._closing):
                self._wake.acquire()
            self._idle = False
            if not (self._asked or self._closing):
                self._wake.acquire(timeout=RETRY_SECONDS if unsaved else COMMIT_SECONDS)
            asked = [self._asked.popleft() for _ in range(len(self._asked))]
            written = self._write(file, unsaved)
            for answer in asked:
                answer.set_result(written)
        if not self._write(file, unsaved):
            logger.error("The last %d item(s) are not in the checkpoint %s", len(unsaved), self.path)

    def _write(self, file: Store, unsaved: deque[tuple[Hashable, float]]) -> bool:
        """Whether all that was noted is in the file now. What is not stays in `unsaved`."""
        pending = self._pending
        unsaved.extend([pending.popleft() for _ in range(len(pending))])
        if not unsaved:
            return True
        try:
            file.add(self._lasting(unsaved), unsaved[-1][1])
        except (StreamError, OSError, sqlite3.Error, MemoryError) as error:
            self._complain(error)
            return False
        unsaved.clear()
        if self._failing:
            self._failing = False
            logger.warning("The checkpoint %s is written again", self.path)
        return True

    def _lasting(self, noted: Iterable[tuple[Hashable, float]]) -> list[StoredKey]:
        """The keys that a file can hold as they are."""
        keys: list[StoredKey] = []
        for key, _ in noted:
            kind = type(key)
            if kind is str or kind is bytes or (kind is int and key in STORABLE_INTEGERS):
                keys.append(key)  # type: ignore[arg-type]
            elif key is not None and not self._unkept:
                self._unkept = True
                logger.warning(
                    "A key of type %s cannot be kept in the checkpoint %s: such items may be delivered again "
                    "after a restart. Let the key function return str, bytes or an integer of 64 bits",
                    kind.__name__,
                    self.path,
                )
        return keys

    def _complain(self, error: Exception) -> None:
        if not self._failing:
            self._failing = True
            logger.error(
                "The checkpoint %s cannot be written (%s). The stream goes on; its last %d items are kept in "
                "memory, and writing is tried each second",
                self.path,
                error,
                MAX_PENDING,
            )


def _unusable(path: Path, error: Exception) -> StreamError:
    if str(error).startswith("database is locked"):
        return in_use(path)
    return StreamError(
        f"The checkpoint {path} cannot be opened ({error}). "
        "Give it a path in a directory that exists, may be written, and has room",
        StreamErrorType.FATAL_ERROR,
        error,
    )
