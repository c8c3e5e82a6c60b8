"""The face for asyncio has the same types."""

import asyncio
from typing import Any

from pydantic import BaseModel
from typing_extensions import assert_type

from xdk_streaming import AsyncStream, ConnectionState, StreamConfig, StreamError, astream_with_retry
from xdk_streaming.simulator import Serve, Stall
from xdk_streaming.testing import FakeClock, ScriptedSession

URL = "https://api.x.com/2/tweets/sample/stream"


class Post(BaseModel):
    data: dict[str, str]


async def connected() -> None:
    """A callback may be a coroutine function."""


async def failed(error: StreamError) -> None:
    assert error.is_retryable


def session() -> ScriptedSession:
    return ScriptedSession([(Serve(2), Stall())])


async def main() -> int:
    count = 0
    config = StreamConfig(on_connect=connected, on_error=failed)
    async with AsyncStream(session(), "get", URL, config, clock=FakeClock(), rng=lambda: 0.5) as stream:
        assert_type(stream, AsyncStream[dict[str, Any]])
        async for post in stream:
            assert_type(post, dict[str, Any])
            count += 1
            stream.stop()
    assert_type(stream.connection_state, ConnectionState)
    async with AsyncStream(session(), "get", URL, response_model=Post) as posts:
        async for model in posts:
            assert_type(model, Post)
            count += 1
            posts.stop()
    async for line in astream_with_retry(session(), "get", URL, response_model=bytes):
        assert_type(line, bytes)
        count += 1
        break
    return count


assert asyncio.run(main()) == 3
