"""A file that records delivered items, so that a restarted process asks only for the items that it missed.

All of SQLite happens on one thread, and only that thread's frames refer to SQLite's connection. A forked
process has no such thread, so it can neither use nor close the connection.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Hashable, Iterable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotYet
from contextlib import ExitStack, closing, suppress
from pathlib import Path

from xdk_streaming.errors import StreamError, StreamErrorType
from xdk_streaming.log import logger
from xdk_streaming.recovery.lock import in_use, locked
from xdk_streaming.recovery.sqlite_store import SQLiteStore as CheckpointStore  # another store goes here
from xdk_streaming.recovery.store import Delivered, Store, StoredKey

COMMIT_SECONDS = 0.5
"""Seconds between a note and its commit, at most, if the disk keeps up."""
RETRY_SECONDS = 1.0
"""Seconds between two attempts to write."""
CLOSE_TIMEOUT = 10.0
"""Seconds that `commit` and `close` wait for the disk, at most."""
MAX_PENDING = 500_000
"""Items that are kept while the file cannot be written. Older ones are forgotten."""
STORABLE_INTEGERS = range(-(2**63), 2**64)
"""Integers that can be stored as keys."""


class Checkpoint:
    """Records delivered items in the file `path`. One stream of one process uses the file at a time.

    The file keeps the keys of the last `window` seconds, at most `max_keys`. Only str, bytes and integers of
    64 bits are stored. Other keys are not stored, and the first of them is logged.

    A note is in the file after a second at most, and stays there however the process ends. A power failure
    may lose the last seconds, but not the file. Call `load` and `close` on one thread, and `note` on any one
    thread. A forked process must not use the object.
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
        self._unstorable_logged = False
        self._idle = False
        self._wake = threading.Lock()
        self._wake.acquire()
        self._thread: threading.Thread | None = None

    def load(self) -> Delivered:
        """Open the file, and return what it holds. Four million keys take a second.

        Raises `StreamError` (FATAL_ERROR) if the file is in use or cannot be opened. A damaged file is
        renamed, with a warning, and a new one is begun.
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
            self._opened = Future()  # only the caller keeps the contents, which may be large

    def note(self, key: Hashable, received_at: float) -> None:
        """Record that an item was delivered. `received_at` is in Unix seconds of this machine's wall clock.

        `key` is None if the item has no key.
        """
        self._pending.append((key, received_at))
        if self._idle:
            self._wake_thread()

    def commit(self) -> bool:
        """Write all pending notes now, within ten seconds. Returns whether all of them are in the file."""
        thread = self._thread
        if thread is None or not thread.is_alive():
            return False
        written: Future[bool] = Future()
        self._asked.append(written)
        self._wake_thread()
        give_up_at = time.monotonic() + CLOSE_TIMEOUT
        while thread.is_alive() and time.monotonic() < give_up_at:
            with suppress(NotYet):
                return written.result(0.1)
        return written.done() and written.result()

    def close(self) -> None:
        """Write all pending notes and close the file. Waits ten seconds at most. May be called again."""
        self._closing = True
        self._wake_thread()
        thread = self._thread
        if thread is None or thread.ident is None:  # interrupted before its start
            return
        thread.join(CLOSE_TIMEOUT)
        if thread.is_alive():
            logger.error(
                "The checkpoint %s is still being written; nothing waits for it any longer", self.path
            )

    def _wake_thread(self) -> None:
        """Wake the writing thread. Safe on any thread and in signal handlers: a bare lock is released."""
        self._idle = False
        with suppress(RuntimeError):  # the lock was released before, and the thread has not waited since
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
        """The open file, which `held` will close; None after an error, which `load` then raises."""
        opened = self._opened
        try:
            path = self.path.resolve()
            held.enter_context(locked(path))
            file = held.enter_context(closing(CheckpointStore(path, self._window, self._max_keys)))
            opened.set_result(file.begin())
        except StreamError as error:
            opened.set_exception(error)
        except Exception as error:  # noqa: BLE001 - a store may be anybody's, and load() waits for this
            opened.set_exception(_unusable(self.path, error))
        else:
            return file
        return None

    def _serve(self, file: Store) -> None:
        """Until `close`: sleep until there is a note, wait for more notes to gather, and write them."""
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
        """Write all notes. Returns whether all of them are in the file; the others stay in `unsaved`."""
        pending = self._pending
        unsaved.extend([pending.popleft() for _ in range(len(pending))])
        if not unsaved:
            return True
        try:
            file.add(self._lasting(unsaved), unsaved[-1][1])
        except Exception as error:  # noqa: BLE001 - a store may be anybody's; the stream goes on
            self._log_failure(error)
            return False
        unsaved.clear()
        if self._failing:
            self._failing = False
            logger.warning("The checkpoint %s can be written again", self.path)
        return True

    def _lasting(self, noted: Iterable[tuple[Hashable, float]]) -> list[StoredKey]:
        """The keys that the file can store unchanged."""
        keys: list[StoredKey] = []
        for key, _ in noted:
            kind = type(key)
            if kind is str or kind is bytes or (kind is int and key in STORABLE_INTEGERS):
                keys.append(key)  # type: ignore[arg-type]
            elif key is not None and not self._unstorable_logged:
                self._unstorable_logged = True
                logger.warning(
                    "A key of type %s cannot be kept in the checkpoint %s: such items may be delivered again "
                    "after a restart. Make the key function return str, bytes or an integer of 64 bits",
                    kind.__name__,
                    self.path,
                )
        return keys

    def _log_failure(self, error: Exception) -> None:
        if not self._failing:
            self._failing = True
            logger.error(
                "The checkpoint %s cannot be written (%s). The stream goes on, keeps its last %d items in "
                "memory, and tries again every second",
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
