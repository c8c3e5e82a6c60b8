"""A clock and chance of one's own: the delays of an outage, the same in every run, and none waited for."""

import random

from xdk_streaming import Stream, StreamConfig, StreamError
from xdk_streaming.simulator import UNAVAILABLE
from xdk_streaming.testing import ScriptedSession


class Noted:
    """A clock is what has these three methods."""

    def __init__(self) -> None:
        self.now = 0.0

    def time(self) -> float:
        return 1_700_000_000.0 + self.now

    def monotonic(self) -> float:
        return self.now

    def wait(self, seconds: float, wake: object) -> None:
        print(f"{self.now:5.2f} s: wait {seconds:.2f} s")
        self.now += seconds


session = ScriptedSession([(UNAVAILABLE,)] * 5)
config = StreamConfig(max_retries=4)
try:
    list(Stream(session, "get", "https://api.x.com", config, clock=Noted(), rng=random.Random(13).random))
except StreamError as error:
    print(str(error).partition(".")[0])
