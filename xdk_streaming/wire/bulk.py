"""The fast route through a body: a chunked one, from the file under http.client, its frames undone in bulk.

http.client and urllib3 spend more on each chunk than JSON does on the post in it. This goes round
them, and leans on what is not public for that: `_original_response` and `_decoder` of urllib3's
HTTPResponse, `fp` and `chunk_left` of http.client's, `_sock` of the socket's file. They are looked
at for each answer; where anything is not just as known, the portable route in `body` is taken. That
is slower, and gives the same but for frames that break the rules: http.client lets some through.
"""

from __future__ import annotations

import http.client
import io
import os
import socket
from collections.abc import Iterator
from typing import Any

import urllib3
from urllib3.exceptions import ProtocolError, ReadTimeoutError

from xdk_streaming.wire.chunks import Dechunker
from xdk_streaming.wire.inflate import CODINGS, Inflater

READ_SIZE = 256 * 1024
"""Bytes, as asyncio has it: measured on posts of 2 and 10 kB, 64 KiB costs 3 to 5 % more."""
DONT_WAIT: int | None = getattr(socket, "MSG_DONTWAIT", None)
"""The flag to receive what is there or nothing; Windows has none."""
PORTABLE_VARIABLE = "XDK_STREAMING_PORTABLE"
"""The environment variable that, set to anything, has every connection take the portable route."""


def original(raw: urllib3.HTTPResponse) -> http.client.HTTPResponse | None:
    """http.client's response under urllib3's, where it is just that."""
    found = getattr(raw, "_original_response", None)
    return found if type(found) is http.client.HTTPResponse else None


def file_under(raw: urllib3.HTTPResponse, coding: str) -> Any | None:
    """The file that the body comes from, its place before the first chunk; None where there is no such."""
    response = original(raw)
    file = getattr(response, "fp", None)
    # A hook may have read some: what was left of a chunk or a coding is urllib3's to go on with.
    places = raw.tell(), raw.chunk_left, getattr(response, "chunk_left", None), getattr(raw, "_decoder", None)
    fits = raw.chunked and coding in ("", *CODINGS) and places == (0, None, None, None)
    return (
        file if fits and type(file) is io.BufferedReader and not os.environ.get(PORTABLE_VARIABLE) else None
    )


def read_chunked(file: Any, coding: str, handle: socket.socket | None = None) -> Iterator[bytes]:
    """The body, as it comes. `coding` is one of `CODINGS`, or empty; `handle` is one of the file's socket."""
    short = handle if _is_plain(file) and _asks_at_once(handle) else None
    chunks = Dechunker()
    inflater = Inflater(coding) if coding else None
    more = False
    while not chunks.ended:
        data = _received(file, short if more else None)
        more = len(data) == READ_SIZE  # it filled its room, so the file holds nothing, and the socket does
        body = chunks.feed(data)
        if inflater is not None:
            yield from inflater.feed(body)
        elif body:
            yield body
        if chunks.fault is not None:
            raise chunks.fault


def _is_plain(file: Any) -> bool:
    """Whether the file's bytes are those of a socket, in no cipher."""
    return type(getattr(file.raw, "_sock", None)) is socket.socket


def _asks_at_once(handle: socket.socket | None) -> bool:
    """Whether it can be asked for what it holds. One with a timeout, as by setdefaulttimeout(), waits."""
    return DONT_WAIT is not None and handle is not None and handle.gettimeout() is None


def _received(file: Any, handle: socket.socket | None) -> bytes:
    """What there is, at least a byte. Raises as urllib3 does, whose part this plays."""
    try:
        data: bytes = (handle and _at_hand(handle)) or file.read1(READ_SIZE)
    except TimeoutError as silence:
        raise ReadTimeoutError(None, None, "Read timed out.") from silence  # type: ignore[arg-type]  # no pool
    except OSError as broken:
        raise ProtocolError(f"Connection broken: {broken!r}", broken) from broken
    if not data:
        raise http.client.IncompleteRead(b"")
    return data


def _at_hand(handle: socket.socket) -> bytes:
    """What the socket holds already: without a wait, one system call instead of two, and no Python."""
    try:
        return handle.recv(READ_SIZE, DONT_WAIT or 0)
    except BlockingIOError:
        return b""
