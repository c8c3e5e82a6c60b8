"""The answer to a single request, read whole within bounds: bytes, seconds, and memory once it is parsed.

A server may send without end, or a byte now and then. The request runs in a thread that can be left, so that
Ctrl-C and the bound on the time end it wherever it waits.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotYet
from dataclasses import dataclass
from typing import Any

import orjson
import requests

from xdk_streaming.errors import StreamError
from xdk_streaming.wire.answer import Answer
from xdk_streaming.wire.weight import weight

WAIT_SECONDS = 30.0
"""Seconds that X may take to accept the connection, and for each wait for bytes."""
MAX_ANSWER_SECONDS = 60.0
"""Seconds from the request to the end of the answer, at most."""
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
    opened: list[Answer] = []
    done: Future[Reply] = Future()

    def attempt() -> None:
        try:
            done.set_result(_read(session, request, opened))
        except BaseException as error:  # noqa: BLE001 - raised by `result`
            done.set_exception(error)

    threading.Thread(target=attempt, name="xdk-streaming-request", daemon=True).start()
    try:
        return done.result(MAX_ANSWER_SECONDS)
    except NotYet:
        raise UnusableAnswer(f"did not send a whole answer within {MAX_ANSWER_SECONDS:.0f} s") from None
    finally:
        for answer in opened:
            answer.wake()


def _read(session: requests.Session, request: requests.Request, opened: list[Answer]) -> Reply:
    # The adapter is called directly: to find where a redirect leads, a session reads the redirect's body.
    prepared = session.prepare_request(request)
    url = prepared.url or ""
    settings = session.merge_environment_settings(url, {}, True, None, None)
    answer = Answer(session.get_adapter(url).send(prepared, timeout=WAIT_SECONDS, **settings), None)
    opened.append(answer)
    try:
        body = b"" if 300 <= answer.status < 400 else _whole(answer)
    except StreamError as error:
        raise UnusableAnswer(f"did not send a whole answer: {error}") from error
    finally:
        answer.close()
    return Reply(url, answer.status, answer.headers, body)


def _whole(answer: Answer) -> bytes:
    body = bytearray()
    while data := answer.read():
        body += data
        if len(body) > MAX_ANSWER_BYTES:
            raise UnusableAnswer(f"sent more than {MAX_ANSWER_BYTES:,} bytes, which is no answer of X's")
    return bytes(body)
