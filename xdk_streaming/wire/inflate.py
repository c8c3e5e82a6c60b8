"""Compressed bodies, undone in bulk, with the fastest inflater that is installed.

`zlib_ng`, of the extra `[fast]`, has the interface of the standard library's zlib, and takes two
thirds of its time. isal is as fast, but its streams cannot be copied: what comes in one read
with a fault, and before it, would be lost.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

from urllib3.exceptions import DecodeError

ENGINES: Mapping[str, str] = {"zlib-ng": "zlib_ng.zlib_ng", "stdlib": "zlib"}
"""By name, the fastest first."""
INFLATE_VARIABLE = "XDK_STREAMING_INFLATE"
"""The environment variable that names one of them."""
MAX_INFLATED_BYTES = 1024 * 1024
"""Bytes that come out of one call: few bytes can unfold to very many."""
GZIP_WBITS, ZLIB_WBITS, RAW_WBITS = 31, 15, -15
"""How zlib is told of a coding's frame."""
CODINGS = ("gzip", "x-gzip", "deflate")


def engine() -> Any:
    """The module to inflate with. Raises `ValueError` where one is asked for that there is not."""
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
    """Takes one coding off. What can be read of a piece comes out with it."""

    def __init__(self, coding: str) -> None:
        self._zlib = engine()
        self._gzip = coding != "deflate"
        self._held = b""
        self._stream: Any = self._zlib.decompressobj(GZIP_WBITS) if self._gzip else None
        self._whole = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        """What `data` unfolds to. Raises urllib3's `DecodeError` where it is not of this coding."""
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
                if self._whole:  # rubbish behind the end is nobody's
                    return
                if readable := _up_to_the_fault(before, data, self._zlib.error):
                    yield readable
                raise DecodeError(f"the body is not as compressed as it says: {refusal}") from refusal
            if unfolded:
                yield unfolded
            data = self._rest()

    def _rest(self) -> bytes:
        """What of the last piece is still to be read; gzip can have several members, one after the other."""
        rest: bytes = self._stream.unconsumed_tail
        if self._stream.eof:
            self._whole = True
            rest = self._stream.unused_data
            self._stream = self._zlib.decompressobj(GZIP_WBITS)
        return rest


def _up_to_the_fault(stream: Any, data: bytes, fault: type[Exception]) -> bytes:
    """What `data` unfolds to before it goes wrong: of a piece with a fault in it, zlib gives nothing."""
    unfolded: list[bytes] = []
    with suppress(fault):
        unfolded.extend(stream.decompress(data[place : place + 1]) for place in range(len(data)))
    return b"".join(unfolded)


def _is_zlib(data: bytes) -> bool:
    """Whether these two bytes begin a zlib frame (RFC 1950); "deflate" is sent with and without one."""
    return data[0] & 0x0F == 8 and (data[0] * 256 + data[1]) % 31 == 0
