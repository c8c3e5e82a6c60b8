"""The minimum cost of the work: a raw socket, chunks decoded in bulk, lines split, JSON decoded.

Trusts every byte of the server, and does nothing else: no faults, no heartbeats, no limits, no reconnecting,
no stop. The additional cost of a reader is the cost of these features.
"""

from __future__ import annotations

import socket
import zlib
from collections.abc import Callable, Iterator
from typing import Any

from benchmarks.speed.server import HOST, Source

READ_SIZE = 64 * 1024
LINE_END = b"\r\n"


def connect(source: Source) -> socket.socket:
    """A connection whose next bytes are the body."""
    connection = socket.create_connection((HOST, source.port))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    tls = source.tls()
    if tls is not None:
        connection = tls.wrap_socket(connection, server_hostname=HOST)
    connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    head = b""
    while not head.endswith(b"\r\n\r\n"):  # byte by byte, so that nothing of the body is taken
        head += connection.recv(1)
    return connection


def bodies(connection: socket.socket) -> Iterator[bytes]:
    """The part of the body in each read."""
    receive = connection.recv
    left, held = 0, LINE_END
    while data := receive(READ_SIZE):
        if left > len(data):
            left -= len(data)
            yield data
            continue
        pieces = [data[:left]]
        place = left
        if held:  # part of the frame between two chunks; `left` is 0 then
            data = held + data
        find, end, left, held = data.find, len(data), 0, b""
        while place <= end:
            stop = find(LINE_END, place + 2)
            if stop < 0:
                held = data[place:]
                break
            after = stop + 2
            place = after + int(data[place + 2 : stop], 16)
            pieces.append(data[after:place])
        else:
            left = place - end
        yield b"".join(pieces)


def inflated(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Each piece, decompressed by the standard library."""
    inflate = zlib.decompressobj(16 + zlib.MAX_WBITS).decompress
    for piece in pieces:
        yield inflate(piece)


def lines(pieces: Iterator[bytes]) -> Iterator[list[bytes]]:
    """The lines that each piece completes, without LF."""
    held: list[bytes] = []
    for piece in pieces:
        whole = piece.split(b"\n")
        held.append(whole[0])
        if len(whole) > 1:
            whole[0] = b"".join(held)
            held = [whole.pop()]
            yield whole


def items(connection: socket.socket, decode: Callable[[bytes], Any] | None, *, gzip: bool) -> Iterator[Any]:
    """The items of the stream; without `decode`, the lines."""
    pieces = bodies(connection)
    for batch in lines(inflated(pieces) if gzip else pieces):
        if decode is None:
            yield from batch
        else:
            for line in batch:
                yield decode(line)
