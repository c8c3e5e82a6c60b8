"""An answer's body as it arrives, without chunk frames and compression. Never waits to fill a buffer."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import urllib3

from xdk_streaming.errors import StreamError, StreamErrorType
from xdk_streaming.wire import bulk
from xdk_streaming.wire.secrets import NONE, Secrets
from xdk_streaming.wire.translation import quotable
from xdk_streaming.wire.waiting_socket import WaitingSocket

FRAMING = re.compile(r"^(Transfer-Encoding|Content-Length|Content-Encoding)\s*:", re.I | re.M)


def is_fast(raw: urllib3.HTTPResponse) -> bool:
    """Whether the fast route can be taken, before any of the body is read."""
    return bulk.file_under(raw, _coding(raw)) is not None


def arriving(
    raw: urllib3.HTTPResponse, sock: WaitingSocket | None, secrets: Secrets = NONE
) -> Iterator[bytes | None]:
    """The body of urllib3's response, by the fast route if that is possible.

    `sock` is the socket under the body's file; None if that file has none. Gives None when `Wait.due_at` has
    come, on the fast route alone.
    """
    if raw.length_remaining == 0:  # for example after HEAD, whatever the headers say of chunks
        return
    _refuse_codings(raw, secrets)
    _refuse_lost_headers(raw, secrets)
    coding = _coding(raw)
    file = bulk.file_under(raw, coding)
    if file is None or sock is None:
        yield from _public(raw, coded=bool(coding))
    else:
        yield from bulk.read_body(file, sock, bulk.framing(raw), coding)


def _public(raw: urllib3.HTTPResponse, *, coded: bool) -> Iterator[bytes]:
    """The body by `read1`, which returns what is there; `iter_content` waits for whole pieces.

    `read1` decodes only if the body has a coding: asking it to decode an uncoded body costs a quarter of its
    speed.
    """
    while data := raw.read1(bulk.READ_SIZE, decode_content=coded):
        yield data


def _refuse_codings(raw: urllib3.HTTPResponse, secrets: Secrets) -> None:
    """Refuse codings that urllib3 cannot decode: it passes such bytes on, and they look like bad lines."""
    content = set(_listed(raw.headers.get("Content-Encoding"))) - {"identity", *raw.CONTENT_DECODERS}
    transfer = set(_listed(raw.headers.get("Transfer-Encoding"))) - {"identity", "chunked"}
    if unknown := sorted(content | transfer):
        named = quotable(secrets.removed_from(", ".join(unknown)))
        raise StreamError(
            f"The server sends the body as {named}, which cannot be decoded here; leave the "
            "Accept-Encoding header to requests, or install the package that urllib3 needs for this coding",
            StreamErrorType.FATAL_ERROR,
        )


def _refuse_lost_headers(raw: urllib3.HTTPResponse, secrets: Secrets) -> None:
    """Refuse an answer with framing headers after a malformed line: http.client reads no header there.

    Without these headers http.client would take chunk frames for data.
    """
    response = bulk.original(raw)
    unread = response.msg.get_payload() if response else ""
    if isinstance(unread, str) and FRAMING.search(unread):
        raise StreamError(
            "The server's answer has a line among its headers that is no header "
            f"({quotable(secrets.removed_from(unread))}), and "
            "the headers that say how to read its body are lost",
            StreamErrorType.STREAM_INTERRUPTED,
        )


def _coding(raw: urllib3.HTTPResponse) -> str:
    return ", ".join(_listed(raw.headers.get("Content-Encoding")))


def _listed(header: str | None) -> list[str]:
    return [part.strip().lower() for part in (header or "").split(",") if part.strip()]


def portable(response: Any, chunk_size: int | None) -> Iterator[bytes]:
    """The body of any object with the `iter_content` of requests, which may give bytes or text."""
    for chunk in response.iter_content(chunk_size=chunk_size):
        if chunk:
            is_text = isinstance(chunk, str)
            yield chunk.encode("utf-8", "surrogatepass") if is_text else memoryview(chunk).tobytes()
