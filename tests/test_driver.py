"""What the driver and its connections owe to whoever stands beside them."""

from __future__ import annotations

import gc
import weakref
from pathlib import Path
from typing import Any

import pytest

from xdk_streaming import Buffer, Recovery, Stream, StreamConfig, StreamError, Trigger
from xdk_streaming.driver.connection import Connection
from xdk_streaming.simulator import Cut, Refuse, Send, Serve
from xdk_streaming.testing import FakeClock, ScriptedSession

URL = "http://nowhere/2/tweets/sample/stream"
END = (Refuse(401),)


def text(line: bytes) -> str:
    """A decoder that throws away what tells its items apart."""
    return "text" if b'"data"' in line else "?"


def taken_count(stream: Stream[Any]) -> int:
    """How many items come before the final error."""
    count = 0
    with pytest.raises(StreamError):
        for _ in stream:
            count += 1
    return count


def test_items_of_a_function_are_told_apart_by_their_lines() -> None:
    config = StreamConfig(recovery=Recovery())
    session = ScriptedSession(
        [(Serve(3), Cut(half=False)), (Send(b'{"data":{"id":"2"}}\r\n'), Serve(1)), END]
    )
    stream = Stream(session, "get", URL, config, response_model=text, clock=FakeClock())
    assert taken_count(stream) == 4
    assert stream.state.duplicate_items == 1


def test_a_key_of_ones_own_gets_what_the_function_made() -> None:
    config = StreamConfig(recovery=Recovery(key=lambda item: item))
    stream = Stream(
        ScriptedSession([(Serve(3),), END]), "get", URL, config, response_model=text, clock=FakeClock()
    )
    assert taken_count(stream) == 1
    assert stream.state.duplicate_items == 2


def test_an_item_that_no_line_end_ended_is_the_same_item_again() -> None:
    config = StreamConfig(recovery=Recovery())
    bare = b'{"data":{"id":"7"}}'
    session = ScriptedSession([(Send(bare),), (Send(bare + b"\n"),), END])
    stream = Stream(session, "get", URL, config, response_model=text, clock=FakeClock())
    assert taken_count(stream) == 1


def test_a_function_is_not_asked_for_lines_that_nobody_will_get() -> None:
    asked: list[bytes] = []

    def decode(line: bytes) -> bytes:
        asked.append(line)
        return line

    lines = b"".join(b'{"data":{"id":"%d"}}\n' % number for number in range(5))
    session = ScriptedSession([(Send(lines),)])
    with Stream(session, "get", URL, response_model=decode, clock=FakeClock()) as stream:
        for _ in stream:
            stream.stop()
    assert len(asked) == 1
    assert stream.state.undelivered_items == 4


def test_a_notice_is_the_last_word_only_if_no_line_follows_it() -> None:
    notice = b'{"errors":[{"title":"Something","type":"https://api.x.com/2/problems/new"}]}\n'
    bad = b'{"data":[}\n' * 4
    lines = b'{"data":{"id":"1"}}\n'
    config = StreamConfig(max_retries=0, buffer=Buffer())
    session = ScriptedSession([(Send(lines), Send(notice), Send(bad))])
    stream = Stream(session, "get", URL, config, clock=FakeClock())
    assert taken_count(stream) == 1
    assert [transition.trigger for transition in stream.history if transition.error is None] == [
        Trigger.START,
        Trigger.OPENED,
        Trigger.ENDED,
    ]


def test_lost_connections_need_no_garbage_collection(monkeypatch: pytest.MonkeyPatch) -> None:
    alive: weakref.WeakSet[Connection] = weakref.WeakSet()
    made = Connection.__init__

    def noted(self: Connection, *arguments: Any) -> None:
        made(self, *arguments)
        alive.add(self)

    monkeypatch.setattr(Connection, "__init__", noted)
    gc.collect()
    gc.disable()
    try:
        session = ScriptedSession([*[(Serve(2),)] * 20, END])
        stream = Stream(session, "get", URL, StreamConfig(max_retries=-1), clock=FakeClock())
        assert taken_count(stream) == 40
        assert len(alive) <= 1  # the last one may be in hand still
    finally:
        gc.enable()


def test_the_checkpoint_is_closed_even_if_reporting_is_interrupted(tmp_path: Path) -> None:
    def interrupt(line: bytes, reason: str) -> None:
        raise KeyboardInterrupt

    config = StreamConfig(
        recovery=Recovery(checkpoint=tmp_path / "seen"), buffer=Buffer(), on_invalid=interrupt
    )
    session = ScriptedSession([(Serve(1), Send(b"broken\n")), END])
    with pytest.raises(KeyboardInterrupt):
        list(Stream(session, "get", URL, config, clock=FakeClock()))
    again = Stream(ScriptedSession([END]), "get", URL, config, clock=FakeClock())
    with pytest.raises(StreamError, match="401"):  # and not that the checkpoint is in use
        list(again)


def test_a_stop_before_a_step_that_takes_time_keeps_it_from_being_taken() -> None:
    session = ScriptedSession([(Serve(3),), END])
    driver = Stream(session, "get", URL, clock=FakeClock())._driver
    assert list(driver.run(driver.stop)) == []
    assert session.calls == []
