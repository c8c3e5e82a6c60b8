"""The items to stream, generated or recorded: their content, their times, and whether they match a rule."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import orjson

from xdk_streaming.simulator.content.items import item_id, make_item, ruled_item
from xdk_streaming.simulator.line_cache import Line, LineCache
from xdk_streaming.simulator.recording import Recording
from xdk_streaming.simulator.rules.book import RuleBook
from xdk_streaming.simulator.timeline import Timeline
from xdk_streaming.x import Endpoint, Kind


class Feed:
    """The items of a simulator, by number. If `ruled`, the rules apply even before the first one is added."""

    def __init__(
        self, timeline: Timeline, book: RuleBook, seed: int, *, ruled: bool, recording: Recording | None
    ) -> None:
        self.timeline = timeline
        self._book = book
        self._seed = seed
        self._ruled = ruled
        self._recording = recording
        self._lines = LineCache()

    def item(self, number: int, endpoint: Endpoint, params: Mapping[str, str]) -> Line:
        """An item for this endpoint and these parameters, as a line without line end; and the item's id."""
        if self._recording is not None:
            line = self._recording.line(number)
            return line, _recorded_id(line)
        item = make_item(endpoint, number, self.timeline.dated(number), self._seed, params)
        return orjson.dumps(item), item_id(item)

    def items(
        self, numbers: Sequence[int], endpoint: Endpoint, params: Mapping[str, str]
    ) -> Sequence[Line | None]:
        """Items as made by `item`; None for an item that matches no rule. Recent lines are cached."""
        if not self.is_ruled(endpoint):
            return self._lines.of(
                numbers, endpoint, params, lambda number: self.item(number, endpoint, params)
            )
        return self._lines.of(
            numbers,
            endpoint,
            params,
            lambda number: self._ruled_item(number, endpoint, params),
            self._book.revision,
        )

    def is_ruled(self, endpoint: Endpoint) -> bool:
        """Whether this endpoint sends only posts that match a rule."""
        in_force = self._ruled or self._book.revision > 0
        return in_force and endpoint.kind is Kind.RULED_POST and self._recording is None

    def _ruled_item(self, number: int, endpoint: Endpoint, params: Mapping[str, str]) -> Line | None:
        at = self.timeline.dated(number)
        item = ruled_item(endpoint, number, at, self._seed, params, self._book.matching)
        return None if item is None else (orjson.dumps(item), item_id(item))

    def close(self) -> None:
        """Close the recording, if there is one."""
        if self._recording is not None:
            self._recording.close()


def _recorded_id(line: bytes) -> str | None:
    try:
        item = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    return item_id(item) if isinstance(item, dict) else None
