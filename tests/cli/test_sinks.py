"""Sinks: files stay complete whatever happens, compressed or not, one or many."""

from __future__ import annotations

import gzip
import os
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import zstandard

from helpers.systems import posix
from xdk_streaming.cli import sinks
from xdk_streaming.cli.frames import CODECS
from xdk_streaming.cli.quantities import Rotation
from xdk_streaming.cli.replay import recorded
from xdk_streaming.cli.rotating import Rotating
from xdk_streaming.cli.sinks import Framed, Plain, Sink, open_file, part_of

LINES = [b'{"data":{"id":"%d"}}\n' % number for number in range(100)]
NAMES = ["posts.ndjson", "posts.ndjson.gz", "posts.ndjson.zst"]


@pytest.fixture(params=NAMES)
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return tmp_path / str(request.param)


def filled(sink: Sink, lines: list[bytes]) -> None:
    for line in lines:
        sink.write(line)


def items(path: Path) -> list[bytes]:
    return [line + b"\n" for line in recorded(path)]


def abandon(sink: Sink) -> None:
    """Leave the sink as a killed process does: nothing is completed, and the locks are gone."""
    for name in ("_descriptor", "_part"):
        if hasattr(sink, name):
            os.close(getattr(sink, name))


def test_what_is_written_is_read_again_byte_for_byte(path: Path) -> None:
    sink = open_file(path)
    filled(sink, LINES)
    sink.close()
    assert items(path) == LINES
    assert sink.size == path.stat().st_size
    assert [*path.parent.iterdir()] == [path]


def test_output_is_appended_to_a_file(path: Path) -> None:
    for half in (LINES[:50], LINES[50:]):
        sink = open_file(path)
        filled(sink, half)
        sink.close()
    assert items(path) == LINES


def test_after_a_kill_every_line_that_was_written_is_there_once(path: Path) -> None:
    for number, line in enumerate(LINES):
        sink = open_file(path)
        sink.write(line)
        abandon(sink)
        assert items(path) == LINES[: number + 1]
    sink = open_file(path)
    sink.close()
    assert items(path) == LINES


def test_a_kill_between_a_frame_and_its_note_doubles_nothing(tmp_path: Path) -> None:
    path = tmp_path / "posts.ndjson.zst"
    sink = Framed(path, CODECS[".zst"])
    filled(sink, LINES)
    add_stream_request = part_of(path).read_bytes()
    sink._complete()
    abandon(sink)
    part_of(path).write_bytes(add_stream_request)
    assert items(path) == LINES
    open_file(path).close()
    assert items(path) == LINES


@pytest.mark.parametrize("name", NAMES[1:])
def test_a_frame_that_was_cut_short_is_written_again(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    sink = open_file(path)
    filled(sink, LINES)
    add_stream_request = part_of(path).read_bytes()
    sink.close()
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size - 7)
    part_of(path).write_bytes(add_stream_request)
    open_file(path).close()
    assert items(path) == LINES


def test_a_line_that_was_cut_short_goes_before_others_come(tmp_path: Path) -> None:
    path = tmp_path / "posts.ndjson"
    path.write_bytes(LINES[0] + b'{"data":' + b"x" * 100_000)
    sink = Plain(path)
    sink.write(LINES[1])
    sink.close()
    assert path.read_bytes() == LINES[0] + LINES[1]


@pytest.mark.parametrize("name", NAMES[1:])
def test_other_programs_read_the_frames(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    sink = open_file(path)
    for line in LINES:
        sink.write(line)
        sink._complete()  # type: ignore[attr-defined]
    sink.close()
    if name.endswith("gz"):
        assert gzip.decompress(path.read_bytes()) == b"".join(LINES)
    else:
        reader = zstandard.ZstdDecompressor().stream_reader(path.open("rb"), read_across_frames=True)
        with reader:
            assert reader.read() == b"".join(LINES)


def test_a_frame_is_complete_after_a_mebibyte_and_after_a_second(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "posts.ndjson.zst"
    sink = open_file(path)
    sink.write(LINES[0])
    sink.tick()
    assert path.stat().st_size == 0
    monkeypatch.setattr(sinks, "FRAME_SECONDS", 0.0)
    sink.tick()
    assert 0 < path.stat().st_size == sink.size
    sink.write(b"x" * sinks.FRAME_BYTES + b"\n")
    assert path.stat().st_size == sink.size
    sink.close()


def test_two_processes_do_not_write_one_file(path: Path) -> None:
    sink = open_file(path)
    with pytest.raises(BlockingIOError):
        open_file(path)
    sink.close()


@posix("a small disk is mounted")
def test_a_disk_that_is_full_leaves_whole_lines_alone(small_disk: Path) -> None:
    sink = Plain(small_disk / "posts.ndjson")
    with pytest.raises(OSError, match="No space left"):
        filled(sink, [b"x" * 999 + b"\n"] * 10_000)
    sink.close()
    content = (small_disk / "posts.ndjson").read_bytes()
    assert 0 < len(content) == sink.size
    assert len(content) % 1000 == 0


@posix("a small disk is mounted")
@pytest.mark.parametrize("name", NAMES[1:])
def test_a_disk_that_is_full_leaves_whole_frames_alone(small_disk: Path, name: str) -> None:
    path = small_disk / name
    sink, written = open_file(path), []
    with pytest.raises(OSError, match="No space left"):
        for _ in range(10_000):
            line = os.urandom(500).hex().encode() + b"\n"
            sink.write(line)
            written.append(line)
    with suppress(OSError):  # it is full
        sink.close()
    assert items(path)[: len(written)] == written
    assert len(items(path)) <= len(written) + 1  # the last may be there though the frame had no room


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)]
    mounted = subprocess.run(command, capture_output=True, text=True, check=False)
    if mounted.returncode:
        pytest.skip(f"no small disk can be mounted here: {mounted.stderr.strip()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


# One file after the other


def test_files_of_a_size_sort_in_the_order_of_their_items(tmp_path: Path) -> None:
    sink = Rotating(tmp_path / "my.posts.ndjson.gz", Rotation(size=10))
    for line in LINES[:20]:
        sink.write(line)
        sink._sink._complete()  # type: ignore[union-attr]
        sink.write(line)
    sink.close()
    files = sorted(tmp_path.iterdir())
    assert len(files) > 5
    assert all(file.name.startswith("my.posts-2") and file.name.endswith("Z.ndjson.gz") for file in files)
    assert [item for file in files for item in items(file)] == [line for line in LINES[:20] for _ in (1, 2)]


def test_a_file_is_closed_when_its_time_is_up(tmp_path: Path) -> None:
    sink = Rotating(tmp_path / "posts.ndjson", Rotation(seconds=1e-9))
    sink.tick()
    assert not [*tmp_path.iterdir()]
    for line in LINES[:3]:
        sink.write(line)
        sink.tick()
    assert [items(file) for file in sorted(tmp_path.iterdir())] == [[line] for line in LINES[:3]]


def test_what_a_killed_process_left_is_completed_by_the_next(tmp_path: Path) -> None:
    template = tmp_path / "posts.ndjson.zst"
    killed = Rotating(template, Rotation(seconds=3600))
    filled(killed, LINES)
    assert killed._sink is not None
    abandon(killed._sink)
    Rotating(template, Rotation(seconds=3600)).close()
    (file,) = tmp_path.iterdir()
    assert items(file) == LINES


def test_rotation_into_a_missing_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="missing"):
        Rotating(tmp_path / "missing" / "posts.ndjson", Rotation(size=10))
