from __future__ import annotations

import logging
from typing import Any
from unittest.mock import Mock, call

import pytest
from pydantic import TypeAdapter

from xdk_streaming.callbacks import Callbacks
from xdk_streaming.config import StreamConfig
from xdk_streaming.driver.invalid_lines import InvalidLines
from xdk_streaming.state import StreamState
from xdk_streaming.testing import FakeClock
from xdk_streaming.wire.decoder import Decoder
from xdk_streaming.wire.not_an_item import Invalid

BAD = Invalid(b'{"data": confidential', "not JSON")


class Watched:
    """An `InvalidLines` with its counters, its callback and its clock."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.state = StreamState()
        self.on_invalid = Mock()
        callbacks = Callbacks(StreamConfig(on_invalid=self.on_invalid), self.state)
        self.invalid_lines = InvalidLines(self.state, callbacks, clock)

    def take(self, times: int = 1, *, every: float = 0.0) -> None:
        for _ in range(times):
            self.invalid_lines.take(BAD)
            self.clock.now += every


@pytest.fixture
def watched(clock: FakeClock) -> Watched:
    return Watched(clock)


def counts(caplog: pytest.LogCaptureFixture) -> list[int]:
    """How many lines each log line speaks of."""
    return [int(record.getMessage().split()[0]) for record in caplog.records]


def test_the_first_line_is_logged_at_once_and_as_a_warning(
    watched: Watched, caplog: pytest.LogCaptureFixture
) -> None:
    watched.take()
    (record,) = caplog.records
    assert record.name == "xdk_streaming"
    assert record.levelno == logging.WARNING
    assert counts(caplog) == [1]
    assert "21 bytes" in record.getMessage()
    assert "not JSON" in record.getMessage()
    assert "on_invalid" in record.getMessage()


def test_the_first_line_is_logged_even_if_the_clock_starts_at_zero(
    caplog: pytest.LogCaptureFixture,
) -> None:
    Watched(FakeClock(now=0.0)).take()
    assert counts(caplog) == [1]


def test_the_lines_of_the_next_minute_are_not_logged(
    watched: Watched, caplog: pytest.LogCaptureFixture
) -> None:
    watched.take(599, every=0.1)
    assert counts(caplog) == [1]


def test_after_a_minute_the_next_line_is_logged_with_the_number_since(
    watched: Watched, caplog: pytest.LogCaptureFixture
) -> None:
    watched.take(5)
    watched.clock.now += 60.0
    watched.take()
    assert counts(caplog) == [1, 5]


def test_a_steady_trickle_is_logged_once_a_minute_and_no_line_is_left_out_of_the_count(
    watched: Watched, caplog: pytest.LogCaptureFixture
) -> None:
    watched.take(601, every=1.0)
    assert counts(caplog) == [1, *[60] * 10]
    assert sum(counts(caplog)) == watched.state.invalid_items


def test_after_a_long_silence_a_single_line_is_logged_again(
    watched: Watched, caplog: pytest.LogCaptureFixture
) -> None:
    watched.take()
    watched.clock.now += 86_400.0
    watched.take()
    assert counts(caplog) == [1, 1]


def test_every_line_is_counted_and_handed_over_logged_or_not(watched: Watched) -> None:
    watched.take(3)
    assert watched.state == StreamState(invalid_items=3)
    assert watched.on_invalid.call_args_list == [call(b'{"data": confidential', "not JSON")] * 3


def test_a_line_is_counted_before_it_is_handed_over(watched: Watched) -> None:
    seen: list[int] = []
    watched.on_invalid.side_effect = lambda *_: seen.append(watched.state.invalid_items)
    watched.take(2)
    assert seen == [1, 2]


def test_a_callback_that_raises_loses_no_line(watched: Watched) -> None:
    watched.on_invalid.side_effect = ValueError
    watched.take(2)
    assert watched.state == StreamState(invalid_items=2, callback_errors=2)


def test_lines_are_counted_and_logged_without_a_callback(
    clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    state = StreamState()
    InvalidLines(state, Callbacks(StreamConfig(), state), clock).take(BAD)
    assert state == StreamState(invalid_items=1)
    assert counts(caplog) == [1]


@pytest.mark.parametrize(
    ("model", "line"),
    [
        (None, b'{"data": confidential'),
        (None, b'{"data": "confidential'),
        (None, b'["confidential"]'),
        (None, b'{"data": "confidential \xff"}'),
        (TypeAdapter(dict[str, int]), b'{"data": "confidential"}'),
    ],
    ids=["not JSON", "cut short", "no object", "no UTF-8", "refused by the model"],
)
def test_the_log_never_quotes_the_line(
    watched: Watched, caplog: pytest.LogCaptureFixture, model: Any, line: bytes
) -> None:
    invalid = Decoder(model)(line)
    assert isinstance(invalid, Invalid)
    watched.invalid_lines.take(invalid)

    (record,) = caplog.records
    assert "confidential" not in record.getMessage()
    assert watched.on_invalid.call_args_list == [call(line, invalid.reason)]
