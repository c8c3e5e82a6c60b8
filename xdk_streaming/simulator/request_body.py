"""The body of a request: by its length, or in chunks."""

from __future__ import annotations

import re
from email.message import Message
from io import BufferedIOBase

MAX_REQUEST_BODY = 2**20
"""Bytes of a request body, at most: a thousand rules of a thousand characters."""
MAX_SIZE_LINE = 64


class BadBody(ValueError):
    """The body is not framed as its headers say, or too long. `status` is that of the answer."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


def request_body(headers: Message, file: BufferedIOBase) -> bytes:
    """The body of the request; empty if it has none. Raises `BadBody`."""
    if "chunked" in (headers.get("Transfer-Encoding") or "").lower():
        return _chunked(file)
    length = headers.get("Content-Length", "0")
    if not re.fullmatch("[0-9]{1,15}", length):
        raise BadBody(400, "Content-Length is not a number")
    if int(length) > MAX_REQUEST_BODY:
        raise BadBody(413, f"The body is longer than {MAX_REQUEST_BODY} bytes")
    body = file.read(int(length))
    if len(body) < int(length):
        raise BadBody(400, "The body is shorter than its Content-Length")
    return body


def _chunked(file: BufferedIOBase) -> bytes:
    body = b""
    while True:
        size = file.readline(MAX_SIZE_LINE).split(b";")[0].strip()
        if not re.fullmatch(b"[0-9A-Fa-f]{1,8}", size):
            raise BadBody(400, "The size of a chunk is not a number")
        if int(size, 16) + len(body) > MAX_REQUEST_BODY:
            raise BadBody(413, f"The body is longer than {MAX_REQUEST_BODY} bytes")
        if not int(size, 16):
            break
        body += file.read(int(size, 16))
        if file.readline(MAX_SIZE_LINE).strip():
            raise BadBody(400, "A chunk does not end where its size says")
    while file.readline(MAX_SIZE_LINE).strip():  # trailers
        continue
    return body
