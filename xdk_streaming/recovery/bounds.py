"""Requests with a start and an end in time, which X calls recovery. A clean end completes such a request."""

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
"""Seconds by which items may be out of order. After a break this much is asked for again."""


@dataclass(frozen=True)
class Bounds:
    """The span that a request asks for, and the names of its two parameters."""

    names: tuple[str, str]
    """The names of the parameters for start and end."""
    start: float | None
    """Start of the span, in Unix seconds of X's clock; None if the request names no readable start."""
    end: float | None
    """End of the span, in Unix seconds of X's clock; None if it cannot be read."""

    @classmethod
    def of(cls, params: Mapping[str, Any]) -> Bounds | None:
        """The bounds of a request with these parameters; None if the request has no end."""
        for start, end in x.RECOVERY_PARAMETERS:
            if params.get(end):
                return cls((start, end), _moment(params.get(start)), _moment(params.get(end)))
        return None

    def resumed(self, newest: float | None) -> dict[str, str]:
        """The parameters to ask for the rest of the span after a break.

        `newest` is when the newest item so far was published, in Unix seconds. The rest begins somewhat
        earlier, because items may be out of order.
        """
        if newest is None or self.start is None:
            return {}
        return {self.names[0]: stamp(max(self.start, newest - DISORDER_SECONDS))}


def between(span: Span, params: NamedValuesSource, *, names: tuple[str, str]) -> dict[str, Any]:
    """Parameters that ask for this span without a backfill. `names` are those for the start and the end.

    The bounds are rounded outwards to whole seconds.
    """
    plain = dict((params() if callable(params) else params) or {})
    start, end = names
    kept = {name: value for name, value in plain.items() if name not in x.BACKFILL_PARAMETERS}
    return {**kept, start: stamp(math.floor(span[0])), end: stamp(math.ceil(span[1]))}


def stamp(moment: float) -> str:
    """A moment, given in Unix seconds, in X's format: whole seconds of UTC."""
    return datetime.fromtimestamp(math.floor(moment), timezone.utc).strftime(x.TIME_FORMAT)


def _moment(text: Any) -> float | None:
    try:
        return datetime.fromisoformat(str(text).replace("Z", "+00:00")).timestamp()
    except ValueError:
        return None
