"""Batches are lists of items, and a position goes back into the settings."""

import asyncio
from collections.abc import Hashable
from typing import Any

from pydantic import BaseModel
from typing_extensions import assert_type

from xdk_streaming import AsyncStream, Recovery, Stream, StreamConfig, item_key
from xdk_streaming.simulator import Serve, Stall
from xdk_streaming.testing import FakeClock, ScriptedSession

URL = "https://api.x.com/2/tweets/sample/stream"


class Post(BaseModel):
    data: dict[str, Any]


def session() -> ScriptedSession:
    return ScriptedSession([(Serve(5), Stall())])


def stored(position: float | None) -> float | None:
    config = StreamConfig(recovery=Recovery(resume_from=position, dedupe=False))
    with Stream(session(), "get", URL, config, clock=FakeClock()) as stream:
        for posts in stream.batches(max_items=5, max_seconds=1):
            assert_type(posts, list[dict[str, Any]])
            assert_type(stream.position, float | None)
            assert_type(item_key(posts[0]), Hashable)
            break
        return stream.position


async def main() -> int:
    async with AsyncStream(session(), "get", URL, response_model=Post, clock=FakeClock()) as stream:
        async for posts in stream.batches(5):
            assert_type(posts, list[Post])
            return len(posts)
    return 0


assert stored(None) is not None
assert asyncio.run(main()) == 5
