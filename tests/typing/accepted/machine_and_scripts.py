"""The machine, its table and its pictures; scripts and what was asked for."""

from collections.abc import Iterator
from typing import Any

import requests
from typing_extensions import assert_type

from xdk_streaming import StreamConfig, StreamState
from xdk_streaming.machine import TABLE, ConnectionMachine, ConnectionState, Event, Row, Trigger, mermaid
from xdk_streaming.simulator import Cut, Script, Send, Serve
from xdk_streaming.testing import FakeClock, NoMoreConnections, ScriptedSession

own = Row(Trigger.START, ConnectionState.BACKOFF, ConnectionState.CONNECTING, "at once")
table: tuple[Row, ...] = (*TABLE, own)
machine = ConnectionMachine(StreamConfig(), StreamState(), table=table, rng=lambda: 0.5)
machine.fire(Event(Trigger.START, at=1.0))
assert_type(machine.connection_state, ConnectionState)
assert_type(mermaid(table, highlight=machine.connection_state), str)


def scripts() -> Iterator[Script | BaseException]:
    yield requests.ConnectionError("no route")
    yield [Serve(2), Cut()]
    yield (Send(b"{}"),)


session = ScriptedSession(scripts(), clock=FakeClock(now=5.0))
try:
    session.get("https://api.x.com", params={"a": "b"})
except requests.ConnectionError:
    assert_type(session.calls, list[dict[str, Any]])
assert_type(session.get("https://api.x.com"), requests.Response)
session.post("https://api.x.com").close()
try:
    session.get("https://api.x.com")
except NoMoreConnections as ended:
    assert_type(ended.response_body, str | None)
