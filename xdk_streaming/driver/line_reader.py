"""Lines that were handed over undecoded: decoded where they are consumed, reported where callbacks run."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any

from xdk_streaming.driver.invalid_lines import InvalidLines
from xdk_streaming.state import StreamState
from xdk_streaming.wire.decoder import Decoder
from xdk_streaming.wire.not_an_item import Invalid, Partial


class LineReader:
    """`read` is for the consumer's thread, `report` for the driver's, or for whoever ends the stream."""

    def __init__(self, decoder: Decoder, invalid_lines: InvalidLines, state: StreamState) -> None:
        self.refused: deque[Invalid | Partial] = deque()
        """Lines that turned out to be no items, or not only items, and are not reported yet."""
        self._decoder = decoder
        self._invalid_lines = invalid_lines
        self._state = state

    def read(self, lines: Iterator[Any]) -> Iterator[Any]:
        """The items of lines that begin with their data: each is an item if it is JSON at all."""
        for line in lines:
            try:
                event = self._decoder.quick(line)
            except (ValueError, TypeError):
                event = self._decoder(line)
            if type(event) is not dict and isinstance(event, (Invalid, Partial)):
                self.refused.append(event)
                if type(event) is not Partial:
                    continue
                event = event.item
            yield event

    def report(self) -> None:
        """Report the refused lines. All were counted as items when they were handed over."""
        while self.refused:
            event = self.refused.popleft()
            if isinstance(event, Partial):
                self._invalid_lines.take(event.refused)
            else:
                self._state.total_items_received -= 1
                self._invalid_lines.take(event)
