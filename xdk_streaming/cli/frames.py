"""Compressed files as a row of frames, each of them whole: gzip's members, zstd's frames.

What one program has appended, any other reads: `zstd -dc` and `gzip -dc` take frames in a row.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from gzip import compress as gzip
from pathlib import Path
from typing import Any, BinaryIO

import zstandard

READ = 64 * 1024


class Damaged(ValueError):
    """A compressed file that holds something else than frames."""


@dataclass(frozen=True)
class Codec:
    """How a frame is made, and read."""

    frame: Callable[[bytes], bytes]
    reader: Callable[[], Any]
    """Gives an object with `decompress`, `eof` and `unused_data`, for one frame."""


CODECS: Mapping[str, Codec] = {
    ".zst": Codec(
        lambda data: zstandard.ZstdCompressor(level=3, write_checksum=True).compress(data),
        lambda: zstandard.ZstdDecompressor().decompressobj(),
    ),
    ".gz": Codec(lambda data: gzip(data, compresslevel=6, mtime=0), lambda: zlib.decompressobj(wbits=31)),
}
"""By the suffix of the file."""


def inflated(file: BinaryIO, codec: Codec, end: int | None = None) -> Iterator[bytes]:
    """What the frames hold, up to the place `end` in the file.

    Returns where the file ends, whether a frame does or not; raises `Damaged` where it is none.
    """
    reader, at_hand, left = codec.reader(), b"", end
    while True:
        if not at_hand:
            at_hand = file.read(READ if left is None else min(READ, left))
            left = left and left - len(at_hand)
        if not at_hand:
            return
        try:
            data = reader.decompress(at_hand)
        except (zlib.error, zstandard.ZstdError) as damage:
            raise Damaged(str(damage)) from damage
        if data:
            yield data
        at_hand = b""
        if reader.eof:
            reader, at_hand = codec.reader(), reader.unused_data


def codec_of(path: Path) -> Codec | None:
    """None for a file that is not compressed."""
    return CODECS.get(path.suffix.lower())
