"""Scripts have the same effect on a client in memory and over a real socket."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import requests

from helpers.shortcuts import ids
from xdk_streaming import Stream, StreamConfig, StreamError, StreamErrorType, Transition
from xdk_streaming.simulator import (
    HEARTBEAT,
    OPERATIONAL_DISCONNECT,
    UNAVAILABLE,
    Cut,
    End,
    Notice,
    Refuse,
    Reset,
    Script,
    Send,
    Serve,
    Simulator,
    Stall,
)
from xdk_streaming.testing import FakeClock, ScriptedSession

PATH = "/2/tweets/sample/stream"
LAST: Script = (Refuse(403, b'{"title":"Forbidden","type":"about:blank"}'),)
"""The last script of every test: a refusal that no retry can cure."""

POST = b'{"data":{"id":"sent"}}'

STORIES: dict[str, list[Script]] = {
    "items and a clean end": [(Serve(3), End())],
    "a script that runs out": [(Serve(1),), ()],
    "several connections": [(Serve(2), End()), (Serve(1), End()), (Serve(2), End())],
    "heartbeats between items": [(HEARTBEAT, Serve(1), HEARTBEAT, HEARTBEAT, Serve(1), End())],
    "cut off": [(Serve(2), Cut()), (Serve(1), End())],
    "reset": [(Serve(2), Reset()), (Serve(1), End())],
    "cut off at once": [(Cut(),), (Serve(1), End())],
    "stalled": [(Serve(1), Stall()), (Serve(1), End())],
    "stalled at once": [(Stall(),), (Serve(1), End())],
    "refused": [(UNAVAILABLE,), (Refuse(502, b"<html>"),), (Serve(1), End())],
    "a notice that ends the stream": [(Serve(1), OPERATIONAL_DISCONNECT, End()), (Serve(1), End())],
    "a notice that does not": [(Notice({"errors": [{"title": "odd", "type": "odd"}]}), Serve(1), End())],
    "lines cut anywhere": [(Send(POST[:9]), Send(POST[9:] + b"\r"), Send(b"\n" + POST), Send(b"\n"), End())],
    "nothing sent": [(Send(b""), Serve(1), Send(b""), End())],
    "a line that is no item": [(Serve(1), Send(b"<!-- \xff\r\n"), Serve(1), End())],
    "a whole item without its end": [(Serve(1), Send(POST), End())],
    "half an item": [(Serve(1), Send(POST[:9]), End()), (Serve(1), End())],
    "nothing after an end": [(Serve(1), End(), Serve(1))],
    "nothing after a cut": [(Serve(1), Cut(), Serve(1))],
    "nothing after a refusal": [(UNAVAILABLE, Serve(1))],
}


def told(session: Any, url: str, **options: Any) -> tuple[list[str], list[tuple[Any, ...]], tuple[int, int]]:
    """The ids that a client received, its transitions, and its counts."""
    config = StreamConfig(initial_backoff=0, stall_timeout=options.pop("stall_timeout"))
    changes: list[Transition] = []
    config.on_state_change = changes.append
    received: list[Any] = []
    with Stream[Any](session, "get", url, config, **options) as stream:
        with suppress(StreamError):
            for item in stream:
                received.append(item)
        counts = (stream.state.heartbeats, stream.state.invalid_items)
    went_through = [
        (change.trigger, change.dest, change.error and (change.error.error_type, change.error.status_code))
        for change in changes
    ]
    return ids(received), went_through, counts


@pytest.mark.parametrize("story", STORIES)
def test_a_script_is_the_same_to_a_client_in_memory_and_over_a_socket(
    story: str, session: requests.Session, tmp_path: Path
) -> None:
    scripts: Sequence[Script] = [*STORIES[story], LAST]
    recorded = tmp_path / "as-in-memory.ndjson"
    recorded.write_bytes(b"".join(b'{"data":{"id":"%d"}}\n' % number for number in range(1, 20)))
    clock = FakeClock()
    in_memory = told(
        ScriptedSession(scripts, clock=clock), "https://memory" + PATH, stall_timeout=30, clock=clock
    )
    with Simulator(script=scripts, replay=recorded) as simulator:
        stalls = any(isinstance(step, Stall) for script in scripts for step in script)
        over_a_socket = told(session, simulator.url + PATH, stall_timeout=0.3 if stalls else 20)
    assert over_a_socket == in_memory
    assert in_memory[1][-1][2] == (StreamErrorType.AUTHENTICATION_ERROR, 403), "it was not told to the end"


def test_the_stories_are_of_every_step() -> None:
    steps = {type(step) for scripts in STORIES.values() for script in scripts for step in script}
    assert steps == {Serve, Send, Notice, Refuse, Stall, End, Cut, Reset}
