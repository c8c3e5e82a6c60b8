"""An outage in the log: its first attempts one by one, then only what an operator needs."""

from __future__ import annotations

import errno
import logging
from collections.abc import Callable
from typing import Any

import pytest

from xdk_streaming import Stream, StreamConfig
from xdk_streaming.simulator import Cut, Refuse, Serve
from xdk_streaming.testing import FakeClock, ScriptedSession

Log = Callable[[], list[tuple[int, str]]]
URL = "https://api.x.example/2/tweets/search/stream"


class NoNetwork(ScriptedSession):
    """A session of a machine without network for so many seconds; then the script."""

    def __init__(self, clock: FakeClock, seconds: float, *scripts: Any) -> None:
        super().__init__(scripts, clock=clock)
        self.clock, self.until = clock, clock.now + seconds

    def get(self, *arguments: Any, **named: Any) -> Any:
        if self.clock.now < self.until:
            raise OSError(errno.ENETUNREACH, "Network is unreachable")
        return super().get(*arguments, **named)


def consumed(clock: FakeClock, session: Any, **settings: Any) -> Stream[Any]:
    stream = Stream[Any](session, "get", URL, StreamConfig.for_x(**settings), clock=clock, rng=lambda: 0.5)
    for _ in stream:
        stream.stop()
    return stream


def test_an_hour_without_network_is_a_few_lines(log: Log, capsys: pytest.CaptureFixture[str]) -> None:
    clock = FakeClock()
    began = clock.now
    stream = consumed(clock, NoNetwork(clock, 3600.0, (Serve(1),)), history=10_000)
    lines = [(level, line) for level, line in log() if level >= logging.INFO]
    with capsys.disabled():
        print("", *(f"{logging.getLevelName(level):7} {line}" for level, line in lines), sep="\n")
    assert clock.now - began >= 3600.0
    assert len(lines) < 40
    warnings = [line for level, line in lines if level == logging.WARNING]
    assert warnings[0].startswith("No stream for 6")  # just after a minute
    assert warnings[-1].startswith("STREAMING again after 36")
    assert 4 <= len(warnings) <= 7
    attempts = sum(each.attempt is not None for each in stream.history)
    assert attempts > 200
    assert sum("attempt" in line for _, line in log()) >= attempts  # each is at DEBUG at least


def test_a_stream_that_was_never_open_is_an_outage(log: Log) -> None:
    clock = FakeClock()
    consumed(clock, NoNetwork(clock, 70.0, (Serve(1),)))
    warnings = [line for level, line in log() if level == logging.WARNING]
    assert len(warnings) == 2
    assert warnings[0].startswith("No stream for")
    assert warnings[1].startswith("STREAMING again after")


def test_the_top_of_the_ladder_is_a_warning_of_its_own(log: Log) -> None:
    clock = FakeClock()
    scripts = [(Refuse(503),)] * 8
    session = ScriptedSession([*scripts, (Serve(1),)], clock=clock)
    consumed(clock, session)
    warnings = [line for level, line in log() if level == logging.WARNING]
    assert any("in 240.0 s: The server refused the stream with 503" in line for line in warnings)


def test_a_short_loss_is_no_warning(log: Log) -> None:
    clock = FakeClock()
    session = ScriptedSession([(Serve(1), Cut(half=False)), (Serve(1),)], clock=clock)
    stream = Stream[Any](session, "get", URL, StreamConfig.for_x(), clock=clock)
    assert len([item for _, item in zip(range(2), stream, strict=False)]) == 2
    stream.close()
    assert [line for level, line in log() if level >= logging.WARNING] == []


def test_another_error_is_a_line_of_its_own(log: Log) -> None:
    clock = FakeClock()
    scripts = [(Refuse(503),)] * 9 + [(Refuse(502),)] + [(Refuse(503),)] * 2
    consumed(clock, ScriptedSession([*scripts, (Serve(1),)], clock=clock), max_backoff=1.0)
    lines = [line for level, line in log() if level >= logging.INFO]
    assert sum("with 502" in line for line in lines) == 1
    assert sum("with 503" in line for line in lines) < 11


def test_an_unstable_stream_is_not_a_line_for_each_break(log: Log) -> None:
    clock = FakeClock()
    scripts = [(Serve(1), Cut(half=False))] * 200
    stream = Stream[Any](ScriptedSession(scripts, clock=clock), "get", URL, StreamConfig.for_x(), clock=clock)
    for number, _ in enumerate(stream):
        if number == 190:
            stream.stop()
    assert len([line for level, line in log() if level >= logging.INFO]) < 60
