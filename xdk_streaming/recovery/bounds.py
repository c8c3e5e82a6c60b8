"""Requests with a start and an end in time: what X calls recovery. Their clean end is their completion."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from xdk_streaming import x
from xdk_streaming.config import NamedValuesSource
from xdk_streaming.gap import Span

DISORDER_SECONDS = 60.0
"""Seconds by which items may come out of order, and which are asked for again after a break."""


@dataclass(frozen=True)
class Bounds:
    """The span that a request asks for, and what its parameters are called."""

    names: tuple[str, str]
    start: float | None
    """Unix seconds; None where the request names none, or none that can be read."""
    end: float | None

    @classmethod
    def of(cls, params: Mapping[str, Any]) -> Bounds | None:
        """Those of a request; None where it has no end."""
        for start, end in x.RECOVERY_PARAMETERS:
            if params.get(end):
                return cls((start, end), _moment(params.get(start)), _moment(params.get(end)))
        return None

    def resumed(self, newest: float | None) -> dict[str, str]:
        """What to ask for after a break: the rest, from the newest item, and some of what came again."""
        if newest is None or self.start is None:
            return {}
        return {self.names[0]: stamp(max(self.start, newest - DISORDER_SECONDS))}


def between(span: Span, params: NamedValuesSource, *, names: tuple[str, str]) -> dict[str, Any]:
    """Params that ask for this span and no backfill, start and end by these names.

    The bounds are rounded outwards to whole seconds.
    """
    plain = dict((params() if callable(params) else params) or {})
    start, end = names
    kept = {name: value for name, value in plain.items() if name not in x.BACKFILL_PARAMETERS}
    return {**kept, start: stamp(math.floor(span[0])), end: stamp(math.ceil(span[1]))}


def stamp(moment: float) -> str:
    """A moment as X wants it: whole seconds of UTC."""
    return datetime.fromtimestamp(math.floor(moment), timezone.utc).strftime(x.TIME_FORMAT)


def _moment(text: Any) -> float | None:
    try:
        return datetime.fromisoformat(str(text).replace("Z", "+00:00")).timestamp()
    except ValueError:
        return None
