"""Removes the frames of chunked transfer coding in bulk, from a connection's bytes. Does no I/O.

Follows RFC 9112 section 7.1 strictly. http.client does not: it accepts "-5" as a size, any two bytes as the
end of a chunk, and a size that is cut off after a leading 0 as the last one. It would then return frames as
data, or report an end that did not come.
"""

from __future__ import annotations

import http.client
import re

MAX_FRAME_BYTES = 64 * 1024
"""Bytes of a chunk's size line, extensions included, at most; http.client allows as many."""
FRAME = re.compile(rb"\r?\n([0-9A-Fa-f]+)[ \t]*(?:;[^\n]*)?\r?\n")
"""The frame before a chunk: the line end of the previous chunk, and the size of this one."""
PARTIAL_FRAME = re.compile(rb"\r?(?:\n(?:[0-9A-Fa-f]+[ \t]*(?:\r|;[^\n]*)?)?)?")
"""A frame whose end has not arrived yet."""
MAX_KNOWN_FRAMES = 4096
"""Frames whose sizes are remembered, at most."""
CRLF = b"\r\n"


class Dechunker:
    """Removes the frames. The bytes are scanned once, however they are cut.

    `ended` is true once the size of the last chunk has arrived. The trailers after it are not read: nothing
    needs them, and the connection ends there. `fault` is the error in a frame; the bytes after a bad frame
    are ignored.
    """

    def __init__(self) -> None:
        self.ended = False
        self.fault: http.client.HTTPException | None = None
        self._left = 0
        self._held = CRLF  # before the first chunk there is no chunk whose line end could come
        self._sizes: dict[bytes, int] = {}

    def feed(self, data: bytes) -> bytes:
        """The part of the body that `data` brings, up to the end or a fault."""
        if self._left > len(data):
            self._left -= len(data)
            return data
        pieces = [data[: self._left]]
        place = self._left
        if self._held:
            data, self._held = self._held + data, b""
        end = len(data)
        while place <= end:
            if end - place == 2 and data.endswith(CRLF):
                self._held = CRLF  # the bytes end with a chunk, as usual on a quiet stream
                break
            # Most frames were seen before, and cost one search and one look-up.
            stop = data.find(CRLF, place + 2) + 2
            size = self._sizes.get(data[place:stop])
            if size is None:
                size, stop = self._read_frame(data, place)
                if not size:
                    self._left = 0
                    return b"".join(pieces)
            place = stop + size
            pieces.append(data[stop:place])
        self._left = max(0, place - end)
        return b"".join(pieces)

    def close(self) -> None:
        """The connection has ended, and the last chunk has not come."""
        self.fault = http.client.IncompleteRead(b"")

    def _read_frame(self, data: bytes, place: int) -> tuple[int, int]:
        """The size of the chunk with its frame at `place`, and where the chunk begins; 0 for no frame."""
        frame = FRAME.match(data, place)
        if frame is not None:
            size = int(frame[1], 16)
            self.ended = size == 0
            if len(self._sizes) < MAX_KNOWN_FRAMES and size:
                self._sizes[frame[0]] = size
            return size, frame.end()
        rest = data[place:]
        if len(rest) < MAX_FRAME_BYTES and PARTIAL_FRAME.fullmatch(rest):
            self._held = rest
        else:
            self.fault = http.client.HTTPException(f"what should frame a chunk is {rest[:20]!r}")
        return 0, place
