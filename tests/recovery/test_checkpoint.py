from __future__ import annotations

import gc
import logging
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import xdk_streaming
from helpers.systems import posix
from xdk_streaming.errors import StreamError, StreamErrorType
from xdk_streaming.recovery import checkpoint as module
from xdk_streaming.recovery import lock
from xdk_streaming.recovery.checkpoint import Checkpoint
from xdk_streaming.recovery.sqlite_store import SQLiteStore
from xdk_streaming.recovery.store import Delivered, StoredKey

Log = Callable[[], list[tuple[int, str]]]

NOTHING = Delivered(None, ())


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "delivered"


@contextmanager
def loaded(path: Path, **settings: Any) -> Iterator[tuple[Checkpoint, Delivered]]:
    checkpoint = Checkpoint(path, **settings)
    with closing(checkpoint):
        yield checkpoint, checkpoint.load()


def contents(path: Path, **settings: Any) -> Delivered:
    with loaded(path, **settings) as (_, delivered):
        return delivered


def write(path: Path, *keys: StoredKey, at: float = 1000.0) -> None:
    with loaded(path) as (checkpoint, _):
        for key in keys:
            checkpoint.note(key, at)


def refusal(path: Path) -> StreamError:
    with pytest.raises(StreamError) as caught, loaded(path):
        pass
    assert caught.value.error_type is StreamErrorType.FATAL_ERROR
    assert str(path.resolve()) in str(caught.value) or str(path) in str(caught.value)
    return caught.value


def eventually(true: Callable[[], bool], seconds: float = 10.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.005)


# From one process to the next


def test_nothing_is_touched_before_the_stream_begins(path: Path) -> None:
    threads = threading.active_count()
    checkpoint = Checkpoint(str(path))
    checkpoint.note("1", 5.0)
    assert not checkpoint.commit()
    checkpoint.close()
    assert list(path.parent.iterdir()) == []
    assert threading.active_count() <= threads


@posix("files have modes")
def test_only_the_owner_may_read_a_checkpoint_and_what_is_beside_it(path: Path) -> None:
    before = os.umask(0)
    try:
        with loaded(path) as (checkpoint, _):
            checkpoint.note("1", 5.0)
            assert checkpoint.commit()
            modes = {each.name: each.stat().st_mode & 0o777 for each in path.parent.iterdir()}
    finally:
        os.umask(before)
    assert {path.name, f"{path.name}.lock"} < set(modes)
    assert set(modes.values()) == {0o600}


def test_a_fresh_checkpoint_holds_nothing(path: Path) -> None:
    assert contents(path) == NOTHING


def test_what_was_noted_is_there_at_the_next_start_oldest_first(path: Path) -> None:
    with loaded(path) as (checkpoint, _):
        checkpoint.note("2", 1000.0)
        checkpoint.note("1", 1001.5)
        assert checkpoint.commit()
        checkpoint.note("3", 1002.25)
    assert contents(path) == Delivered(1002.25, ("2", "1", "3"))
    assert contents(path) == Delivered(1002.25, ("2", "1", "3"))


keys = st.lists(
    st.text(st.characters(exclude_categories=()))
    | st.binary()
    | st.integers(-(2**63), 2**64 - 1)
    | st.sampled_from(["", "\ud83d\ude00", "\ud83d", b"", "null", '{"bytes":"00"}', 0]),
    min_size=1,
    max_size=30,
)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(keys)
def test_keys_come_back_as_they_were_to_the_last_bit(keys: list[StoredKey]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "delivered")
        write(path, *keys)
        assert contents(path).keys == tuple(keys)
        assert list(map(type, contents(path).keys)) == list(map(type, keys))


def test_keys_of_other_types_are_logged_once_and_not_kept(path: Path, log: Log) -> None:
    with loaded(path) as (checkpoint, _):
        others: list[Any] = [("secret", 2), True, 1.5, 2**64, frozenset()]
        for key in ("1", *others, "2"):
            checkpoint.note(key, 1000.0)
    assert contents(path).keys == ("1", "2")
    assert [level for level, _ in log()] == [logging.WARNING]
    assert "type tuple" in log()[0][1]
    assert "secret" not in log()[0][1]


def test_an_item_without_a_key_was_delivered_all_the_same(path: Path, log: Log) -> None:
    with loaded(path) as (checkpoint, _):
        checkpoint.note(None, 1000.0)
    assert contents(path) == Delivered(1000.0, ())
    assert log() == []


def test_without_being_asked_it_is_written_within_a_second_and_then_all_sleeps(path: Path) -> None:
    with loaded(path) as (checkpoint, _):
        for key in ("1", "2"):
            began = time.monotonic()
            checkpoint.note(key, 1000.0)
            eventually(lambda: not checkpoint._pending and checkpoint._idle)
            assert time.monotonic() - began < 1.5
        cpu = time.process_time()
        time.sleep(0.3)
        assert time.process_time() - cpu < 0.1


def test_a_checkpoint_may_be_opened_again_after_it_was_closed(path: Path) -> None:
    checkpoint = Checkpoint(path)
    for number in range(3):
        with closing(checkpoint):
            assert checkpoint.load().keys == tuple(map(str, range(number)))
            checkpoint.note(str(number), 1000.0 + number)


# The window


def test_keys_older_than_the_window_go(path: Path) -> None:
    with loaded(path, window=10.0) as (checkpoint, _):
        for at in range(100):
            checkpoint.note(str(at), 1000.0 + at)
            assert checkpoint.commit()
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("SELECT count(*) FROM delivered").fetchone() == (11,)
    assert contents(path, window=10.0) == Delivered(1099.0, tuple(map(str, range(89, 100))))
    assert contents(path, window=2.0).keys == ("97", "98", "99")


def test_no_more_keys_are_kept_than_allowed(path: Path) -> None:
    with loaded(path, max_keys=100) as (checkpoint, _):
        for batch in range(20):
            for number in range(30):
                checkpoint.note(batch * 30 + number, 1000.0)
            assert checkpoint.commit()
    assert contents(path).keys == tuple(range(510, 600))


def test_a_clock_that_was_set_back_neither_loses_keys_nor_keeps_them_for_ever(path: Path) -> None:
    with loaded(path, window=10.0) as (checkpoint, _):
        for at in (9000.0, 9001.0, 1000.0, 1005.0):
            checkpoint.note(int(at), at)
            checkpoint.commit()
    assert contents(path, window=10.0) == Delivered(1005.0, (9000, 9001, 1000, 1005))
    with loaded(path, window=10.0) as (checkpoint, _):
        checkpoint.note(1011, 1011.0)
    assert contents(path, window=10.0) == Delivered(1011.0, (1005, 1011))


def test_a_file_does_not_grow_once_the_window_is_full(path: Path) -> None:
    sizes = []
    with loaded(path, window=10.0) as (checkpoint, _):
        for at in range(60):
            for number in range(2000):
                checkpoint.note(f"18{at:08}{number:09}", 1000.0 + at)
            assert checkpoint.commit()
            sizes.append(path.stat().st_size + Path(f"{path}-wal").stat().st_size)
    assert max(sizes) < 8_000_000
    assert path.stat().st_size < 12 * 2000 * 30


# One at a time


PACKAGE = Path(xdk_streaming.__file__).parent
BARE = f"""
import sys, types
package = sys.modules["xdk_streaming"] = types.ModuleType("xdk_streaming")
package.__path__ = [{str(PACKAGE)!r}]
import os, time
from xdk_streaming.recovery.checkpoint import Checkpoint
checkpoint = Checkpoint(sys.argv[1])
"""
"""A process with a checkpoint, ready in a tenth of the time that all of the package takes to import."""

CHILD = (
    BARE
    + """
print(checkpoint.load(), flush=True)
number = int(sys.argv[2])
while number:
    for _ in range(20):
        checkpoint.note(number, float(number))
        number += 1
    if "commit" in sys.argv:
        checkpoint.commit()
    print(number - 1, flush=True)
    time.sleep(0.001)
sys.stdin.read()
"""
)


@contextmanager
def another_process(path: Path, first: int = 0, commit: str = "") -> Iterator[subprocess.Popen[str]]:
    """Open the checkpoint, and note numbers from `first` on if that is not 0."""
    with subprocess.Popen(
        [sys.executable, "-c", CHILD, str(path), str(first), commit],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline().startswith("Delivered")
        try:
            yield child
        finally:
            child.kill()


def test_a_checkpoint_that_another_process_uses_is_refused_until_that_is_killed(path: Path) -> None:
    with another_process(path):
        assert str(refusal(path)) == (
            f"The checkpoint {path} is in use by another process or stream; "
            "give each stream a checkpoint of its own"
        )
    assert contents(path) == NOTHING


@posix("Wine resolves no symbolic link")
def test_a_checkpoint_that_is_used_by_another_name_is_refused(path: Path) -> None:
    with loaded(path):
        link = path.with_name("by-another-name")
        link.symlink_to(path)
        assert "is in use" in str(refusal(link))


def test_a_checkpoint_that_another_stream_of_this_process_uses_is_refused(path: Path) -> None:
    with loaded(path) as (checkpoint, _):
        assert "is in use" in str(refusal(path))
        with pytest.raises(StreamError, match="is in use"):
            checkpoint.load()
        path.read_bytes()  # which costs SQLite its own lock
        ended = subprocess.run(
            [sys.executable, "-c", CHILD, path, "0"],
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        assert "is in use by another process" in ended.stderr
        checkpoint.note("1", 1000.0)
    assert contents(path).keys == ("1",)


def test_a_file_that_a_tool_of_sqlite_has_locked_is_refused(path: Path) -> None:
    write(path, "1")
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("BEGIN IMMEDIATE")
        assert "is in use" in str(refusal(path))
    assert contents(path).keys == ("1",)


FORKING = (
    BARE
    + """
checkpoint.load()
checkpoint.note("before", 1000.0)
assert checkpoint.commit()
reading, writing = os.pipe()
child = os.fork()
if not child:
    os.close(reading)
    checkpoint.note("in the child", 1000.0)
    assert not checkpoint.commit()
    checkpoint.close()
    print("Delivered", os.getpid(), flush=True)
    if sys.argv[2] == "0":
        del checkpoint
        sys.exit()      # with all that ends an interpreter
    time.sleep(60)      # an orphan soon
    os._exit(0)
if sys.argv[2] == "0":
    os.waitpid(child, 0)
    checkpoint.note("after", 1001.0)
    checkpoint.close()
time.sleep(60)
"""
)


@posix("forks and user ids")
def test_a_child_that_outlives_its_killed_parent_does_not_keep_the_lock(path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", FORKING, str(path), "1"], stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        orphan = int(parent.stdout.readline().split()[1])
        assert "is in use" in str(refusal(path))
        parent.kill()
        parent.wait()
        os.kill(orphan, 0)
        try:
            assert contents(path).keys == ("before",)
        finally:
            os.kill(orphan, signal.SIGKILL)


@posix("forks and user ids")
def test_a_child_that_ends_takes_nothing_of_its_parents_with_it(path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", FORKING, str(path), "0"], stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        parent.stdout.readline()
        try:
            eventually(lambda: released(path))
        finally:
            parent.kill()
    assert contents(path) == Delivered(1001.0, ("before", "after"))


def released(path: Path) -> bool:
    try:
        contents(path)
    except StreamError:
        return False
    return True


# Killed


@pytest.mark.thorough
def test_what_was_noted_two_seconds_before_a_kill_is_there(path: Path) -> None:
    chance = random.Random(5)
    noted: list[tuple[float, int]] = []
    first = 1
    for number in range(20):
        with another_process(path, first) as child:
            assert child.stdout is not None
            # A few rounds are long enough for what the seconds promise; most are short.
            end = time.monotonic() + (2.3 if number % 10 == 9 else chance.uniform(0.0, 0.25))
            while time.monotonic() < end:
                noted.append((time.monotonic(), int(child.stdout.readline())))
            child.kill()
            killed_at = time.monotonic()
        with loaded(path) as (_, delivered):
            kept = [int(key) for key in delivered.keys]
        assert not kept or kept == list(range(kept[0], kept[0] + len(kept)))
        safe = max((last for at, last in noted if at < killed_at - 2.0), default=0)
        assert (kept[-1] if kept else 0) >= safe
        assert delivered.received_at == (float(kept[-1]) if kept else None)
        first = kept[-1] + 1 if kept else 1
        noted = [(at, last) for at, last in noted if last < first]
    assert first > 100
    assert not list(path.parent.glob("*.damaged*"))


# Damaged


def whole(path: Path) -> bytes:
    with loaded(path) as (checkpoint, _):
        for number in range(40):
            for key in range(100):
                checkpoint.note(f"{number}-{key}", 1000.0 + number)
            assert checkpoint.commit()
    return path.read_bytes()


def mended(path: Path, log: Log, reason: str = "") -> None:
    """The file was renamed with a warning, and the new one works."""
    was = path.read_bytes()
    with loaded(path) as (checkpoint, delivered):
        assert delivered == NOTHING
        checkpoint.note("anew", 2000.0)
    assert contents(path) == Delivered(2000.0, ("anew",))
    aside = Path(f"{path}.damaged-1")
    assert len(aside.read_bytes()) == len(was)
    [(level, text)] = log()
    assert level == logging.WARNING
    assert str(aside) in text
    assert reason in text


@pytest.mark.parametrize("content", [b"not a database" * 9, b"\x00" * 5000, b"S", b"\n" * 100], ids=len)
def test_a_file_that_is_no_database_is_renamed(path: Path, log: Log, content: bytes) -> None:
    path.write_bytes(content)
    mended(path, log)
    assert Path(f"{path}.damaged-1").read_bytes() == content


def test_an_empty_file_is_a_fresh_checkpoint(path: Path, log: Log) -> None:
    path.touch()
    write(path, "1")
    assert contents(path).keys == ("1",)
    assert log() == []


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_truncated_file_is_renamed(path: Path, log: Log, share: float) -> None:
    content = whole(path)
    path.write_bytes(content[: int(len(content) * share)])
    mended(path, log)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("PRAGMA user_version=2", "/2, not"),
        ("PRAGMA application_id=7", "0x7/1, not"),
        ("ALTER TABLE delivered RENAME TO other", "no such table"),
        ("ALTER TABLE delivered RENAME COLUMN keys TO others", "no such column"),
        ("UPDATE delivered SET keys = '[]' WHERE number = 7", "row 7"),
        ("UPDATE delivered SET received_at = 'noon' WHERE number = 7", "row 7"),
        ("UPDATE delivered SET received_at = 1 WHERE number = 7", "row 7"),
        ("DELETE FROM delivered WHERE number = 7", "row 7"),
    ],
)
def test_a_file_of_another_version_or_with_other_contents_is_renamed(
    path: Path, log: Log, change: str, reason: str
) -> None:
    whole(path)
    with closing(sqlite3.connect(path)) as db, db:
        db.execute(change)
    mended(path, log, reason)


def test_the_database_of_another_program_is_refused_and_left_alone(path: Path) -> None:
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("CREATE TABLE customers (name)")
    before = path.read_bytes()
    assert "is another program's database" in str(refusal(path))
    assert path.read_bytes() == before
    assert {file.name for file in path.parent.iterdir()} == {"delivered", "delivered.lock"}


def test_no_earlier_damaged_file_is_overwritten(path: Path) -> None:
    Path(f"{path}.damaged-2-wal").write_bytes(b"earlier")
    for number in (1, 3, 4):
        path.write_bytes(b"damage %d" % number * 20)
        assert contents(path) == NOTHING
        assert Path(f"{path}.damaged-{number}").read_bytes() == b"damage %d" % number * 20
    assert Path(f"{path}.damaged-2-wal").read_bytes() == b"earlier"
    assert not Path(f"{path}.damaged-2").exists()


@pytest.mark.parametrize("seed", range(12))
def test_bytes_overwritten_anywhere_crash_nothing_and_no_key_comes_out_changed(path: Path, seed: int) -> None:
    chance = random.Random(seed)
    content = whole(path)
    noted = {f"{number}-{key}" for number in range(40) for key in range(100)}
    for _ in range(8):
        damaged = bytearray(content)
        for _ in range(chance.choice([1, 3, 20])):
            place = chance.randrange(chance.choice([100, 4096, len(damaged)]))
            damaged[place] = chance.randrange(256)
        path.write_bytes(damaged)
        with loaded(path) as (checkpoint, delivered):
            assert noted >= set(delivered.keys)
            for number in range(30):
                checkpoint.note("anew", 1050.0 + number)
                assert checkpoint.commit()
        assert contents(path).keys[-30:] == ("anew",) * 30


def test_a_log_of_sqlite_that_was_overwritten_crashes_nothing(path: Path) -> None:
    chance = random.Random(3)
    wal = Path(f"{path}-wal")
    for _ in range(8):
        with another_process(path, 1, "commit") as child:
            assert child.stdout is not None
            while not wal.exists() or wal.stat().st_size < 20_000:
                child.stdout.readline()
        damaged = bytearray(wal.read_bytes())
        for _ in range(20):
            damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        wal.write_bytes(damaged)
        keys = contents(path).keys
        assert keys == tuple(range(1, len(keys) + 1))
        path.unlink()


@pytest.mark.parametrize("text", ["database disk image is malformed", "attempt to write a readonly database"])
def test_a_file_damaged_in_use_is_renamed_and_the_stream_goes_on(
    path: Path, log: Log, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    with loaded(path) as (checkpoint, _):
        checkpoint.note("1", 1000.0)
        assert checkpoint.commit()
        real, broken = SQLiteStore._add, iter([sqlite3.DatabaseError(text)])

        def failing(self: Any, keys: list[StoredKey], received_at: float) -> None:
            for error in broken:
                raise error
            real(self, keys, received_at)

        monkeypatch.setattr(SQLiteStore, "_add", failing)
        checkpoint.note("2", 1001.0)
        assert checkpoint.commit()
    assert contents(path) == Delivered(1001.0, ("2",))
    assert contents(Path(f"{path}.damaged-1")) == Delivered(1000.0, ("1",))
    assert [level for level, _ in log()] == [logging.WARNING]


def test_a_file_that_cannot_be_reopened_is_begun_as_soon_as_it_can(
    path: Path, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RETRY_SECONDS", 0.01)
    with loaded(path) as (checkpoint, _):
        real = SQLiteStore._connected
        texts = ("malformed", "unable to open database file")
        failures = iter([sqlite3.DatabaseError(text) for text in texts])

        def malformed(self: Any, keys: list[StoredKey], received_at: float) -> None:
            raise next(failures)

        def unable(self: Any) -> sqlite3.Connection:
            for error in failures:
                raise error
            return real(self)

        with monkeypatch.context() as patch:
            patch.setattr(SQLiteStore, "_add", malformed)
            patch.setattr(SQLiteStore, "_connected", unable)
            checkpoint.note("1", 1000.0)
            assert not checkpoint.commit()
        eventually(lambda: not checkpoint._failing)
    assert contents(path) == Delivered(1000.0, ("1",))


def test_a_disk_that_hangs_blocks_nothing_for_ever(
    path: Path, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CLOSE_TIMEOUT", 0.01)
    hanging = threading.Event()
    monkeypatch.setattr(SQLiteStore, "add", lambda *_: hanging.wait(20))
    checkpoint = Checkpoint(path)
    checkpoint.load()
    checkpoint.note("1", 1000.0)
    assert not checkpoint.commit()
    checkpoint.close()
    assert log()[-1] == (
        logging.ERROR,
        f"The checkpoint {path} is still being written; nothing waits for it any longer",
    )
    hanging.set()
    monkeypatch.setattr(module, "CLOSE_TIMEOUT", 20.0)
    checkpoint.close()


def test_a_commit_returns_false_while_the_file_cannot_be_opened(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = threading.Event()

    def failing(self: Any) -> Delivered:
        assert asked.wait(20)
        raise OSError("no such device")

    monkeypatch.setattr(SQLiteStore, "begin", failing)
    checkpoint = Checkpoint(path)
    answers: list[bool] = []

    def load() -> None:
        with pytest.raises(StreamError, match="no such device"):
            checkpoint.load()

    loading = threading.Thread(target=load)
    loading.start()
    eventually(lambda: checkpoint._thread is not None and checkpoint._thread.is_alive())
    asking = threading.Thread(target=lambda: answers.append(checkpoint.commit()))
    asking.start()
    eventually(lambda: bool(checkpoint._asked))
    asked.set()
    loading.join()
    asking.join()
    assert answers == [False]


# Where it cannot be written


@pytest.mark.parametrize("place", ["absent/delivered", "file/delivered", "directory"])
def test_a_path_that_cannot_be_opened_is_refused_with_a_reason(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "directory").mkdir()
    error = refusal(tmp_path / place)
    assert "cannot be opened" in str(error)
    assert "Give it a path in a directory that exists, may be written, and has room" in str(error)
    assert error.original_exception is not None


@contextmanager
def as_nobody() -> Iterator[None]:
    """Root may write everywhere."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@posix("forks and user ids")
@pytest.mark.parametrize("closed", ["directory", "file"])
def test_without_permission_to_write_the_stream_does_not_begin(closed: str) -> None:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "delivered")
        write(path, "1")
        Path(f"{path}.lock").chmod(0o666)
        if closed == "directory":
            Path(f"{path}.lock").unlink()
        Path(directory).chmod(0o555 if closed == "directory" else 0o777)
        path.chmod(0o444)
        with as_nobody():
            assert "cannot be opened" in str(refusal(path))
        Path(directory).chmod(0o777)
        path.chmod(0o666)
        assert contents(path).keys == ("1",)


@pytest.fixture
def room(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Says from now on how many pages a database may have, as a disk does that is full."""
    pages = [1_000_000]
    real = SQLiteStore._add

    def limited(self: Any, keys: list[StoredKey], received_at: float) -> None:
        self._db.execute(f"PRAGMA max_page_count={pages[0]}")
        real(self, keys, received_at)

    monkeypatch.setattr(SQLiteStore, "_add", limited)

    def allow(count: int) -> None:
        pages[0] = count

    return allow


def test_on_a_full_disk_the_stream_goes_on_and_all_is_written_when_there_is_room(
    path: Path, log: Log, room: Callable[[int], None]
) -> None:
    with loaded(path) as (checkpoint, _):
        room(4)
        for number in range(5000):
            checkpoint.note(number, 1000.0)
        assert not checkpoint.commit()
        checkpoint.note(5000, 1001.0)
        assert not checkpoint.commit()
        [(level, text)] = log()
        assert level == logging.ERROR
        assert "disk is full" in text
        room(1_000_000)
        eventually(lambda: len(log()) == 2)  # by itself, within a second
        assert log()[1] == (logging.WARNING, f"The checkpoint {path} can be written again")
    assert contents(path) == Delivered(1001.0, tuple(range(5001)))


def test_items_that_a_full_disk_kept_out_are_logged_at_the_end(
    path: Path, log: Log, room: Callable[[int], None]
) -> None:
    with loaded(path) as (checkpoint, _):
        checkpoint.note("1", 1000.0)
        assert checkpoint.commit()
        room(3)
        for number in range(5000):
            checkpoint.note(number, 1001.0)
    assert [level for level, _ in log()] == [logging.ERROR] * 2
    assert log()[1][1] == f"The last 5000 item(s) are not in the checkpoint {path}"
    assert contents(path) == Delivered(1000.0, ("1",))


def test_what_cannot_be_written_takes_no_more_memory_than_allowed(
    path: Path, room: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_PENDING", 1000)
    with loaded(path) as (checkpoint, _):
        room(2)
        for _ in range(10):
            for number in range(5000):
                checkpoint.note(number, 1000.0)
            checkpoint.commit()
        assert len(checkpoint._pending) <= 1000
        room(1_000_000)
    assert contents(path).keys == tuple(range(4000, 5000))


# Left as it was found


def test_to_close_is_allowed_again_and_leaves_one_file_and_its_lock(path: Path) -> None:
    checkpoint = Checkpoint(path)
    checkpoint.load()
    checkpoint.note("1", 1000.0)
    checkpoint.close()
    checkpoint.close()
    checkpoint.note("2", 1000.0)
    assert not checkpoint.commit()
    assert {file.name for file in path.parent.iterdir()} == {"delivered", "delivered.lock"}


@posix("descriptors are counted in /proc")
def test_neither_thread_nor_descriptor_is_left_whether_it_opened_or_not(path: Path) -> None:
    gc.collect()
    threads, descriptors = threading.active_count(), open_descriptors()
    write(path, "1")
    path.write_bytes(b"damage" * 99)
    write(path, "1")
    with loaded(path):
        refusal(path)
    refusal(path / "below a file")
    gc.collect()
    assert threading.active_count() <= threads
    assert open_descriptors() <= descriptors


def open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def note(checkpoint: Checkpoint, first: int) -> None:
    for number in range(first, first + 2000):
        checkpoint.note(number, 1000.0)


def test_notes_of_several_threads_are_all_kept(path: Path) -> None:
    with loaded(path) as (checkpoint, _):
        threads = [threading.Thread(target=note, args=(checkpoint, first)) for first in (0, 2000, 4000)]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            assert checkpoint.commit()
        for thread in threads:
            thread.join()
    assert sorted(contents(path).keys, key=int) == list(range(6000))


@posix("there is no fork")
def test_a_child_closes_the_locks_that_it_was_born_with(tmp_path: Path) -> None:
    with lock.locked(tmp_path / "checkpoint"):
        (descriptor,) = lock._held
        copy = os.dup(descriptor)
        lock._held.clear()
        lock._held.add(copy)
        lock._let_go_in_child()
        assert lock._held == set()
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(copy)
