from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.systems import posix
from xdk_streaming.state import RateLimit
from xdk_streaming.wire import limits

NOW = 1_700_000_000.0  # Tue, 14 Nov 2023 22:13:20 GMT

Log = Callable[[], list[tuple[int, str]]]

GARBAGE = [
    "",
    " ",
    "soon",
    "nan",
    "NaN",
    "inf",
    "-inf",
    "infinity",
    "1e999",
    "0x10",
    "1,5",
    "Tue, 99 Nov 2023 22:14:20 GMT",
    "Tue, 14 Nov 99999 22:14:20 GMT",
    "Tue, 14 Nov 2023 22:14:20 +9999999",
    "9" * 5000,
    "\x00",
]
garbage = pytest.mark.parametrize("value", GARBAGE, ids=lambda value: repr(value[:35]))


def warnings(log: Log) -> list[str]:
    return [line for level, line in log() if level == logging.WARNING]


# Retry-After


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("1", 1.0),
        ("120", 120.0),
        (" 7 ", 7.0),
        ("0.5", 0.5),
        ("100000", 100000.0),  # what is too long is the policy's business
        ("Tue, 14 Nov 2023 22:14:20 GMT", 60.0),
        ("Tuesday, 14-Nov-23 22:14:20 GMT", 60.0),
        ("Tue Nov 14 22:14:20 2023", 60.0),
        ("Tue, 14 Nov 2023 23:14:20 +0100", 60.0),
        ("Tue, 14 Nov 2023 21:14:20 -0100", 60.0),
    ],
)
def test_retry_after_is_read_in_seconds_and_as_a_date(value: str, seconds: float) -> None:
    assert limits.retry_after({"retry-after": value}, NOW) == seconds


@pytest.fixture
def tokyo(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "JST-9")
        time.tzset()
        yield
    time.tzset()


@posix("there is no time.tzset")
@pytest.mark.parametrize("value", ["Tue Nov 14 22:14:20 2023", "Tue, 14 Nov 2023 22:14:20 -0000"])
def test_a_date_without_a_zone_is_gmt_wherever_the_client_runs(value: str, tokyo: None) -> None:
    assert limits.retry_after({"retry-after": value}, NOW) == 60.0


@pytest.mark.parametrize(
    "value",
    [*GARBAGE, "0", "-1", "-0.5", "Tue, 14 Nov 2023 22:12:20 GMT", "Tue, 14 Nov 2023 22:13:20 GMT"],
    ids=lambda value: repr(value[:35]),
)
def test_a_retry_after_that_asks_for_no_wait_or_for_nonsense_is_ignored(value: str, log: Log) -> None:
    assert limits.retry_after({"retry-after": value}, NOW) is None
    assert log() == []


def test_without_a_retry_after_none_is_asked_for() -> None:
    assert limits.retry_after({"x-rate-limit-reset": "1700000060"}, NOW) is None


@given(st.text(max_size=30))
def test_no_retry_after_however_odd_makes_reading_it_fail(value: str) -> None:
    asked = limits.retry_after({"retry-after": value}, NOW)
    assert asked is None or asked > 0


# The rate limit


def told(limit: str | None = None, remaining: str | None = None, reset: str | None = None) -> dict[str, str]:
    """The headers, without those that are None."""
    values = {"limit": limit, "remaining": remaining, "reset": reset}
    return {f"x-rate-limit-{name}": value for name, value in values.items() if value is not None}


@pytest.mark.parametrize(
    ("headers", "read"),
    [
        (told("50", "48", "1700000900"), RateLimit(50, 48, 1_700_000_900.0)),
        (told("50", "0", "1700000900.5"), RateLimit(50, 0, 1_700_000_900.5)),
        (told(" 50 ", "-1", "0"), RateLimit(50, -1, 0.0)),
        (told("50.0", "48.9"), RateLimit(50, 48, None)),
        (told(limit="50"), RateLimit(50, None, None)),
        (told(remaining="48"), RateLimit(None, 48, None)),
        (told(remaining="0"), RateLimit(None, 0, None)),
        (told(reset="1700000900"), RateLimit(None, None, 1_700_000_900.0)),
        (told("plenty", "all", "1700000900"), RateLimit(None, None, 1_700_000_900.0)),
        (told("50", "48", "tomorrow"), RateLimit(50, 48, None)),
        (told("plenty", "all", "tomorrow"), None),
        ({}, None),
        ({"retry-after": "5", "content-type": "application/json"}, None),
    ],
    ids=str,
)
def test_of_the_rate_limit_what_the_headers_tell_is_read(
    headers: dict[str, str], read: RateLimit | None
) -> None:
    assert limits.rate_limit(headers) == read


def test_limit_and_remaining_are_whole_numbers_and_the_reset_is_a_moment() -> None:
    read = limits.rate_limit(told("50", "48", "1700000900"))
    assert read is not None
    assert [type(value) for value in (read.limit, read.remaining, read.reset)] == [int, int, float]


@garbage
@pytest.mark.parametrize("name", ["limit", "remaining", "reset"])
def test_a_nonsensical_header_is_ignored_and_the_others_count(name: str, value: str) -> None:
    headers = told("50", "48", "1700000900") | {f"x-rate-limit-{name}": value}
    read = limits.rate_limit(headers)
    assert read is not None
    kept = {"limit": 50, "remaining": 48, "reset": 1_700_000_900.0} | {name: None}
    assert (read.limit, read.remaining, read.reset) == tuple(kept.values())


# Until the reset


@pytest.mark.parametrize("seconds", [0.25, 1, 60, 899.5, 900])
def test_the_next_window_begins_at_the_reset(seconds: float, log: Log) -> None:
    assert limits.until_reset(RateLimit(50, 0, NOW + seconds), NOW) == seconds
    assert log() == []


@pytest.mark.parametrize(
    ("limit", "why"),
    [(None, "nothing was given"), (RateLimit(50, 0, None), "no reset was given")],
    ids=["nothing told", "no reset told"],
)
def test_without_a_reset_the_next_window_is_unknown_and_no_one_is_warned(
    limit: RateLimit | None, why: str, log: Log
) -> None:
    assert limits.until_reset(limit, NOW) is None, why
    assert log() == []


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0, "0 s ago"),
        (-1, "1 s ago"),
        (-3600, "3600 s ago"),
        (-NOW, "1700000000 s ago"),
        (901, "901 s from now"),
        (3600, "3600 s from now"),
        (900.6, "901 s from now"),
    ],
)
def test_a_reset_that_cannot_be_true_is_ignored_with_one_warning_about_the_clocks(
    seconds: float, shown: str, log: Log
) -> None:
    assert limits.until_reset(RateLimit(50, 0, NOW + seconds), NOW) is None
    (warning,) = warnings(log)
    assert warning == (
        f"The server says that its rate limit resets {shown}, but a window lasts 900 s: its clock and this "
        "machine's disagree. The reset is ignored, and the usual backoff applies; check this machine's clock"
    )
