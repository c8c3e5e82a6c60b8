"""Random states of a recording and its part file, and what must hold after the recorder has gone on."""

from __future__ import annotations

import os
import random
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from io import BytesIO
from itertools import count
from pathlib import Path
from typing import Any

from xdk_streaming.cli.recording.compressed import Compressed
from xdk_streaming.cli.recording.ending import ending_of
from xdk_streaming.cli.recording.followed import Followed
from xdk_streaming.cli.recording.frames import Codec, Damaged, codec_of, inflated
from xdk_streaming.cli.recording.opening import open_output
from xdk_streaming.cli.recording.part import held_by, part_of
from xdk_streaming.cli.recording.pipe import NamedPipe

Read = Callable[[Path], list[bytes]]
"""How a program reads the lines of a recording that was closed."""


@dataclass
class State:
    """One random state of one recording, and what happened to it."""

    path: Path
    chance: random.Random
    numbers: Iterator[int] = field(default_factory=count)
    story: list[str] = field(default_factory=list)
    """What happened, to be shown if something does not hold."""

    @property
    def codec(self) -> Codec | None:
        """How the recording is compressed."""
        return codec_of(self.path)

    @property
    def part(self) -> Path:
        """Its part file."""
        return part_of(self.path)

    def line(self) -> bytes:
        """Another item."""
        text = "x" * self.chance.choice((3, 30, 300)) + "é"
        return b'{"data":{"id":"%d","text":"%s"}}\n' % (next(self.numbers), text.encode())

    def lines(self, most: int = 8) -> list[bytes]:
        """A few items."""
        return [self.line() for _ in range(self.chance.randint(1, most))]

    def packed(self, data: bytes) -> bytes:
        """The data as a file of this name has it."""
        return data if self.codec is None else self.codec.frame(data)


def recorded_and_damaged(state: State) -> None:
    """Record, end in some way, and damage what is left in one or two ways."""
    for _ in range(state.chance.randint(0, 2)):
        record(state, abandoned=state.chance.random() < 0.6)
    for damage in state.chance.choices(DAMAGES, k=state.chance.randint(0, 2)):
        damage(state)
        state.story.append(damage.__name__)


def record(state: State, *, abandoned: bool, lines: list[bytes] | None = None) -> list[bytes]:
    """Write lines, and close the recording or leave it as a killed process does. Returns what was written."""
    written: list[bytes] = []
    sink: Any = open_output(state.path)
    try:
        for line in state.lines() if lines is None else lines:
            sink.write(line)
            written.append(line)
            if (
                isinstance(sink, Followed)
                and isinstance(sink._sink, Compressed)
                and state.chance.random() < 0.3
            ):
                sink._sink._complete()
    finally:
        state.story.append(f"{'abandoned' if abandoned else 'closed'} after {len(written)} lines")
        if abandoned and isinstance(sink, Followed):
            abandon(sink)
        else:
            sink.close()
    return written


def abandon(sink: Followed) -> None:
    """Leave the sink as a killed process does: nothing is completed, and the locks are gone."""
    inner = sink._sink
    assert inner is not None
    inner._file.close()
    if isinstance(inner, Compressed):
        inner._part.file.close()


@contextmanager
def limited(size: int) -> Iterator[None]:
    """No file grows beyond this size, as on a disk that is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def truncate(state: State) -> None:
    """FILE loses its end."""
    cut(state.path, state)


def truncate_part(state: State) -> None:
    """FILE.part loses its end."""
    cut(state.part, state)


def cut(path: Path, state: State) -> None:
    if path.is_file() and path.stat().st_size:
        os.truncate(path, state.chance.randrange(path.stat().st_size))


def grow_by_a_piece(state: State) -> None:
    """FILE ends with a piece of an item or of a frame."""
    data = state.packed(state.line())
    with state.path.open("ab") as file:
        file.write(data[: state.chance.randint(1, len(data) - 1)])


def grow_by_lines(state: State) -> None:
    """Another program has added whole lines."""
    if not whole_end(state):
        return
    with state.path.open("ab") as file:
        file.write(state.packed(b"".join(state.lines())))


def grow_by_zeros(state: State) -> None:
    """The end of FILE was lost with the power."""
    if state.path.is_file() and state.path.stat().st_size:
        with state.path.open("ab") as file:
            file.write(b"\0" * state.chance.randint(1, 5000))


def replace(state: State) -> None:
    """FILE is another recording."""
    state.path.unlink(missing_ok=True)
    state.path.write_bytes(state.packed(b"".join(state.lines())))


def remove(state: State) -> None:
    """FILE is gone."""
    state.path.unlink(missing_ok=True)


def leave_a_stale_part(state: State) -> None:
    """FILE.part is older than FILE."""
    if state.codec is not None and not state.part.exists():
        size = state.path.stat().st_size if state.path.is_file() else 0
        state.part.write_bytes(b"%d\n" % state.chance.randint(0, size + 9) + b"".join(state.lines(3)))


def leave_a_foreign_part(state: State) -> None:
    """FILE.part is something else."""
    if state.codec is not None:
        state.part.unlink(missing_ok=True)
        state.part.write_bytes(
            state.chance.choice((b"7" * 5000, b"words\n", b"\0" * 70, b"5\nwords\n", b"12"))
        )


def link_the_part(state: State) -> None:
    """FILE.part is a link."""
    if state.codec is not None and not state.part.exists():
        target = state.path.with_name("precious")
        target.write_bytes(b"0\n" + state.line())
        (state.part.symlink_to if state.chance.random() < 0.5 else state.part.hardlink_to)(target)


def make_the_part_a_pipe(state: State) -> None:
    """FILE.part is a named pipe."""
    if state.codec is not None and not state.part.exists():
        os.mkfifo(state.part)


def link_the_file(state: State) -> None:
    """FILE is a link to the recording."""
    if state.path.is_file() and not state.path.is_symlink() and not state.part.exists():
        place = state.path.with_name(f"elsewhere{''.join(state.path.suffixes)}")
        state.path.rename(place)
        state.path.symlink_to(place)


DAMAGES = (
    truncate,
    truncate_part,
    grow_by_a_piece,
    grow_by_lines,
    grow_by_zeros,
    replace,
    remove,
    leave_a_stale_part,
    leave_a_foreign_part,
    link_the_part,
    make_the_part_a_pipe,
    link_the_file,
)


def whole_end(state: State) -> bool:
    """Whether FILE ends where another program can add to it."""
    if not state.path.is_file():
        return True
    data = state.path.read_bytes()
    if state.codec is None:
        return not data or data.endswith(b"\n")
    return ending_of(lambda length, at: data[at : at + length], len(data), state.codec).clean


def readable(data: bytes, codec: Codec | None) -> set[bytes]:
    """The whole lines of items in some bytes, as far as they can be read."""
    plain = data
    if codec is not None:
        pieces: list[bytes] = []
        with suppress(Damaged):
            pieces.extend(inflated(BytesIO(data), codec))
        plain = b"".join(pieces)
    return {line for line in plain.split(b"\n") if line.startswith(b"{") and line.endswith(b"}")}


def readable_of_part(data: bytes) -> set[bytes]:
    """The whole lines in a part file; of something else, nothing is known."""
    with suppress(ValueError):
        return {line for line in held_by(data).lines.split(b"\n") if line}
    return set()


def found(state: State) -> set[bytes]:
    """All whole lines around the recording: in FILE, in FILE.part, and in what was set aside."""
    lines: set[bytes] = set()
    for path in state.path.parent.iterdir():
        if not path.is_file():
            continue
        data = path.read_bytes()
        if path.name.startswith(state.part.name):
            lines |= readable_of_part(data) | readable(data, None)
        elif path.name != "precious":
            lines |= readable(data, state.codec)
    return lines


def continued(state: State, read: Read) -> bool:
    """Let the recorder go on in this state, and check what it leaves. Returns whether it wrote anything.

    Now and then its disk is full after some bytes, or it is killed; then it goes on a second time.
    """
    before, precious = found(state), state.path.with_name("precious")
    kept = precious.read_bytes() if precious.exists() else b""
    wanted, written = state.lines(20), []
    refused = False
    for attempt in ("full", "killed", "well"):
        if attempt != "well" and state.chance.random() < 0.5:
            continue
        size = state.path.stat().st_size if state.path.exists() else 0
        limit = size + state.chance.randint(0, 3000) if attempt == "full" else 2**40
        sink_lines = state.lines(20) if attempt != "well" else wanted
        taken: list[bytes] = []
        try:
            with limited(limit):
                taken = _counted(state, sink_lines, taken, abandoned=attempt == "killed")
        except OSError as failure:
            state.story.append(f"{attempt}: {failure.strerror}")
            refused = attempt == "well"
        written += taken
    assert kept == (precious.read_bytes() if precious.exists() else b""), state.story
    after = found(state)
    assert before <= after, (state.story, sorted(before - after)[:3])
    assert {line.rstrip() for line in written} <= after, state.story
    if refused:
        return False
    lines = read(state.path)
    assert len(lines) == len(set(lines)), (state.story, "doubled")
    assert [line for line in lines if line + b"\n" in set(written)] == [line.rstrip() for line in written], (
        state.story
    )
    assert lines[-len(wanted) :] == [line.rstrip() for line in wanted], state.story
    return True


def _counted(state: State, lines: list[bytes], taken: list[bytes], *, abandoned: bool) -> list[bytes]:
    sink = open_output(state.path)
    assert not isinstance(sink, NamedPipe)
    try:
        for line in lines:
            sink.write(line)
            taken.append(line)
    except OSError as failure:
        state.story.append(f"full after {len(taken)} lines: {failure.strerror}")
    finally:
        if abandoned:
            abandon(sink)  # type: ignore[arg-type]
        else:
            with suppress(OSError):
                sink.close()
    return taken
