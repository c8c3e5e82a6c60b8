"""What each case needs: a server, a stream, a stop by another thread, and a line to print."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from xdk_streaming import Stream, StreamConfig, StreamError
from xdk_streaming.simulator import Simulator

PATH = "/2/tweets/sample/stream"
GUARD = 10.0
"""Seconds that a case may take for one thing: it fails then."""


@contextmanager
def simulator(**settings: Any) -> Iterator[Simulator]:
    """A simulator that sends fifty posts a second."""
    with Simulator(**{"rate": 50, **settings}) as x:
        yield x


def authorized(session: Any) -> Any:
    """The session, with a token."""
    session.headers["Authorization"] = "Bearer any-token"
    return session


def take(stream: Any, count: int) -> list[Any]:
    """So many items."""
    items = iter(stream)
    return [next(items) for _ in range(count)]


def stopped(stream: Any, wait: float = 0.3) -> float:
    """Stop the stream from another thread while it waits for an item. Returns the seconds that it took."""
    at: list[float] = []

    def stop() -> None:
        time.sleep(wait)
        at.append(time.monotonic())
        stream.stop()

    thread = threading.Thread(target=stop)
    thread.start()
    for _ in stream:
        pass
    took = time.monotonic() - at[0]
    thread.join()
    assert took < 1, f"stop() took {took:.1f} s"
    return took


def error_of(session: Any, url: str, **settings: Any) -> StreamError:
    """The error that ends a stream."""
    try:
        for _ in Stream(session, "get", url, StreamConfig(max_retries=0, **settings)):
            pass
    except StreamError as error:
        return error
    raise AssertionError("the stream ended without an error")
