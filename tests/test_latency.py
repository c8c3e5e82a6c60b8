"""An item comes out the moment its line is there: before the server sends its next byte."""

from __future__ import annotations

import threading
from typing import Any

import pytest
import requests

from helpers.shortcuts import ids
from xdk_streaming import Stream
from xdk_streaming.simulator import HEARTBEAT, End, Send, Serve, Simulator

GUARD = 20.0


class Await:
    """A step: the server sends nothing more until the client says that it has the item."""

    def __init__(self) -> None:
        self.item_came = threading.Event()
        self.in_time = False

    def play(self, wire: Any) -> None:
        self.in_time = self.item_came.wait(GUARD)


pytestmark = pytest.mark.usefixtures("route")


@pytest.mark.parametrize("framing", ["chunked", "close"])
@pytest.mark.parametrize("encoding", [None, "gzip", "deflate"])
def test_an_item_on_an_idle_stream_does_not_wait_for_what_follows(
    framing: Any, encoding: Any, session: requests.Session
) -> None:
    waits = [Await(), Await(), Await(), Await()]
    script = [
        (
            Serve(1),
            waits[0],
            HEARTBEAT,
            Serve(1),
            waits[1],
            Send(b'{"data":{"id":"in two'),
            Send(b' pieces"}}\n'),
            waits[2],
            Send(b'{"data":{"id":"caf\xc3'),
            Send(b'\xa9"}}\r'),
            Send(b"\n"),
            waits[3],
            End(),
        )
    ]
    with Simulator(script=script, framing=framing, encoding=encoding) as simulator:
        stream = Stream[dict[str, Any]](session, "get", simulator.url + "/2/tweets/sample/stream")
        received = []
        for wait, item in zip(waits, stream, strict=False):
            received.append(item)
            wait.item_came.set()
        stream.close()
    assert all(wait.in_time for wait in waits)
    assert ids(received)[2:] == ["in two pieces", "café"]
