"""The file of a checkpoint: an SQLite database. Each row holds the keys of one commit."""

from __future__ import annotations

import json
import os
import sqlite3
import zlib
from collections import deque
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, NamedTuple

from xdk_streaming import files
from xdk_streaming.errors import StreamError, StreamErrorType
from xdk_streaming.log import logger
from xdk_streaming.recovery.store import Delivered, StoredKey

APPLICATION_ID = 0x58444B53
"""SQLite's application id, "XDKS", which distinguishes our files from those of other programs."""
SCHEMA_VERSION = 1
MIN_FILE_BYTES = 512
"""Bytes of the smallest database. SQLite takes a shorter file for an empty one, and overwrites it."""

ALL_ROWS = "SELECT number, received_at, checksum, keys FROM delivered ORDER BY number"
OUTSIDE_CAUSES = (
    "unable to open database file",
    "access permission denied",
    "attempt to write a readonly database",
    "disk I/O error",
    "database or disk is full",
    "database is locked",
    "large file support is disabled",
)
"""The beginnings of SQLite's messages for errors that the file did not cause. Python 3.10 gives no code."""


class _Damage(sqlite3.DatabaseError):
    """SQLite accepts the file, but its contents are not those that were written."""


class _Batch(NamedTuple):
    number: int
    received_at: float
    size: int


class SQLiteStore:
    """The file, for one thread.

    A row holds the keys of one commit, at a thousandth of the work of one row per key. Each row has a
    checksum, because SQLite does not notice bytes that change within a key.
    """

    def __init__(self, path: Path, window: float, max_keys: int) -> None:
        self._path = path
        self._window = window
        self._max_keys = max_keys
        self._db: sqlite3.Connection | None = None
        self._batches: deque[_Batch] = deque()
        self._count = 0

    def begin(self) -> Delivered:
        """Open the file, and return what it holds. A damaged file is renamed, and a new one is begun."""
        try:
            return self._read(self._connected())
        except sqlite3.DatabaseError as error:
            if not self._is_damage(error):
                raise
            return self._begin_afresh(error)

    def add(self, keys: list[StoredKey], received_at: float) -> None:
        """Write one commit and delete the outdated ones, all or nothing."""
        if self._db is None:
            self.begin()
        try:
            self._add(keys, float(received_at))
        except sqlite3.DatabaseError as error:
            if not self._is_damage(error):
                raise
            self._begin_afresh(error)
            self._add(keys, float(received_at))

    def close(self) -> None:
        """Close the file. May be called again."""
        db, self._db = self._db, None
        if db is not None:
            with suppress(sqlite3.Error):
                db.close()

    def _add(self, keys: list[StoredKey], received_at: float) -> None:
        assert self._db is not None
        number = self._batches[-1].number + 1 if self._batches else 1
        outdated = self._outdated(received_at, len(keys))
        data = _encoded(keys)
        with self._db:
            self._db.execute("BEGIN IMMEDIATE")
            self._db.execute(
                "INSERT INTO delivered VALUES (?, ?, ?, ?)",
                (number, received_at, _checksum(number, received_at, data), data),
            )
            if outdated:
                last = self._batches[outdated - 1].number
                self._db.execute("DELETE FROM delivered WHERE number <= ?", (last,))
        for _ in range(outdated):
            self._count -= self._batches.popleft().size
        self._remember(_Batch(number, received_at, len(keys)))

    def _outdated(self, received_at: float, more: int) -> int:
        """How many of the oldest batches can be deleted when `more` keys are added."""
        left = self._count + more
        for position, batch in enumerate(self._batches):
            if batch.received_at >= received_at - self._window and left <= self._max_keys:
                return position
            left -= batch.size
        return len(self._batches)

    def _remember(self, batch: _Batch) -> None:
        at = batch.received_at
        if self._batches and at < self._batches[-1].received_at:  # the clock was set back
            self._batches = deque(old._replace(received_at=min(old.received_at, at)) for old in self._batches)
        self._batches.append(batch)
        self._count += batch.size

    def _connected(self) -> sqlite3.Connection:
        """Nothing is written yet: the file may be another program's."""
        self.close()
        self._batches.clear()
        self._count = 0
        if self._path.exists() and 0 < self._path.stat().st_size < MIN_FILE_BYTES:
            raise _Damage("it is too short for a database")
        files.create_private(self._path)
        db = self._db = sqlite3.connect(self._path, timeout=1.0, isolation_level=None)
        db.execute("PRAGMA locking_mode=EXCLUSIVE")  # which needs no shared memory beside the file
        db.execute("PRAGMA cell_size_check=ON")
        return db

    def _read(self, db: sqlite3.Connection) -> Delivered:
        names = {name for (name,) in _rows(db, "SELECT name FROM sqlite_master")}
        ((application,),) = _rows(db, "PRAGMA application_id")
        ((version,),) = _rows(db, "PRAGMA user_version")
        if names and "delivered" not in names and application != APPLICATION_ID:
            raise _foreign(self._path)
        if names and (application, version) != (APPLICATION_ID, SCHEMA_VERSION):
            raise _Damage(
                f"it has the format {application:#x}/{version}, not {APPLICATION_ID:#x}/{SCHEMA_VERSION}"
            )
        ((verdict,),) = _rows(db, "PRAGMA quick_check(1)")
        if verdict != "ok":
            raise _Damage(str(verdict))
        self._prepare(db, fresh=not names)
        return self._contents(db)

    def _prepare(self, db: sqlite3.Connection, *, fresh: bool) -> None:
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA synchronous=NORMAL")
        if fresh:
            with db:
                db.execute("BEGIN IMMEDIATE")
                db.execute(
                    "CREATE TABLE delivered (number INTEGER PRIMARY KEY, "
                    "received_at REAL NOT NULL, checksum INTEGER NOT NULL, keys BLOB NOT NULL)"
                )
                db.execute(f"PRAGMA application_id={APPLICATION_ID}")
                db.execute(f"PRAGMA user_version={SCHEMA_VERSION}")

    def _contents(self, db: sqlite3.Connection) -> Delivered:
        found: list[list[StoredKey]] = []
        before: int | None = None
        for number, received_at, checksum, data in _rows(db, ALL_ROWS):
            whole = type(data) is bytes and type(received_at) is float
            if not whole or _checksum(number, received_at, data) != checksum:
                raise _Damage(f"row {number} is not as it was written")
            if before is not None and number != before + 1:
                raise _Damage(f"row {before + 1} is missing")
            before = number
            found.append(_decoded(data))
            self._remember(_Batch(number, received_at, len(found[-1])))
        if not self._batches:
            return Delivered(None, ())
        last = self._batches[-1].received_at
        kept = (
            keys
            for batch, keys in zip(self._batches, found, strict=True)
            if batch.received_at >= last - self._window
        )
        return Delivered(last, tuple(key for keys in kept for key in keys))

    def _begin_afresh(self, error: sqlite3.DatabaseError) -> Delivered:
        self.close()
        renamed = _renamed_as_damaged(self._path)
        logger.warning(
            "The checkpoint %s was damaged (%s) and was renamed to %s. A new one is begun: items delivered "
            "before may be delivered again, and items missed while no stream ran are not asked for",
            self._path,
            error,
            renamed,
        )
        return self._read(self._connected())

    def _is_damage(self, error: sqlite3.DatabaseError) -> bool:
        text = str(error)
        if text.startswith("attempt to write a readonly database"):
            # A damaged header can also mark the file as read-only.
            return os.access(self._path, os.W_OK) and os.access(self._path.parent, os.W_OK)
        return not text.startswith(OUTSIDE_CAUSES)


def _rows(db: sqlite3.Connection, query: str) -> Iterator[Any]:
    """The rows of a query. The cursor is closed at an error, too.

    The error's traceback would keep an open cursor, and so the file, and Windows renames no open file.
    """
    with closing(db.execute(query)) as cursor:
        yield from cursor


def _encoded(keys: list[StoredKey]) -> bytes:
    text = json.dumps(keys, ensure_ascii=False, separators=(",", ":"), default=_encoded_bytes)
    return text.encode("utf-8", "surrogatepass")


def _encoded_bytes(key: bytes) -> dict[str, str]:
    return {"bytes": key.hex()}


def _decoded(data: bytes) -> list[StoredKey]:
    keys: list[StoredKey] = json.loads(data.decode("utf-8", "surrogatepass"), object_hook=_decoded_bytes)
    return keys


def _decoded_bytes(content: dict[str, str]) -> bytes:
    return bytes.fromhex(content["bytes"])


def _checksum(number: int, received_at: float, data: bytes) -> int:
    return zlib.crc32(data, zlib.crc32(f"{number} {received_at!r}".encode()))


def _renamed_as_damaged(path: Path) -> Path:
    """Rename the file and the files that SQLite keeps beside it. Returns the new name, which was unused."""
    beside = ("", "-wal", "-shm", "-journal")
    number = 1
    while any(os.path.lexists(f"{path}.damaged-{number}{end}") for end in beside):
        number += 1
    for end in beside:
        with suppress(FileNotFoundError):
            Path(f"{path}{end}").rename(f"{path}.damaged-{number}{end}")
    return Path(f"{path}.damaged-{number}")


def _foreign(path: Path) -> StreamError:
    return StreamError(
        f"{path} is another program's database, and was not changed; give the checkpoint a path of its own",
        StreamErrorType.FATAL_ERROR,
    )
