"""The server's side of recovery: backfill, recovery ranges, slots of lost connections, slow readers."""

from __future__ import annotations

import json
import random
import socket
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from itertools import islice
from typing import Any

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from helpers.clients import (
    GUARD,
    PROBLEM,
    SAMPLE,
    SHORT,
    asking,
    chunks,
    connected,
    get,
    items,
    outcomes,
    read_to_the_end,
    read_until,
    request,
    split_head,
    wait_for,
)
from helpers.servers import Trust
from xdk_streaming import StreamConfig, stream_with_retry
from xdk_streaming.simulator import Cut, End, Live, Reset, Script, Sent, Serve, Simulator, Stall
from xdk_streaming.simulator.account import account
from xdk_streaming.simulator.backfill import WINDOW, delivery
from xdk_streaming.simulator.content.items import make_item
from xdk_streaming.simulator.faults import RANDOM_FAULTS, STREAM_FAULTS
from xdk_streaming.simulator.faults.problems import TOO_MANY
from xdk_streaming.simulator.line_cache import LineCache
from xdk_streaming.simulator.log import SentLog
from xdk_streaming.simulator.parameters import refuse_parameters
from xdk_streaming.simulator.script import Notice
from xdk_streaming.simulator.slots import Slots
from xdk_streaming.simulator.timeline import Timeline
from xdk_streaming.x import ENDPOINTS, TIME_FORMAT, Endpoint

pytestmark = pytest.mark.usefixtures("nothing_is_left", "no_thread_complains")

SEARCH = "/2/tweets/search/stream"
POWERSTREAM = "/2/powerstream"
SLOW = "cut off as a slow reader"


def aged(seconds: float, rate: float, **settings: Any) -> Simulator:
    """A simulator that has been publishing for a while."""
    simulator = Simulator(rate=rate, logged=1_000_000, **settings)
    simulator.timeline = Timeline(rate, time.time() - seconds)
    return simulator


@contextmanager
def streaming(
    simulator: Simulator, path: str = SAMPLE, **params: str
) -> Iterator[tuple[requests.Response, Iterator[Any]]]:
    """A response to a request whose parameter names have underscores."""
    asked = "&".join(f"{name}={value}" for name, value in params.items())
    with get(simulator, f"{path}?{asked}") as response:
        yield response, items(response)


def numbers_by_id(simulator: Simulator) -> dict[Any, int]:
    return {entry.id: entry.number for entry in list(simulator.log)}


def stamp(at: float) -> str:
    return time.strftime(TIME_FORMAT, time.gmtime(at))


# What is refused.


@pytest.mark.parametrize(
    ("path", "params", "named"),
    [
        (SAMPLE, {"backfill_minutes": "2"}, "backfill_minutes"),
        (POWERSTREAM, {"backfillMinutes": "1"}, "backfillMinutes"),
        (SEARCH, {"start_time": stamp(time.time() - 60), "end_time": stamp(time.time())}, "start_time"),
        (POWERSTREAM, {"startTime": stamp(time.time() - 60), "endTime": stamp(time.time())}, "startTime"),
    ],
)
def test_past_items_without_entitlement_are_refused_with_403(
    path: str, params: dict[str, str], named: str
) -> None:
    with (
        Simulator(then=SHORT, entitled=False) as simulator,
        streaming(simulator, path, **params) as (answer, _),
    ):
        assert answer.status_code == 403
        assert answer.headers["Content-Type"] == PROBLEM
        problem = answer.json()
    assert problem["type"] == "https://api.x.com/2/problems/client-forbidden"
    assert problem["title"] == "Client Forbidden"
    assert f"`{named}`" in problem["detail"]
    assert problem["parameters"] == {named: [params[named]]}
    assert outcomes(simulator) == ["refused with 403"]


def test_live_items_need_no_entitlement() -> None:
    with Simulator(then=SHORT, entitled=False) as simulator:
        for params in ({}, {"backfill_minutes": "0"}):
            with streaming(simulator, **params) as (answer, received):
                assert answer.status_code == 200
                assert len(list(received)) == 1


NOW = 1_763_900_000.0


@pytest.mark.parametrize(
    ("params", "named"),
    [
        ({"start_time": "yesterday", "end_time": stamp(NOW)}, ["start_time"]),
        ({"start_time": stamp(NOW - 60), "end_time": "2025-11-23T12:00:00"}, ["end_time"]),
        ({"start_time": "2025-02-30T12:00:00Z", "end_time": stamp(NOW)}, ["start_time"]),
        ({"start_time": "2025-1-03T12:00:00Z", "end_time": "2025-11-23T12:00:00.000Z"}, None),
        ({"start_time": stamp(NOW - 60)}, ["end_time"]),
        ({"end_time": stamp(NOW)}, ["start_time"]),
        ({"start_time": "", "end_time": stamp(NOW)}, ["start_time"]),
        ({"start_time": stamp(NOW), "end_time": stamp(NOW)}, ["start_time"]),
        ({"start_time": stamp(NOW), "end_time": stamp(NOW - 1)}, ["start_time"]),
        ({"start_time": stamp(NOW - 24 * 3600 - 1), "end_time": stamp(NOW)}, ["start_time"]),
    ],
)
def test_an_invalid_recovery_range_is_refused_by_parameter(
    params: dict[str, str], named: list[str] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "time", lambda: NOW)
    problem = refuse_parameters(ENDPOINTS[SEARCH], params)
    assert problem is not None
    assert problem["title"] == "Invalid Request"
    told = [name for fault in problem["errors"] for name in fault["parameters"]]
    assert told == (named or ["start_time", "end_time"])
    assert all(f"{name}" in fault["message"] for name, fault in zip(told, problem["errors"], strict=True))


def test_every_path_but_the_sample_recovers_the_last_24_hours(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(time, "time", lambda: NOW)
    for endpoint in ENDPOINTS.values():
        start, end = endpoint.recovery_parameters
        params = {start: stamp(NOW - 24 * 3600), end: stamp(NOW)}
        if endpoint.partitions:
            params["partition"] = "1"
        assert (refuse_parameters(endpoint, params) is None) == (endpoint.path != SAMPLE)


def test_the_refusal_of_a_range_is_a_400_over_the_wire() -> None:
    params = {"start_time": stamp(time.time() - 60), "end_time": stamp(time.time())}
    with Simulator(then=SHORT) as simulator, streaming(simulator, **params) as (answer, _):
        assert answer.status_code == 400
        assert [list(fault["parameters"]) for fault in answer.json()["errors"]] == [
            ["start_time"],
            ["end_time"],
        ]


# Backfill.


@given(st.integers(0, 500), st.integers(0, 500), st.integers())
def test_a_backfill_has_every_item_near_its_place(first: int, length: int, seed: int) -> None:
    numbers = range(first, first + length)
    delivered = [n for some in delivery(numbers, random.Random(seed), 64) for n in some]
    assert set(delivered) == set(numbers)
    newest = -1
    for number in delivered:
        assert number > newest - WINDOW
        newest = max(newest, number)


def test_a_backfill_is_shuffled_and_repeats_some_items() -> None:
    first, second = (
        [n for some in delivery(range(5_000), random.Random(7), 256) for n in some] for _ in range(2)
    )
    assert first == second
    assert first != sorted(first)
    assert 40 < len(first) - 5_000 < 200


@pytest.mark.parametrize("path", [SAMPLE, SEARCH, POWERSTREAM])
def test_the_live_stream_follows_a_backfill_without_a_gap(path: str) -> None:
    with (
        aged(90, 100) as simulator,
        streaming(simulator, path, **{ENDPOINTS[path].backfill_parameter: "1"}) as (answer, received),
    ):
        assert answer.status_code == 200
        at = simulator.requests[0].opened_at
        got = list(islice(received, 6_400))
        (noted,) = simulator.requests
        assert noted.live_since is not None
        log = [entry.number for entry in list(simulator.log)][: len(got)]
    timeline = simulator.timeline
    expected = timeline.published(at - 60)
    assert min(log) in range(expected, expected + 20)
    assert set(log) == set(range(min(log), max(log) + 1))
    assert max(log) > timeline.published(noted.live_since)
    assert log != sorted(log)
    assert max(Counter(log).values()) > 1


@pytest.mark.parametrize("minutes", ["1", "2"])
def test_a_backfill_ends_at_the_start_or_the_backlog(minutes: str) -> None:
    with (
        aged(30, 100, backlog=10.0) as short,
        streaming(short, backfill_minutes=minutes) as (_, received),
    ):
        list(islice(received, 1_100))
    oldest = min(entry.number for entry in short.log)
    assert 1_990 <= oldest < 2_100
    with aged(5, 100) as young, streaming(young, backfill_minutes=minutes) as (_, received):
        list(islice(received, 500))
    assert min(entry.number for entry in young.log) == 0


def test_no_minutes_are_no_backfill() -> None:
    with aged(30, 100) as simulator, streaming(simulator, backfill_minutes="0") as (_, received):
        list(islice(received, 10))
    assert min(entry.number for entry in simulator.log) >= 3_000


def test_what_was_cut_in_half_comes_whole_with_the_backfill() -> None:
    with Simulator(script=[(Live(0.05), Cut())], rate=500) as simulator:
        with asking(simulator) as connection:
            read_to_the_end(connection)
        lost = next(entry for entry in simulator.log if not entry.whole)
        with streaming(simulator, backfill_minutes="1") as (_, received):
            ids = [item["data"]["id"] for item in islice(received, 60)]
    assert lost.id in ids


def test_items_served_early_keep_their_ids_in_a_backfill() -> None:
    with Simulator(script=[(Serve(5), End())], rate=0, heartbeat=0.02) as simulator:
        with streaming(simulator) as (_, received):
            first = [item["data"]["id"] for item in received]
        with streaming(simulator, backfill_minutes="1") as (_, received):
            again = {item["data"]["id"] for item in islice(received, 5)}
        with streaming(simulator, backfill_minutes="1") as (_, received):
            again |= {item["data"]["id"] for item in islice(received, 5)}
    assert again == set(first)


def test_a_backfill_takes_nothing_away_from_others() -> None:
    with aged(60, 500) as simulator, streaming(simulator) as (_, live):
        ids = [next(live)["data"]["id"]]
        with streaming(simulator, backfill_minutes="1") as (_, received):
            list(islice(received, 30_000))
            ids += [item["data"]["id"] for item in islice(live, 50)]
        known = numbers_by_id(simulator)
    numbers = [known[item_id] for item_id in ids]
    assert numbers == list(range(numbers[0], numbers[0] + 51))


def test_a_backfill_comes_once_before_the_items_of_the_script() -> None:
    script: Script = (Serve(3), Serve(2), End())
    with Simulator(script=[(Serve(4), End()), script], rate=0) as simulator:
        for _ in range(2):
            with streaming(simulator, backfill_minutes="5") as (_, received):
                list(received)
    second = [entry.number for entry in simulator.log if entry.request == 1]
    assert set(second[:-5]) == set(range(4))
    assert second[-5:] == [4, 5, 6, 7, 8]


def test_a_backfilled_stream_skips_nothing_after_a_pause() -> None:
    script: Script = (Serve(1), Stall(0.05), Live(0.05), Stall(0.05), Live(0.05), End())
    with aged(5, 200, script=[script]) as simulator, streaming(simulator, backfill_minutes="1") as (_, got):
        list(got)
    numbers = {entry.number for entry in simulator.log}
    assert numbers == set(range(max(numbers) + 1))
    assert max(numbers) > 1_020


def test_random_faults_strike_in_a_backfill_too() -> None:
    with aged(60, 100, random_faults=0.01, seed=1) as simulator:
        for _ in range(8):
            with asking(simulator, SAMPLE + "?backfill_minutes=1") as connection:
                connection.settimeout(0.3)
                try:
                    while connection.recv(2**20):
                        pass
                except (TimeoutError, ConnectionResetError):
                    pass
    sent = Counter(entry.request for entry in simulator.log)
    assert len(sent) == 8
    assert max(sent.values()) < 6_000


def test_backfill_leaves_no_gap_through_random_faults() -> None:
    received: list[str | None] = []
    config = StreamConfig(max_retries=-1, initial_backoff=0.01, max_backoff=0.02, stall_timeout=0.3)
    with Simulator(rate=400, random_faults=0.005, seed=5, heartbeat=0.05) as simulator:
        with requests.Session() as session:
            session.trust_env = False
            session.headers["Authorization"] = "Bearer a-token"
            session.params = {"backfill_minutes": "1"}
            posts = stream_with_retry(session, "get", simulator.url + SAMPLE, config)
            with closing(posts):
                received += [post["data"]["id"] for post in islice(posts, 1_500)]
            left_at = time.time()
        result = account(simulator, received, left_at)
        known = numbers_by_id(simulator)
    assert result.objections == []
    assert len(simulator.requests) > 3
    numbers = {known[item_id] for item_id in received}
    assert len(numbers) < 1_500
    assert numbers >= set(range(min(numbers), max(numbers) - WINDOW))


# Recovery.


def test_a_recovery_includes_its_start_and_excludes_its_end() -> None:
    start = float(int(time.time()) - 60)
    with Simulator(rate=10) as simulator:
        simulator.timeline = Timeline(10, start)
        query = f"?start_time={stamp(start + 10)}&end_time={stamp(start + 20)}"
        with asking(simulator, SEARCH + query) as connection:
            _, body = split_head(read_to_the_end(connection))
    got = {json.loads(chunk)["data"]["id"] for chunk in chunks(body)}
    numbers = [entry.number for entry in simulator.log]
    assert set(numbers) == set(range(99, 199))  # item n is published (n + 1) / 10 s after the start
    assert numbers != sorted(numbers)
    assert got == {entry.id for entry in simulator.log}
    assert outcomes(simulator) == ["ended cleanly"]


def test_an_empty_recovery_ends_cleanly() -> None:
    query = f"?startTime={stamp(time.time() - 600)}&endTime={stamp(time.time() - 500)}&backfillMinutes=5"
    with aged(30, 10) as simulator, asking(simulator, POWERSTREAM + query) as connection:
        _, body = split_head(read_to_the_end(connection))
    assert chunks(body) == []
    assert outcomes(simulator) == ["ended cleanly"]


def test_a_recovery_has_nothing_of_the_future() -> None:
    query = f"?start_time={stamp(time.time() - 10)}&end_time={stamp(time.time() + 3600)}"
    with aged(5, 10) as simulator, asking(simulator, SEARCH + query) as connection:
        chunks(split_head(read_to_the_end(connection))[1])
    assert set(range(50)) <= {entry.number for entry in simulator.log} <= set(range(70))


def test_a_recovery_takes_nothing_from_the_stream_beside_it() -> None:
    query = f"?start_time={stamp(time.time() - 20)}&end_time={stamp(time.time())}"
    with aged(30, 200) as simulator, streaming(simulator, SEARCH) as (_, live):
        ids = [next(live)["data"]["id"]]
        with asking(simulator, SEARCH + query) as connection:
            read_to_the_end(connection)
        ids += [item["data"]["id"] for item in islice(live, 20)]
        known = numbers_by_id(simulator)
    numbers = [known[item_id] for item_id in ids]
    assert numbers == list(range(numbers[0], numbers[0] + 21))


# Slots.


def refused(simulator: Simulator) -> bool:
    """Whether another connection is refused, with X's error."""
    with get(simulator) as answer:
        if answer.status_code == 200:
            return False
        assert answer.status_code == 429
        assert answer.json() == TOO_MANY
        assert int(answer.headers["x-rate-limit-remaining"]) > 0
    return True


def test_a_stream_beyond_the_limit_is_refused_and_uses_no_script() -> None:
    with Simulator(script=[(Live(),), (Live(),)], then=SHORT, rate=0, connections=2) as simulator:
        with asking(simulator) as one, asking(simulator) as two:
            for connection in (one, two):
                read_until(connection, b"\r\n\r\n")
            assert refused(simulator)
            assert outcomes(simulator) == ["open", "open", "refused with 429"]
        wait_for(lambda: outcomes(simulator)[:2] == ["left by the client"] * 2)
        assert not refused(simulator)


def test_after_an_end_in_good_order_the_place_is_free_at_once() -> None:
    with Simulator(then=SHORT, connections=1, zombie=GUARD) as simulator:
        for _ in range(20):
            assert len(read_items(simulator)) == 1
    assert outcomes(simulator) == ["ended cleanly"] * 20


def read_items(simulator: Simulator) -> list[Any]:
    with get(simulator) as answer:
        assert answer.status_code == 200
        return list(items(answer))


@pytest.mark.parametrize("loss", [Cut(), Cut(half=False), Reset(), Reset(half=False)], ids=str)
def test_after_an_abrupt_loss_the_place_is_held_for_a_while(loss: Cut | Reset) -> None:
    with Simulator(script=[(Serve(1), loss)], then=SHORT, connections=1, zombie=0.3) as simulator:
        with asking(simulator) as connection, suppress(ConnectionResetError):
            read_to_the_end(connection)
        lost_at = time.monotonic()
        assert refused(simulator)
        wait_for(lambda: not refused(simulator))
        assert time.monotonic() - lost_at > 0.2


@pytest.mark.parametrize("script", [(Live(),), (Stall(),)], ids=["live", "silent"])
def test_a_client_that_vanishes_leaves_a_zombie_too(script: Script) -> None:
    with Simulator(script=[script], then=SHORT, rate=0, connections=1, zombie=GUARD) as simulator:
        with asking(simulator) as connection:
            read_until(connection, b"\r\n\r\n")
        wait_for(lambda: simulator.requests[0].ended_at is not None)
        assert refused(simulator)


def test_without_a_limit_a_zombie_holds_no_slot() -> None:
    slots = Slots(None, zombie=GUARD)
    for number in range(100):
        assert slots.enter(number)
        slots.leave(number, abrupt=True)


def test_a_slot_freed_cleanly_is_not_held_again() -> None:
    slots = Slots(1, zombie=GUARD)
    assert slots.enter(0)
    slots.leave(0, abrupt=False)
    slots.leave(0, abrupt=True)
    assert slots.enter(1)


# Slow readers.


@contextmanager
def not_reading(simulator: Simulator, path: str = SAMPLE) -> Iterator[socket.socket]:
    """A client with a small buffer, which reads the head and then nothing until it is cut off."""
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 * 1024)
        connection.settimeout(GUARD)
        connection.connect(("127.0.0.1", int(simulator.url.rpartition(":")[2])))
        connection.sendall(request(path))
        wait_for(lambda: bool(simulator.requests) and simulator.requests[-1].ended_at is not None)
        yield connection


KINDS: Mapping[str, tuple[float, str]] = {
    "live": (50_000, SAMPLE),
    "backfill": (1_000, SAMPLE + "?backfill_minutes=5"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_slow_reader_is_cut_off_with_a_notice_after_a_whole_item(kind: str) -> None:
    rate, path = KINDS[kind]
    with aged(30, rate, queue=0.2) as simulator, not_reading(simulator, path) as connection:
        (noted,) = simulator.requests
        assert noted.outcome == SLOW
        _, body = split_head(read_to_the_end(connection))
        received = [json.loads(chunk) for chunk in chunks(body)]
        step = STREAM_FAULTS["slow-reader"].script[0]
        assert isinstance(step, Notice)
        assert received.pop() == step.content
        ids = [item["data"]["id"] for item in received]
        assert ids == [entry.id for entry in simulator.log]
        assert all(entry.whole for entry in simulator.log)
        result = account(simulator, ids, time.time())
    assert result.objections == []
    if kind == "live":
        assert [reason for reason in result.missing if reason.endswith(SLOW)]


def test_without_the_notice_the_connection_just_ends() -> None:
    with aged(30, 50_000, queue=0.2, slow_notice=False) as simulator, not_reading(simulator) as connection:
        assert outcomes(simulator) == [SLOW]
        body = split_head(read_to_the_end(connection))[1]
    assert not body.endswith(b"0\r\n\r\n")
    assert b"SlowReader" not in body
    whole = [entry for entry in simulator.log if entry.whole]
    assert body.count(b"\r\n\r\n") == len(whole)
    assert len(simulator.log) - len(whole) <= 1


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_into_a_compressed_body_no_notice_comes(encoding: Any) -> None:
    with aged(30, 50_000, queue=0.2, encoding=encoding) as simulator, not_reading(simulator) as connection:
        assert outcomes(simulator) == [SLOW]
        assert not read_to_the_end(connection).endswith(b"0\r\n\r\n")


def test_under_tls_a_slow_reader_gets_no_notice(
    trust: Trust,
) -> None:
    path = SAMPLE + "?backfill_minutes=1"
    with aged(60, 1_000, queue=1.5, tls=trust.server) as simulator:
        with get(simulator, path, verify=trust.authority) as answer:
            assert len(list(islice(items(answer), 60_500))) == 60_500
        with get(simulator, path, verify=trust.authority) as answer:
            wait_for(lambda: simulator.requests[1].ended_at is not None)
            assert simulator.requests[1].outcome == SLOW
            with pytest.raises(requests.exceptions.ChunkedEncodingError):
                list(answer.iter_lines())


def test_a_slow_reader_falls_behind_until_it_is_cut_off() -> None:
    with aged(1, 20_000, queue=0.4) as simulator, connected(simulator) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 * 1024)
        connection.sendall(request())
        deadline = time.monotonic() + GUARD
        while not simulator.requests or simulator.requests[0].ended_at is None:
            assert time.monotonic() < deadline
            connection.recv(2**14)
            time.sleep(0.01)  # under 2 MB a second, of some 6 that are published
        assert outcomes(simulator) == [SLOW]


def test_a_reading_client_is_not_cut_off_and_a_cut_frees_the_slot() -> None:
    with aged(60, 500, queue=1.5, connections=1, zombie=GUARD, script=[(Live(),)]) as simulator:
        with not_reading(simulator, SAMPLE + "?backfill_minutes=1"):
            assert outcomes(simulator) == [SLOW]
        with streaming(simulator, backfill_minutes="1") as (answer, received):
            assert answer.status_code == 200
            assert len(list(islice(received, 30_200))) == 30_200


# Efficiency.


def test_a_resent_item_comes_from_the_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    made: Counter[int] = Counter()

    def counting(endpoint: Endpoint, number: int, *arguments: Any) -> dict[str, Any]:
        made[number] += 1
        return make_item(endpoint, number, *arguments)

    monkeypatch.setattr("xdk_streaming.simulator.feed.make_item", counting)
    with Simulator(rate=0, script=[(Serve(500), End())], then=(Serve(0), End())) as simulator:
        for _ in range(3):
            with streaming(simulator, backfill_minutes="5") as (_, received):
                list(received)
    assert set(made.values()) == {1}
    assert len(made) == 500


def test_the_line_cache_is_bounded_and_correct() -> None:
    lines, endpoint = LineCache(max_lines=100), ENDPOINTS[SEARCH]
    for first in range(0, 1_000, 10):
        numbers = range(first, first + 10)
        found = lines.of(numbers, endpoint, {}, lambda number: (b"%d" % number, None))
        assert [line for line, _ in found] == [b"%d" % number for number in numbers]
        assert len(lines) <= 110
    other = lines.of([995], endpoint, {"tweet.fields": "lang"}, lambda _: (b"with lang", None))
    same = lines.of([995], endpoint, {"backfill_minutes": "2"}, lambda _: (b"made again", None))
    assert (other, same) == ([(b"with lang", None)], [(b"995", None)])
    for number in range(20):
        LineCache(max_bytes=1_000).of([number], endpoint, {}, lambda _: (b"x" * 400, None))


def test_at_a_high_rate_items_go_out_together() -> None:
    with aged(1, 5_000) as simulator, asking(simulator) as connection:
        read_until(connection, b"\r\n\r\n")
        wait_for(lambda: len(simulator.log) > 2_500)
        moments = {entry.at for entry in list(simulator.log)}
    assert len(moments) < 400


# The log, and where a fault cuts.


def test_retracted_items_leave_only_the_sent_part_in_the_log() -> None:
    log = SentLog(10)
    log.write(Sent(number % 2, number, f"id{number}", 0.0, True) for number in range(8))
    log.retract(1, 2, half=True)
    assert [entry.number for entry in log] == [0, 1, 2, 3, 4, 5, 6]
    assert [entry.number for entry in log if not entry.whole] == [5]
    log.retract(0, 2, half=False)
    assert [entry.number for entry in log] == [0, 1, 2, 3, 5]


def test_a_random_fault_cuts_an_item_anywhere_within() -> None:
    places = set()
    for seed in range(60):
        with Simulator(rate=2_000, random_faults=1.0, seed=seed, framing="close") as simulator:
            fate = random.Random(f"{seed}:0")
            fate.random()
            if fate.choice(RANDOM_FAULTS).name != "cut":
                continue
            with asking(simulator) as connection:
                _, body = split_head(read_to_the_end(connection))
        _, part = body.split(b"\r\n")
        with pytest.raises(ValueError):  # noqa: PT011 - of two kinds, as it falls within a character or not
            json.loads(part)
        places.add(len(part))
    assert len(places) > 5


def test_a_scripts_own_cut_stays_at_the_half() -> None:
    with Simulator(script=[(Cut(),)], framing="close") as simulator, asking(simulator) as connection:
        _, part = split_head(read_to_the_end(connection))
    (entry,) = simulator.log
    line, _ = simulator.item(entry.number, ENDPOINTS[SAMPLE], {})
    assert len(part) == len(line) // 2


@pytest.mark.parametrize(
    ("name", "value"),
    [("backlog", -1.0), ("connections", 0), ("zombie", -0.1), ("queue", 0.0), ("logged", 0)],
)
def test_a_setting_out_of_range_is_refused_by_its_name(name: str, value: float) -> None:
    settings: Any = {name: value}
    with pytest.raises(ValueError, match=rf"{name} is {value}, must be "):
        Simulator(**settings)
