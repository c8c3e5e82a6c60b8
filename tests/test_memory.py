"""What a hostile server can make a stream take, with the settings as they are by default."""

from __future__ import annotations

import sys
import zlib
from collections.abc import Callable, Iterable, Iterator
from functools import cache

import pytest

from helpers.memory import growth
from helpers.servers import Peer, served

pytestmark = [
    pytest.mark.thorough,
    pytest.mark.timeout(120),
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc/self/status"),
]

MAX_GROWTH = 128
"""MiB that a stream may take above its start."""
MEGA = 10**6
PIECE = 2**20

Serve = Callable[[Peer], None]


def chunk(data: bytes, extension: bytes = b"") -> bytes:
    return b"%x%b\r\n%b\r\n" % (len(data), extension, data)


def answer(*headers: bytes, status: bytes = b"200 OK") -> bytes:
    return b"\r\n".join([b"HTTP/1.1 " + status, b"Connection: close", *headers, b"", b""])


CHUNKED = b"Transfer-Encoding: chunked"
OK = answer(CHUNKED)


def sending(*lines: bytes) -> Serve:
    """A server that sends these lines on each connection."""

    def serve(peer: Peer) -> None:
        peer.request()
        peer.send(OK)
        for line in lines:
            peer.send(chunk(line + b"\n"))
        peer.send(b"0\r\n\r\n")

    return serve


def without_end(start: bytes, piece: bytes) -> Serve:
    """A server that sends a piece again and again."""

    def serve(peer: Peer) -> None:
        peer.request()
        peer.send(start)
        while True:
            peer.send(piece)

    return serve


def in_turn(start: bytes, pieces: Callable[[], Iterable[bytes]]) -> Serve:
    def serve(peer: Peer) -> None:
        peer.request()
        peer.send(start)
        for piece in pieces():
            peer.send(piece)

    return serve


def filled(size: int, unit: bytes, *, start: bytes = b'{"data":[', end: bytes = b"0]}") -> bytes:
    """A line of about this size, filled with a unit."""
    return start + unit * (size // len(unit)) + end


def text(size: int, first: str = "") -> bytes:
    return filled(size, b"x", start=f'{{"data":"{first}'.encode(), end=b'"}')


def notice(size: int, kind: str) -> bytes:
    return filled(
        size, b"[],", start=f'{{"errors":[{{"type":"x/{kind}","title":"t","more":['.encode(), end=b"0]}]}"
    )


def long_ids(count: int, size: int) -> list[bytes]:
    return [b'{"data":{"id":"%d%b"}}' % (number, b"9" * size) for number in range(count)]


@cache
def bomb(coding: str, unit: bytes, size: int) -> bytes:
    """Compressed data that becomes `size` bytes."""
    squeezer = zlib.compressobj(9, wbits=31 if coding == "gzip" else 15)
    pieces = [squeezer.compress(unit * (PIECE // len(unit))) for _ in range(size // PIECE)]
    return b"".join([*pieces, squeezer.flush()])


def extended_chunks() -> Iterator[bytes]:
    for number in range(3_000):
        yield chunk(b"\n", b";%d=%b" % (number, b"x" * 60_000))


SERVERS: dict[str, Serve] = {
    "ending notices": sending(notice(20 * MEGA, "operational-disconnect")),
    "ending notices of text": sending(
        filled(20 * MEGA, b"x", start=b'{"title":"', end=b'","type":"x/operational-disconnect"}')
    ),
    "ending notices of wide text": sending(
        filled(20 * MEGA, b"x", start='{"title":"😀'.encode(), end=b'","type":"x/operational-disconnect"}')
    ),
    "notices": sending(*[notice(5 * MEGA, "unknown")] * 3),
    "long lines": sending(*[filled(28 * MEGA, b"[],")] * 3),
    "lines just short enough": sending(*[filled(2**20 - 50, b"[],")] * 6),
    "lines of objects": sending(*[filled(2**20 - 50, b'{"":{}},')] * 6),
    "lines that may just be parsed": sending(
        *[filled(1_300_000, b'"a":"b",', start=b'{"data":{', end=b'"a":0}}')] * 3
    ),
    "long texts": sending(*[text(28 * MEGA)] * 2),
    "long wide texts": sending(*[text(28 * MEGA, "😀")] * 3),
    "texts that may just be wide": sending(*[text(9 * MEGA, "😀")] * 3),
    "long lines that are no JSON": sending(*["😀".encode() + b"x" * 28 * MEGA] * 3),
    "a line without an end": without_end(OK, chunk(b"x" * PIECE)),
    "blank lines": sending(*[b"\n" * 16 * MEGA]),
    "blank lines with a CR": sending(*[b"\r\n" * 8 * MEGA]),
    "a gzip bomb": in_turn(
        answer(CHUNKED, b"Content-Encoding: gzip"), lambda: [chunk(bomb("gzip", b"x", 2**28))]
    ),
    "a gzip bomb without chunks": in_turn(
        answer(b"Content-Encoding: gzip"), lambda: [bomb("gzip", b"x", 2**28)]
    ),
    "a deflate bomb": in_turn(
        answer(CHUNKED, b"Content-Encoding: deflate"), lambda: [chunk(bomb("deflate", b"x", 2**28))]
    ),
    "an endless refusal": without_end(answer(CHUNKED, status=b"503 Busy"), chunk(b"x" * PIECE)),
    "a refusal with a bomb": in_turn(
        answer(CHUNKED, b"Content-Encoding: gzip", status=b"503 Busy"),
        lambda: [chunk(bomb("gzip", b"x", 2**28))],
    ),
    "many headers": in_turn(answer(*[b"X-Same: " + b"x" * 60_000] * 95, CHUNKED), lambda: [b"0\r\n\r\n"]),
    "too many headers": without_end(b"HTTP/1.1 200 OK\r\n", b"X-Same: " + b"x" * 60_000 + b"\r\n"),
    "chunk extensions": in_turn(OK, extended_chunks),
    "a chunk extension without an end": without_end(OK + b"1;", b"x" * PIECE),
}


LOSSES = {name: 8 for name in SERVERS if name.startswith("ending")}
"""Connections after which the stream is stopped, if one is not enough."""


@pytest.mark.parametrize("name", SERVERS)
def test_a_hostile_server_takes_little_memory(name: str) -> None:
    with served(SERVERS[name]) as url:
        found = growth(url, losses=LOSSES.get(name, 1))
    assert found["growth"] < MAX_GROWTH


def test_long_ids_are_not_kept() -> None:
    with served(sending(*long_ids(231, MEGA))) as url:
        found = growth(url, recovery=True)
    assert found["items"] == 231
    assert found["growth"] < MAX_GROWTH
