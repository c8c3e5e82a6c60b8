"""Response bodies as they are sent: compressed or not, in chunks or ended by closing the connection."""

from __future__ import annotations

import ssl
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Framing = Literal["chunked", "close"]
Encoding = Literal["gzip", "deflate"]

WINDOW_BITS: dict[Encoding, int] = {"gzip": 31, "deflate": 15}


@dataclass(frozen=True)
class BodyFormat:
    """How response bodies are framed, compressed and encrypted."""

    framing: Framing = "chunked"
    encoding: Encoding | None = None
    tls: ssl.SSLContext | None = None

    @property
    def sealed(self) -> bool:
        """Whether no other bytes can follow a partly sent piece, because of TLS or compression."""
        return self.tls is not None or self.encoding is not None


class Body:
    """Turns pieces of a body into bytes for the socket. Clients can decode each piece when it arrives."""

    def __init__(self, framing: Framing, encoding: Encoding | None) -> None:
        self._chunked = framing == "chunked"
        self._compressor = zlib.compressobj(wbits=WINDOW_BITS[encoding]) if encoding else None
        self.headers = {"Transfer-Encoding": "chunked"} if self._chunked else {}
        if encoding:
            self.headers["Content-Encoding"] = encoding

    def piece(self, data: bytes) -> bytes:
        """`data`, compressed and flushed, as one chunk."""
        return self.framed(self._compressed(data)) if data else b""  # an empty chunk would end the body

    def pieces(self, lines: Iterable[bytes]) -> list[bytes]:
        """Each line, with its line end, as a separate piece."""
        if self._compressor is None and self._chunked:
            return [b"%x\r\n%b\r\n\r\n" % (len(line) + 2, line) for line in lines]
        return [self.piece(line + b"\r\n") for line in lines]

    def half(self, data: bytes, size: int) -> bytes:
        """The first `size` bytes of `data`; if chunked, in a chunk whose size promises more."""
        start = self._compressed(data[:size])
        return b"%x\r\n%b" % (len(start) + 1, start) if self._chunked else start

    def end(self) -> bytes:
        """The bytes that end the body."""
        rest = self._compressor.flush() if self._compressor else b""
        return (self.framed(rest) if rest else b"") + (b"0\r\n\r\n" if self._chunked else b"")

    def _compressed(self, data: bytes) -> bytes:
        if self._compressor is None:
            return data
        return self._compressor.compress(data) + self._compressor.flush(zlib.Z_SYNC_FLUSH)

    def framed(self, data: bytes) -> bytes:
        """`data`, not compressed, as one chunk."""
        return b"%x\r\n%b\r\n" % (len(data), data) if self._chunked else data
