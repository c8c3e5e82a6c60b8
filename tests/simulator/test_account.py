"""Accounting for items: logs made by hand for each reason and objection, then generated histories."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from helpers.shortcuts import namespace
from xdk_streaming.simulator import Sent, ServedRequest
from xdk_streaming.simulator.account import Account, account
from xdk_streaming.simulator.timeline import Timeline

START = 1_000.0
"""The start, in Unix seconds. Item n is published n + 1 s later; connections open and end at half seconds."""

CLEAN = "ended cleanly"
RESET = "reset"
CUT = "cut off"
SILENT = "silent until the client left"
LEFT = "left by the client"
REFUSED = "refused with 503"


@dataclass
class World:
    """A simulator in the form that `account` reads, and the items that its only client received."""

    rate: float = 1.0
    now: float = START + 0.5
    requests: list[ServedRequest] = field(default_factory=list)
    log: list[Sent] = field(default_factory=list)
    received: list[str | None] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.timeline = Timeline(self.rate, START)

    def wait(self, seconds: int) -> None:
        self.now += seconds

    def _request(self) -> ServedRequest:
        request = ServedRequest(len(self.requests), "/2/tweets/sample/stream", {}, self.now)
        self.requests.append(request)
        return request

    def _send(self, request: ServedRequest, numbers: range, *, whole: bool = True) -> None:
        for number in numbers:
            self.log.append(Sent(request.number, number, f"id{number}", self.now, whole))
            if whole:
                self.received.append(f"id{number}")

    def refuse(self) -> None:
        request = self._request()
        request.outcome, request.ended_at = REFUSED, self.now

    def live(self, seconds: int, outcome: str) -> None:
        request = self._request()
        first = self.timeline.join(self.now)
        request.live_since = self.now
        self.now += seconds
        due = self.timeline.published(self.now)
        self._send(request, range(first, max(first, due)))
        self.timeline.advance(due)
        request.live_until = self.now
        if outcome in (RESET, CUT):
            self._send(request, self.timeline.take(1), whole=False)
        request.outcome, request.ended_at = outcome, self.now

    def serve(self, count: int, outcome: str) -> None:
        """Serve items as the step `Serve` does, regardless of the time."""
        request = self._request()
        self._send(request, self.timeline.take(count))
        request.outcome, request.ended_at = outcome, self.now

    def account(self, received: list[str | None] | None = None) -> Account:
        simulator: Any = namespace(log=self.log, unmatched=[], requests=self.requests, timeline=self.timeline)
        return account(simulator, self.received if received is None else received, self.now)


def unheard(connection: int, outcome: str) -> str:
    return f"published while nobody listened, after connection {connection} was {outcome}"


# Every reason.


def test_nothing_is_missing_if_everything_arrived() -> None:
    world = World()
    world.live(5, LEFT)
    assert world.account() == Account(published=5, received=5)


@pytest.mark.parametrize("outcome", [CLEAN, SILENT])
def test_items_missed_between_connections_are_blamed_on_the_first(outcome: str) -> None:
    world = World()
    world.live(3, outcome)
    world.wait(2)
    world.live(4, LEFT)
    assert world.account() == Account(9, 7, Counter({unheard(1, outcome): 2}))


@pytest.mark.parametrize("outcome", [RESET, CUT])
def test_the_item_cut_in_half_is_put_down_to_the_cut(outcome: str) -> None:
    world = World()
    world.live(3, outcome)
    world.wait(3)
    world.live(2, LEFT)
    half = f"cut in half when connection 1 was {outcome}"
    assert world.account() == Account(8, 5, Counter({half: 1, unheard(1, outcome): 2}))


def test_each_gap_is_blamed_on_the_connection_before() -> None:
    world = World()
    world.live(2, CLEAN)
    world.wait(1)
    world.refuse()
    world.wait(3)
    world.live(2, SILENT)
    world.wait(4)
    world.live(1, LEFT)
    gaps = Counter({unheard(1, CLEAN): 1, unheard(2, REFUSED): 3, unheard(3, SILENT): 4})
    assert world.account() == Account(13, 5, gaps)


def test_items_in_flight_when_the_client_leaves_are_explained() -> None:
    world = World()
    world.live(5, LEFT)
    result = world.account(world.received[:-2])
    assert result == Account(5, 3, Counter({"still under way when the client left": 2}))


def test_items_after_a_final_cut_are_blamed_on_the_cut() -> None:
    world = World()
    world.live(3, SILENT)
    world.wait(2)
    assert world.account() == Account(5, 3, Counter({unheard(1, SILENT): 2}))


def test_items_before_the_client_do_not_count() -> None:
    world = World()
    world.wait(10)
    world.live(3, LEFT)
    assert world.account() == Account(3, 3)


def test_a_client_that_is_always_refused_misses_every_item() -> None:
    world = World()
    world.wait(10)
    world.refuse()
    world.wait(4)
    world.refuse()
    world.wait(3)
    gaps = Counter({unheard(1, REFUSED): 4, unheard(2, REFUSED): 3})
    assert world.account() == Account(7, 0, gaps)


def test_items_between_a_refusal_and_the_first_stream_count() -> None:
    world = World()
    world.refuse()
    world.wait(2)
    world.live(3, LEFT)
    assert world.account() == Account(5, 3, Counter({unheard(1, REFUSED): 2}))


def test_without_a_client_there_is_nothing_to_report() -> None:
    world = World()
    world.wait(5)
    assert world.account() == Account(0, 0)


def test_items_served_early_are_accounted_for() -> None:
    world = World(rate=0)
    world.serve(3, CLEAN)
    world.serve(2, LEFT)
    assert world.account() == Account(5, 5)


def test_older_items_can_be_served_without_objections() -> None:
    world = World()
    world.wait(10)
    world.serve(3, CLEAN)
    world.wait(1)
    world.live(2, LEFT)
    result = world.account()
    assert result.objections == []
    assert result.missing == Counter({unheard(1, CLEAN): 1})


# Every objection.


def test_an_item_received_twice_is_objected_to() -> None:
    world = World()
    world.live(5, LEFT)
    world.received.insert(3, "id2")
    assert world.account().objections == ["item id2 was received 2 times"]


def test_an_item_that_was_never_sent_is_objected_to() -> None:
    world = World()
    world.live(5, LEFT)
    world.received.insert(3, "id77")
    assert world.account().objections == ["item id77 was received but never sent"]


def test_an_item_sent_whole_and_not_received_is_objected_to() -> None:
    world = World()
    world.live(5, LEFT)
    world.received.remove("id2")
    assert world.account().objections == ["item id2 was sent whole on connection 1, but not received"]


def test_the_last_item_of_an_earlier_connection_is_not_in_flight() -> None:
    world = World()
    world.live(3, CLEAN)
    world.live(2, LEFT)
    world.received.remove("id2")
    assert world.account().objections == ["item id2 was sent whole on connection 1, but not received"]


def test_a_lost_last_item_is_noticed_even_without_later_items() -> None:
    world = World()
    world.live(3, CLEAN)
    world.refuse()
    world.received.remove("id2")
    assert world.account().objections == ["item id2 was sent whole on connection 1, but not received"]


def test_so_is_one_that_was_served_ahead_of_its_time() -> None:
    world = World(rate=0)
    world.serve(3, CLEAN)
    world.refuse()
    world.received.remove("id2")
    assert world.account().objections == ["item id2 was sent whole on connection 1, but not received"]


def test_a_whole_item_of_which_half_was_sent_is_an_objection() -> None:
    world = World()
    world.live(3, RESET)
    world.wait(2)
    world.live(2, LEFT)
    world.received.insert(3, "id3")
    assert world.account().objections == ["item id3 was received, but only half of it was sent"]


def test_items_in_another_order_are_objected_to() -> None:
    world = World()
    world.live(5, LEFT)
    world.received[1:3] = reversed(world.received[1:3])
    assert world.account().objections == ["items were received in another order than they were sent in"]


def test_an_unsent_item_on_a_live_connection_is_an_objection() -> None:
    world = World()
    world.live(5, LEFT)
    del world.log[2]
    world.received.remove("id2")
    assert world.account().objections == [
        "item number 2 was published while a connection was live, but not sent"
    ]


def test_each_fault_is_objected_to_on_its_own() -> None:
    world = World()
    world.live(6, LEFT)
    received = ["id1", "id0", "id0", "id9", "id5"]
    assert len(world.account([*received]).objections) == 3 + 3  # twice, unknown, order; 2, 3 and 4 lost


# Whole histories.

endings = st.sampled_from([CLEAN, RESET, CUT, SILENT, REFUSED])
lives = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 6), endings), max_size=6)


def history(told: list[tuple[int, int, str]]) -> World:
    """A client that reconnects after every fault, and finally leaves."""
    world = World()
    for pause, seconds, outcome in told:
        if outcome == REFUSED:
            world.refuse()
        else:
            world.live(seconds, outcome)
        world.wait(pause)
    world.live(12, LEFT)
    return world


@given(lives)
def test_a_sound_history_has_no_objections(
    told: list[tuple[int, int, str]],
) -> None:
    result = history(told).account()
    assert result.objections == []
    assert result.published == result.received + result.missing.total()


@given(lives, st.data())
def test_any_lost_item_before_a_received_one_is_an_objection(
    told: list[tuple[int, int, str]], data: st.DataObject
) -> None:
    world = history(told)
    lost = world.received.pop(data.draw(st.integers(0, len(world.received) - 2)))
    (objection,) = world.account().objections
    assert objection.startswith(f"item {lost} was sent whole on connection ")


@given(lives, st.data())
def test_any_item_that_a_live_connection_skipped_is_an_objection(
    told: list[tuple[int, int, str]], data: st.DataObject
) -> None:
    world = history(told)
    skipped = world.received.pop(data.draw(st.integers(0, len(world.received) - 2)))
    others = [entry for entry in world.log if entry.id != skipped]
    assume(
        others[0].number < int(str(skipped).removeprefix("id"))
    )  # otherwise nothing shows that the item was due
    world.log = others
    assert any("was published while a connection was live" in line for line in world.account().objections)


@given(lives, st.data())
def test_any_repetition_is_an_objection(told: list[tuple[int, int, str]], data: st.DataObject) -> None:
    world = history(told)
    index = data.draw(st.integers(0, len(world.received) - 1))
    repeated = world.received[index]
    world.received.insert(index, repeated)
    assert world.account().objections == [f"item {repeated} was received 2 times"]


@given(lives, st.data())
def test_any_exchange_of_two_items_is_objected_to(
    told: list[tuple[int, int, str]], data: st.DataObject
) -> None:
    world = history(told)
    one, other = data.draw(
        st.lists(st.integers(0, len(world.received) - 1), min_size=2, max_size=2, unique=True)
    )
    received = world.received
    received[one], received[other] = received[other], received[one]
    assert "items were received in another order than they were sent in" in world.account().objections
