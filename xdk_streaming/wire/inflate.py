"""Decompresses bodies in bulk, with the fastest library that is installed.

`zlib_ng`, of the extra `[fast]`, has the interface of the standard library's zlib, and takes two thirds of
its time. isal is as fast, but its streams cannot be copied, so data before a fault in the same read would be
lost.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

from urllib3.exceptions import DecodeError

ENGINES: Mapping[str, str] = {"zlib-ng": "zlib_ng.zlib_ng", "stdlib": "zlib"}
"""The modules to decompress with, by name, the fastest first."""
INFLATE_VARIABLE = "XDK_STREAMING_INFLATE"
"""The environment variable that selects one of `ENGINES` by its name."""
MAX_INFLATED_BYTES = 1024 * 1024
"""Bytes that one call returns at most, because few compressed bytes can expand to very many."""
GZIP_WBITS, ZLIB_WBITS, RAW_WBITS = 31, 15, -15
"""zlib's `wbits` for each kind of frame."""
CODINGS = ("gzip", "x-gzip", "deflate")
"""The values of `Content-Encoding` that can be decompressed here."""


def engine() -> Any:
    """The module to decompress with. Raises `ValueError` if the selected one does not exist."""
    wanted = os.environ.get(INFLATE_VARIABLE)
    for name, module in ENGINES.items():
        if wanted in (None, name):
            try:
                return importlib.import_module(module)
            except ImportError:
                continue
    raise ValueError(
        f"{INFLATE_VARIABLE} is {wanted!r}, must be one of {', '.join(ENGINES)} that is installed"
    )


class Inflater:
    """Removes one coding. All that a piece of data contains is returned with that piece."""

    def __init__(self, coding: str) -> None:
        self._zlib = engine()
        self._gzip = coding != "deflate"
        self._held = b""
        self._stream: Any = self._zlib.decompressobj(GZIP_WBITS) if self._gzip else None
        self._whole = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The decompressed `data`. Raises urllib3's `DecodeError` if `data` is not in this coding."""
        if self._stream is None:
            data = self._held + data
            if len(data) < 2:
                self._held = data
                return
            self._stream = self._zlib.decompressobj(ZLIB_WBITS if _is_zlib(data) else RAW_WBITS)
        while data:
            before = self._stream.copy()
            try:
                unfolded = self._stream.decompress(data, MAX_INFLATED_BYTES)
            except self._zlib.error as refusal:
                if self._whole:  # garbage after the end is ignored
                    return
                if readable := _up_to_the_fault(before, data, self._zlib.error):
                    yield readable
                raise DecodeError(f"the body is not compressed as its headers say: {refusal}") from refusal
            if unfolded:
                yield unfolded
            data = self._rest()

    def _rest(self) -> bytes:
        """The unread rest of the last piece. gzip data may consist of several members in a row."""
        rest: bytes = self._stream.unconsumed_tail
        if self._stream.eof:
            self._whole = True
            rest = self._stream.unused_data
            self._stream = self._zlib.decompressobj(GZIP_WBITS)
        return rest


def _up_to_the_fault(stream: Any, data: bytes, fault: type[Exception]) -> bytes:
    """The decompressed `data` before its fault. zlib returns nothing of a piece with a fault in it."""
    unfolded: list[bytes] = []
    with suppress(fault):
        unfolded.extend(stream.decompress(data[place : place + 1]) for place in range(len(data)))
    return b"".join(unfolded)


def _is_zlib(data: bytes) -> bool:
    """Whether these two bytes begin a zlib frame (RFC 1950). "deflate" may come without this frame."""
    return data[0] & 0x0F == 8 and (data[0] * 256 + data[1]) % 31 == 0
