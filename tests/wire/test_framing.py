from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xdk_streaming.errors import StreamErrorType
from xdk_streaming.wire.framing import OVERSIZED_HEAD_BYTES, Blanks, LineSplitter, Oversized

PLENTY = 1024
SMALL = 10

Lines = list[Any]

pieces_of_streams = st.sampled_from(
    [b"\n", b"\r\n", b"\r", b"", b"a", b"{}", '"é"'.encode(), "\u2028\u0085🎉".encode(), b"\x0b\x0c\x1c\x00"]
)
streams = st.lists(pieces_of_streams | st.binary(max_size=4), max_size=40).map(b"".join)


@st.composite
def cut_streams(draw: st.DrawFn) -> list[bytes]:
    """The pieces of a stream; empty ones among them."""
    stream = draw(streams)
    cuts = sorted(draw(st.lists(st.integers(0, len(stream)), max_size=12)))
    return [stream[start:end] for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True)]


def split(pieces: list[bytes], max_bytes: int = PLENTY) -> Lines:
    """All lines of the pieces, the tail as the last of them."""
    splitter = LineSplitter(max_bytes)
    lines = [line for piece in pieces for line in splitter.feed(piece)]
    return [*lines, splitter.tail()]


class Split(NamedTuple):
    """All that a splitter makes of a stream."""

    lines: Lines
    tail: Any
    runaway: bool


def plain(lines: Iterable[Any]) -> list[Any]:
    """The lines with each blank line by itself, and without its CR."""
    return [
        each
        for line in lines
        for each in ([b""] * line.count if isinstance(line, Blanks) else [b"" if line == b"\r" else line])
    ]


def whole_outcome(pieces: list[bytes], max_bytes: int) -> Split:
    splitter = LineSplitter(max_bytes)
    lines = [line for piece in pieces for line in splitter.feed(piece)]
    return Split(plain(lines), splitter.tail(), splitter.runaway is not None)


def byte_by_byte(stream: bytes) -> list[bytes]:
    return [stream[place : place + 1] for place in range(len(stream))]


@pytest.mark.parametrize(
    "inside",
    [
        b"\r",
        "\u2028".encode(),
        "\u2029".encode(),
        "\u0085".encode(),
        b"\x0b",
        b"\x0c",
        b"\x1c",
        b"\x1e",
        b"\x00",
    ],
    ids=ascii,
)
def test_nothing_but_lf_ends_a_line(inside: bytes) -> None:
    line = b"before" + inside + b"after"
    assert split([line + b"\nnext"]) == [line, b"next"]


def test_crlf_leaves_its_cr_to_the_decoder() -> None:
    assert split([b"a\r\n\r\nb\r\n"]) == [b"a\r", b"\r", b"b\r", b""]


def test_crlf_cut_in_two_ends_one_line() -> None:
    assert split([b"a\r", b"\nb\r", b"\n"]) == [b"a\r", b"b\r", b""]


def test_a_character_cut_in_two_is_put_together_again() -> None:
    euro = "€".encode()
    assert split([b'"' + euro[:1], euro[1:] + b'"\n']) == ['"€"'.encode(), b""]


def test_a_line_comes_out_as_soon_as_its_lf_is_there() -> None:
    splitter = LineSplitter(PLENTY)
    assert splitter.feed(b"one\ntwo\nthr") == [b"one", b"two"]
    assert splitter.feed(b"ee") == []
    assert splitter.feed(b"\n") == [b"three"]


def test_the_tail_is_what_no_lf_ended_and_is_given_out_once() -> None:
    splitter = LineSplitter(PLENTY)
    splitter.feed(b"whole\nha")
    splitter.feed(b"lf")
    assert splitter.tail() == b"half"
    assert splitter.tail() == b""
    assert splitter.feed(b"next\n") == [b"next"]


def test_nothing_fed_gives_no_line_and_no_tail() -> None:
    splitter = LineSplitter(PLENTY)
    assert splitter.feed(b"") == []
    assert splitter.tail() == b""


@given(cut_streams())
def test_lines_are_the_same_however_the_bytes_are_cut(pieces: list[bytes]) -> None:
    stream = b"".join(pieces)
    assert plain(split(pieces)) == plain(stream.split(b"\n"))
    assert plain(split([stream])) == plain(stream.split(b"\n"))


@given(streams)
def test_lines_are_the_same_byte_by_byte(stream: bytes) -> None:
    assert split(byte_by_byte(stream)) == stream.split(b"\n")


@given(
    st.lists(st.binary(max_size=4 * SMALL).map(lambda line: line.replace(b"\n", b"-")), min_size=1), st.data()
)
def test_long_lines_are_found_however_the_bytes_are_cut(lines: list[bytes], data: st.DataObject) -> None:
    stream = b"\n".join(lines)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=12)))
    pieces = [stream[start:end] for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    expected = plain(line if len(line) <= SMALL else Oversized(line, len(line)) for line in lines)
    assert plain(split(pieces, SMALL)) == expected
    assert plain(split(byte_by_byte(stream), SMALL)) == expected


@pytest.mark.parametrize("cut", [0, 1, 9, 10, 11], ids="cut at {}".format)
def test_a_line_of_exactly_the_limit_fits_and_one_byte_more_does_not(cut: int) -> None:
    fits, too_long = b"x" * SMALL, b"y" * (SMALL + 1)
    for line, expected in ((fits, fits), (too_long, Oversized(too_long, SMALL + 1))):
        assert split([line[:cut], line[cut:] + b"\n"], SMALL) == [expected, b""]
        assert split([line[:cut], line[cut:]], SMALL) == [expected]


def test_neither_cr_nor_lf_of_neighbours_counts_into_a_lines_length() -> None:
    assert split([b"x" * SMALL + b"\n\n" + b"y" * SMALL + b"\n"], SMALL) == [
        b"x" * SMALL,
        b"",
        b"y" * SMALL,
        b"",
    ]


@pytest.mark.parametrize("length", [OVERSIZED_HEAD_BYTES, OVERSIZED_HEAD_BYTES + 1, 3 * OVERSIZED_HEAD_BYTES])
@pytest.mark.parametrize("piece", [1000, OVERSIZED_HEAD_BYTES, 10**6])
@pytest.mark.parametrize(
    "max_bytes", [OVERSIZED_HEAD_BYTES - 1, OVERSIZED_HEAD_BYTES, 2 * OVERSIZED_HEAD_BYTES]
)
def test_of_a_long_line_the_first_64_kib_are_kept_and_its_length_is_true(
    length: int, piece: int, max_bytes: int
) -> None:
    line = bytes(place % 10 + 48 for place in range(length))
    stream = b"before\n" + line + b"\nafter\n"
    pieces = [stream[start : start + piece] for start in range(0, len(stream), piece)]
    fits = length <= max_bytes
    expected = line if fits else Oversized(line[: 64 * 1024], length)
    assert split(pieces, max_bytes) == [b"before", expected, b"after", b""]


def test_a_long_line_in_the_middle_of_one_read_leaves_its_neighbours_whole() -> None:
    long = b"x" * 25
    assert split([b"a\n" + long + b"\nb\n" + long + b"\nc"], SMALL) == [
        b"a",
        Oversized(long, 25),
        b"b",
        Oversized(long, 25),
        b"c",
    ]


def test_a_long_tail_is_oversized_too() -> None:
    splitter = LineSplitter(SMALL)
    splitter.feed(b"a\n" + b"x" * 11)
    assert splitter.tail() == Oversized(b"x" * 11, 11)
    assert splitter.tail() == b""


def test_what_exceeds_the_limit_is_not_held_while_a_long_line_arrives() -> None:
    limit, piece = 512 * 1024, 32 * 1024
    splitter = LineSplitter(limit)
    tracemalloc.start()
    try:
        for _ in range(4 * limit // piece):
            splitter.feed(bytes(piece))
        held, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < limit + 2 * piece
    assert peak < limit + 4 * piece
    assert splitter.tail() == Oversized(bytes(64 * 1024), 4 * limit)


def peak_and_held(fill: Callable[[], object]) -> tuple[int, int]:
    tracemalloc.start()
    try:
        fill()
        held, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    return peak, held


def test_a_long_line_that_comes_in_one_read_is_not_held_whole() -> None:
    limit = 256 * 1024
    splitter = LineSplitter(limit)
    data = bytes(4 * limit)
    _, held = peak_and_held(lambda: splitter.feed(data))
    assert held < limit + 4096
    assert splitter.tail() == Oversized(bytes(64 * 1024), 4 * limit)


def test_of_a_runaway_line_no_more_is_held_than_of_any_long_line_however_much_follows() -> None:
    limit = 256 * 1024
    splitter, data = LineSplitter(limit), bytes(8 * limit)

    def fill() -> None:
        for _ in range(10):
            splitter.feed(data)

    peak, held = peak_and_held(fill)
    assert splitter.runaway is not None
    assert held < 1.2 * limit
    assert peak < 1.2 * limit
    assert splitter.tail() == Oversized(bytes(64 * 1024), 4 * limit + 1)


def test_a_line_in_tiny_pieces_takes_no_more_room_than_its_bytes() -> None:
    splitter = LineSplitter(1024 * 1024)

    def fill() -> None:
        for _ in range(64 * 1024):
            splitter.feed(b"xy")

    peak, held = peak_and_held(fill)
    assert held < 1.2 * 128 * 1024
    assert peak < 2.4 * 128 * 1024  # it moves when it has grown out of its place
    assert splitter.tail() == b"xy" * 64 * 1024


# Runaway lines


def test_four_times_the_limit_without_a_line_end_is_a_fault_that_interrupts_the_stream() -> None:
    splitter = LineSplitter(SMALL)
    splitter.feed(b"x" * (4 * SMALL + 1))
    fault = splitter.runaway
    assert fault is not None
    assert fault.error_type is StreamErrorType.STREAM_INTERRUPTED
    assert fault.is_retryable
    assert "more than 40 bytes" in str(fault)
    assert "Raise max_item_bytes (now 10)" in str(fault)


def test_four_times_the_limit_exactly_is_a_long_line_and_no_fault() -> None:
    pieces = [b"x" * 4 * SMALL, b"\nb"]
    assert whole_outcome(pieces, SMALL) == Split([Oversized(b"x" * 40, 40)], b"b", runaway=False)


def test_what_precedes_a_runaway_line_is_delivered_and_nothing_after_it_is_looked_at() -> None:
    splitter = LineSplitter(SMALL)
    runaway = b"x" * 50
    assert splitter.feed(b"a\n" + b"y" * 20 + b"\nb\n" + runaway + b"\nc\nd") == [
        b"a",
        Oversized(b"y" * 20, 20),
        b"b",
    ]
    assert splitter.runaway is not None
    assert splitter.feed(b"e\nf") == []
    assert splitter.tail() == Oversized(b"x" * 41, 41)
    assert splitter.feed(b"next\n") == []


def test_before_a_line_runs_away_there_is_no_fault() -> None:
    splitter = LineSplitter(SMALL)
    for _ in range(4 * SMALL):
        assert splitter.feed(b"x") == []
        assert splitter.runaway is None
    splitter.feed(b"x")
    assert splitter.runaway is not None


def test_the_fault_stays_the_same_object() -> None:
    splitter = LineSplitter(SMALL)
    splitter.feed(b"x" * 50)
    fault = splitter.runaway
    splitter.feed(b"x" * 50 + b"\n")
    assert splitter.runaway is fault


@given(st.data())
def test_the_outcome_is_the_same_however_the_bytes_are_cut_runaway_lines_included(
    data: st.DataObject,
) -> None:
    lengths = st.integers(0, 6 * SMALL)
    lines = data.draw(st.lists(lengths, min_size=1, max_size=6).map(lambda all_: [b"z" * n for n in all_]))
    stream = b"\n".join(lines)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=12)))
    pieces = [stream[start:end] for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True)]

    runaway = next((place for place, line in enumerate(lines) if len(line) > 4 * SMALL), None)
    shown = [line if len(line) <= SMALL else Oversized(line, len(line)) for line in lines]
    if runaway is None:
        expected = Split(shown[:-1], shown[-1], runaway=False)
    else:
        expected = Split(shown[:runaway], Oversized(b"z" * 41, 41), runaway=True)
    assert whole_outcome(pieces, SMALL) == expected
    assert whole_outcome([stream], SMALL) == expected
    assert whole_outcome(byte_by_byte(stream), SMALL) == expected


@pytest.mark.parametrize("max_bytes", [16 * 1024, 16 * 1024 - 1, 64 * 1024, 100_000])
def test_a_runaway_line_keeps_at_most_its_first_64_kib(
    max_bytes: int,
) -> None:
    line = bytes(place % 251 for place in range(5 * max_bytes)).replace(b"\n", b"-")
    kept = line[: min(4 * max_bytes + 1, 64 * 1024)]
    for size in (len(line), 4096, 4 * max_bytes + 2):
        pieces = [line[start : start + size] for start in range(0, len(line), size)]
        assert whole_outcome(pieces, max_bytes) == Split([], Oversized(kept, 4 * max_bytes + 1), runaway=True)
