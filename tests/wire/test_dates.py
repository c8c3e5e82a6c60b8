"""The `Date` of an answer: what it shows, and what is ignored."""

from __future__ import annotations

import logging
from collections.abc import Callable
from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xdk_streaming.simulator.script import Limited
from xdk_streaming.state import RateLimit
from xdk_streaming.wire import dates, limits, problems

NOW = 1_700_000_000.0  # Tue, 14 Nov 2023 22:13:20 GMT


def dated(moment: float, **more: str) -> dict[str, str]:
    return {"date": formatdate(moment, usegmt=True), **more}


@pytest.mark.parametrize(
    "value",
    ["Tue, 14 Nov 2023 22:13:20 GMT", "Tuesday, 14-Nov-23 22:13:20 GMT", "Tue Nov 14 22:13:20 2023"],
)
def test_each_of_the_three_forms_is_read(value: str) -> None:
    assert dates.answered({"date": value}) == NOW


@pytest.mark.parametrize(
    "value",
    [
        "",
        "now",
        "Tue, 99 Nov 2023 22:13:20 GMT",
        "Thu, 01 Jan 1970 00:00:00 GMT",
        "Sat, 01 Jan 2000 00:00:00 GMT",
        "Fri, 31 Dec 9999 23:59:59 GMT",
        "Tue, 14 Nov 99999 22:13:20 GMT",
    ],
)
def test_a_missing_garbled_or_impossible_date_says_nothing(value: str) -> None:
    assert dates.answered({"date": value}) is None


def test_without_the_header_nothing_is_said() -> None:
    assert dates.answered({}) is None


@pytest.mark.parametrize(
    ("age", "added"), [("0", 0), ("600", 600), ("-5", 0), ("old", 0), ("nan", 0), ("inf", 0), ("", 0)]
)
def test_the_age_of_a_cached_answer_is_added(age: str, added: int) -> None:
    assert dates.answered(dated(NOW, age=age)) == NOW + added


@given(st.text(max_size=40), st.text(max_size=10))
def test_no_date_however_odd_makes_reading_it_fail(date: str, age: str) -> None:
    found = dates.answered({"date": date, "age": age})
    assert found is None or dates.FIRST_DATE <= found < dates.LAST_DATE


# What the server names is read against its own Date.

Log = Callable[[], list[tuple[int, str]]]
wrong = pytest.mark.parametrize("wrong", [-86_400.0, -300.0, 0.0, 300.0, 86_400.0])


def asked(headers: dict[str, str], now: float, *, status: int = 429, waited: float = 0.0) -> float | None:
    return problems.refusal(status, headers, b"", now, waited).retry_after


def spent(reset: float, remaining: int = 0) -> dict[str, str]:
    return {
        name.lower(): value for name, value in Limited(remaining=remaining, reset=reset).headers(NOW).items()
    }


@wrong
def test_the_reset_is_read_against_the_servers_date_whatever_the_local_clock_says(
    wrong: float, log: Log
) -> None:
    assert asked({**dated(NOW), **spent(600)}, NOW + wrong) == 600
    assert log() == []


@wrong
@pytest.mark.parametrize("status", [429, 503])
def test_a_retry_after_date_is_read_against_the_servers_date(wrong: float, status: int) -> None:
    headers = dated(NOW, **{"retry-after": formatdate(NOW + 120, usegmt=True)})
    assert asked(headers, NOW + wrong, status=status) == 120
    assert limits.retry_after(headers, NOW + wrong) == 120


@pytest.mark.parametrize("date", ["", "yesterday", "Thu, 01 Jan 1970 00:00:00 GMT"])
def test_without_a_usable_date_the_local_clock_decides(date: str) -> None:
    assert asked({"date": date, **spent(600)}, NOW + 100) == 500
    assert asked({"date": date, "retry-after": formatdate(NOW + 120, usegmt=True)}, NOW + 100) == 20


def test_a_cached_refusal_does_not_lengthen_the_wait() -> None:
    assert asked(dated(NOW - 60, age="60", **spent(600)), NOW) == 600


@pytest.mark.parametrize(
    ("headers", "left"),
    [
        ({"retry-after": "30"}, 26),
        ({"retry-after": formatdate(NOW + 30, usegmt=True)}, 25.5),
        (spent(600), 595.5),
        ({"retry-after": "4"}, None),
    ],
    ids=["seconds", "date", "reset", "over"],
)
def test_the_seconds_that_the_body_took_are_part_of_the_wait(
    headers: dict[str, str], left: float | None
) -> None:
    assert asked(dated(NOW, **headers), NOW, waited=4.5) == left


@pytest.mark.parametrize("seconds", [900.0, 901.0])
def test_a_whole_window_counts_although_the_date_is_rounded_down(seconds: float) -> None:
    assert limits.until_reset(RateLimit(50, 0, NOW + seconds), NOW, dated=True) == seconds


@pytest.mark.parametrize("seconds", [-1.0, 902.0])
def test_a_reset_that_the_servers_own_date_belies_is_ignored_and_not_blamed_on_this_machine(
    seconds: float, log: Log
) -> None:
    assert limits.until_reset(RateLimit(50, 0, NOW + seconds), NOW, dated=True) is None
    ((level, words),) = log()
    assert level == logging.WARNING
    assert "the Date of its answer disagree" in words
    assert "this machine" not in words
