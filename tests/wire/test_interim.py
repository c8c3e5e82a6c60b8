"""Interim answers before the final one: skipped, or named if they cannot be."""

from __future__ import annotations

import gc
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import requests

from helpers.servers import (
    CHUNKED,
    CONNECTION_ERROR,
    GUARD,
    SOON,
    TIMEOUT,
    Peer,
    answering,
    asked,
    head,
    read_all,
    refused,
    send,
    served,
)
from xdk_streaming import Stream, StreamConfig, StreamError, StreamErrorType
from xdk_streaming.testing import FakeClock
from xdk_streaming.wire import interim
from xdk_streaming.wire.interim import MAX_INTERIM

BODY = b'{"data":{"id":"1"}}\r\n'
CHUNK = b"%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY)
HINTS = head("Link: </style.css>; rel=preload", status="103 Early Hints")
PROCESSING = head(status="102 Processing")
CONTINUE = head(status="100 Continue")
UNKNOWN = head("X-Word: odd", status="199 Whatever")

FINAL: dict[str, bytes] = {
    "chunked": CHUNKED + CHUNK,
    "by length": head(f"Content-Length: {len(BODY)}") + BODY,
    "to the end": head("Connection: close") + BODY,
}


@pytest.mark.parametrize("final", FINAL)
@pytest.mark.parametrize(
    "before",
    [
        [HINTS],
        [PROCESSING],
        [CONTINUE, HINTS],
        [HINTS, CONTINUE, HINTS],
        [PROCESSING] * 20 + [HINTS],
        [UNKNOWN],
    ],
    ids=["103", "102", "100 and 103", "103, 100 and 103", "many", "unknown"],
)
def test_interim_answers_are_skipped_whatever_they_are(
    session: requests.Session, route: str, before: list[bytes], final: str
) -> None:
    with served(answering(*before, FINAL[final])) as url, asked(session, url) as answer:
        gc.collect()
        assert answer.status == 200
        assert {"link", "x-word"}.isdisjoint(answer.headers)
        assert read_all(answer) == BODY


def test_a_refusal_after_an_interim_answer_is_the_refusal(session: requests.Session) -> None:
    refusal = head("Content-Length: 2", "Retry-After: 7", status="503 Busy") + b"no"
    with served(answering(HINTS + refusal)) as url, asked(session, url) as answer:
        assert (answer.status, answer.headers["retry-after"]) == (503, "7")
        assert answer.read_start(10, GUARD) == b"no"


def test_a_stream_begins_after_an_interim_answer(session: requests.Session) -> None:
    connects: list[int] = []
    with served(answering(HINTS + FINAL["chunked"])) as url:
        config = StreamConfig(max_retries=0, on_connect=lambda: connects.append(1))
        stream = Stream[dict[str, Any]](session, "get", url, config, clock=FakeClock())
        assert next(iter(stream)) == {"data": {"id": "1"}}
        stream.stop()
    assert connects == [1]


def test_another_protocol_is_named(session: requests.Session) -> None:
    failure = failure_of(session, answering(head("Upgrade: h2c", status="101 Switching Protocols")))
    assert failure.error_type is StreamErrorType.FATAL_ERROR
    assert failure.status_code == 101
    assert "101; the server changes to another protocol" in str(failure)


def test_a_server_that_never_comes_to_its_answer_is_named(session: requests.Session) -> None:
    failure = failure_of(session, answering(HINTS * (MAX_INTERIM + 1)))
    assert "103; an interim answer came, and no final one" in str(failure)


def failure_of(session: requests.Session, serve: Callable[[Peer], None]) -> StreamError:
    """How a stream without retries ends."""
    with served(serve) as url:
        stream = Stream[Any](session, "get", url, StreamConfig(max_retries=0), clock=FakeClock())
        with pytest.raises(StreamError) as caught:
            list(stream)
    return caught.value


@pytest.mark.parametrize("rest", [b"", b"HTTP/1.", b"rubbish\r\n\r\n"], ids=["closed", "cut", "rubbish"])
def test_a_connection_that_is_lost_after_an_interim_answer_is_a_connection_error(
    session: requests.Session, rest: bytes
) -> None:
    with served(answering(HINTS, rest)) as url:
        assert refused(session, url).error_type is CONNECTION_ERROR


def test_a_server_that_is_silent_after_an_interim_answer_is_a_timeout(session: requests.Session) -> None:
    def serve(peer: Peer) -> None:
        peer.request()
        peer.send(HINTS)
        peer.wait_until_left()

    with served(serve) as url, pytest.raises(StreamError) as caught:
        send(session, url, read_timeout=SOON)
    assert caught.value.error_type is TIMEOUT


@pytest.mark.parametrize(
    "response",
    [
        SimpleNamespace(status_code=103),
        SimpleNamespace(status_code=103, raw=object()),
        SimpleNamespace(status_code="103", raw=None),
    ],
    ids=["without a body", "with another body", "with another status"],
)
def test_a_response_of_another_kind_stays_as_it_is(response: Any) -> None:
    assert interim.final(response) is response


def test_an_interim_response_that_is_closed_stays_as_it_is(session: requests.Session) -> None:
    with served(answering(HINTS)) as url, session.get(url, stream=True) as response:
        response.raw._original_response.close()
        assert interim.final(response) is response
        assert response.status_code == 103
