"""A driver in a thread of its own: order, bounds, ends, and that nothing of it stays behind."""

from __future__ import annotations

import gc
import itertools
import linecache
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from types import FrameType
from typing import Any

import pytest

from helpers.consumers import GUARD, Consumer, bombarded, ctrl_c, interrupt
from helpers.servers import until
from helpers.systems import USER_SIGNAL
from xdk_streaming.config import Buffer
from xdk_streaming.driver.handover import OneByOne
from xdk_streaming.driver.parcel import Parcel
from xdk_streaming.driver.parcel_queue import ParcelQueue
from xdk_streaming.driver.producer import Receipt
from xdk_streaming.driver.threaded import END, PARCEL_BYTES, PARCEL_ITEMS, Threaded
from xdk_streaming.errors import StreamError, StreamErrorType
from xdk_streaming.recovery.tracker import Position
from xdk_streaming.state import Lag, StreamState
from xdk_streaming.testing import FakeClock

ITEM = b"x" * 10
LOST = StreamError("lost", StreamErrorType.CLIENT_ERROR)


class Tap:
    """A driver: yields bytes, calls what can be called, raises what is an exception."""

    def __init__(self, steps: Iterable[Any], *, at_hand: bool = False) -> None:
        self.given = 0
        self.at_hand = at_hand
        """Whether the next item comes without a wait; else there is one after each item."""
        self.clock = FakeClock()
        self.gaps: list[tuple[int, float, float]] = []
        self.delivered_items: list[Any] = []
        self.told_on: set[threading.Thread] = set()
        self.last = b""
        self.runs: list[threading.Thread] = []
        self.closed = False
        self.stopped = False
        self.failure: StreamError | None = None
        self._steps = steps
        self._wake = threading.Lock()
        self._wake.acquire()

    def run(self, before_wait: Callable[[], object], *, hands_over_lines: bool) -> Generator[Any, None, None]:
        assert not hands_over_lines
        self.runs.append(threading.current_thread())
        try:
            for step in self._steps:
                if self.stopped:
                    return
                if self.failure is not None:
                    raise self.failure
                if isinstance(step, BaseException):
                    raise step
                if callable(step):
                    step()
                    continue
                self.last = step
                self.given += 1
                yield step
                if not self.at_hand:
                    before_wait()
        finally:
            self.closed = True

    def wait(self) -> None:
        """A step: wait for bytes that do not come."""
        self._wake.acquire()

    def receipt(self) -> Receipt:
        return Receipt(len(self.last), self.clock.time(), self.position())

    def position(self) -> Position:
        return Position(self.given, float(self.given))

    def delivered(self, position: Position) -> None:
        if position.key is not None:
            self.delivered_items.append(position.key)

    def dropped(self, *gap: Any) -> None:
        self.told_on.add(threading.current_thread())
        self.gaps.append(gap)

    def read(self, lines: Iterator[Any]) -> Iterator[Any]:
        raise NotImplementedError("no lines are handed over here")

    def stop(self) -> None:
        self.stopped = True
        if self._wake.locked():
            try:
                self._wake.release()
            except RuntimeError:
                return

    def fail(self, error: StreamError) -> None:
        self.failure = error


class Harness:
    """A tap with a thread of its own, and what it told."""

    def __init__(self, *steps: Any, at_hand: bool = False, **buffer: Any) -> None:
        each = itertools.chain.from_iterable(s if isinstance(s, Iterator) else [s] for s in steps)
        self.tap = Tap(each, at_hand=at_hand)
        self.clock, self.gaps, self.told_on = self.tap.clock, self.tap.gaps, self.tap.told_on
        self.state = StreamState()
        self.lags: list[Lag] = []
        self.wakes = 0
        self.threaded = Threaded(
            self.tap,
            Buffer(**buffer),
            self.state,
            self.clock,
            on_lag=self._on_lag,
            on_ready=self._woken,
        )
        self.items = self.threaded.items(OneByOne(self.threaded))

    @property
    def lag(self) -> tuple[int, int]:
        return self.state.lag_items, self.state.lag_bytes

    def _on_lag(self, lag: Lag) -> None:
        self.told_on.add(threading.current_thread())
        self.lags.append(lag)

    def _woken(self) -> None:
        self.wakes += 1


def threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "xdk_streaming"]


def numbered(count: int) -> Iterator[bytes]:
    return (b"%010d" % number for number in range(count))


def inside(thread: threading.Thread, function: Callable[..., object]) -> bool:
    """Whether this thread runs, or waits in, this function."""
    frame = sys._current_frames().get(thread.ident or 0)
    while frame is not None and frame.f_code is not function.__code__:
        frame = frame.f_back
    return frame is not None


def has_filled(harness: Harness) -> bool:
    """Whether the driver's thread waits for room."""
    return bool(harness.tap.runs) and inside(harness.tap.runs[0], Threaded._made_room)


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    before = threads()
    yield
    assert set(threads()) <= set(before)


# Order and ends


@pytest.mark.parametrize("at_hand", [False, True])
@pytest.mark.parametrize("count", [0, 1, PARCEL_ITEMS, 5 * PARCEL_ITEMS + 1])
def test_items_come_in_order_each_once(count: int, at_hand: bool) -> None:
    harness = Harness(numbered(count), at_hand=at_hand)
    assert list(harness.items) == list(numbered(count))
    assert harness.tap.closed
    assert harness.lag == (0, 0)
    assert harness.state.undelivered_items == harness.state.dropped_items == 0


@pytest.mark.parametrize("error", [LOST, SystemExit(3), AssertionError()])
@pytest.mark.parametrize("at_hand", [False, True])
def test_what_the_driver_raises_comes_after_all_items_before_it(error: BaseException, at_hand: bool) -> None:
    harness = Harness(numbered(600), error, at_hand=at_hand)
    items: list[Any] = []
    with pytest.raises(type(error)) as raised:
        for item in harness.items:
            items.append(item)
    assert items == list(numbered(600))
    assert raised.value is error
    assert raised.value.__context__ is None
    assert harness.state.undelivered_items == 0


def test_the_items_before_an_error_are_delivered() -> None:
    harness = Harness(numbered(3), LOST, at_hand=True)
    assert [next(harness.items) for _ in range(3)] == list(numbered(3))
    with pytest.raises(StreamError):
        next(harness.items)
    assert next(harness.items, None) is None


def test_an_iterator_that_is_never_asked_starts_no_thread() -> None:
    harness = Harness(ITEM)
    assert threads() == []
    harness.items.close()
    assert harness.tap.runs == []


def test_a_stream_that_was_stopped_before_starts_no_thread() -> None:
    harness = Harness(ITEM)
    harness.threaded.stop()
    assert list(harness.items) == []
    assert harness.tap.runs == []


def test_an_item_is_handed_over_as_soon_as_no_other_is_at_hand() -> None:
    harness = Harness(ITEM)
    harness.tap._steps = [ITEM, harness.tap.wait]
    assert next(harness.items) == ITEM
    harness.items.close()


def test_a_thousand_rounds_leave_no_thread() -> None:
    for _ in range(1000):
        harness = Harness(ITEM, ITEM)
        assert next(harness.items) == ITEM
        harness.items.close()
        assert threads() == []
        assert harness.tap.closed


# Leaving


def endless() -> Iterator[bytes]:
    return itertools.repeat(ITEM)


@pytest.mark.parametrize("overflow", ["block", "drop_oldest", "fail"])
def test_leaving_while_items_flood_in_ends_it_all(overflow: str) -> None:
    harness = Harness(endless(), max_bytes=1000, overflow=overflow)
    assert next(harness.items) == ITEM
    harness.items.close()
    assert harness.tap.closed
    assert harness.lag == (0, 0)


def test_closing_while_the_driver_waits_for_room_ends_it_and_counts_what_is_left() -> None:
    harness = Harness(endless(), max_bytes=35)
    assert next(harness.items) == ITEM
    until(lambda: has_filled(harness) and harness.lag == (3, 30))
    harness.items.close()
    assert harness.tap.closed
    assert harness.state.undelivered_items == harness.tap.given - 1


def test_a_consumer_that_raises_and_drops_the_iterator_ends_it() -> None:
    harness = Harness(endless())
    items, harness.items = harness.items, iter(())  # type: ignore[assignment]

    def consume(items: Iterator[Any]) -> None:
        for _ in items:
            raise LookupError

    with pytest.raises(LookupError) as raised:
        consume(items)
    assert raised.value
    del items
    raised.value.__traceback__ = None
    del raised
    until(lambda: harness.tap.closed)


def test_an_unfinished_iterator_in_a_cycle_is_collected_and_ends_it() -> None:
    harness = Harness(endless(), max_bytes=35)
    cycle: list[Any] = [harness.items]
    cycle.append(cycle)
    next(harness.items)
    harness.items = iter(())  # type: ignore[assignment]
    del cycle
    gc.collect()
    assert harness.tap.closed
    assert threads() == []


def test_a_collection_on_the_drivers_own_thread_ends_it() -> None:
    harness = Harness()
    asked = threading.Event()

    def collect() -> None:
        assert asked.wait(GUARD)
        box.pop().close()

    harness.tap._steps = [ITEM, collect, ITEM, ITEM]
    box = [harness.items]
    assert next(harness.items) == ITEM
    asked.set()
    until(lambda: harness.tap.closed)
    until(lambda: not threads())


def test_a_script_that_leaves_its_iterator_unfinished_ends_cleanly() -> None:
    code = """
import atexit, sys
sys.path[:0] = ["tests"]
from test_threaded import Harness, endless
harness = Harness(endless(), max_bytes=35)
atexit.register(lambda: print(harness.tap.closed))
items, harness.items = harness.items, None  # only the script holds it
print(next(items))
"""
    run = subprocess.run(
        [sys.executable, "-X", "dev", "-c", code], capture_output=True, text=True, timeout=GUARD
    )
    assert (run.returncode, run.stdout, run.stderr) == (0, f"{ITEM!r}\nTrue\n", "")


# Stopping


def test_stop_from_another_thread_wakes_a_waiting_consumer() -> None:
    harness = Harness()
    harness.tap._steps = [ITEM, harness.tap.wait]
    consumer = Consumer(harness.items)
    until(lambda: consumer.items)
    harness.threaded.stop()
    assert consumer.result() == [ITEM]


def test_stop_wakes_a_driver_that_waits_for_room() -> None:
    harness = Harness(endless(), max_bytes=35)
    next(harness.items)
    until(lambda: has_filled(harness))
    harness.threaded.stop()
    until(lambda: harness.tap.closed)
    assert list(harness.items) == []
    assert harness.state.undelivered_items == harness.tap.given - 1


@pytest.mark.parametrize("at_hand", [False, True])
def test_after_stop_nothing_is_delivered_and_all_of_it_is_counted(at_hand: bool) -> None:
    harness = Harness(numbered(1000), LOST, at_hand=at_hand)
    received = []
    for item in harness.items:
        received.append(item)
        if len(received) == 2:
            until(lambda: harness.tap.closed)
            harness.threaded.stop()
    assert received == list(numbered(2))
    assert harness.state.undelivered_items == 998
    assert harness.lag == (0, 0)


def test_stop_from_a_callback_ends_it() -> None:
    harness = Harness()
    harness.tap._steps = [ITEM, harness.threaded.stop, ITEM]
    assert list(harness.items) in ([], [ITEM])
    assert harness.tap.given == 1


def test_a_callback_that_ends_the_program_is_heard_though_the_stream_was_stopped() -> None:
    harness = Harness()

    def leave() -> None:
        harness.threaded.stop()
        raise SystemExit(3)

    harness.tap._steps = [ITEM, leave]
    with pytest.raises(SystemExit):
        list(harness.items)


def waits(thread: threading.Thread, threaded: Threaded) -> bool:
    """Whether the consumer of an idle stream is in its iterator."""
    return threaded._thread.is_alive() and inside(thread, Threaded.items)


def test_a_thousand_signals_whose_handlers_stop_it_end_a_waiting_consumer() -> None:
    harness, main = Harness(), threading.current_thread()
    harness.tap._steps = [ITEM, harness.tap.wait]
    handler = lambda *_: harness.threaded.stop()  # noqa: E731
    with bombarded(USER_SIGNAL, handler, lambda: waits(main, harness.threaded)):
        assert list(harness.items) in ([], [ITEM])
    assert harness.tap.closed


def test_a_thousand_signals_whose_handlers_stop_it_end_a_flood() -> None:
    harness = Harness(endless(), max_bytes=1000)
    with bombarded(USER_SIGNAL, lambda *_: harness.threaded.stop(), lambda: harness.tap.given > 5000):
        list(harness.items)
    assert harness.tap.closed


def test_a_signal_raised_between_two_items_stops_it() -> None:
    harness = Harness(endless())
    before = signal.signal(USER_SIGNAL, lambda *_: harness.threaded.stop())
    try:
        for _ in harness.items:
            signal.raise_signal(USER_SIGNAL)
    finally:
        signal.signal(USER_SIGNAL, before)
    assert harness.tap.closed


def test_ctrl_c_interrupts_a_waiting_consumer_and_ends_it_all() -> None:
    harness, main = Harness(), threading.current_thread()
    harness.tap._steps = [harness.tap.wait]
    with pytest.raises(KeyboardInterrupt), ctrl_c(lambda: waits(main, harness.threaded)):
        list(harness.items)
    assert harness.tap.closed


def source(frame: FrameType) -> str:
    return linecache.getline(frame.f_code.co_filename, frame.f_lineno).strip()


def walked(harness: Harness, at: int | None) -> int:
    """Iterate three items and close, with Ctrl-C at this line of the module; how many lines there were."""
    lines = 0

    def step(frame: FrameType, event: str, argument: object) -> Any:
        nonlocal lines
        if event == "line" and source(frame) != "try:":  # no signal is seen there: it is nothing that runs
            lines += 1
            if lines - 1 == at:
                sys.settrace(None)
                interrupt()
        return step

    code = {value.__code__ for value in vars(Threaded).values() if hasattr(value, "__code__")}
    before = sys.gettrace()
    sys.settrace(lambda frame, *_: step if frame.f_code in code else None)
    try:
        for _ in zip(range(3), harness.items, strict=False):
            pass
        harness.items.close()
    finally:
        sys.settrace(before)
    return lines


def test_ctrl_c_at_any_line_leaves_no_thread_and_no_driver() -> None:
    count = walked(Harness(endless(), max_bytes=35), None)
    assert count > 50
    interrupted = 0
    for at in range(count + 20):
        harness = Harness(endless(), max_bytes=35)
        try:
            walked(harness, at)
        except KeyboardInterrupt:
            interrupted += 1
        until(lambda: not threads())
        assert harness.tap.closed or not harness.tap.runs, at
    assert interrupted > 50


# A full queue


def test_block_holds_the_driver_back() -> None:
    harness = Harness(numbered(100), max_bytes=35)
    received = []
    for item in harness.items:
        received.append(item)
        until(lambda: harness.tap.closed or has_filled(harness))
        assert harness.state.lag_bytes <= 35
        assert harness.tap.given <= len(received) + 4  # three that are queued, and the one that waits
    assert received == list(numbered(100))


def test_an_item_longer_than_the_buffer_is_let_in_alone() -> None:
    long = b"x" * 100
    harness = Harness(ITEM, long, ITEM, long, long, max_bytes=35)
    seen = []
    for item in harness.items:
        until(lambda: harness.tap.closed or has_filled(harness))
        seen.append(item)
        assert harness.lag in {(0, 0), (1, len(ITEM)), (1, len(long))}
    assert seen == [ITEM, long, ITEM, long, long]


def test_drop_oldest_keeps_the_newest_counts_and_tells_once() -> None:
    harness = Harness(max_bytes=35, overflow="drop_oldest")
    go = threading.Event()

    def later() -> None:
        harness.clock.now += 1.0

    harness.tap._steps = itertools.chain(
        [b"first", lambda: go.wait(GUARD) and None],
        itertools.chain.from_iterable((later, item) for item in numbered(10)),
    )
    start = harness.clock.now
    assert next(harness.items) == b"first"
    go.set()
    until(lambda: harness.tap.closed)
    assert list(harness.items) == list(numbered(10))[-3:]
    assert harness.state.dropped_items == 7
    assert harness.gaps == [(7, start + 1, start + 7)]
    assert harness.told_on == set(harness.tap.runs)
    assert harness.state.undelivered_items == 0


def test_a_gap_is_told_when_the_queue_has_emptied_while_the_stream_goes_on() -> None:
    harness = Harness(max_bytes=35, overflow="drop_oldest")
    go, full, empty = threading.Event(), threading.Event(), threading.Event()
    harness.tap._steps = itertools.chain(
        [ITEM, lambda: go.wait(GUARD)],
        numbered(5),
        [full.set, lambda: empty.wait(GUARD), b"few", harness.tap.wait],
    )
    next(harness.items)
    go.set()
    assert full.wait(GUARD)
    assert harness.gaps == []
    assert [next(harness.items) for _ in range(3)] == list(numbered(5))[-3:]
    empty.set()
    assert next(harness.items) == b"few"
    until(lambda: harness.gaps)
    assert [count for count, _, _ in harness.gaps] == [2]
    harness.items.close()
    assert len(harness.gaps) == 1


def test_fail_delivers_what_is_queued_and_then_raises() -> None:
    harness = Harness(max_bytes=35, overflow="fail")
    go = threading.Event()
    harness.tap._steps = itertools.chain([b"first", lambda: go.wait(GUARD)], numbered(10))
    items = [next(harness.items)]
    go.set()
    until(lambda: harness.tap.closed)
    with pytest.raises(StreamError, match="The consumer is 40 bytes behind") as raised:
        for item in harness.items:
            items.append(item)
    assert raised.value is harness.tap.failure
    assert raised.value.error_type is StreamErrorType.FATAL_ERROR
    assert items == [b"first", *numbered(3)]
    assert harness.state.undelivered_items == harness.tap.given - 4


# Reports of the lag


def test_each_mark_is_told_once_when_it_is_passed() -> None:
    harness = Harness(max_bytes=100, high_watermark=0.5, low_watermark=0.2)
    gates = [threading.Event() for _ in range(4)]
    harness.tap._steps = itertools.chain(
        [ITEM, lambda: gates[0].wait(GUARD)],
        numbered(8),
        [gates[1].set, lambda: gates[2].wait(GUARD), ITEM, ITEM, ITEM, gates[3].set, harness.tap.wait],
    )
    next(harness.items)
    gates[0].set()
    assert gates[1].wait(GUARD)
    assert [(lag.behind, lag.items, lag.bytes) for lag in harness.lags] == [(True, 6, 60)]
    assert harness.lag == (8, 80)
    for _ in range(8):
        next(harness.items)
    assert harness.lag == (0, 0)
    gates[2].set()
    assert gates[3].wait(GUARD)
    assert [lag.behind for lag in harness.lags] == [True, False]
    assert harness.told_on == set(harness.tap.runs)
    harness.items.close()


def test_the_lag_in_seconds_is_the_age_of_the_oldest_item_not_yet_seen() -> None:
    harness = Harness()
    went_on = threading.Event()

    def later() -> None:
        harness.clock.now += 5.0

    harness.tap._steps = [
        ITEM,
        went_on.wait,
        later,
        ITEM,
        later,
        harness.threaded.flush,
        went_on.clear,
        harness.tap.wait,
    ]
    next(harness.items)
    went_on.set()
    until(lambda: not went_on.is_set())
    assert harness.state.lag_seconds == 10.0
    assert next(harness.items) == ITEM
    assert harness.state.lag_seconds == 5.0
    harness.items.close()
    assert harness.state.lag_seconds == 0.0


def test_a_low_watermark_above_the_high_one_is_refused() -> None:
    with pytest.raises(ValueError, match=r"low_watermark is 0\.9"):
        Buffer(low_watermark=0.9, high_watermark=0.5)


# Other faces


def test_an_item_counts_as_delivered_when_the_item_after_it_is_asked_for() -> None:
    harness = Harness(numbered(600), at_hand=True)
    marks = harness.tap.delivered_items
    for number, _ in enumerate(harness.items):
        assert marks == list(range(1, number + 1))
        if number == 400:
            break
    harness.items.close()
    assert len(marks) == 400


def test_taking_never_waits_and_one_wake_announces_each_parcel() -> None:
    harness = Harness(max_bytes=1000)
    harness.tap._steps = [ITEM, harness.tap.wait, ITEM, LOST]
    assert harness.threaded.take() is None
    harness.threaded.start()
    until(lambda: harness.wakes == 1)
    parcel = harness.threaded.take()
    assert isinstance(parcel, Parcel)
    assert list(OneByOne(harness.threaded).take(parcel)) == [ITEM]
    assert harness.threaded.take() is None
    harness.tap._wake.release()
    until(lambda: harness.wakes == 3)
    assert harness.threaded.take() is not END
    assert harness.threaded.take() is END
    with pytest.raises(StreamError):
        harness.threaded.check()
    harness.threaded.check()
    harness.threaded.close()


# All at once


@pytest.mark.parametrize("max_bytes", [1, 100, 5_000, PARCEL_BYTES * 20])
def test_a_fast_driver_and_a_consumer_of_moods_agree(max_bytes: int) -> None:
    chance, pause = random.Random(max_bytes), threading.Event()
    count = 20_000 if max_bytes > 100 else 2_000
    harness = Harness(numbered(count), at_hand=True, max_bytes=max_bytes)
    highest = 0
    for expected, item in zip(numbered(count), harness.items, strict=True):
        assert item == expected
        highest = max(highest, harness.state.lag_bytes)
        if chance.random() < 0.002:
            pause.wait(0.002)
    assert highest <= max(max_bytes, len(ITEM))
    assert harness.lag == (0, 0)


def test_while_the_oldest_are_dropped_the_rest_stay_in_order_and_all_are_accounted_for() -> None:
    chance, pause = random.Random(7), threading.Event()
    harness = Harness(numbered(50_000), at_hand=True, max_bytes=5_000, overflow="drop_oldest")
    received = []
    for item in harness.items:
        received.append(item)
        if chance.random() < 0.005:
            pause.wait(0.002)
    assert received == sorted(set(received))
    assert len(received) + harness.state.dropped_items == 50_000
    assert sum(count for count, _, _ in harness.gaps) == harness.state.dropped_items


def test_a_batch_that_the_consumer_takes_just_before_it_would_be_dropped_is_not_dropped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    drop = ParcelQueue.drop_oldest

    def taken_first(queue: ParcelQueue) -> Parcel | None:
        queue.take()
        return drop(queue)

    monkeypatch.setattr(ParcelQueue, "drop_oldest", taken_first)
    harness = Harness(numbered(2), max_bytes=15, overflow="drop_oldest")
    harness.threaded.start()
    until(lambda: harness.tap.closed)
    harness.threaded.close()
    assert harness.state.dropped_items == 0
    assert harness.gaps == []


def test_it_tells_whether_it_runs_and_whether_it_was_stopped() -> None:
    harness = Harness(b"first", b"second")
    assert (harness.threaded.running, harness.threaded.stopping) == (False, False)
    assert next(harness.items) == b"first"
    harness.threaded.stop()
    assert harness.threaded.stopping
    harness.items.close()
    assert not harness.threaded.running
