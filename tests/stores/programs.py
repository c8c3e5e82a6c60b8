"""The programs of docs/stores.md, as the page has them, and how each is run, made to fail, and read."""

from __future__ import annotations

import re
import resource
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PAGE = Path(__file__).parents[2] / "docs" / "stores.md"
MAX_LINES = 40
X = "https://api.x.com"
LIMITS = re.compile(r"max_items=\d+, max_seconds=[\d.]+")
FEW_BYTES = 100
"""Fewer than any file of a batch has."""
QUICK = "max_items=500, max_seconds=0.1"
"""The limits of a batch here, so that a process stores several before it is killed."""


@dataclass(frozen=True)
class Stored:
    """What a store holds."""

    keys: set[str]
    repeats: int
    """Rows whose key another row has."""


@dataclass(frozen=True)
class Store:
    """One program and its store."""

    code: str
    environment: dict[str, str]
    failing: Callable[[int], Any]
    """Within this context, storing fails, by the process of this id at least."""
    stored: Callable[[], Stored]


def code(heading: str, url: str) -> str:
    """The program under this heading, which streams from `url` in X's place."""
    section = PAGE.read_text(encoding="utf-8").partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    (block,) = re.findall(r"^```python\n(.*?)^```", section, re.DOTALL | re.MULTILINE)
    assert len(block.splitlines()) < MAX_LINES
    changed, limits = LIMITS.subn(QUICK, block.replace(X, url))
    assert limits == 1
    assert url in changed
    return str(changed)


def sqlite(url: str, folder: Path) -> Store:
    """SQLite fails by a trigger, after the posts of the transaction are written."""
    path = folder / "posts.db"

    @contextmanager
    def failing(process: int) -> Iterator[None]:
        with closing(sqlite3.connect(path, timeout=30)) as db:
            db.executescript(
                "CREATE TRIGGER refuse BEFORE INSERT ON progress BEGIN SELECT RAISE(ABORT, 'no room'); END"
            )
            yield
            db.executescript("DROP TRIGGER refuse")

    def stored() -> Stored:
        with closing(sqlite3.connect(path, timeout=30)) as db:
            keys = [key for (key,) in db.execute("SELECT key FROM posts")]
        return Stored(set(keys), len(keys) - len(set(keys)))

    return Store(code("SQLite", url), {}, failing, stored)


def postgresql(url: str, database: str) -> Store:
    """PostgreSQL fails by a trigger, and takes the connection away at every other time."""
    import psycopg

    times = 0

    @contextmanager
    def failing(process: int) -> Iterator[None]:
        nonlocal times
        times += 1
        with psycopg.connect(database, autocommit=True) as db:
            if times % 2:
                db.execute(
                    "CREATE OR REPLACE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS "
                    "$$ BEGIN RAISE EXCEPTION 'no room'; END $$"
                )
                db.execute(
                    "CREATE TRIGGER refuse BEFORE UPDATE ON progress FOR EACH ROW EXECUTE FUNCTION refuse()"
                )
                yield
                db.execute("DROP TRIGGER refuse ON progress")
            else:
                db.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
                )
                yield

    def stored() -> Stored:
        with psycopg.connect(database) as db:
            keys = [key for (key,) in db.execute("SELECT key FROM posts")]
        return Stored(set(keys), len(keys) - len(set(keys)))

    return Store(code("PostgreSQL", url), {"DATABASE_URL": database}, failing, stored)


def parquet(url: str, folder: Path) -> Store:
    """The files fail because the system lets the process write no more: as on a disk without room."""
    import pyarrow.parquet as pq

    dataset = folder / "posts"

    @contextmanager
    def failing(process: int) -> Iterator[None]:
        resource.prlimit(process, resource.RLIMIT_FSIZE, (FEW_BYTES, FEW_BYTES))
        yield

    def stored() -> Stored:
        if not any(dataset.glob("*.parquet")):
            return Stored(set(), 0)
        rows = pq.read_table(dataset, columns=["key"]).num_rows
        one_a_key = pq.read_table(dataset).group_by("key", use_threads=False).aggregate([("post", "first")])
        keys = set(one_a_key["key"].to_pylist())
        assert one_a_key.num_rows == len(keys)
        return Stored(keys, rows - len(keys))

    return Store(code("Parquet", url), {}, failing, stored)
