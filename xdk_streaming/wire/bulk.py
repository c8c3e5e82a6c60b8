"""The fast route through a body: a chunked one, from the file under http.client, its frames undone in bulk.

http.client and urllib3 spend more on each chunk than JSON does on the post in it. This goes round
them, and leans on what is not public for that: `_original_response` and `_decoder` of urllib3's
HTTPResponse, `fp` and `chunk_left` of http.client's. They are looked at for each answer; where
anything is not just as known, the portable route in `body` is taken. That is slower, and gives the
same but for frames that break the rules: http.client lets some of them through.
"""

from __future__ import annotations

import http.client
import io
import os
from collections.abc import Iterator
from typing import Any

import urllib3
from urllib3.exceptions import ProtocolError, ReadTimeoutError

from xdk_streaming.wire.chunks import Dechunker
from xdk_streaming.wire.inflate import CODINGS, Inflater

READ_SIZE = 64 * 1024
SWITCH = "XDK_STREAMING_PORTABLE"
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
    return file if fits and type(file) is io.BufferedReader and not os.environ.get(SWITCH) else None


def arriving(file: Any, coding: str) -> Iterator[bytes]:
    """The body, as it comes. `coding` is one of `CODINGS`, or empty."""
    chunks = Dechunker()
    inflater = Inflater(coding) if coding else None
    while not chunks.ended:
        body = chunks.feed(_received(file))
        if inflater is not None:
            yield from inflater.feed(body)
        elif body:
            yield body
        if chunks.fault is not None:
            raise chunks.fault


def _received(file: Any) -> bytes:
    """What there is, at least a byte. Raises as urllib3 does, whose part this plays."""
    try:
        data: bytes = file.read1(READ_SIZE)
    except TimeoutError as silence:
        raise ReadTimeoutError(None, None, "Read timed out.") from silence  # type: ignore[arg-type]  # no pool
    except OSError as broken:
        raise ProtocolError(f"Connection broken: {broken!r}", broken) from broken
    if not data:
        raise http.client.IncompleteRead(b"")
    return data
