"""Without a model, items are dicts."""

from itertools import islice
from typing import Any

import requests
from typing_extensions import assert_type

from xdk_streaming import RetriesExhausted, Stream, StreamConfig, StreamError, StreamState, stream_with_retry
from xdk_streaming.simulator import Refuse, Serve
from xdk_streaming.testing import FakeClock, ScriptedSession

URL = "https://api.x.com/2/tweets/sample/stream"


def follow(session: requests.Session) -> list[str]:
    """Takes any session, a scripted one as well."""
    ids: list[str] = []
    with Stream(session, "get", URL, clock=FakeClock()) as stream:
        assert_type(stream, Stream[dict[str, Any]])
        for post in stream:
            assert_type(post, dict[str, Any])
            ids.append(post["data"]["id"])
            if len(ids) == 2:
                stream.stop()
    return ids


def call(session: requests.Session) -> dict[str, Any]:
    state = StreamState()
    posts = stream_with_retry(
        session, "get", URL, StreamConfig(), {"expansions": "author_id"}, {"X-A": "b"}, state=state
    )
    for post in islice(posts, 1):
        assert_type(post, dict[str, Any])
        return post
    return {}


def fail(session: requests.Session) -> tuple[int | None, str]:
    stream = Stream(
        session, "get", URL, params=lambda: {"a": 1}, headers=lambda: {"Authorization": "Bearer b"}
    )
    try:
        next(iter(stream))
    except RetriesExhausted:
        raise
    except StreamError as error:
        assert_type(error.status_code, int | None)
        return error.status_code, error.error_type.value
    return None, ""


assert follow(ScriptedSession([(Serve(3),)])) == ["1", "2"]
assert call(ScriptedSession([(Serve(3),)])) == {"data": {"id": "1"}}
assert fail(ScriptedSession([(Refuse(403),)])) == (403, "authentication_error")
