"""The public API, held against tables typed by hand and against the real xdk, name for name."""

from __future__ import annotations

import inspect
import pickle
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from enum import Enum
from types import ModuleType, NoneType
from typing import Any, get_type_hints

import pytest
import xdk.streaming  # type: ignore[import-untyped]

import xdk_streaming
from xdk_streaming import (
    Problem,
    StreamConfig,
    StreamError,
    StreamErrorType,
    StreamState,
    stream_with_retry,
)
from xdk_streaming.testing import FakeClock, ScriptedSession

REQUIRED = inspect.Parameter.empty

CONFIG = {
    "max_retries": 10,
    "initial_backoff": 1.0,
    "max_backoff": 64.0,
    "backoff_multiplier": 2.0,
    "jitter": True,
    "timeout": None,
    "chunk_size": 1024,
    "on_connect": None,
    "on_disconnect": None,
    "on_reconnect": None,
    "on_error": None,
}
OUR_CONFIG = {
    "stall_timeout": 30.0,
    "max_item_bytes": 32 * 1024 * 1024,
    "on_state_change": None,
    "on_invalid": None,
    "on_model_error": "report",
    "on_notice": None,
    "recovery": None,
    "on_gap": None,
    "buffer": None,
    "on_lag": None,
    "history": 100,
    "observers": (),
}
OUR_LATER_CONFIG = {"backoff", "recovery", "on_gap", "buffer", "on_lag", "retry_policy"}

STATE: dict[str, tuple[Any, Any]] = {
    "retry_count": (int, 0),
    "current_backoff": (float, 1.0),
    "is_connected": (bool, False),
    "total_items_received": (int, 0),
    "last_error": (StreamError | None, None),
}
OUR_STATE = {
    "connected_at": None,
    "last_activity_at": None,
    "heartbeats": 0,
    "bytes_received": 0,
    "reconnects": 0,
    "invalid_items": 0,
    "undelivered_items": 0,
    "callback_errors": 0,
}

ERROR_TYPES = {
    "CONNECTION_ERROR": ("connection_error", True),
    "TIMEOUT": ("timeout", True),
    "SERVER_ERROR": ("server_error", True),
    "RATE_LIMITED": ("rate_limited", True),
    "STREAM_INTERRUPTED": ("stream_interrupted", True),
    "AUTHENTICATION_ERROR": ("authentication_error", False),
    "CLIENT_ERROR": ("client_error", False),
    "FATAL_ERROR": ("fatal_error", False),
}

ERROR_ARGUMENTS = {
    "message": REQUIRED,
    "error_type": REQUIRED,
    "original_exception": None,
    "status_code": None,
    "response_body": None,
}
OUR_ERROR_ARGUMENTS = {"problem": None, "retry_after": None, "intercepted": False}

STREAM_ARGUMENTS = {
    "session": REQUIRED,
    "method": REQUIRED,
    "url": REQUIRED,
    "config": None,
    "params": None,
    "headers": None,
    "json_data": None,
    "response_model": None,
}
OUR_STREAM_ARGUMENTS = {"state": None}


def table_of(parameters_of: Callable[..., Any]) -> dict[str, Any]:
    """The parameters that may be given by position, in order, and their defaults."""
    return {
        parameter.name: parameter.default
        for parameter in inspect.signature(parameters_of).parameters.values()
        if parameter.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD
    }


def keyword_only(parameters_of: Callable[..., Any]) -> dict[str, Any]:
    """The parameters that are given by name only, and their defaults."""
    return {
        parameter.name: parameter.default
        for parameter in inspect.signature(parameters_of).parameters.values()
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY
    }


def defaults(dataclass: Any) -> dict[str, Any]:
    """A dataclass's fields in order, and what a bare instance has in them."""
    bare = dataclass()
    return {field.name: getattr(bare, field.name) for field in fields(dataclass)}


def exact(table: dict[str, Any]) -> list[tuple[str, type, Any]]:
    """A table so that order counts, and 1 is not True and not 1.0."""
    return [(name, type(value), value) for name, value in table.items()]


# The package


def test_the_package_offers_what_was_promised_and_what_goes_with_it() -> None:
    assert set(xdk_streaming.__all__) == {
        *("stream_with_retry", "StreamConfig", "StreamState", "StreamError", "StreamErrorType"),
        *("Stream", "patch_xdk", "AsyncStream", "astream_with_retry"),
        *("Transition", "ConnectionState", "Trigger", "Problem", "RateLimit", "RetriesExhausted"),
        *("Backoff", "BackoffPolicy", "RetryPolicy", "Recovery", "Gap", "Buffer", "Lag"),
        *("InvalidLine", "NoticeReceived", "item_key"),
    }


def test_all_names_exactly_what_the_package_holds() -> None:
    held = {
        name
        for name, value in vars(xdk_streaming).items()
        if not name.startswith("_") and not isinstance(value, ModuleType)
    }
    assert held == set(xdk_streaming.__all__)
    assert len(xdk_streaming.__all__) == len(held)


@pytest.mark.parametrize("name", xdk_streaming.__all__)
def test_every_public_name_is_explained_in_its_own_words(name: str) -> None:
    public = getattr(xdk_streaming, name)
    # Dataclasses and enums that say nothing are given a docstring by the standard library.
    assert public.__doc__
    assert not public.__doc__.startswith((f"{name}(", "An enumeration"))


# stream_with_retry


def test_stream_with_retry_has_the_seeds_arguments_in_order_with_their_defaults() -> None:
    assert exact(table_of(stream_with_retry)) == exact(STREAM_ARGUMENTS)


def test_stream_with_retry_takes_what_is_ours_by_keyword_only() -> None:
    assert keyword_only(stream_with_retry) == OUR_STREAM_ARGUMENTS


def test_stream_with_retry_has_no_other_arguments() -> None:
    assert [*inspect.signature(stream_with_retry).parameters] == [*STREAM_ARGUMENTS, *OUR_STREAM_ARGUMENTS]


def test_stream_takes_the_arguments_of_stream_with_retry() -> None:
    assert exact(table_of(xdk_streaming.Stream)) == exact(STREAM_ARGUMENTS)
    assert set(keyword_only(xdk_streaming.Stream)) >= set(OUR_STREAM_ARGUMENTS)


def test_stream_with_retry_is_a_generator_that_connects_at_the_first_next_and_not_before(
    clock: FakeClock,
) -> None:
    session: Any = ScriptedSession([], clock=clock)
    stream = stream_with_retry(session, "GeT", "http://nowhere.example")
    assert inspect.isgenerator(stream)
    assert session.calls == []
    with pytest.raises(StreamError):
        next(stream)
    assert len(session.calls) == 1


def test_stream_with_retry_keeps_the_state_it_is_given_up_to_date(clock: FakeClock) -> None:
    session: Any = ScriptedSession([], clock=clock)
    state = StreamState()
    with pytest.raises(StreamError) as raised:
        next(stream_with_retry(session, "get", "http://nowhere.example", state=state))
    assert state.last_error is raised.value


def test_stream_with_retry_is_called_as_xdks_is() -> None:
    theirs = xdk.streaming.stream_with_retry
    assert exact(table_of(stream_with_retry)) == exact(table_of(theirs))
    assert inspect.isgeneratorfunction(stream_with_retry) is inspect.isgeneratorfunction(theirs) is True


# StreamConfig


def test_a_config_begins_with_the_seeds_fields_and_goes_on_with_ours() -> None:
    ours = dict(list(defaults(StreamConfig).items())[len(CONFIG) :])
    assert exact(defaults(StreamConfig))[: len(CONFIG)] == exact(CONFIG)
    assert exact(ours)[0] == ("stall_timeout", float, 30.0)
    assert set(OUR_CONFIG) <= set(ours) <= {*OUR_CONFIG, *OUR_LATER_CONFIG}


@pytest.mark.parametrize("name", OUR_CONFIG)
def test_each_field_of_ours_is_keyword_only_and_has_the_seeds_default(name: str) -> None:
    (field,) = (field for field in fields(StreamConfig) if field.name == name)
    value = getattr(StreamConfig(), name)
    assert field.kw_only
    assert (type(value), value) == (type(OUR_CONFIG[name]), OUR_CONFIG[name])


def test_a_config_is_a_dataclass_whose_seed_fields_can_be_given_by_position() -> None:
    def callback(*_: Any) -> None:
        raise NotImplementedError

    values: list[Any] = [-1, 0.5, 8.0, 3.0, False, 9.5, 512, callback, callback, callback, callback]
    config = StreamConfig(*values)
    assert is_dataclass(StreamConfig)
    assert [getattr(config, name) for name in CONFIG] == values


def test_what_is_ours_cannot_be_given_by_position() -> None:
    config: Any = StreamConfig
    with pytest.raises(TypeError, match="11 positional arguments"):
        config(*CONFIG.values(), 30.0)


def test_values_assigned_to_a_config_are_checked_too() -> None:
    config = StreamConfig()
    config.max_retries = 3
    with pytest.raises(ValueError, match="initial_backoff"):
        config.initial_backoff = -1.0
    assert (config.max_retries, config.initial_backoff) == (3, 1.0)


def test_a_config_stands_in_for_xdks() -> None:
    theirs = defaults(xdk.streaming.StreamConfig)
    assert exact(defaults(StreamConfig))[: len(theirs)] == exact(theirs) == exact(CONFIG)
    assert [*table_of(StreamConfig)] == [*table_of(xdk.streaming.StreamConfig)]


# StreamState


def test_a_state_begins_with_the_seeds_fields() -> None:
    seed = {name: default for name, (_, default) in STATE.items()}
    assert exact(defaults(StreamState))[: len(STATE)] == exact(seed)


def test_the_fields_of_a_state_have_the_seeds_types() -> None:
    hints = get_type_hints(StreamState)
    assert {name: hints[name] for name in STATE} == {name: hint for name, (hint, _) in STATE.items()}


def test_a_state_knows_what_is_ours_too_and_begins_with_nothing_of_it() -> None:
    state = defaults(StreamState)
    assert exact({name: state[name] for name in OUR_STATE}) == exact(OUR_STATE)


def test_a_state_is_a_plain_dataclass_that_compares_by_value() -> None:
    assert is_dataclass(StreamState)
    assert StreamState(1, 2.0, True, 3, None) == StreamState(
        retry_count=1, current_backoff=2.0, is_connected=True, total_items_received=3
    )


def test_a_state_stands_in_for_xdks() -> None:
    theirs = defaults(xdk.streaming.StreamState)
    assert exact(defaults(StreamState))[: len(theirs)] == exact(theirs)
    hints, their_hints = get_type_hints(StreamState), get_type_hints(xdk.streaming.StreamState)
    assert {name: hints[name] for name in theirs if name != "last_error"} == {
        name: their_hints[name] for name in theirs if name != "last_error"
    }
    assert set(their_hints["last_error"].__args__) == {xdk.streaming.StreamError, NoneType}


# StreamErrorType


def test_the_error_types_are_the_seeds_each_with_its_name_in_lower_case() -> None:
    assert issubclass(StreamErrorType, Enum)
    assert [(member.name, member.value) for member in StreamErrorType] == [
        (name, value) for name, (value, _) in ERROR_TYPES.items()
    ]
    assert all(member.value == member.name.lower() for member in StreamErrorType)


@pytest.mark.parametrize("name", ERROR_TYPES)
def test_the_retryable_errors_are_those_of_the_seed_and_of_xdk(name: str) -> None:
    ours = StreamError("lost", StreamErrorType[name])
    theirs = xdk.streaming.StreamError("lost", xdk.streaming.StreamErrorType[name])
    assert ours.is_retryable is theirs.is_retryable is ERROR_TYPES[name][1]


def test_the_error_types_stand_in_for_xdks() -> None:
    assert {member.name: member.value for member in StreamErrorType} == {
        member.name: member.value for member in xdk.streaming.StreamErrorType
    }
    assert len(StreamErrorType) == len(xdk.streaming.StreamErrorType) == 8


# StreamError


def test_an_error_takes_the_seeds_arguments_in_order_and_ours_by_keyword_only() -> None:
    assert exact(table_of(StreamError)) == exact(ERROR_ARGUMENTS)
    assert keyword_only(StreamError) == OUR_ERROR_ARGUMENTS


def test_an_error_shows_its_message_as_text_and_the_rest_as_attributes() -> None:
    cause = TimeoutError("late")
    problem = Problem("usage-capped", "Usage Capped", "That was all for this month")
    error = StreamError(
        "no more", StreamErrorType.RATE_LIMITED, cause, 429, "{}", problem=problem, retry_after=1.5
    )
    assert isinstance(error, Exception)
    assert str(error) == "no more"
    assert error.error_type is StreamErrorType.RATE_LIMITED
    assert error.original_exception is cause
    assert (error.status_code, error.response_body) == (429, "{}")
    assert (error.problem, error.retry_after) == (problem, 1.5)


def test_an_error_pickles_with_all_it_has() -> None:
    problem = Problem("usage-capped", "Usage Capped", "That was all for this month", {"period": "month"})
    error = StreamError(
        "no more", StreamErrorType.TIMEOUT, TimeoutError("late"), 429, "{}", problem=problem, retry_after=1.5
    )
    copy = pickle.loads(pickle.dumps(error))
    assert (type(copy), str(copy), copy.error_type) == (StreamError, "no more", StreamErrorType.TIMEOUT)
    assert (copy.status_code, copy.response_body) == (429, "{}")
    assert (copy.problem, copy.retry_after) == (problem, 1.5)
    assert (type(copy.original_exception), str(copy.original_exception)) == (TimeoutError, "late")


def test_whether_an_error_is_retryable_is_a_property_here_and_in_xdk() -> None:
    assert isinstance(inspect.getattr_static(StreamError, "is_retryable"), property)
    assert isinstance(inspect.getattr_static(xdk.streaming.StreamError, "is_retryable"), property)


def test_an_error_stands_in_for_xdks() -> None:
    theirs = xdk.streaming.StreamError
    assert exact(table_of(StreamError)) == exact(table_of(theirs))
    arguments = ("lost", xdk.streaming.StreamErrorType.TIMEOUT, None, 500, "body")
    ours_made = StreamError("lost", StreamErrorType.TIMEOUT, None, 500, "body")
    assert str(ours_made) == str(theirs(*arguments))
    assert set(vars(theirs(*arguments))) <= set(vars(ours_made))
