"""Settings: callbacks, observers, recovery, a buffer, ladders."""

import tempfile
from pathlib import Path
from typing import Any

from typing_extensions import assert_type

from xdk_streaming import (
    Backoff,
    BackoffPolicy,
    Buffer,
    Gap,
    InvalidLine,
    Lag,
    NoticeReceived,
    Recovery,
    Stream,
    StreamConfig,
    StreamError,
    Transition,
    Trigger,
)
from xdk_streaming.simulator import Refuse, Serve
from xdk_streaming.testing import FakeClock, ScriptedSession

seen: list[object] = []


def observe(record: Transition | Gap | Lag | InvalidLine | NoticeReceived) -> None:
    if isinstance(record, Transition):
        assert_type(record.trigger, Trigger)
        assert_type(record.error, StreamError | None)
    elif isinstance(record, InvalidLine):
        assert_type(record.line, bytes)
    elif isinstance(record, NoticeReceived):
        assert_type(record.content, dict[str, Any])
    elif isinstance(record, Lag):
        assert_type(record.behind, bool)
    else:
        assert_type(record, Gap)


class Counting:
    """An observer is whatever can be called with a record."""

    count = 0

    def __call__(self, record: object) -> None:
        self.count += 1


def reconnecting(attempt: int, delay: float) -> None:
    seen.append((attempt, delay))


def disconnected(reason: Exception | None) -> None:
    seen.append(reason)


counting = Counting()
ladder = Backoff(0.25, increment=0.25, cap=16)
config = StreamConfig(
    10,
    1.0,
    64,
    timeout=(3.05, None),
    chunk_size=None,
    on_connect=lambda: seen.append("connected"),
    on_disconnect=disconnected,
    on_reconnect=reconnecting,
    on_error=seen.append,
    on_state_change=lambda transition: seen.append(transition.reason),
    on_invalid=lambda line, reason: seen.append(line.decode() + reason),
    on_notice=lambda content: seen.append(content["title"]),
    on_gap=lambda gap: seen.append(gap.lost_at),
    on_lag=lambda lag: seen.append(lag.items + lag.seconds),
    stall_timeout=None,
    on_model_error="yield",
    backoff=BackoffPolicy(network=ladder, server=ladder, rate_limit=ladder, connections=ladder),
    buffer=Buffer(max_bytes=2**20, overflow="drop_oldest", high_watermark=0.9, low_watermark=0.1),
    observers=(observe, counting, seen.append),
)
config.on_error = None
config.recovery = Recovery(max_minutes=3, key=lambda item: item["data"]["id"])
for checkpoint in ("seen", Path("seen"), None):
    Recovery(checkpoint=checkpoint)
assert_type(config.max_retries, int)

with tempfile.TemporaryDirectory() as directory:
    config = StreamConfig(
        observers=(observe, counting), recovery=Recovery(checkpoint=Path(directory) / "seen")
    )
    stream = Stream(
        ScriptedSession([(Serve(2),), (Refuse(403),)]), "get", "https://api.x.com", config, clock=FakeClock()
    )
    try:
        ids = [post["data"]["id"] for post in stream]
    except StreamError as error:
        seen.append(error.problem.title if error.problem else error.response_body)
assert_type(stream.history, tuple[Transition, ...])
assert counting.count >= len(stream.history) > 3
