"""A clock and chance of one's own: subclassed, or of the same shape."""

import random

from xdk_streaming import Stream, StreamConfig, StreamError
from xdk_streaming.clock import SystemClock, Wake
from xdk_streaming.simulator import UNAVAILABLE
from xdk_streaming.testing import FakeClock, ScriptedSession

URL = "https://api.x.com/2/tweets/sample/stream"


class Hurried(SystemClock):
    """Waits a thousandth of what it should."""

    def wait(self, seconds: float, wake: Wake) -> None:
        super().wait(seconds / 1000, wake)


class Rounded(FakeClock):
    def time(self) -> float:
        return round(super().time())


class Still:
    def time(self) -> float:
        return 0.0

    def monotonic(self) -> float:
        return 0.0

    def wait(self, seconds: float, wake: Wake) -> None:
        """It is over at once."""


class Dice(random.Random):
    def random(self) -> float:
        return 0.25


def run(clock: SystemClock | FakeClock | Still) -> None:
    session = ScriptedSession([(UNAVAILABLE,), (UNAVAILABLE,)])
    stream = Stream(session, "get", URL, StreamConfig(max_retries=1), clock=clock, rng=Dice().random)
    try:
        list(stream)
    except StreamError:
        assert [transition.delay for transition in stream.history if transition.delay is not None] == [0.625]


for clock in (Hurried(), Rounded(), Still()):
    run(clock)
