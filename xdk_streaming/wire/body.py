"""An answer's body as it arrives: frames undone, codings taken off, never waiting for more than there is."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from typing import Any

import urllib3

from xdk_streaming.errors import StreamError, StreamErrorType
from xdk_streaming.wire import bulk
from xdk_streaming.wire.translation import quotable

FRAMING = re.compile(r"^(Transfer-Encoding|Content-Length|Content-Encoding)\s*:", re.I | re.M)


def arriving(raw: urllib3.HTTPResponse, handle: socket.socket | None = None) -> Iterator[bytes]:
    """The body of urllib3's response, by the fast route where that can be taken.

    `handle` is one of the connection's socket, if there is one.
    """
    if raw.length_remaining == 0:  # as after HEAD, whatever the headers tell of chunks
        return
    _refuse_codings(raw)
    _refuse_lost_headers(raw)
    coding = ", ".join(_listed(raw.headers.get("Content-Encoding")))
    file = bulk.file_under(raw, coding)
    yield from _public(raw, coded=bool(coding)) if file is None else bulk.read_chunked(file, coding, handle)


def _public(raw: urllib3.HTTPResponse, *, coded: bool) -> Iterator[bytes]:
    """`read1` returns what is there; `iter_content` waits for whole chunks where a body is not chunked.

    It is not told to decode where there is nothing to: that alone costs a quarter of it.
    """
    while data := raw.read1(bulk.READ_SIZE, decode_content=coded):
        yield data


def _refuse_codings(raw: urllib3.HTTPResponse) -> None:
    """urllib3 hands on as it is what it cannot decode, and its bytes would be taken for broken lines."""
    content = set(_listed(raw.headers.get("Content-Encoding"))) - {"identity", *raw.CONTENT_DECODERS}
    transfer = set(_listed(raw.headers.get("Transfer-Encoding"))) - {"identity", "chunked"}
    if unknown := sorted(content | transfer):
        raise StreamError(
            f"The server sends the body as {', '.join(unknown)}, which cannot be decoded here; leave the "
            "Accept-Encoding header to requests, or install what urllib3 needs for it",
            StreamErrorType.FATAL_ERROR,
        )


def _refuse_lost_headers(raw: urllib3.HTTPResponse) -> None:
    """http.client reads no header after a line that is none, and would take frames for data without them."""
    response = bulk.original(raw)
    unread = response.msg.get_payload() if response else ""
    if isinstance(unread, str) and FRAMING.search(unread):
        raise StreamError(
            f"The server's answer has a line among its headers that is none ({quotable(unread)}), and the "
            "headers are lost that tell how to read its body",
            StreamErrorType.STREAM_INTERRUPTED,
        )


def _listed(header: str | None) -> list[str]:
    return [part.strip().lower() for part in (header or "").split(",") if part.strip()]


def portable(response: Any, chunk_size: int | None) -> Iterator[bytes]:
    """The body of anything that has requests' `iter_content`, as bytes or as text."""
    for chunk in response.iter_content(chunk_size=chunk_size):
        if chunk:
            is_text = isinstance(chunk, str)
            yield chunk.encode("utf-8", "surrogatepass") if is_text else memoryview(chunk).tobytes()
