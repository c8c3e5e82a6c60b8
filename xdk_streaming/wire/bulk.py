"""The fast route for a chunked body: reads http.client's file directly, and removes the frames in bulk.

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
import socket
from collections.abc import Iterator
from typing import Any

import urllib3
from urllib3.exceptions import ProtocolError, ReadTimeoutError

from xdk_streaming.wire.chunks import Dechunker
from xdk_streaming.wire.inflate import CODINGS, Inflater

READ_SIZE = 256 * 1024
"""Bytes of one read, as in asyncio. Measured on posts of 2 and 10 kB, 64 KiB costs 3 to 5 % more."""
DONT_WAIT: int | None = getattr(socket, "MSG_DONTWAIT", None)
"""The flag to receive without waiting; Windows has no such flag."""
PORTABLE_VARIABLE = "XDK_STREAMING_PORTABLE"
"""The environment variable that makes every connection take the portable route. Any value does."""


def original(raw: urllib3.HTTPResponse) -> http.client.HTTPResponse | None:
    """http.client's response under urllib3's; None if it is of any other class."""
    found = getattr(raw, "_original_response", None)
    return found if type(found) is http.client.HTTPResponse else None


def file_under(raw: urllib3.HTTPResponse, coding: str) -> Any | None:
    """The file with the body, positioned before the first chunk; None if there is no such file."""
    response = original(raw)
    file = getattr(response, "fp", None)
    # A hook may have read part of the body: then urllib3 has to continue within its chunk or coding.
    places = raw.tell(), raw.chunk_left, getattr(response, "chunk_left", None), getattr(raw, "_decoder", None)
    fits = raw.chunked and coding in ("", *CODINGS) and places == (0, None, None, None)
    return (
        file if fits and type(file) is io.BufferedReader and not os.environ.get(PORTABLE_VARIABLE) else None
    )


def read_chunked(file: Any, coding: str, handle: socket.socket | None = None) -> Iterator[bytes]:
    """The body as it arrives. `coding` is one of `CODINGS`, or empty. `handle` is on the file's socket."""
    short = handle if _is_plain(file) and _asks_at_once(handle) else None
    chunks = Dechunker()
    inflater = Inflater(coding) if coding else None
    more = False
    while not chunks.ended:
        data = _received(file, short if more else None)
        more = len(data) == READ_SIZE  # a full read empties the file's buffer, and the socket holds more
        body = chunks.feed(data)
        if inflater is not None:
            yield from inflater.feed(body)
        elif body:
            yield body
        if chunks.fault is not None:
            raise chunks.fault


def _is_plain(file: Any) -> bool:
    """Whether the file reads from a plain socket, without TLS."""
    return type(getattr(file.raw, "_sock", None)) is socket.socket


def _asks_at_once(handle: socket.socket | None) -> bool:
    """Whether the socket can be read without waiting. With a timeout, as by setdefaulttimeout(), it waits."""
    return DONT_WAIT is not None and handle is not None and handle.gettimeout() is None


def _received(file: Any, handle: socket.socket | None) -> bytes:
    """The bytes that are there, at least one. Raises the exceptions that urllib3 would raise in its place."""
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
    """The bytes that the socket holds already. Takes one system call instead of two, and no Python code."""
    try:
        return handle.recv(READ_SIZE, DONT_WAIT or 0)
    except BlockingIOError:
        return b""
