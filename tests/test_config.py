from __future__ import annotations

import dataclasses
import importlib
import inspect
import math
import re
from collections.abc import Callable
from functools import partial
from typing import Any
from unittest.mock import MagicMock, Mock

import pytest

from xdk_streaming.backoff import X_LADDERS, Backoff, BackoffPolicy
from xdk_streaming.config import StreamConfig, as_config
from xdk_streaming.retry_policy import RetryPolicy

SEED: list[tuple[str, object]] = [
    ("max_retries", 10),
    ("initial_backoff", 1.0),
    ("max_backoff", 64.0),
    ("backoff_multiplier", 2.0),
    ("jitter", True),
    ("timeout", None),
    ("chunk_size", 1024),
    ("on_connect", None),
    ("on_disconnect", None),
    ("on_reconnect", None),
    ("on_error", None),
]

OURS: dict[str, object] = {
    "stall_timeout": 30.0,
    "max_item_bytes": 33_554_432,
    "backoff": None,
    "retry_policy": RetryPolicy(),
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

LADDERS = BackoffPolicy(Backoff(0.1), Backoff(1.0), Backoff(30.0), Backoff(60.0))

CALLBACKS = [name for name in [*dict(SEED), *OURS] if name.startswith("on_") and name != "on_model_error"]

BAD: list[tuple[str, object, str]] = [
    # field, value, what the message says of the values that are allowed
    ("max_retries", "many", "integer"),
    ("max_retries", 1.5, "integer"),
    ("max_retries", None, "integer"),
    ("max_retries", -math.inf, "integer|finite"),
    ("max_retries", math.nan, "integer|finite"),
    ("initial_backoff", -1, "greater than or equal to 0"),
    ("initial_backoff", math.inf, "finite"),
    ("initial_backoff", math.nan, "finite"),
    ("initial_backoff", "soon", "number"),
    ("max_backoff", -0.5, "greater than or equal to 0"),
    ("max_backoff", math.nan, "greater than or equal to 0|finite"),
    ("max_backoff", None, "number"),
    ("backoff_multiplier", 0.5, "greater than or equal to 1"),
    ("backoff_multiplier", -2, "greater than or equal to 1"),
    ("backoff_multiplier", math.inf, "finite"),
    ("jitter", "sometimes", "boolean"),
    ("jitter", 7, "boolean"),
    ("timeout", 0, "greater than 0"),
    ("timeout", -3, "greater than 0"),
    ("timeout", math.inf, "finite"),
    ("timeout", "late", "number"),
    ("timeout", (1, 0), "greater than 0"),
    ("timeout", (1, 2, 3), "tuple|2 items"),
    ("chunk_size", 0, "greater than or equal to 1"),
    ("chunk_size", -1, "greater than or equal to 1"),
    ("chunk_size", 10.5, "integer"),
    ("stall_timeout", 0, "greater than 0"),
    ("stall_timeout", -30, "greater than 0"),
    ("stall_timeout", math.nan, "finite"),
    ("max_item_bytes", 0, "greater than or equal to 1"),
    ("max_item_bytes", None, "integer"),
    ("backoff", "x", "instance of BackoffPolicy"),
    ("backoff", 60.0, "instance of BackoffPolicy"),
    ("backoff", 60, "instance of BackoffPolicy"),
    ("retry_policy", None, "instance of RetryPolicy"),
    ("retry_policy", "never", "instance of RetryPolicy"),
    ("on_model_error", "ignore", "'report', 'yield' or 'raise'"),
    ("history", -1, "greater than or equal to 0"),
    ("history", None, "integer"),
    ("observers", print, "tuple"),
    *((name, "print", "callable") for name in CALLBACKS),
]

SENSIBLE: list[tuple[str, object, object]] = [
    # field, value, what is kept of it
    ("max_retries", 0, 0),
    ("max_retries", -1, -1),
    ("max_retries", -7, -7),
    ("max_retries", 3.0, 3),
    ("initial_backoff", 0, 0.0),
    ("initial_backoff", 2, 2.0),
    ("max_backoff", 0.25, 0.25),
    ("max_backoff", 0, 0.0),
    ("max_backoff", 10, 10.0),
    ("max_backoff", math.inf, math.inf),
    ("backoff_multiplier", 1, 1.0),
    ("backoff_multiplier", 3, 3.0),
    ("jitter", False, False),
    ("timeout", 5, 5.0),
    ("timeout", (3.05, 27), (3.05, 27.0)),
    ("timeout", (3, None), (3.0, None)),
    ("timeout", (None, 27), (None, 27.0)),
    ("timeout", None, None),
    ("chunk_size", None, None),
    ("chunk_size", 1, 1),
    ("stall_timeout", None, None),
    ("stall_timeout", 45, 45.0),
    ("max_item_bytes", 1, 1),
    ("backoff", LADDERS, LADDERS),
    ("backoff", None, None),
    ("retry_policy", RetryPolicy(patience=0), RetryPolicy(patience=0.0)),
    ("on_model_error", "yield", "yield"),
    ("on_model_error", "raise", "raise"),
    ("history", 0, 0),
]

POSITIONS = {name: position for position, (name, _) in enumerate(SEED)}


def by_keyword(name: str, value: Any) -> StreamConfig:
    return StreamConfig(**{name: value})


def by_position(name: str, value: Any) -> StreamConfig:
    construct: Any = StreamConfig
    config: StreamConfig = construct(*(default for _, default in SEED[: POSITIONS[name]]), value)
    return config


def by_assignment(name: str, value: Any) -> StreamConfig:
    config = StreamConfig()
    setattr(config, name, value)
    return config


def by_replacement(name: str, value: Any) -> StreamConfig:
    changes: dict[str, Any] = {name: value}
    return dataclasses.replace(StreamConfig(), **changes)


WAYS = [by_keyword, by_position, by_assignment, by_replacement]


def _shown(value: object) -> str:
    return type(value).__name__ if isinstance(value, (Backoff, BackoffPolicy)) else str(value)


def ways_in(cases: list[tuple[Any, ...]]) -> list[Any]:
    """Every case by every way in which its field can be given."""
    return [
        pytest.param(give, *case, id=f"{give.__name__}-{case[0]}-{_shown(case[1])}")
        for give in WAYS
        for case in cases
        if give is not by_position or case[0] in POSITIONS
    ]


# The shape.


def test_it_is_a_dataclass() -> None:
    assert dataclasses.is_dataclass(StreamConfig)


def test_the_originals_fields_come_first_in_their_order_and_ours_after_them() -> None:
    names = [field.name for field in dataclasses.fields(StreamConfig)]
    assert names[: len(SEED)] == [name for name, _ in SEED]
    assert set(names[len(SEED) :]) == set(OURS)


@pytest.mark.parametrize(("name", "default"), [*SEED, *OURS.items()])
def test_a_field_that_is_not_given_has_its_default(name: str, default: object) -> None:
    kept = getattr(StreamConfig(), name)
    assert kept == default
    assert type(kept) is type(default)


def test_ours_are_keyword_only_and_the_originals_are_not() -> None:
    keyword_only = {field.name: field.kw_only for field in dataclasses.fields(StreamConfig)}
    assert keyword_only == {**dict.fromkeys(dict(SEED), False), **dict.fromkeys(OURS, True)}


def test_the_signature_shows_which_arguments_may_be_given_by_position() -> None:
    parameters = inspect.signature(StreamConfig).parameters
    positional = [
        name for name, parameter in parameters.items() if parameter.kind is not parameter.KEYWORD_ONLY
    ]
    assert positional == [name for name, _ in SEED]


def test_the_originals_fields_can_all_be_given_by_position() -> None:
    connect, disconnect, reconnect, error = Mock(), Mock(), Mock(), Mock()
    config = StreamConfig(3, 0.5, 8.0, 1.5, False, 21.0, 512, connect, disconnect, reconnect, error)
    kept = [getattr(config, name) for name, _ in SEED]
    assert kept == [3, 0.5, 8.0, 1.5, False, 21.0, 512, connect, disconnect, reconnect, error]


def test_a_twelfth_positional_argument_is_a_type_error() -> None:
    construct: Any = StreamConfig
    with pytest.raises(TypeError, match=r"11 positional arguments.*12"):
        construct(*(default for _, default in SEED), 30.0)


def test_an_argument_given_twice_is_a_type_error() -> None:
    twice: Any = partial(StreamConfig, 3)
    with pytest.raises(TypeError, match="max_retries"):
        twice(max_retries=4)


def test_replace_changes_the_given_fields_and_keeps_the_rest() -> None:
    callback = Mock()
    config = StreamConfig(3, on_error=callback, stall_timeout=None)
    changed = dataclasses.replace(config, max_backoff=5, history=7)

    assert changed == StreamConfig(3, max_backoff=5.0, on_error=callback, stall_timeout=None, history=7)
    assert config.max_backoff == 64.0


def test_two_configs_with_equal_values_are_equal() -> None:
    assert StreamConfig(3) == StreamConfig(max_retries=3)
    assert StreamConfig(3) != StreamConfig(4)


# The values.


@pytest.mark.parametrize(("give", "name", "value", "allowed"), ways_in(BAD))
def test_a_bad_value_raises_an_error_with_its_field_itself_and_what_is_allowed(
    give: Callable[[str, object], StreamConfig], name: str, value: object, allowed: str
) -> None:
    with pytest.raises(ValueError, match=allowed) as raised:
        give(name, value)

    message = str(raised.value)
    assert re.search(rf"^{name}\b", message, re.MULTILINE)
    assert f"input_value={value!r}" in message


@pytest.mark.parametrize(("name", "value", "allowed"), BAD, ids=_shown)
def test_a_refused_assignment_leaves_the_old_value(name: str, value: object, allowed: str) -> None:
    config = StreamConfig()
    with pytest.raises(ValueError, match=allowed):
        setattr(config, name, value)
    assert config == StreamConfig()


@pytest.mark.parametrize(("give", "name", "value", "kept"), ways_in(SENSIBLE))
def test_a_value_that_makes_sense_is_kept(
    give: Callable[[str, object], StreamConfig], name: str, value: object, kept: object
) -> None:
    stored = getattr(give(name, value), name)
    assert stored == kept
    assert type(stored) is type(kept)


@pytest.mark.parametrize("give", WAYS)
def test_infinitely_many_retries_are_no_limit(give: Callable[[str, object], StreamConfig]) -> None:
    assert give("max_retries", math.inf).max_retries < 0


@pytest.mark.parametrize("max_backoff", [0.5, 0])
def test_a_cap_below_the_first_delay_is_the_users_business(max_backoff: float) -> None:
    config = StreamConfig(initial_backoff=5.0, max_backoff=max_backoff)
    assert (config.initial_backoff, config.max_backoff) == (5.0, max_backoff)


class WithMethod:
    def __call__(self) -> None:
        """Callable, like anything with such a method."""

    def method(self) -> None:
        """Bound, it is another object at every access, but an equal one."""


@pytest.mark.parametrize("name", CALLBACKS)
@pytest.mark.parametrize(
    "callback",
    [Mock(), MagicMock(), print, lambda: None, partial(print, 1), WithMethod(), WithMethod().method, dict],
    ids=["Mock", "MagicMock", "builtin", "lambda", "partial", "object", "method", "class"],
)
def test_anything_callable_is_a_callback_and_is_kept_as_it_is(name: str, callback: Any) -> None:
    assert getattr(by_keyword(name, callback), name) is callback
    assert getattr(by_assignment(name, callback), name) is callback


def test_a_callback_is_not_called_when_it_is_set() -> None:
    callback = Mock()
    config = StreamConfig(on_connect=callback)
    config.on_error = callback
    callback.assert_not_called()


# Settings as X publishes them.


def test_for_x_differs_from_the_defaults_in_these_four_fields_alone() -> None:
    config, plain = StreamConfig.for_x(), StreamConfig()
    different = {
        field.name: getattr(config, field.name)
        for field in dataclasses.fields(StreamConfig)
        if getattr(config, field.name) != getattr(plain, field.name)
    }
    assert different == {
        "max_retries": -1,
        "max_backoff": 320.0,
        "stall_timeout": 21.0,
        "backoff": X_LADDERS,
    }


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("max_retries", 5),
        ("max_backoff", 30.0),
        ("stall_timeout", None),
        ("backoff", LADDERS),
        ("backoff", None),
        ("jitter", False),
        ("history", 7),
        ("observers", (print, len)),
        ("timeout", (3.0, 25.0)),
        ("on_error", print),
    ],
    ids=_shown,
)
def test_an_override_of_for_x_wins_and_the_rest_stays(name: str, value: object) -> None:
    config = StreamConfig.for_x(**{name: value})
    assert getattr(config, name) == value
    assert config == dataclasses.replace(StreamConfig.for_x(), **{name: value})  # type: ignore[arg-type]  # any field


@pytest.mark.parametrize("name", ["initial_backoff", "backoff_multiplier"])
@pytest.mark.parametrize("more", [{}, {"backoff": LADDERS}], ids=["alone", "beside ladders"])
def test_a_number_that_would_have_no_effect_in_for_x_is_refused_with_what_to_do(
    name: str, more: dict[str, Any]
) -> None:
    with pytest.raises(ValueError, match=f"^{name} has no effect in for_x") as raised:
        StreamConfig.for_x(**{name: 2.0}, **more)
    assert "give backoff=BackoffPolicy(...)" in str(raised.value)
    assert f"StreamConfig({name}=...)" in str(raised.value)


@pytest.mark.parametrize("make", [StreamConfig, StreamConfig.for_x], ids=["class", "for_x"])
def test_what_is_no_field_is_refused_by_name(make: Callable[..., StreamConfig]) -> None:
    with pytest.raises((TypeError, ValueError), match="max_retrys"):
        make(max_retrys=3)


def test_for_x_refuses_a_bad_value_like_the_class_itself() -> None:
    with pytest.raises(ValueError, match="greater than 0") as raised:
        StreamConfig.for_x(stall_timeout=0)
    assert "stall_timeout" in str(raised.value)


def test_for_x_makes_the_class_it_is_asked_of() -> None:
    class Mine(StreamConfig):
        """A user's own."""

    assert type(Mine.for_x()) is Mine


def test_ladders_are_kept_as_they_are() -> None:
    assert StreamConfig(backoff=LADDERS).backoff is LADDERS
    assert by_assignment("backoff", LADDERS).backoff is LADDERS


# Settings of another class.


def test_settings_of_xdks_own_class_are_taken_over_field_by_field() -> None:
    """Code that made its settings before patch_xdk() holds such."""
    theirs = importlib.import_module("xdk.streaming").StreamConfig
    heard: list[None] = []
    taken = as_config(theirs(max_retries=3, timeout=25, on_connect=lambda: heard.append(None)))
    assert (taken.max_retries, taken.timeout, taken.stall_timeout) == (3, 25, 30.0)
    assert taken.on_connect is not None
    taken.on_connect()
    assert heard == [None]


def test_our_own_settings_are_taken_as_they_are() -> None:
    config = StreamConfig()
    assert as_config(config) is config


@pytest.mark.parametrize("given", [{"max_retries": 3}, "fast", StreamConfig])
def test_what_is_no_settings_is_refused_by_name(given: object) -> None:
    with pytest.raises(TypeError, match=f"config is a {type(given).__name__}, must be a StreamConfig"):
        as_config(given)


@dataclasses.dataclass
class Mine(StreamConfig):
    """Settings of a program, made by the standard library's decorator."""

    topic: str = "posts"
    stall_timeout: float | None = 21.0


def test_a_dataclass_that_derives_from_the_settings_adds_its_own() -> None:
    mine = Mine(max_retries=3, topic="cats")
    assert (mine.topic, mine.max_retries, mine.stall_timeout) == ("cats", 3, 21.0)
    mine.topic = "dogs"
    assert mine.topic == "dogs"
    assert as_config(mine) is mine


@pytest.mark.parametrize("bad", [{"timeout": -1}, {"stall_timeout": 0}, {"history": -1}])
def test_a_derived_dataclass_is_checked_as_the_settings_are(bad: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(bad))):
        Mine(**bad)
    mine = Mine()
    for name, value in bad.items():
        with pytest.raises(ValueError, match=name):
            setattr(mine, name, value)


def test_a_misspelled_name_is_refused_in_a_derived_dataclass_too() -> None:
    with pytest.raises(ValueError, match="max_retrys"):
        Mine().max_retrys = 3  # type: ignore[attr-defined]
