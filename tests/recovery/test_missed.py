"""Missed items, reported and brought back: whole lives of streams, in memory and without real time."""

from __future__ import annotations

import json
import logging
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from helpers.clients import wait_for
from xdk_streaming import Buffer, ConnectionState, Gap, Recovery, Stream, StreamConfig, StreamError
from xdk_streaming.recovery.bounds import stamp
from xdk_streaming.simulator import Cut, End, Notice, Open, Refuse, Script, Send, Stall
from xdk_streaming.testing import FakeClock, NoMoreConnections, ScriptedSession
from xdk_streaming.x import SNOWFLAKE_EPOCH

T0 = 1_700_000_000.0
URL = "https://api.x.example/2/tweets/search/stream"
CHUNKED = Open(200, {"Content-Type": "application/json", "Transfer-Encoding": "chunked"})
CUT = Cut(half=False)


def post(at: float, number: int = 0) -> bytes:
    """The line of a post that was published then; `number` distinguishes posts of the same moment."""
    published = int(at * 1000) - SNOWFLAKE_EPOCH
    return json.dumps({"data": {"id": str((published << 22) + number)}}).encode() + b"\n"


def naming(parameter: str, status: int = 403) -> Refuse:
    body = {"title": "Forbidden", "detail": f"`{parameter}` is for enterprises", "status": status}
    return Refuse(status, json.dumps(body).encode())


class Life:
    """A stream and all that it reported."""

    def __init__(self, *scripts: Script, recovery: Recovery | None = None, **rest: Any) -> None:
        self.clock = FakeClock(T0)
        self.session: Any = ScriptedSession(scripts, clock=self.clock)
        self.gaps: list[Gap] = []
        params = rest.pop("params", None)
        wait = rest.pop("wait", 10.0)
        settings = {"initial_backoff": wait, "backoff_multiplier": 1.0, "max_backoff": 10_000.0, **rest}
        config = StreamConfig(
            jitter=False,
            recovery=recovery,
            on_gap=self.gaps.append,
            **settings,
        )
        session: Any = self.session
        self.stream = Stream[Any](session, "get", URL, config, params, clock=self.clock)
        self.items: list[str] = []

    def run(self) -> Life:
        """As far as the scripts go."""
        try:
            for item in self.stream:
                self.items.append(item["data"]["id"])
        except NoMoreConnections:
            self.session.calls.pop()
        return self

    def asked(self, name: str = "backfill_minutes") -> list[Any]:
        """What each attempt asked for."""
        return [call["params"].get(name) for call in self.session.calls]


def losing(*lines: bytes) -> Script:
    return (CHUNKED, *map(Send, lines), CUT)


@pytest.mark.parametrize(
    ("wait", "minutes"), [(1.0, 1), (60.0, 1), (61.0, 2), (240.0, 4), (299.0, 5), (3_600.0, 5)]
)
def test_each_reconnect_asks_for_whole_minutes_and_the_first_for_none(wait: float, minutes: int) -> None:
    life = Life(losing(post(T0)), losing(post(T0 + wait)), recovery=Recovery(), wait=wait).run()
    assert life.asked() == [None, minutes]


def test_the_outage_is_measured_from_the_last_byte_and_not_from_the_last_post() -> None:
    quiet = (CHUNKED, Send(post(T0)), Stall(100.0), Send(b"\r\n"), CUT)
    life = Life(quiet, losing(post(T0)), recovery=Recovery()).run()
    assert life.asked() == [None, 1]


def test_the_parameter_and_the_most_minutes_can_be_set() -> None:
    recovery = Recovery(parameter="backfillMinutes", max_minutes=2)
    life = Life(losing(post(T0)), losing(), recovery=recovery, wait=500.0).run()
    assert life.asked("backfillMinutes") == [None, 2]


def test_without_recovery_nothing_is_asked_and_the_gap_says_so() -> None:
    life = Life(losing(post(T0)), losing(post(T0 + 10)), losing()).run()
    assert life.asked() == [None, None, None]
    assert life.gaps == [
        Gap(T0, T0 + 10, None, (T0, T0 + 10), "not asked"),
        Gap(T0 + 10, T0 + 20, None, (T0 + 10, T0 + 20), "not asked"),
    ]
    assert life.stream.state.gaps == 2
    assert life.stream.state.gap_seconds == 20.0


def test_a_gap_that_a_backfill_covers_has_nothing_uncovered() -> None:
    life = Life(losing(post(T0)), losing(post(T0 + 11)), recovery=Recovery()).run()
    assert life.gaps == [Gap(T0, T0 + 10, (T0, T0 + 10))]
    assert life.stream.state.gap_seconds == 0.0


def test_what_is_longer_ago_than_x_brings_back_remains_uncovered() -> None:
    life = Life(losing(post(T0)), losing(), recovery=Recovery(), wait=1_000.0).run()
    assert life.gaps == [Gap(T0, T0 + 1_000, (T0 + 700, T0 + 1_000), (T0, T0 + 700), "too long")]


def test_failed_attempts_lengthen_the_gap_and_add_none() -> None:
    unavailable = (Refuse(503, b"{}"),)
    life = Life(losing(post(T0)), unavailable, unavailable, losing(), recovery=Recovery(), wait=30.0).run()
    assert [(gap.lost_at, gap.back_at) for gap in life.gaps] == [(T0, T0 + 90)]
    assert life.asked() == [None, 1, 1, 2]


def test_half_a_line_is_not_taken_for_received() -> None:
    half = (CHUNKED, Send(post(T0)), Stall(7.0), Send(b'{"data":'), CUT)
    life = Life(half, losing()).run()
    assert life.gaps[0].lost_at == T0


def test_what_was_published_after_the_last_item_is_not_taken_for_received() -> None:
    late = (CHUNKED, Stall(8.0), Send(post(T0 + 2)), CUT)  # so much is under way, or waits at the server
    life = Life(late, losing()).run()
    assert life.gaps == [Gap(T0 + 8, T0 + 18, None, (T0 + 2, T0 + 18), "not asked")]


def test_a_piece_of_a_line_does_not_show_that_nothing_is_under_way() -> None:
    late = (CHUNKED, Send(post(T0)), Stall(8.0), Send(post(T0 + 1)[:9]), Stall(1.0), CUT)
    life = Life(late, losing()).run()
    assert life.gaps[0].uncovered == (T0, T0 + 19)


def test_a_notice_does_not_show_that_nothing_is_under_way() -> None:
    slow = {"errors": [{"title": "x", "disconnect_type": "SlowReader", "type": "a/operational-disconnect"}]}
    late = (CHUNKED, Send(post(T0)), Stall(8.0), Notice(slow), End())
    life = Life(late, losing()).run()
    assert life.gaps[0].uncovered == (T0, T0 + 18)
    assert life.gaps[0].why == "slow reader"


def test_an_id_that_is_too_old_to_be_the_items_own_dates_nothing() -> None:
    mention = b'{"data":{"entities":{"mentions":[{"id":"1460323737035677698"}]},"id":"1"}}\n'
    life = Life((CHUNKED, Stall(8.0), Send(mention), CUT), losing()).run()
    assert life.gaps[0].uncovered == (T0 + 8, T0 + 18)


def test_a_heartbeat_shows_that_nothing_is_under_way() -> None:
    life = Life((CHUNKED, Send(post(T0)), Stall(8.0), Send(b"\r\n"), CUT), losing()).run()
    assert life.gaps[0].uncovered == (T0 + 8, T0 + 18)


# The parameter that is refused.


@pytest.mark.parametrize("status", [400, 403])
def test_a_refused_parameter_is_withdrawn_with_a_warning_and_the_stream_goes_on(
    status: int, caplog: pytest.LogCaptureFixture
) -> None:
    told: list[Any] = []
    life = Life(
        losing(post(T0)),
        (naming("backfill_minutes", status),),
        losing(post(T0 + 10)),
        losing(),
        recovery=Recovery(),
        on_error=told.append,
        on_reconnect=lambda *announced: told.append(announced),
    ).run()
    assert life.asked() == [None, 1, None, None]
    assert [gap.why for gap in life.gaps] == ["not entitled", "not entitled"]
    assert [one for one in told if isinstance(one, tuple)][:3] == [(1, 10.0), (1, 0.0), (1, 10.0)]
    warnings = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
    assert len([text for text in warnings if "X refused backfill_minutes" in text]) == 1


def test_the_attempt_that_the_parameter_spoiled_does_not_count() -> None:
    spoiled = (naming("backfill_minutes"),)
    life = Life(losing(post(T0)), spoiled, losing(post(T0 + 1)), recovery=Recovery(), max_retries=1).run()
    assert len(life.items) == 2


def test_a_refusal_that_names_another_parameter_is_final() -> None:
    life = Life(losing(post(T0)), (naming("partition", 400),), recovery=Recovery())
    with pytest.raises(Exception, match="partition"):
        list(life.stream)
    assert life.stream.connection_state is ConnectionState.FAILED


# Where two connections meet.


def test_what_was_yielded_before_is_not_yielded_again_and_is_counted() -> None:
    first, second, third = (post(T0 + offset) for offset in (0, 1, 2))
    life = Life(losing(first, second), losing(second, first, third, third), recovery=Recovery()).run()
    assert len(life.items) == len(set(life.items)) == 3
    assert life.stream.state.duplicate_items == 3
    assert life.stream.state.total_items_received == 3


def test_a_backfilled_post_is_yielded_however_old_it_is() -> None:
    life = Life(losing(post(T0)), losing(post(T0 - 3_000)), recovery=Recovery()).run()
    assert len(life.items) == 2


def test_the_user_can_say_what_tells_items_apart() -> None:
    recovery = Recovery(key=lambda item: item["data"]["id"][-1])
    life = Life(losing(b'{"data":{"id":"11"}}\n', b'{"data":{"id":"21"}}\n'), recovery=recovery).run()
    assert life.items == ["11"]


def test_a_loss_while_the_backfill_is_under_way_asks_for_all_of_it_again() -> None:
    life = Life(
        losing(post(T0)),
        losing(post(T0 + 5)),
        losing(post(T0 + 6)),
        recovery=Recovery(),
        wait=50.0,
    ).run()
    assert life.asked() == [None, 1, 2]


def test_an_item_of_the_live_part_shows_that_the_backfill_is_over() -> None:
    life = Life(
        losing(post(T0)),
        losing(post(T0 + 5), post(T0 + 51)),
        losing(),
        recovery=Recovery(),
        wait=50.0,
    ).run()
    assert life.asked() == [None, 1, 1]


def test_a_heartbeat_on_a_connection_that_has_lasted_shows_it_as_well() -> None:
    standing = (CHUNKED, Send(post(T0 + 5)), Stall(15.0), Send(b"\r\n"), Stall(20.0), Send(b"\r\n"), CUT)
    life = Life(losing(post(T0)), standing, losing(), recovery=Recovery(), wait=50.0).run()
    assert life.asked() == [None, 1, 1]


def test_a_gap_after_a_slow_reader_says_so() -> None:
    slow = {"errors": [{"title": "x", "disconnect_type": "SlowReader", "type": "a/operational-disconnect"}]}
    life = Life((CHUNKED, Send(post(T0)), Notice(slow), End()), losing()).run()
    assert [gap.why for gap in life.gaps] == ["slow reader"]


# Bounded requests.

BOUNDED = {"start_time": stamp(T0 - 7_200), "end_time": stamp(T0 - 3_600)}


def test_the_clean_end_of_a_bounded_request_is_its_completion() -> None:
    life = Life((CHUNKED, Send(post(T0 - 7_000)), End()), losing(), params=BOUNDED).run()
    assert len(life.items) == len(life.session.calls) == 1
    assert life.stream.connection_state is ConnectionState.DISCONNECTED
    assert life.gaps == []


@pytest.mark.parametrize("names", [("start_time", "end_time"), ("startTime", "endTime")])
def test_a_broken_bounded_request_resumes_and_repeats_nothing(names: tuple[str, str]) -> None:
    params = dict(zip(names, BOUNDED.values(), strict=True))
    lines = [post(T0 - 7_000), post(T0 - 6_900), post(T0 - 6_800)]
    life = Life(losing(*lines[:2]), (CHUNKED, *map(Send, lines[1:]), End()), params=params).run()
    assert life.asked(names[0]) == [stamp(T0 - 7_200), stamp(T0 - 6_960)]
    assert life.asked(names[1]) == [BOUNDED["end_time"]] * 2
    assert len(life.items) == 3
    assert life.gaps == []


def test_one_that_breaks_before_its_first_item_is_asked_for_whole() -> None:
    life = Life(losing(), (CHUNKED, End()), params=BOUNDED).run()
    assert life.asked("start_time") == [BOUNDED["start_time"]] * 2


def test_a_body_that_only_its_close_ends_cannot_prove_its_completeness(
    caplog: pytest.LogCaptureFixture,
) -> None:
    life = Life(
        (Open(200, {"Content-Type": "application/json"}), Send(post(T0 - 7_000)), End()), params=BOUNDED
    )
    life.run()
    (gap,) = life.gaps
    assert (gap.uncovered, gap.why) == ((T0 - 7_000, T0 - 3_600), "unproven end")
    assert "may be missing" in caplog.text
    assert life.stream.connection_state is ConnectionState.DISCONNECTED


def test_a_bounded_request_with_an_unreadable_end_still_ends() -> None:
    close_delimited = Open(200, {"Content-Type": "application/json"})
    life = Life((close_delimited, Send(post(T0)), End()), params={"end_time": "tomorrow"}).run()
    assert life.gaps == []
    assert life.stream.connection_state is ConnectionState.DISCONNECTED


def test_the_stream_of_a_gap_asks_for_what_remains_of_it_and_no_backfill() -> None:
    life = Life(losing(post(T0)), losing(), params=lambda: {"lang": "en", "backfill_minutes": 2}, wait=99.5)
    (gap,) = life.run().gaps
    life.session._scripts = iter([(CHUNKED, Send(post(T0 + 3)), End())])
    assert len(list(gap.stream())) == 1
    bounds = {"start_time": stamp(T0), "end_time": stamp(T0 + 100)}
    assert life.session.calls[-1]["params"] == {"lang": "en", **bounds}


def test_a_gap_without_anything_uncovered_has_no_stream() -> None:
    with pytest.raises(ValueError, match="Nothing of this gap"):
        Gap(T0, T0 + 1, (T0, T0 + 1)).stream()


# With a checkpoint, over restarts.


def restarted(path: Path, at: float, *scripts: Script) -> Life:
    """Another process, later."""
    life = Life(*scripts, recovery=Recovery(checkpoint=path))
    life.clock.now = at
    return life


def test_a_restart_asks_for_what_it_missed_and_repeats_nothing(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint"
    Life(losing(post(T0), post(T0, 1)), recovery=Recovery(checkpoint=path), max_retries=-1).run()
    life = restarted(path, T0 + 130, losing(post(T0, 1), post(T0 + 60), post(T0 + 131))).run()
    assert life.asked() == [3]
    assert len(life.items) == 2
    assert life.gaps == [Gap(T0, T0 + 130, (T0, T0 + 130))]


def test_a_restart_in_the_middle_of_a_backfill_asks_for_all_of_it_again(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint"
    Life(losing(post(T0)), recovery=Recovery(checkpoint=path)).run()
    later = restarted(path, T0 + 200, losing(post(T0 + 5)))
    assert len(later.run().items) == 1
    last = restarted(path, T0 + 210, losing(post(T0 + 5), post(T0 + 6))).run()
    assert later.asked() == [4]
    assert last.asked() == [4]
    assert len(last.items) == 1


@pytest.mark.parametrize("buffer", [None, Buffer()])
@pytest.mark.parametrize(("fails", "again"), [(False, []), (True, ["in hand"])])
def test_the_last_item_counts_as_delivered_if_the_block_ends_cleanly(
    tmp_path: Path, buffer: Buffer | None, fails: bool, again: list[str]
) -> None:
    path = tmp_path / "checkpoint"
    before, in_hand = post(T0), post(T0, 1)
    first = Life(losing(before, in_hand), recovery=Recovery(checkpoint=path), buffer=buffer)
    with suppress(ZeroDivisionError), first.stream as stream:
        items = iter(stream)
        next(items), next(items)
        if fails:
            raise ZeroDivisionError
    second = restarted(path, T0 + 1, losing(before, in_hand)).run()
    assert second.items == [json.loads(in_hand)["data"]["id"] for _ in again]


def test_a_broken_off_loop_outside_a_block_leaves_its_item_undelivered(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint"
    first = Life(losing(post(T0)), recovery=Recovery(checkpoint=path))
    next(iter(first.stream))
    first.stream.close()
    assert len(restarted(path, T0 + 1, losing(post(T0))).run().items) == 1


def test_a_second_stream_on_a_checkpoint_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint"
    first = Life(losing(post(T0)), recovery=Recovery(checkpoint=path))
    with first.stream as stream:
        next(iter(stream))
        second = Life(losing(post(T0)), recovery=Recovery(checkpoint=path))
        with pytest.raises(StreamError, match="in use by another process or stream"):
            next(iter(second.stream))
        assert second.stream.connection_state is ConnectionState.FAILED
        assert second.session.calls == []


def test_a_damaged_checkpoint_is_renamed_and_the_stream_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "checkpoint"
    path.write_bytes(b"not what it was" * 100)
    life = Life(losing(post(T0)), recovery=Recovery(checkpoint=path)).run()
    assert len(life.items) == 1
    assert "was damaged" in caplog.text
    assert path.with_name("checkpoint.damaged-1").exists()


def test_a_buffer_that_is_to_fail_ends_the_stream_when_it_is_full() -> None:
    lines = [post(T0, number) for number in range(100)]
    buffer = Buffer(max_bytes=200, overflow="fail")
    life = Life((CHUNKED, Send(b"".join(lines)), End()), buffer=buffer)
    with (
        pytest.raises(StreamError, match="bytes behind, more than the buffer's max_bytes"),
        life.stream as stream,
    ):
        for item in stream:
            life.items.append(item)
            wait_for(lambda: stream.state.undelivered_items > 0)
    assert life.stream.connection_state is ConnectionState.FAILED
    assert len(life.items) + life.stream.state.undelivered_items == len(lines)
