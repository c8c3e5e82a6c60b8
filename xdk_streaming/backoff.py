"""How long to wait before the next attempt: values, no clock and no randomness of their own."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, fields, replace

from xdk_streaming.errors import StreamError, StreamErrorType


@dataclass(frozen=True)
class Backoff:
    """A ladder of delays, in seconds: `first` at step 0, then growing, never above `cap`.

    It grows by `factor`, or by `increment`, or by both: `Backoff(1, 2, 64)` doubles,
    `Backoff(0.25, increment=0.25, cap=16)` climbs evenly. No jitter takes a delay below
    `floor`. A bad number raises `ValueError`.
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

        Where there is `rng` (0 <= x < 1), the delay is spread evenly over its upper
        half, at the cap as well: the lower half is left out so that a ladder still climbs,
        and nothing is added on top, so that a cap is a cap.
        """
        whole = min(self._uncapped(step), self.cap)
        if rng is None:
            return whole
        return max(whole * (0.5 + 0.5 * rng()), min(self.floor, whole))

    def capped(self, cap: float) -> Backoff:
        """The same ladder, no higher than `cap`."""
        return replace(self, cap=min(self.cap, cap))

    def _uncapped(self, step: int) -> float:
        if self.first == 0:
            return self.increment * step
        try:
            return float(self.first) * self.factor**step + self.increment * step
        except OverflowError:  # a float ends near factor 2, step 1024: far above any cap
            return math.inf


@dataclass(frozen=True)
class BackoffPolicy:
    """A ladder for each class of loss; each is climbed by the losses of its own class."""

    network: Backoff
    """No connection, or one that was reset, cut, or silent."""
    server: Backoff
    """An HTTP error that may pass, 5xx or 408; and a stream that the server ended in good order soon after
    it began, which by its own account is not the network's doing."""
    rate_limit: Backoff
    """429 and 420, where the server names no time."""
    connections: Backoff
    """429 TooManyConnections: the place is still taken, by another connection or a dead one of ours."""

    def name_for(self, loss: StreamError | None) -> str:
        """The field that a loss belongs to; None is a stream that ended in good order."""
        if loss is None:
            return "server"
        if loss.error_type is StreamErrorType.RATE_LIMITED:
            occupied = loss.problem is not None and loss.problem.issue == "TooManyConnections"
            return "connections" if occupied else "rate_limit"
        if loss.error_type is StreamErrorType.SERVER_ERROR or loss.status_code is not None:
            return "server"
        return "network"


AFTER_429 = Backoff(first=60.0, factor=2.0, cap=320.0, floor=60.0)
X_LADDERS = BackoffPolicy(
    network=Backoff(first=0.25, increment=0.25, cap=16.0),
    server=Backoff(first=5.0, factor=2.0, cap=320.0),
    rate_limit=AFTER_429,
    connections=AFTER_429,
)
"""What X asks of clients (docs.x.com/x-api/fundamentals/handling-disconnections): 250 ms more at each network
error, up to 16 s; 5 s doubling to 320 s after an HTTP error; a minute doubling after a 429, for which X names
no upper end: that of its HTTP errors is taken."""
