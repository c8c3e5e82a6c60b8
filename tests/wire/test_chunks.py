"""Chunks undone in bulk: the same body however the bytes are cut, and no frame taken for data."""

from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xdk_streaming.wire.chunks import MAX_FRAME_BYTES, MAX_KNOWN_FRAMES, Dechunker

LAST = b"0\r\n\r\n"

sizes = st.builds(
    lambda size, form, zeros: zeros + form(b"%x" % size),
    st.integers(0, 40),
    st.sampled_from([bytes.lower, bytes.upper]),
    st.sampled_from([b"", b"0", b"000"]),
)
frames = st.one_of(
    st.builds(
        lambda size, end: size + end, sizes, st.sampled_from([b"\r\n", b"\n", b";a=b\r\n", b" \t;\r\n"])
    ),
    st.sampled_from([b"\r\n", b"\n", b"-5\r\n", b"0x5\r\n", b"g\r\n", b"\r\r\n", b" 5\r\n", b";\r\n"]),
    st.binary(max_size=6),
)
streams = st.lists(frames, max_size=12).map(b"".join)


def undone(pieces: list[bytes]) -> tuple[bytes, bool, bool]:
    """The body, whether it ended, and whether a frame was none."""
    chunks = Dechunker()
    body = b""
    for piece in pieces:
        if not chunks.ended and chunks.fault is None:
            body += chunks.feed(piece)
    return body, chunks.ended, chunks.fault is not None


def bytewise(stream: bytes) -> list[bytes]:
    return [stream[place : place + 1] for place in range(len(stream))]


@given(st.lists(st.binary(min_size=1, max_size=50)), st.data())
def test_a_body_comes_out_as_it_went_in_however_it_is_cut(chunks: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + LAST
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    pieces = [stream[start:end] for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    assert undone([stream]) == undone(pieces) == undone(bytewise(stream)) == (b"".join(chunks), True, False)


@given(streams, st.data())
def test_what_comes_of_any_bytes_does_not_depend_on_their_cuts(stream: bytes, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    pieces = [stream[start:end] for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    assert undone([stream]) == undone(pieces) == undone(bytewise(stream))


@pytest.mark.parametrize(
    "stream",
    [
        b"5\r\nhello\r\n0\r\nTrailer: 1\r\n\r\n",
        b"5;name=value\r\nhello\r\n0;last\r\n\r\n",
        b"5 \t\r\nhello\r\n0\r\n\r\n",
        b"0005\r\nhello\r\n000\r\n",
        b"5\nhello\n0\n",
        b"2\r\nhe\r\n3\r\nllo\r\n0\r\n and whatever comes then",
    ],
    ids=["trailer", "extensions", "blanks", "zeros", "bare LF", "rest"],
)
def test_every_lawful_frame_is_taken_off(stream: bytes) -> None:
    assert undone([stream]) == undone(bytewise(stream)) == (b"hello", True, False)


@pytest.mark.parametrize(
    "frame",
    [
        b"-5\r\n",
        b"+5\r\n",
        b"0x5\r\n",
        b"1_0\r\n",
        b" 5\r\n",
        b"g\r\n",
        b"\r\n",
        b"\n",
        b";a\r\n",
        b"5\r5\r\n",
    ],
    ids=ascii,
)
def test_what_is_no_frame_is_a_fault_after_what_came_before_it(frame: bytes) -> None:
    stream = b"5\r\nhello\r\n" + frame + b"worlds and worlds\r\n" + LAST
    assert undone([stream]) == undone(bytewise(stream)) == (b"hello", False, True)


@pytest.mark.parametrize("end", [b"XX", b"3\r", b"\rX", b"  "], ids=ascii)
def test_a_chunk_without_its_line_end_is_a_fault(end: bytes) -> None:
    assert undone([b"5\r\nhello" + end + b"\r\n3\r\nabc\r\n" + LAST]) == (b"hello", False, True)


@pytest.mark.parametrize("start", [b"5", b"5;"], ids=["size", "extension"])
def test_a_frame_that_never_ends_is_a_fault_and_not_held(start: bytes) -> None:
    assert undone([start + b"5" * (MAX_FRAME_BYTES // 2)])[2] is False
    assert undone([start, *[b"5" * 1024] * (MAX_FRAME_BYTES // 1024)])[2] is True


def test_a_frame_that_was_seen_before_is_read_the_same_again() -> None:
    chunks = Dechunker()
    assert chunks.feed(b"5\r\nfirst\r\n5\r\nagain\r\n5\r\nonce ") == b"firstagainonce "
    assert chunks.feed(b"\r\n5\r\nmore!\r\n") == b"more!"


def test_frames_without_end_are_not_all_remembered() -> None:
    chunks = Dechunker()
    for number in range(MAX_KNOWN_FRAMES):
        chunks.feed(b"5;%d\r\nhello\r\n" % number)
    tracemalloc.start()
    try:
        for number in range(MAX_KNOWN_FRAMES, 3 * MAX_KNOWN_FRAMES):
            assert chunks.feed(b"5;%d\r\nhello\r\n" % number) == b"hello"
        grown, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert grown < 4096


def test_a_large_chunk_is_not_held_until_it_is_whole() -> None:
    chunks = Dechunker()
    chunks.feed(b"%x\r\n" % 2**40)
    assert chunks.feed(bytes(1000)) == bytes(1000)
    assert not chunks.ended


def test_the_last_chunk_remembered_from_before_does_not_hide_an_end() -> None:
    chunks = Dechunker()
    assert chunks.feed(b"1\r\na\r\n0\r\n\r\n") == b"a"
    assert chunks.ended
