"""Items of one's own making: a function from a line to an item is a decoder."""

import json
from dataclasses import dataclass

from xdk_streaming import Stream, StreamConfig
from xdk_streaming.simulator import HEARTBEAT, Send
from xdk_streaming.testing import FakeClock, NoMoreConnections, ScriptedSession


@dataclass(frozen=True)
class Post:
    id: int
    words: int


def post(line: bytes) -> Post:
    """Asked for every line that is an item; what it raises goes to `on_invalid`."""
    data = json.loads(line)["data"]
    return Post(int(data["id"]), len(data["text"].split()))


def refused(line: bytes, reason: str) -> None:
    print(line.decode(), "->", reason)


LINES = b'{"data":{"id":"7","text":"to be or not"}}\n{"data":{"id":"8"}}\n{"data":{"id":"9","text":"yes"}}\n'

session = ScriptedSession([(HEARTBEAT, Send(LINES))])
config = StreamConfig(on_invalid=refused)
try:
    for item in Stream(session, "get", "https://api.x.com", config, response_model=post, clock=FakeClock()):
        print(item.id, item.words)
except NoMoreConnections:
    print("done")
