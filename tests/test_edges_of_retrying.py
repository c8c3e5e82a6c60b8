"""How a stream gives up and how it does not, and what the end of a connection still brings."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests

from helpers.clients import wait_for
from helpers.consumers import (
    PATH,
    Post,
    Recorder,
    all_once,
    consumed,
    sees_the_client_leave,
    simulated,
    triggers,
)
from helpers.servers import SOON, Trust
from helpers.shortcuts import ids
from helpers.systems import open_sockets, posix
from xdk_streaming import RetriesExhausted, Stream, StreamConfig, StreamError, StreamErrorType, Trigger
from xdk_streaming.simulator import (
    OPERATIONAL_DISCONNECT,
    UNAVAILABLE,
    Cut,
    End,
    Refuse,
    Reset,
    Script,
    Send,
    Serve,
    Stall,
)
from xdk_streaming.testing import FakeClock

pytestmark = pytest.mark.usefixtures("nothing_stays_open")

Losses = dict[str, tuple[Script, StreamErrorType | None, int | None]]

LOSSES: Losses = {
    "clean end": ((End(),), None, None),
    "refusal": ((UNAVAILABLE,), StreamErrorType.SERVER_ERROR, 503),
    "reset": ((Reset(),), StreamErrorType.STREAM_INTERRUPTED, None),
    "stall": ((Stall(),), StreamErrorType.TIMEOUT, None),
    "truncation": ((Cut(),), StreamErrorType.STREAM_INTERRUPTED, None),
    "operational disconnect": ((OPERATIONAL_DISCONNECT, End()), StreamErrorType.STREAM_INTERRUPTED, None),
}
"""The script of each, the type of its error, and the status that comes with it."""


@pytest.fixture
def nobody() -> Iterator[str]:
    """A URL with a port on which nothing listens, and that no other process can take."""
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        yield f"://127.0.0.1:{reserved.getsockname()[1]}"


def exhausted(failure: StreamError | None, recorder: Recorder, attempts: int) -> RetriesExhausted:
    """The failure, as it must be whatever was lost: one of its own, passed once, and last."""
    assert isinstance(failure, RetriesExhausted)
    assert failure.error_type is StreamErrorType.FATAL_ERROR
    assert str(failure).startswith(f"Max retries exceeded after {attempts} attempts")
    assert recorder.errors.count(failure) == 1
    return failure


@pytest.mark.parametrize("loss", LOSSES)
def test_retries_exhausted_carries_the_last_loss_whatever_it_was(
    session: requests.Session, tls: Trust | None, loss: str
) -> None:
    script, error_type, status = LOSSES[loss]
    recorder = Recorder()
    config = recorder.config(max_retries=2, stall_timeout=SOON / 2 if loss == "stall" else 20.0)
    with simulated(session, tls, (Serve(2), End()), script, script) as simulator:
        stream = Stream[Post](session, "get", simulator.url + PATH, config)
        items, failure = consumed(stream)
        assert all_once(items, simulator)
        if loss == "stall":
            sees_the_client_leave(simulator)
    assert len(simulator.requests) == 3
    failure = exhausted(failure, recorder, attempts=2)
    recorder.ended_with(stream, failure)
    last = recorder.errors[-2] if error_type else None
    assert failure.__cause__ is last
    assert failure.status_code == status
    assert [error.error_type for error in recorder.errors[:-1]] == [error_type] * (2 if error_type else 0)
    if last is None:
        assert (failure.original_exception, failure.response_body, failure.problem) == (None, None, None)
        assert "ended the last connection cleanly" in str(failure)
    else:
        assert failure.original_exception is last.original_exception
        assert failure.response_body == last.response_body
        assert str(last) in str(failure)
    if loss != "refusal":
        assert len(recorder.disconnects) == 3
        assert recorder.disconnects[0] is None
        assert recorder.disconnects[-1] is (last and (last.original_exception or last))


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_retries_exhausted_by_a_connection_refused(
    session: requests.Session, nobody: str, scheme: str
) -> None:
    recorder = Recorder()
    stream = Stream[Post](session, "get", scheme + nobody, recorder.config(max_retries=2))
    items, failure = consumed(stream)
    assert items == []
    failure = exhausted(failure, recorder, attempts=2)
    recorder.ended_with(stream, failure)
    assert [error.error_type for error in recorder.errors[:-1]] == [StreamErrorType.CONNECTION_ERROR] * 3
    assert failure.__cause__ is recorder.errors[-2]
    assert isinstance(failure.original_exception, requests.ConnectionError)
    assert recorder.disconnects == []


@pytest.mark.parametrize("loss", [name for name in LOSSES if name != "stall"])
def test_the_first_loss_exhausts_the_retries_if_none_are_allowed(
    session: requests.Session, tls: Trust | None, loss: str
) -> None:
    recorder = Recorder()
    with simulated(session, tls, LOSSES[loss][0]) as simulator:
        config = recorder.config(max_retries=0)
        stream = Stream[Post](session, "get", simulator.url + PATH, config)
        _, failure = consumed(stream)
    recorder.ended_with(stream, exhausted(failure, recorder, attempts=0))
    assert recorder.calls("on_reconnect") == []
    assert len(simulator.requests) == 1


@pytest.mark.thorough
def test_1100_failures_in_a_row_stay_at_the_cap_and_leave_nothing_behind(
    session: requests.Session, nobody: str, clock: FakeClock
) -> None:
    failures = 1100
    before = open_sockets()

    def stop_at_the_last(attempt: int, delay: float) -> None:
        if attempt == failures:
            stream.stop()

    config = StreamConfig(max_retries=-1, jitter=False, on_reconnect=stop_at_the_last)
    stream = Stream[Post](session, "get", "http" + nobody, config, clock=clock)
    assert list(stream) == []
    # The last delay is announced, but not waited for: the stream is stopped by then.
    assert stream.state.retry_count == failures
    assert clock.waits[:7] == [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0]
    assert set(clock.waits[7:]) == {64.0}
    assert clock.now == 1_000_000.0 + sum(clock.waits[: failures - 1])
    assert len(stream.history) == 100
    assert triggers(stream)[-1] is Trigger.STOP
    # The thread of the last call may be about to close the sockets that wake the stream.
    wait_for(lambda: open_sockets() <= before)
    assert links(stream.state.last_error) < 20


def links(error: BaseException | None) -> int:
    """How many exceptions hang together: each keeps its traceback, and all that is in it, alive."""
    seen: dict[int, BaseException] = {}
    rest = [error]
    while rest:
        link = rest.pop()
        if link is not None and id(link) not in seen:
            seen[id(link)] = link
            rest += [link.__cause__, link.__context__]
    return len(seen)


class Broken:
    """The connection broken right here, and not in the middle of an item."""

    def __init__(self, deed: Callable[[Any], None]) -> None:
        self._deed = deed

    def play(self, wire: Any) -> None:
        self._deed(wire)


WHOLE = Send(b'{"data":{"id":"7"}}')


@pytest.mark.parametrize(
    ("framing", "end"),
    [
        ("chunked", "at a reset"),
        pytest.param("close", "at a reset", marks=posix("Wine ends a connection that should be reset")),
        ("chunked", "at a truncation"),
        ("chunked", "at a clean end"),
        ("close", "at a clean end"),
    ],
)
def test_whole_object_without_its_newline_is_an_item(
    session: requests.Session, tls: Trust | None, framing: Any, end: str
) -> None:
    recorder = Recorder()
    last: Any = {
        "at a reset": Broken(lambda wire: wire.reset()),
        "at a truncation": Broken(lambda wire: wire.cut()),
        "at a clean end": End(),
    }[end]
    again = Send(b'{"data":{"id":"8"}}\r\n')
    items: list[Post] = []
    told_at: list[int] = []
    with simulated(session, tls, (WHOLE, last), (again, End()), (Refuse(401),), framing=framing) as simulator:
        stream = Stream[Post](session, "get", simulator.url + PATH, recorder.config())
        with pytest.raises(StreamError, match="401") as failed:
            for item in stream:
                items.append(item)
                told_at.append(len(recorder.disconnects))
    assert ids(items) == ["7", "8"]
    assert told_at == [0, 1]  # each comes before the end of its connection is reported
    recorder.ended_with(stream, failed.value)
    broke = [error.error_type for error in recorder.errors[:-1]]
    if tls and framing == "close" and end == "at a reset":
        # Python's ssl shows a reset as an end before 3.11.9 (github.com/python/cpython/issues/115627).
        assert broke in ([], [StreamErrorType.STREAM_INTERRUPTED])
    else:
        assert broke == ([StreamErrorType.STREAM_INTERRUPTED] if end != "at a clean end" else [])
    assert [reason is None for reason in recorder.disconnects] == [not broke, True]
    assert recorder.calls("on_invalid") == []
    assert stream.state.invalid_items == stream.state.undelivered_items == 0
