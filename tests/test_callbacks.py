from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any
from unittest.mock import Mock

import pytest

from xdk_streaming.callbacks import Callbacks
from xdk_streaming.config import Record, StreamConfig
from xdk_streaming.errors import StreamError, StreamErrorType
from xdk_streaming.gap import Gap
from xdk_streaming.state import (
    ConnectionState,
    InvalidLine,
    Lag,
    NoticeReceived,
    StreamState,
    Transition,
    Trigger,
)

TRANSITION = Transition(
    ConnectionState.CONNECTING, ConnectionState.STREAMING, Trigger.OPENED, "a stream came", 1.0
)
GAP = Gap(1.0, 2.0)
LAG = Lag(True, 1, 2, 3.0)
INVALID = InvalidLine(b"{", "not JSON")
NOTICE = NoticeReceived({"errors": []})


ANNOUNCED = replace(TRANSITION, attempt=3, delay=0.5)
LOST = StreamError("lost", StreamErrorType.TIMEOUT, TimeoutError("30 s"))
BARE = StreamError("lost", StreamErrorType.TIMEOUT)


@pytest.mark.parametrize(
    ("name", "transition", "arguments"),
    [
        ("on_connect", TRANSITION, ()),
        ("on_reconnect", ANNOUNCED, (3, 0.5)),
        ("on_error", replace(TRANSITION, error=LOST), (LOST,)),
        ("on_disconnect", replace(TRANSITION, error=LOST), (LOST.original_exception,)),
        ("on_disconnect", replace(TRANSITION, error=BARE), (BARE,)),
        ("on_disconnect", TRANSITION, (None,)),
    ],
    ids=str,
)
def test_a_callback_of_a_row_gets_what_it_needs_of_the_transition(
    name: str, transition: Transition, arguments: tuple[Any, ...]
) -> None:
    heard = Mock()
    config = StreamConfig()
    setattr(config, name, heard)
    Callbacks(config, StreamState()).report(transition, [name])
    heard.assert_called_once_with(*arguments)


def test_only_the_callback_that_is_named_is_called() -> None:
    connect, disconnect = Mock(), Mock()
    config = StreamConfig(on_connect=connect, on_disconnect=disconnect)
    Callbacks(config, StreamState()).report(TRANSITION, ["on_connect"])
    connect.assert_called_once_with()
    disconnect.assert_not_called()


def test_a_callback_that_is_not_set_is_passed_over(caplog: pytest.LogCaptureFixture) -> None:
    state = StreamState()
    Callbacks(StreamConfig(), state).report(TRANSITION, ["on_error"])
    assert state == StreamState()
    assert caplog.records == []


def test_a_callback_counts_from_the_moment_it_is_assigned() -> None:
    config, before, after = StreamConfig(), Mock(), Mock()
    callbacks = Callbacks(config, StreamState())
    config.on_connect = before
    callbacks.report(TRANSITION, ["on_connect"])
    config.on_connect = after
    callbacks.report(TRANSITION, ["on_connect"])
    config.on_connect = None
    callbacks.report(TRANSITION, ["on_connect"])

    before.assert_called_once_with()
    after.assert_called_once_with()


def test_what_a_callback_returns_means_nothing(caplog: pytest.LogCaptureFixture) -> None:
    state, heard = StreamState(), Mock(return_value=False)
    Callbacks(StreamConfig(on_connect=heard), state).report(TRANSITION, ["on_connect"])
    heard.assert_called_once_with()
    assert state == StreamState()
    assert caplog.records == []


@pytest.mark.parametrize("raised", [ValueError("mine"), StopIteration(), Exception()], ids=repr)
def test_an_exception_of_a_callback_is_counted_and_logged_and_goes_no_further(
    raised: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    state = StreamState()
    callbacks = Callbacks(StreamConfig(on_connect=Mock(side_effect=raised)), state)
    callbacks.report(TRANSITION, ["on_connect"])
    callbacks.report(TRANSITION, ["on_connect"])

    assert state == StreamState(callback_errors=2)
    assert len(caplog.records) == 2
    for record in caplog.records:
        assert record.name == "xdk_streaming"
        assert record.levelno == logging.WARNING
        assert "on_connect" in record.getMessage()
        assert record.exc_info is not None
        assert record.exc_info[1] is raised


def test_a_callback_that_takes_other_arguments_is_an_exception_like_any_other() -> None:
    state = StreamState()
    config = StreamConfig()
    config.on_error = lambda: None  # type: ignore[assignment]  # that is the user's mistake
    Callbacks(config, state).report(TRANSITION, ["on_error"])
    assert state.callback_errors == 1


@pytest.mark.parametrize("interrupt", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_what_is_no_exception_gets_out_and_is_not_counted(
    interrupt: type[BaseException], caplog: pytest.LogCaptureFixture
) -> None:
    state = StreamState()
    callbacks = Callbacks(StreamConfig(on_connect=Mock(side_effect=interrupt)), state)
    with pytest.raises(interrupt):
        callbacks.report(TRANSITION, ["on_connect"])
    assert state.callback_errors == 0
    assert caplog.records == []


# Records: their own callback, and the observers.


@pytest.mark.parametrize(
    ("record", "name", "arguments"),
    [
        (TRANSITION, "on_state_change", (TRANSITION,)),
        (GAP, "on_gap", (GAP,)),
        (LAG, "on_lag", (LAG,)),
        (INVALID, "on_invalid", (b"{", "not JSON")),
        (NOTICE, "on_notice", ({"errors": []},)),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_each_kind_of_record_has_one_callback(record: Record, name: str, arguments: tuple[Any, ...]) -> None:
    heard: list[tuple[str, tuple[Any, ...]]] = []
    names = ("on_state_change", "on_gap", "on_lag", "on_invalid", "on_notice")
    config = StreamConfig()
    for each in names:
        setattr(config, each, lambda *given, each=each: heard.append((each, given)))
    Callbacks(config, StreamState()).report(record)
    assert heard == [(name, arguments)]


@pytest.mark.parametrize("record", [TRANSITION, GAP, LAG, INVALID, NOTICE], ids=repr)
def test_every_observer_gets_every_record(record: Record) -> None:
    first, second = Mock(), Mock()
    Callbacks(StreamConfig(observers=(first, second)), StreamState()).report(record)
    first.assert_called_once_with(record)
    second.assert_called_once_with(record)


def test_observers_hear_of_a_transition_before_on_state_change_and_the_callbacks_of_its_row() -> None:
    order: list[str] = []
    config = StreamConfig(
        observers=(lambda record: order.append("first"), lambda record: order.append("second")),
        on_state_change=lambda transition: order.append("on_state_change"),
        on_connect=lambda: order.append("on_connect"),
    )
    Callbacks(config, StreamState()).report(TRANSITION, ["on_connect"])
    assert order == ["first", "second", "on_state_change", "on_connect"]


def test_the_other_observers_get_the_record_if_one_raises(caplog: pytest.LogCaptureFixture) -> None:
    state, other, callback = StreamState(), Mock(), Mock()
    config = StreamConfig(observers=(Mock(side_effect=ValueError("mine")), other), on_gap=callback)
    Callbacks(config, state).report(GAP)
    other.assert_called_once_with(GAP)
    callback.assert_called_once_with(GAP)
    assert state.callback_errors == 1
    assert [record.getMessage() for record in caplog.records] == [
        "The observer callback raised; the stream goes on"
    ]


def test_an_interrupt_in_an_observer_is_raised_after_the_other_calls() -> None:
    other, callback = Mock(), Mock()
    config = StreamConfig(observers=(Mock(side_effect=KeyboardInterrupt), other), on_gap=callback)
    with pytest.raises(KeyboardInterrupt):
        Callbacks(config, StreamState()).report(GAP)
    other.assert_called_once_with(GAP)
    callback.assert_called_once_with(GAP)
