"""The fast route for a body: receives from the connection's socket, and removes the frames in bulk.

http.client and urllib3 spend more time on a chunk than JSON does on the post in it. This module bypasses
them. For that it relies on attributes that are not public: `_original_response` and `_decoder` of urllib3's
HTTPResponse, `fp` and `chunk_left` of http.client's, and `_sock` of the socket's file. They are checked for
each answer. If anything is not as expected, the portable route in `body` is taken. The portable route is
slower, and gives the same result, except that http.client accepts some malformed frames.
"""

from __future__ import annotations

import http.client
import io
import os
from collections.abc import Iterator
from typing import Any

import urllib3
from urllib3.exceptions import ProtocolError

from xdk_streaming.wire.chunks import Dechunker
from xdk_streaming.wire.inflate import CODINGS, Inflater
from xdk_streaming.wire.lengths import Length, ToTheEnd
from xdk_streaming.wire.timeouts import Deadlines
from xdk_streaming.wire.wait import Due, Wait
from xdk_streaming.wire.waiting_socket import WaitingSocket

READ_SIZE = 256 * 1024
"""Bytes of one read, as in asyncio. Measured on posts of 2 and 10 kB, 64 KiB costs 3 to 5 % more."""
QUIET_BYTES = 16 * 1024
QUIET_SIZE = 64 * 1024
"""Bytes of a read after one that brought fewer than `QUIET_BYTES`: with more room, an item on a quiet stream
comes one or two microseconds later."""
PORTABLE_VARIABLE = "XDK_STREAMING_PORTABLE"
"""The environment variable that makes every connection take the portable route. Any value does."""


def original(raw: urllib3.HTTPResponse) -> http.client.HTTPResponse | None:
    """http.client's response under urllib3's; None if it is of any other class."""
    found = getattr(raw, "_original_response", None)
    return found if type(found) is http.client.HTTPResponse else None


def waiting_socket(
    raw: urllib3.HTTPResponse, wait: Wait, deadlines: Deadlines, *, shut_by_waker: bool
) -> WaitingSocket | None:
    """A `WaitingSocket`, put where the body's file keeps its socket; None if the file keeps none there."""
    file = getattr(getattr(raw, "_original_response", None), "fp", None)
    under = getattr(file, "raw", None)
    sock = getattr(under, "_sock", None)
    if sock is None or not hasattr(sock, "recv_into"):
        return None
    waiting = WaitingSocket(sock, wait, deadlines, shut_by_waker=shut_by_waker)
    waiting.take_place(under)
    return waiting


def file_under(raw: urllib3.HTTPResponse, coding: str) -> Any | None:
    """The file with the body, positioned before its first byte; None if there is no such file."""
    response = original(raw)
    file = getattr(response, "fp", None)
    begun = raw.tell(), raw.chunk_left, getattr(raw, "_decoder", None)
    # A hook may have read part of the body: then urllib3 has to continue within its chunk, length or coding.
    if response is None or begun != (0, None, None) or coding not in ("", *CODINGS):
        return None
    untouched = response.chunk_left is None if raw.chunked else response.length == raw.length_remaining
    suits = untouched and type(file) is io.BufferedReader and not os.environ.get(PORTABLE_VARIABLE)
    return file if suits else None


def framing(raw: urllib3.HTTPResponse) -> Dechunker | Length | ToTheEnd:
    """How the end of this body is found."""
    if raw.chunked:
        return Dechunker()
    return ToTheEnd() if raw.length_remaining is None else Length(raw.length_remaining)


def read_body(
    file: Any, sock: WaitingSocket, frames: Dechunker | Length | ToTheEnd, coding: str
) -> Iterator[bytes | None]:
    """The body as it arrives. `sock` is the socket of `file`. `coding` is one of `CODINGS`, or empty.

    None when `Wait.due_at` came before any bytes did.
    """
    inflater = Inflater(coding) if coding else None
    size = READ_SIZE
    receive = file.read1  # first what came with the headers; after that, the file has nothing buffered
    while True:
        try:
            data = receive(size)
        except Due:
            yield None
            continue
        except OSError as broken:
            raise ProtocolError(f"Connection broken: {broken!r}", broken) from broken
        receive = sock.recv
        size = QUIET_SIZE if len(data) < QUIET_BYTES else READ_SIZE
        if not data:
            frames.close()
        body = frames.feed(data)
        if inflater is not None:
            yield from inflater.feed(body)
        elif body:
            yield body
        if frames.fault is not None:
            raise frames.fault
        if frames.ended:
            return
