"""Bodies as sent on the wire, read back by http.client and zlib."""

from __future__ import annotations

import http.client
import io
import zlib
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.shortcuts import namespace
from xdk_streaming.simulator.body import Body, Encoding, Framing

FRAMINGS: tuple[Framing, ...] = get_args(Framing)
ENCODINGS: tuple[Encoding | None, ...] = (None, *get_args(Encoding))

kinds = st.tuples(st.sampled_from(FRAMINGS), st.sampled_from(ENCODINGS))
lines = st.binary(min_size=4, max_size=400).map(lambda data: data + b"\r\n")


def received(body: Body, wire: bytes) -> http.client.HTTPResponse:
    """The response as http.client sees the bytes, followed by the end of the connection."""
    head = "".join(f"{name}: {value}\r\n" for name, value in body.headers.items())
    sent = b"HTTP/1.1 200 OK\r\n" + head.encode() + b"\r\n" + wire
    response = http.client.HTTPResponse(namespace(makefile=lambda mode: io.BytesIO(sent)))
    response.begin()
    return response


def inflated(data: bytes, encoding: Encoding | None) -> bytes:
    """Everything that can be decoded from `data`, without waiting for more."""
    if encoding is None:
        return data
    return zlib.decompressobj(wbits={"gzip": 31, "deflate": 15}[encoding]).decompress(data)


def unframed(body: Body, wire: bytes) -> bytes:
    """Everything that a client reads from the framing before the bytes end."""
    with received(body, wire) as response:
        try:
            return response.read()
        except http.client.IncompleteRead as cut:
            return cut.partial


@given(kinds, st.lists(st.binary(max_size=300), max_size=8))
def test_the_pieces_and_the_end_form_a_complete_body(
    kind: tuple[Framing, Encoding | None], pieces: list[bytes]
) -> None:
    body = Body(*kind)
    wire = b"".join(map(body.piece, pieces)) + body.end()
    with received(body, wire) as response:
        assert inflated(response.read(), kind[1]) == b"".join(pieces)


@given(kinds, st.lists(lines, min_size=1, max_size=6))
def test_each_piece_can_be_read_before_the_next_is_there(
    kind: tuple[Framing, Encoding | None], pieces: list[bytes]
) -> None:
    body = Body(*kind)
    wire = b""
    for count, piece in enumerate(pieces, 1):
        wire += body.piece(piece)
        assert inflated(unframed(body, wire), kind[1]) == b"".join(pieces[:count])


@given(kinds, st.lists(lines, max_size=3), lines)
def test_of_a_half_no_whole_line_can_be_read(
    kind: tuple[Framing, Encoding | None], whole: list[bytes], cut: bytes
) -> None:
    body = Body(*kind)
    wire = b"".join(map(body.piece, whole)) + body.half(cut, len(cut) // 2)
    read = inflated(unframed(body, wire), kind[1])
    assert read.startswith(b"".join(whole))
    rest = read[len(b"".join(whole)) :]
    assert cut.startswith(rest)
    assert len(rest) < len(cut) - len(b"\r\n")


@given(st.sampled_from(ENCODINGS), lines)
def test_under_chunking_a_half_is_seen_to_be_cut_off(encoding: Encoding | None, cut: bytes) -> None:
    body = Body("chunked", encoding)
    with received(body, body.half(cut, len(cut) // 2)) as response, pytest.raises(http.client.IncompleteRead):
        response.read()


@pytest.mark.parametrize("encoding", ENCODINGS, ids=str)
def test_without_chunking_only_the_close_ends_a_body(encoding: Encoding | None) -> None:
    body = Body("close", encoding)
    wire = body.piece(b"{}\r\n")
    assert "Transfer-Encoding" not in body.headers
    with received(body, wire) as response:
        assert inflated(response.read(), encoding) == b"{}\r\n"


@pytest.mark.parametrize("encoding", ENCODINGS, ids=str)
def test_a_piece_is_one_chunk_and_the_end_an_empty_one(encoding: Encoding | None) -> None:
    body = Body("chunked", encoding)
    size, _, rest = body.piece(b'{"data":{}}\r\n').partition(b"\r\n")
    assert len(rest) == int(size, 16) + len(b"\r\n")
    assert rest.endswith(b"\r\n")
    assert body.end().endswith(b"0\r\n\r\n")


@pytest.mark.parametrize("encoding", get_args(Encoding))
@pytest.mark.parametrize("framing", FRAMINGS)
def test_a_compressed_body_says_so_and_ends_with_its_trailer(framing: Framing, encoding: Encoding) -> None:
    body = Body(framing, encoding)
    assert body.headers["Content-Encoding"] == encoding
    wire = body.piece(b"{}\r\n") + body.end()
    inflating = zlib.decompressobj(wbits={"gzip": 31, "deflate": 15}[encoding])
    with received(body, wire) as response:
        assert inflating.decompress(response.read()) == b"{}\r\n"
    assert inflating.eof


@pytest.mark.parametrize("framing", FRAMINGS)
def test_an_uncompressed_body_names_no_encoding(framing: Framing) -> None:
    assert "Content-Encoding" not in Body(framing, None).headers
