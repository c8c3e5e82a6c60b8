"""The answer to a single request, read whole within bounds: bytes, seconds, and memory once it is parsed.

A server may send without end, or a byte now and then. Requests and reads wait as those of a stream do, so
that Ctrl-C and the bounds on the time end them wherever they wait.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import Any

import orjson
import requests

from xdk_streaming.clock import monotonic
from xdk_streaming.errors import StreamError, StreamErrorType
from xdk_streaming.wire.answer import Answer, Reading
from xdk_streaming.wire.caller import Caller
from xdk_streaming.wire.timeouts import Limit, Timeouts
from xdk_streaming.wire.wait import Wait
from xdk_streaming.wire.weight import weight

WAIT_SECONDS = 30.0
"""Seconds that X may take to accept a connection, and for each wait for bytes."""
MAX_ANSWER_SECONDS = 60.0
"""Seconds that X may take for the status and the headers, and again for the body."""
MAX_ANSWER_BYTES = 8 * 2**20
"""Bytes of a body, at most. A thousand rules of the greatest length take five million."""
MAX_ANSWER_MEMORY = 48 * 2**20
"""Bytes of memory that a parsed body may take."""


class UnusableAnswer(Exception):
    """An answer that breaks a bound or breaks off. Its text continues a sentence that begins with the URL."""


@dataclass(frozen=True)
class Reply:
    """An answer that was read whole."""

    url: str
    status: int
    headers: Mapping[str, str]
    """The headers, with names in lower case."""
    body: bytes
    """The body, decompressed; empty for a redirect, whose body is not read."""

    @property
    def ok(self) -> bool:
        """Whether the server did not refuse the request."""
        return self.status < 400

    @property
    def memory(self) -> int:
        """Bytes of memory that the parsed body takes, at most."""
        return weight(self.body)

    def content(self) -> dict[str, Any] | None:
        """The JSON object in the body; None if there is no object."""
        if self.memory > MAX_ANSWER_MEMORY:
            raise UnusableAnswer("sent an answer that is too large to parse")
        try:
            content = orjson.loads(self.body)
        except orjson.JSONDecodeError:
            return None
        return content if isinstance(content, dict) else None


def reply_to(session: requests.Session, request: requests.Request) -> Reply:
    """Send the request, and read the answer whole. Redirects are not followed.

    Raises `UnusableAnswer` if the answer breaks a bound or breaks off, and what requests raises if there is
    no answer.
    """
    # The adapter is called directly: to find where a redirect leads, a session reads the redirect's body.
    prepared = session.prepare_request(request)
    url = prepared.url or ""
    settings = session.merge_environment_settings(url, {}, True, None, None)
    send = partial(session.get_adapter(url).send, prepared, timeout=WAIT_SECONDS, **settings)
    wait = Wait()
    caller = Caller(wait)
    try:
        response = caller.call(send, monotonic() + MAX_ANSWER_SECONDS, _late)
        with closing(Answer(response, None, Reading(wait, _timeouts(), caller))) as answer:
            body = b"" if 300 <= answer.status < 400 else _whole(answer)
            return Reply(url, answer.status, answer.headers, body)
    finally:
        caller.end()
        wait.close()


def _timeouts() -> Timeouts:
    # `line_came` is not set for these answers, so the limit for a line is one for the whole body.
    return Timeouts(read=Limit(WAIT_SECONDS, "fixed"), line=Limit(MAX_ANSWER_SECONDS, "fixed"))


def _late() -> UnusableAnswer:
    return UnusableAnswer(f"did not send a whole answer within {MAX_ANSWER_SECONDS:.0f} s")


def _whole(answer: Answer) -> bytes:
    body = bytearray()
    try:
        while data := answer.read():
            body += data
            if len(body) > MAX_ANSWER_BYTES:
                raise UnusableAnswer(f"sent more than {MAX_ANSWER_BYTES:,} bytes, which is no answer of X's")
    except StreamError as error:
        late = error.error_type is StreamErrorType.TIMEOUT
        raise _late() if late else UnusableAnswer(f"did not send a whole answer: {error}") from error
    return bytes(body)
