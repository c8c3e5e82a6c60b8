"""Chunked transfer coding, undone in bulk: bytes of a connection in, bytes of the body out.

RFC 9112 section 7.1, strictly, where http.client is not: it takes "-5" for a size, whatever two
bytes come after a chunk for its end, and a size cut short after a leading 0 for the last one. It
would then give frames for data, or an end where there was none. Does no I/O.
"""

from __future__ import annotations

import http.client
import re

MAX_FRAME_BYTES = 64 * 1024
"""Bytes of a chunk's size line, extensions included; http.client allows as many."""
FRAME = re.compile(rb"\r?\n([0-9A-Fa-f]+)[ \t]*(?:;[^\n]*)?\r?\n")
"""What stands before a chunk: the line end of the one before it, and its own size."""
PARTIAL_FRAME = re.compile(rb"\r?(?:\n(?:[0-9A-Fa-f]+[ \t]*(?:\r|;[^\n]*)?)?)?")
"""What a frame can look like while its end is still to come."""
MAX_KNOWN_FRAMES = 4096
CRLF = b"\r\n"


class Dechunker:
    """Takes the frames off. What is fed is gone through once, however it is cut.

    `ended` is true once the last chunk's size has come. The trailers behind it are left where
    they are, for nobody asks for them, and the connection ends here. `fault` is what is wrong
    with a frame; nothing that follows one is looked at.
    """

    def __init__(self) -> None:
        self.ended = False
        self.fault: http.client.HTTPException | None = None
        self._left = 0
        self._held = CRLF  # the first chunk has no chunk before it to end
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
                self._held = CRLF  # read up to the end of a chunk, as on a stream where little happens
                break
            # A frame that was seen before, as most are, costs a find and a look-up.
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

    def _read_frame(self, data: bytes, place: int) -> tuple[int, int]:
        """The size of the chunk whose frame stands here, and where it begins; 0 where there is none."""
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
