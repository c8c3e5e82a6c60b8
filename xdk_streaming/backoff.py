"""How long to wait before the next attempt: values alone, without a clock or random numbers of their own."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, fields, replace

from xdk_streaming.errors import StreamError, StreamErrorType


@dataclass(frozen=True)
class Backoff:
    """A ladder of delays, in seconds: `first` at step 0, then growing, never above `cap`.

    Each step multiplies the delay by `factor`, adds `increment`, or does both: `Backoff(1, 2, 64)` doubles,
    `Backoff(0.25, increment=0.25, cap=16)` climbs evenly. Jitter never takes a delay below `floor`. A number
    out of range raises `ValueError`.
    """

    first: float
    factor: float = 1.0
    cap: float = math.inf
    increment: float = 0.0
    floor: float = 0.0

    def __post_init__(self) -> None:
        for field in fields(self):
            value, least = getattr(self, field.name), 1 if field.name == "factor" else 0
            if not least <= value <= math.inf or (value == math.inf and field.name != "cap"):
                raise ValueError(f"{field.name} is {value}, must be a finite number from {least}")

    def delay(self, step: int, rng: Callable[[], float] | None = None) -> float:
        """Seconds to wait at `step` (0-based).

        With `rng` (0 <= x < 1) the delay is spread evenly over its upper half, at the cap as well. The lower
        half is left out so that the ladder still climbs. Nothing is added on top, so that no delay exceeds
        the cap.
        """
        whole = min(self._uncapped(step), self.cap)
        if rng is None:
            return whole
        return max(whole * (0.5 + 0.5 * rng()), min(self.floor, whole))

    def is_top(self, step: int) -> bool:
        """Whether the delay at this step is the longest, and a longer one than the first."""
        return step > 0 and self._uncapped(step) >= self.cap

    def capped(self, cap: float) -> Backoff:
        """The same ladder, with no delay above `cap` seconds."""
        return replace(self, cap=min(self.cap, cap))

    def _uncapped(self, step: int) -> float:
        if self.first == 0:
            return self.increment * step
        try:
            return float(self.first) * self.factor**step + self.increment * step
        except OverflowError:  # with factor 2 a float overflows near step 1024, far above any cap
            return math.inf


@dataclass(frozen=True)
class BackoffPolicy:
    """A ladder for each class of loss. A loss climbs the ladder of its own class only."""

    network: Backoff
    """No connection could be made, or a connection was reset, cut, or silent."""
    server: Backoff
    """An HTTP error that may pass (5xx or 408), or a stream that the server ended cleanly soon after the
    stream began: a clean end is the server's doing, not the network's. Also an error that is `intercepted`,
    such as a refused certificate."""
    rate_limit: Backoff
    """429 and 420, if the server names no time."""
    connections: Backoff
    """429 TooManyConnections: another connection, or a dead one of this client, still holds the slot."""

    def name_for(self, loss: StreamError | None) -> str:
        """The name of the field with the ladder for this loss; None is a stream that ended cleanly."""
        if loss is None:
            return "server"
        if loss.error_type is StreamErrorType.RATE_LIMITED:
            occupied = loss.problem is not None and loss.problem.issue == "TooManyConnections"
            return "connections" if occupied else "rate_limit"
        answered = loss.intercepted or loss.status_code is not None
        if loss.error_type is StreamErrorType.SERVER_ERROR or answered:
            return "server"
        return "network"


AFTER_429 = Backoff(first=60.0, factor=2.0, cap=320.0, floor=60.0)
X_LADDERS = BackoffPolicy(
    network=Backoff(first=0.25, increment=0.25, cap=16.0),
    server=Backoff(first=5.0, factor=2.0, cap=320.0),
    rate_limit=AFTER_429,
    connections=AFTER_429,
)
"""The delays that X asks of clients (docs.x.com/x-api/fundamentals/handling-disconnections).

250 ms more at each network error, up to 16 s. 5 s, doubling up to 320 s, after an HTTP error. A minute,
doubling, after a 429. X names no maximum after a 429, so the maximum for HTTP errors is used."""
