from __future__ import annotations

import logging
from unittest.mock import Mock

import pytest

from xdk_streaming.callbacks import Callbacks
from xdk_streaming.config import StreamConfig
from xdk_streaming.state import StreamState


def test_a_callback_gets_the_arguments_it_is_called_with() -> None:
    heard = Mock()
    Callbacks(StreamConfig(on_reconnect=heard), StreamState()).call("on_reconnect", 3, 0.5)
    heard.assert_called_once_with(3, 0.5)


def test_only_the_callback_that_is_named_is_called() -> None:
    connect, disconnect = Mock(), Mock()
    config = StreamConfig(on_connect=connect, on_disconnect=disconnect)
    Callbacks(config, StreamState()).call("on_connect")
    connect.assert_called_once_with()
    disconnect.assert_not_called()


def test_a_callback_that_is_not_set_is_passed_over(caplog: pytest.LogCaptureFixture) -> None:
    state = StreamState()
    Callbacks(StreamConfig(), state).call("on_error", ValueError())
    assert state == StreamState()
    assert caplog.records == []


def test_a_callback_counts_from_the_moment_it_is_assigned() -> None:
    config, before, after = StreamConfig(), Mock(), Mock()
    callbacks = Callbacks(config, StreamState())
    config.on_connect = before
    callbacks.call("on_connect")
    config.on_connect = after
    callbacks.call("on_connect")
    config.on_connect = None
    callbacks.call("on_connect")

    before.assert_called_once_with()
    after.assert_called_once_with()


def test_what_a_callback_returns_means_nothing(caplog: pytest.LogCaptureFixture) -> None:
    state, heard = StreamState(), Mock(return_value=False)
    Callbacks(StreamConfig(on_connect=heard), state).call("on_connect")
    heard.assert_called_once_with()
    assert state == StreamState()
    assert caplog.records == []


@pytest.mark.parametrize("raised", [ValueError("mine"), StopIteration(), Exception()], ids=repr)
def test_an_exception_of_a_callback_is_counted_and_logged_and_goes_no_further(
    raised: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    state = StreamState()
    callbacks = Callbacks(StreamConfig(on_connect=Mock(side_effect=raised)), state)
    callbacks.call("on_connect")
    callbacks.call("on_connect")

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
    Callbacks(config, state).call("on_error", ValueError())
    assert state.callback_errors == 1


@pytest.mark.parametrize("interrupt", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_what_is_no_exception_gets_out_and_is_not_counted(
    interrupt: type[BaseException], caplog: pytest.LogCaptureFixture
) -> None:
    state = StreamState()
    callbacks = Callbacks(StreamConfig(on_connect=Mock(side_effect=interrupt)), state)
    with pytest.raises(interrupt):
        callbacks.call("on_connect")
    assert state.callback_errors == 0
    assert caplog.records == []
