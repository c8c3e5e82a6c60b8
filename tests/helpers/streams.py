"""Both types of stream, to be played the same."""

from __future__ import annotations

import asyncio
from typing import Any

import requests

from helpers.shortcuts import namespace
from xdk_streaming import AsyncStream, Stream

StreamType = type[Stream[Any]] | type[AsyncStream[Any]]
STREAM_TYPES: list[StreamType] = [Stream, AsyncStream]


def take_all(stream: Stream[Any] | AsyncStream[Any], items: list[Any]) -> None:
    """Iterate to the end; what came before an error is among the items."""
    if isinstance(stream, Stream):
        items.extend(stream)
    else:
        asyncio.run(_take_all(stream, items))


async def _take_all(stream: AsyncStream[Any], items: list[Any]) -> None:
    async for item in stream:
        items.append(item)


class Foreign:
    """A session whose responses hide how they are read, as those of other libraries do."""

    def __init__(self, session: requests.Session) -> None:
        self._session = session
        self.headers, self.auth = session.headers, None

    def get(self, url: str, **named: Any) -> Any:
        response = self._session.get(url, **named)
        return namespace(
            status_code=response.status_code,
            headers=response.headers,
            iter_content=response.iter_content,
            close=response.close,
        )
