"""Compressed files as a sequence of complete frames: zstd frames, or gzip members.

Standard tools read such files: `zstd -dc` and `gzip -dc` accept concatenated frames.
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
    """A compressed file contains something other than frames."""


@dataclass(frozen=True)
class Codec:
    """How a frame is compressed and decompressed."""

    magic: bytes
    """The first bytes of each frame."""
    frame: Callable[[bytes], bytes]
    reader: Callable[[], Any]
    """Creates an object with `eof` and `unused_data` that reads one frame."""

    def decompress(self, reader: Any, data: bytes) -> bytes:
        """What comes out of a reader. Raises `Damaged` if the data is not a frame."""
        try:
            out: bytes = reader.decompress(data)
        except (zlib.error, zstandard.ZstdError) as damage:
            raise Damaged(str(damage)) from damage
        return out


CODECS: Mapping[str, Codec] = {
    ".zst": Codec(
        b"\x28\xb5\x2f\xfd",
        lambda data: zstandard.ZstdCompressor(level=3, write_checksum=True).compress(data),
        lambda: zstandard.ZstdDecompressor().decompressobj(),
    ),
    ".gz": Codec(
        b"\x1f\x8b\x08",
        lambda data: gzip(data, compresslevel=6, mtime=0),
        lambda: zlib.decompressobj(wbits=31),
    ),
}
"""By file suffix."""


def codec_of(path: Path) -> Codec | None:
    """The codec for this suffix; None if the file is not compressed."""
    return CODECS.get(path.suffix.lower())


def inflated(file: BinaryIO, codec: Codec, end: int | None = None) -> Iterator[bytes]:
    """Decompress the frames, up to the offset `end` in the file.

    Stops at the end of the file even in the middle of a frame. Raises `Damaged` if the bytes are not a frame.
    """
    reader, at_hand, left = codec.reader(), b"", end
    while True:
        if not at_hand:
            at_hand = file.read(READ if left is None else min(READ, left))
            left = left and left - len(at_hand)
        if not at_hand:
            return
        if data := codec.decompress(reader, at_hand):
            yield data
        at_hand = b""
        if reader.eof:
            reader, at_hand = codec.reader(), reader.unused_data
