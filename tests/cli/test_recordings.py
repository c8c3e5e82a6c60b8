"""Recordings stay complete whatever happens, compressed or not, one file or many."""

from __future__ import annotations

import gzip
import os
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import zstandard

from helpers.systems import posix
from xdk_streaming.cli.quantities import Rotation
from xdk_streaming.cli.recording import compressed
from xdk_streaming.cli.recording.compressed import Compressed
from xdk_streaming.cli.recording.followed import Followed
from xdk_streaming.cli.recording.frames import CODECS
from xdk_streaming.cli.recording.opening import open_output
from xdk_streaming.cli.recording.part import part_of
from xdk_streaming.cli.recording.plain import Plain
from xdk_streaming.cli.recording.reading import recorded
from xdk_streaming.cli.recording.rotating import Rotating
from xdk_streaming.cli.recording.sink import Sink

LINES = [b'{"data":{"id":"%d"}}\n' % number for number in range(100)]
NAMES = ["posts.ndjson", "posts.ndjson.gz", "posts.ndjson.zst"]


@pytest.fixture(params=NAMES)
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return tmp_path / str(request.param)


def filled(sink: Sink, lines: list[bytes]) -> None:
    for line in lines:
        sink.write(line)


def items(path: Path) -> list[bytes]:
    return [line + b"\n" for line in recorded(path, print)]


def abandon(sink: Any) -> None:
    """Leave the sink as a killed process does: nothing is completed, and the locks are gone."""
    sink = getattr(sink, "_sink", sink)
    sink._file.close()
    if isinstance(sink, Compressed):
        sink._part.file.close()


def completed(sink: Any) -> None:
    """Complete a frame now."""
    sink._sink._complete()


def test_what_is_written_is_read_again_byte_for_byte(path: Path) -> None:
    sink = open_output(path)
    filled(sink, LINES)
    sink.close()
    assert items(path) == LINES
    assert sink.size == path.stat().st_size
    assert [*path.parent.iterdir()] == [path]


def test_output_is_appended_to_a_file(path: Path) -> None:
    for half in (LINES[:50], LINES[50:]):
        sink = open_output(path)
        filled(sink, half)
        sink.close()
    assert items(path) == LINES


def test_after_a_kill_every_line_that_was_written_is_there_once(path: Path) -> None:
    for number, line in enumerate(LINES):
        sink = open_output(path)
        sink.write(line)
        abandon(sink)
        assert items(path) == LINES[: number + 1]
    sink = open_output(path)
    sink.close()
    assert items(path) == LINES


def test_a_kill_between_a_frame_and_its_note_doubles_nothing(tmp_path: Path) -> None:
    path = tmp_path / "posts.ndjson.zst"
    sink = Compressed(path, CODECS[".zst"])
    filled(sink, LINES)
    left = part_of(path).read_bytes()
    sink._complete()
    abandon(sink)
    part_of(path).write_bytes(left)
    assert items(path) == LINES
    open_output(path).close()
    assert items(path) == LINES


@pytest.mark.parametrize("name", NAMES[1:])
def test_a_frame_that_was_cut_short_is_written_again(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    sink = open_output(path)
    filled(sink, LINES)
    left = part_of(path).read_bytes()
    sink.close()
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size - 7)
    part_of(path).write_bytes(left)
    open_output(path).close()
    assert items(path) == LINES


def torn(path: Path) -> list[bytes]:
    """What was set aside of a recording, and of its part file."""
    return [each.read_bytes() for each in sorted(path.parent.glob("*.torn*"))]


def test_a_line_that_was_cut_short_is_set_aside_when_others_come(tmp_path: Path) -> None:
    path = tmp_path / "posts.ndjson"
    piece = b'{"data":' + b"x" * 100_000
    path.write_bytes(LINES[0] + piece)
    sink = open_output(path)
    sink.tick()
    assert path.read_bytes() == LINES[0] + piece
    sink.write(LINES[1])
    sink.close()
    assert path.read_bytes() == LINES[0] + LINES[1]
    assert torn(path) == [piece]


def test_a_whole_last_line_gets_its_line_end(tmp_path: Path) -> None:
    path = tmp_path / "posts.ndjson"
    path.write_bytes(LINES[0].rstrip())
    sink = open_output(path)
    sink.write(LINES[1])
    sink.close()
    assert path.read_bytes() == LINES[0] + LINES[1]
    assert torn(path) == []


def test_without_an_item_nothing_that_was_found_changes(path: Path) -> None:
    path.write_bytes(whole(path, LINES[0])[:-3] if path.suffix != ".ndjson" else LINES[0] + b'{"da')
    found = path.read_bytes()
    sink = open_output(path)
    sink.tick()
    sink.close()
    assert path.read_bytes() == found
    assert [*path.parent.iterdir()] == [path]


def whole(path: Path, lines: bytes) -> bytes:
    """The lines as the file of this name has them."""
    codec = CODECS.get(path.suffix)
    return lines if codec is None else codec.frame(lines)


@pytest.mark.parametrize("name", NAMES[1:])
def test_frames_behind_the_place_of_a_stale_part_are_kept(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    first, second = (whole(path, b"".join(half)) for half in (LINES[:50], LINES[50:]))
    path.write_bytes(first + second)
    part_of(path).write_bytes(b"%d\n" % len(first) + b"".join(LINES[50:52]))
    sink = open_output(path)
    sink.write(LINES[0])
    sink.close()
    assert items(path) == [*LINES, *LINES[50:52], LINES[0]]


@pytest.mark.parametrize("name", NAMES[1:])
def test_a_foreign_frame_behind_the_own_one_is_kept(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    frames = [whole(path, line) for line in LINES[:3]]
    path.write_bytes(b"".join(frames))
    part_of(path).write_bytes(b"%d\n" % len(frames[0]) + LINES[1])
    sink = open_output(path)
    sink.write(LINES[3])
    sink.close()
    assert items(path) == LINES[:4]


@pytest.mark.parametrize("name", NAMES[1:])
def test_a_torn_frame_that_is_not_in_the_part_file_is_set_aside(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    frames = [whole(path, line) for line in LINES[:2]]
    path.write_bytes(frames[0] + frames[1][:-5])
    sink = open_output(path)
    sink.write(LINES[2])
    sink.close()
    kept = LINES[1:2] if name.endswith("gz") else []  # all but its checksum was there
    assert items(path) == [LINES[0], *kept, LINES[2]]
    assert torn(path) == [frames[1][:-5]]


@pytest.mark.parametrize("name", NAMES[1:])
def test_a_torn_frame_of_other_lines_than_the_part_files_is_set_aside(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    first, other = whole(path, LINES[0]), whole(path, LINES[1])[:-5]
    path.write_bytes(first + other)
    part_of(path).write_bytes(b"%d\n" % len(first) + LINES[2])
    sink = open_output(path)
    sink.write(LINES[3])
    sink.close()
    assert torn(path) == [other]
    kept = LINES[1:2] if name.endswith("gz") else []  # all but its checksum was there
    assert items(path) == [LINES[0], *kept, LINES[2], LINES[3]]


@pytest.mark.parametrize("name", NAMES[1:])
@pytest.mark.parametrize("content", [b"9" * 5000, b"hello\n", b"7\nhello\n", b"\0" * 99])
def test_what_is_no_part_file_is_set_aside(name: str, content: bytes, tmp_path: Path) -> None:
    path = tmp_path / name
    part_of(path).write_bytes(content)
    sink = open_output(path)
    sink.write(LINES[0])
    sink.close()
    assert items(path) == LINES[:1]
    assert torn(path) == [content]


@posix("there are links and named pipes")
@pytest.mark.parametrize("kind", ["symbolic link", "hard link", "named pipe", "folder"])
def test_what_is_no_file_in_the_place_of_a_part_file_is_left_alone(kind: str, tmp_path: Path) -> None:
    path, target = tmp_path / "posts.ndjson.gz", tmp_path / "precious"
    target.write_bytes(b"7\n" + LINES[0])
    part = part_of(path)
    match kind:
        case "symbolic link":
            part.symlink_to(target)
        case "hard link":
            part.hardlink_to(target)
        case "named pipe":
            os.mkfifo(part)
        case _:
            part.mkdir()
    with pytest.raises(OSError, match=r"posts.ndjson.gz.part"):
        open_output(path)
    assert target.read_bytes() == b"7\n" + LINES[0]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("posts.ndjson", gzip.compress(b"hello", mtime=0)),
        ("posts.ndjson", b"PAR1\x15\x00\x15"),
        ("posts.ndjson.gz", LINES[0]),
        ("posts.ndjson.zst", gzip.compress(LINES[0], mtime=0)),
    ],
)
def test_a_file_of_another_kind_is_refused_unchanged(name: str, content: bytes, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(OSError, match="it exists, and is"):
        open_output(path)
    assert path.read_bytes() == content
    assert [*tmp_path.iterdir()] == [path]


def test_lines_within_a_frame_that_do_not_end_are_not_joined(tmp_path: Path) -> None:
    path = tmp_path / "posts.ndjson.gz"
    path.write_bytes(gzip.compress(LINES[0].rstrip()))
    sink = open_output(path)
    sink.write(LINES[1])
    sink.close()
    assert gzip.decompress(path.read_bytes()) == LINES[0] + LINES[1]


def test_a_recording_without_items_is_readable(path: Path) -> None:
    open_output(path).close()
    assert items(path) == []
    if path.suffix == ".gz":
        assert gzip.decompress(path.read_bytes()) == b""


# The file of the path is replaced


@pytest.fixture
def always_looking(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("xdk_streaming.cli.recording.followed.LOOK_SECONDS", -1.0)


@posix("an open file can be renamed and removed")
@pytest.mark.usefixtures("always_looking")
def test_after_a_rename_a_new_file_is_begun(path: Path) -> None:
    old = path.with_name(f"old{path.suffix}")
    sink = open_output(path)
    filled(sink, LINES[:50])
    path.rename(old)
    filled(sink, LINES[50:])
    sink.close()
    assert items(old) == LINES[:50]
    assert items(path) == LINES[50:]
    assert sink.size == old.stat().st_size + path.stat().st_size
    assert sink.files == 2


@posix("an open file can be renamed and removed")
@pytest.mark.usefixtures("always_looking")
@pytest.mark.parametrize("with_part", [False, True])
def test_lines_of_a_file_that_was_removed_go_into_the_next(path: Path, with_part: bool) -> None:
    sink = open_output(path)
    filled(sink, LINES[:50])
    if isinstance(sink, Followed):
        sink._look_at = float("inf")
    path.unlink()
    if with_part:
        part_of(path).unlink(missing_ok=True)
    filled(sink, LINES[50:60])
    if isinstance(sink, Followed):
        sink._look_at = 0.0
    filled(sink, LINES[60:])
    sink.close()
    assert items(path)[-50:] == LINES[50:]
    assert len(set(items(path))) == len(items(path))


@pytest.mark.usefixtures("always_looking")
def test_a_file_that_was_truncated_goes_on_at_its_new_end(path: Path) -> None:
    sink = open_output(path)
    filled(sink, LINES[:50])
    if path.suffix != ".ndjson":
        completed(sink)
    copy = path.with_name(f"copy{path.suffix}")
    copy.write_bytes(path.read_bytes())
    os.truncate(path, 0)
    filled(sink, LINES[50:])
    sink.close()
    assert items(copy) == LINES[:50]
    assert items(path) == LINES[50:]


@posix("there are named pipes")
def test_a_named_pipe_is_an_output(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    with subprocess.Popen(["cat", str(path)], stdout=subprocess.PIPE) as reader:
        sink = open_output(path)
        filled(sink, LINES)
        sink.close()
        assert reader.stdout is not None
        assert reader.stdout.read() == b"".join(LINES)


@pytest.mark.parametrize("name", NAMES[1:])
def test_other_programs_read_the_frames(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    sink = open_output(path)
    for line in LINES:
        sink.write(line)
        completed(sink)
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
    sink = open_output(path)
    sink.write(LINES[0])
    sink.tick()
    assert path.stat().st_size == 0
    monkeypatch.setattr(compressed, "FRAME_SECONDS", 0.0)
    sink.tick()
    assert 0 < path.stat().st_size == sink.size
    sink.write(b"x" * compressed.FRAME_BYTES + b"\n")
    assert path.stat().st_size == sink.size
    sink.close()


def test_two_processes_do_not_write_one_file(path: Path) -> None:
    sink = open_output(path)
    with pytest.raises(BlockingIOError):
        open_output(path)
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
    sink, written = open_output(path), []
    with pytest.raises(OSError, match="No space left"):
        for _ in range(10_000):
            line = b'{"data":"%s"}\n' % os.urandom(500).hex().encode()
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
        completed(sink._sink)
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
    assert len([*tmp_path.iterdir()]) == 2  # without an item to write nothing changes
    following = Rotating(template, Rotation(seconds=3600))
    following.write(LINES[0])
    following.close()
    first, second = sorted(tmp_path.iterdir())
    assert items(first) == LINES
    assert items(second) == LINES[:1]


def test_rotation_into_a_missing_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="missing"):
        Rotating(tmp_path / "missing" / "posts.ndjson", Rotation(size=10))
