"""Bodies without chunks, with the interface of `Dechunker`: of a stated length, or up to the end."""

from __future__ import annotations

import http.client


class Length:
    """A body of a stated number of bytes."""

    def __init__(self, left: int) -> None:
        self.ended = left == 0
        self.fault: http.client.HTTPException | None = None
        self._left = left

    def feed(self, data: bytes) -> bytes:
        """The part of the body that `data` brings."""
        body = data[: self._left]
        self._left -= len(body)
        self.ended = self._left == 0
        return body

    def close(self) -> None:
        """The connection has ended before the body."""
        self.fault = http.client.IncompleteRead(b"", self._left)


class ToTheEnd:
    """A body that ends with its connection. A break that closes the connection cleanly looks the same."""

    def __init__(self) -> None:
        self.ended = False
        self.fault: http.client.HTTPException | None = None

    def feed(self, data: bytes) -> bytes:
        """`data`, since all of it is the body's."""
        return data

    def close(self) -> None:
        """The connection has ended, and so has the body."""
        self.ended = True
