"""An answer's body as it arrives: chunks undone, codings decoded, never waiting for more than there is."""

from __future__ import annotations

import http.client
import io
import re
from collections.abc import Iterator
from typing import Any

import urllib3

from xdk_streaming.errors import StreamError, StreamErrorType
from xdk_streaming.wire.translation import quotable

READ_SIZE = 64 * 1024
LONGEST_LINE = 64 * 1024
"""Bytes of a chunk's size line, extensions included; http.client allows as many."""
CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]+)[ \t]*(;[^\n]*)?\r?\n")
FRAMING = re.compile(r"^(Transfer-Encoding|Content-Length|Content-Encoding)\s*:", re.I | re.M)


def arriving(raw: urllib3.HTTPResponse) -> Iterator[bytes]:
    """`read1` returns what is there; `iter_content` waits for whole chunks where a body is not chunked."""
    if raw.length_remaining == 0:  # as after HEAD, whatever the headers tell of chunks
        return
    _refuse_codings(raw)
    _refuse_lost_headers(raw)
    source = _dechunked(raw)
    while data := source.read1(READ_SIZE, decode_content=True):
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
    original = _original(raw)
    unread = original.msg.get_payload() if original else ""
    if isinstance(unread, str) and FRAMING.search(unread):
        raise StreamError(
            f"The server's answer has a line among its headers that is none ({quotable(unread)}), and the "
            "headers are lost that tell how to read its body",
            StreamErrorType.STREAM_INTERRUPTED,
        )


def _original(raw: urllib3.HTTPResponse) -> http.client.HTTPResponse | None:
    """http.client's response under urllib3's, where it is one; urllib3 has no public name for it."""
    original = getattr(raw, "_original_response", None)
    return original if isinstance(original, http.client.HTTPResponse) else None


def _begun(raw: urllib3.HTTPResponse, original: Any) -> bool:
    """Whether a hook has read some of it: what was left of a chunk or a coding is urllib3's to go on with."""
    places = raw.tell(), raw.chunk_left, original.chunk_left, getattr(raw, "_decoder", None)
    return places != (0, None, None, None)


def _listed(header: str | None) -> list[str]:
    return [part.strip().lower() for part in (header or "").split(",") if part.strip()]


def _dechunked(raw: urllib3.HTTPResponse) -> urllib3.HTTPResponse:
    """The same body with the frames of its chunks, where it has any, taken off by us."""
    original = _original(raw)
    if original is None or not raw.chunked or _begun(raw, original):
        return raw
    coding = {"Content-Encoding": raw.headers.get("Content-Encoding", "")}
    return urllib3.HTTPResponse(Chunks(original.fp), coding, preload_content=False)


class Chunks(io.RawIOBase):
    """What is in the chunks of a file.

    http.client takes "-5" for a size, whatever two bytes come after a chunk for its end, and a
    size cut short after a leading 0 for the last one: it then gives frames for data, or an end
    where there was none. Here each is a fault. The trailers after the last chunk are left where
    they are, for nobody asks for them, and the connection ends here.
    """

    def __init__(self, file: Any) -> None:
        self._file = file
        self._left: int | None = None  # None before the first chunk, 0 at the end of each

    def read1(self, limit: int) -> bytes:
        """The next bytes, as soon as there are any; empty after the last chunk, and not to be asked then."""
        if self._left == 0 and (end := self._file.readline(2)) not in (b"\r\n", b"\n"):
            raise _broken(end, cut=end in (b"", b"\r"))
        if not self._left:
            self._left = self._next_size()
        if self._left == 0:
            return b""
        data: bytes = self._file.read1(min(limit, self._left))
        if not data:
            raise http.client.IncompleteRead(b"", self._left)
        self._left -= len(data)
        return data

    def _next_size(self) -> int:
        line = self._file.readline(LONGEST_LINE)
        size = CHUNK_SIZE.fullmatch(line)
        if size is None:
            raise _broken(line, cut=len(line) < LONGEST_LINE and not line.endswith(b"\n"))
        return int(size[1], 16)


def _broken(line: bytes, *, cut: bool) -> http.client.HTTPException:
    if cut:
        return http.client.IncompleteRead(line)
    return http.client.HTTPException(f"what should frame a chunk is {line[:20]!r}")


def portable(response: Any, chunk_size: int | None) -> Iterator[bytes]:
    """The body of anything that has requests' `iter_content`, as bytes or as text."""
    for chunk in response.iter_content(chunk_size=chunk_size):
        if chunk:
            is_text = isinstance(chunk, str)
            yield chunk.encode("utf-8", "surrogatepass") if is_text else memoryview(chunk).tobytes()
