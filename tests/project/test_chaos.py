"""The chaos run counts what it says it counts; the runs themselves are `make chaos`."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import islice

import pytest

from benchmarks.chaos.account import Outcome, account, told
from benchmarks.chaos.publisher import Published, plan, scripts
from benchmarks.chaos.task import FULL, SMALL, Task
from xdk_streaming.simulator.faults import STREAM_FAULTS, Peer
from xdk_streaming.simulator.script import LIVE, Cut, Reset

POSTS = [Published(str(number), float(number)) for number in range(10, 20)]
TASK = Task("a run", rate=1, posts=10)
WITHOUT = Task("a run", rate=1, posts=10, entitled=False)


def came(*names: int, at: float = 0.0) -> list[str]:
    """Posts written down when they were published, and so much later."""
    return [f"{name} {name + at}" for name in names]


def gap(since: float, until: float, *, uncovered: bool = True) -> str:
    span = [since, until] if uncovered else None
    return "gap " + json.dumps({"lost_at": since, "back_at": until, "uncovered": span, "why": "not asked"})


def test_all_posts_in_order_are_as_promised() -> None:
    outcome = account(TASK, POSTS, [], came(*range(10, 20)), [])
    assert outcome.good
    assert (outcome.received, outcome.missing, outcome.repeats, outcome.out_of_order) == (10, [], 0, 0)


def test_a_post_that_never_came_is_not() -> None:
    outcome = account(TASK, POSTS, [14.0], [*came(10, 11, 13), gap(11.5, 12.5)], [])
    assert not outcome.good
    assert outcome.missing == [Published("12", 12.0)]


def test_what_was_published_before_the_first_or_after_the_last_that_came_is_not_missing() -> None:
    assert account(TASK, POSTS, [], came(12, 13), []).good


def test_a_client_that_never_caught_up_is_not_as_promised() -> None:
    late = [*POSTS, Published("99", 99.0)]
    outcome = account(TASK, late, [], came(*range(10, 20)), [])
    assert (outcome.behind, outcome.missing, outcome.good) == (80.0, [], False)


def test_a_run_can_want_one_connection_or_a_reason() -> None:
    diary = [*came(*range(10, 20)), gap(12.0, 13.0)]
    one = replace(TASK, connections=1)
    assert account(one, POSTS, [12.5], diary, []).good
    assert account(one, POSTS, [12.5, 13.0], diary, []).surprises == ["2 connections instead of 1"]
    assert account(replace(TASK, told="not asked"), POSTS, [12.5], diary, []).good
    assert not account(replace(TASK, told="slow reader"), POSTS, [12.5], diary, []).good


def test_nothing_at_all_is_not_as_promised() -> None:
    assert not account(TASK, POSTS, [], [], []).good


def test_without_the_entitlement_a_missing_post_has_to_lie_in_a_gap() -> None:
    lost = came(10, 11, 14)
    assert account(WITHOUT, POSTS, [12.0], [*lost, gap(11.5, 13.5)], []).good
    half = account(WITHOUT, POSTS, [12.0], [*lost, gap(11.5, 12.5)], [])
    assert (len(half.missing), half.unexplained, half.good) == (2, 1, False)
    covered = account(WITHOUT, POSTS, [12.0], [*lost, gap(11.5, 13.5, uncovered=False)], [])
    assert covered.unexplained == 2


def test_a_gap_has_to_bracket_the_loss_of_a_connection() -> None:
    assert account(TASK, POSTS, [12.0], [*came(10, 11), gap(11.5, 12.5)], []).good
    idle = account(TASK, POSTS, [15.0], [*came(10, 11), gap(11.5, 12.5)], [])
    assert (idle.idle_gaps, idle.good) == (1, False)


def test_a_repeat_is_borne_only_of_what_came_just_before_a_kill() -> None:
    assert account(TASK, POSTS, [], [*came(10, 11), *came(11, at=2.0)], [11.5]).good
    for diary, kills in (
        ([*came(10, 11), *came(11, at=2.0)], []),
        ([*came(10, 11), *came(11, at=0.2)], [11.5]),
        ([*came(10, 11), *came(10, at=9.0)], [18.0]),
    ):
        outcome = account(TASK, POSTS, [], diary, kills)
        assert (outcome.repeats_against_the_rule, outcome.good) == (1, False)


def test_posts_of_a_faults_own_are_left_out_and_disorder_is_counted() -> None:
    outcome = account(TASK, POSTS, [], ["1 10.0", *came(10, 12, 11, 13)], [])
    assert (outcome.received, outcome.out_of_order, outcome.good) == (4, 1, True)


@pytest.mark.parametrize("gzip", [False, True])
def test_the_plan_has_every_fault_that_a_server_can_show(gzip: bool) -> None:
    kinds = {
        fault.name
        for fault in STREAM_FAULTS.values()
        if fault.peer is Peer.SERVER and (gzip or not fault.encoding)
    }
    planned = [fault.name for fault in plan(Task("", 1, 1, faults=2 * len(kinds) + 1, gzip=gzip))]
    assert set(planned) == kinds
    assert len(planned) == 2 * len(kinds) + 1


def test_the_full_form_is_as_large_as_was_asked_for() -> None:
    first, killed = FULL[:2]
    assert (first.posts, first.faults, first.rate) >= (200_000, 200, 2_000)
    assert killed.kills == 3
    assert max(task.kills for task in FULL) == 100
    assert any(not task.entitled for task in FULL)
    assert {task.kills > 0 for task in SMALL} == {task.entitled for task in SMALL} == {True, False}


def test_connections_are_broken_at_any_byte_and_left_in_peace_when_all_is_played() -> None:
    played, peaceful = list[str](), list[float]()
    task = Task("", 1, 1, faults=200)
    steps = [step for script in islice(scripts(task, played, peaceful), 200) for step in script]
    shares = [step.share for step in steps if isinstance(step, (Cut, Reset)) and step.half]
    assert len(played) == 200
    assert len(set(shares)) == len(shares) > 3
    assert next(islice(scripts(task, played, peaceful), 200, None)) is LIVE


def test_the_account_is_printed_in_words() -> None:
    lines = "\n".join(told(TASK, Outcome(3, received=2, repeats=1)))
    assert "2 received, 0 of them out of order; 0 missing" in lines
    assert "1 repeated, 0 against the rule" in lines
