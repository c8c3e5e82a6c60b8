"""What there is to stream: made-up items or a recording's, when each is published, and which match a rule."""

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
    """The items of a simulator, by number. `ruled`: the rules are in force before the first is posted."""

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
        """An item as this endpoint and these parameters have it, without the line's end; and its id."""
        if self._recording is not None:
            line = self._recording.line(number)
            return line, _recorded_id(line)
        item = make_item(endpoint, number, self.timeline.dated(number), self._seed, params)
        return orjson.dumps(item), item_id(item)

    def items(
        self, numbers: Sequence[int], endpoint: Endpoint, params: Mapping[str, str]
    ) -> Sequence[Line | None]:
        """Each as `item` makes it, None if it matches no rule; what was made lately is not made again."""
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
        """Whether only posts that match a rule come from this endpoint."""
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
