"""The route by which a body is read: the fast one is not taken if anything is not as expected."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable
from typing import Any
from unittest.mock import Mock

import pytest
import requests
import urllib3

from helpers.servers import (
    CHUNKED,
    GUARD,
    STREAM_INTERRUPTED,
    Peer,
    answering,
    asked,
    head,
    read_all,
    read_to_fault,
    served,
)
from helpers.systems import posix
from xdk_streaming.wire import bulk

BODY = b"5\r\nwhole\r\n0\r\n\r\n"


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The codings of the bodies that went the fast way."""
    codings: list[str] = []
    fast = bulk.read_body

    def noted(file: Any, sock: Any, frames: Any, coding: str) -> Any:
        codings.append(coding)
        return fast(file, sock, frames, coding)

    monkeypatch.setattr(bulk, "read_body", noted)
    return codings


def read(session: requests.Session, sent: bytes) -> bytes:
    with served(answering(sent)) as url, asked(session, url) as answer:
        return read_all(answer)


@pytest.mark.parametrize(
    "sent",
    [CHUNKED + BODY, head() + b"whole", head("Content-Length: 5") + b"whole"],
    ids=["in chunks", "to the close", "of a length"],
)
def test_a_body_goes_the_fast_way(session: requests.Session, taken: list[str], sent: bytes) -> None:
    assert read(session, sent) == b"whole"
    assert taken == [""]


def test_the_switch_has_it_go_the_portable_way(
    session: requests.Session, taken: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(bulk.PORTABLE_VARIABLE, "1")
    assert read(session, CHUNKED + BODY) == b"whole"
    assert taken == []


def unknown_response(raw: Any) -> None:
    raw._original_response = Mock()


def no_response(raw: Any) -> None:
    del raw._original_response


def no_file(raw: Any) -> None:
    raw._original_response.fp = None


def another_file(raw: Any) -> None:
    raw._original_response.fp = io.BytesIO(BODY)


def chunk_begun(raw: Any) -> None:
    raw.chunk_left = 5


def chunk_begun_below(raw: Any) -> None:
    raw._original_response.chunk_left = 5


def decoder_begun(raw: Any) -> None:
    raw._decoder = Mock()


CHANGES = [
    *(unknown_response, no_response, no_file, another_file),
    *(chunk_begun, chunk_begun_below, decoder_begun),
]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_what_is_not_as_it_knows_it_is_left_alone(
    session: requests.Session, change: Callable[[Any], None]
) -> None:
    with served(answering(CHUNKED + BODY)) as url, session.get(url, stream=True) as response:
        raw: urllib3.HTTPResponse = response.raw
        assert bulk.file_under(raw, "") is not None
        kept = vars(raw).copy(), raw._original_response
        below = vars(kept[1]).copy()
        change(raw)
        assert bulk.file_under(raw, "") is None
        vars(kept[1]).update(below)
        vars(raw).update(kept[0])


def test_a_coding_that_it_does_not_know_is_left_alone(session: requests.Session) -> None:
    with served(answering(CHUNKED + BODY)) as url, session.get(url, stream=True) as response:
        assert bulk.file_under(response.raw, "gzip") is not None
        assert bulk.file_under(response.raw, "br") is None
        assert bulk.file_under(response.raw, "deflate, gzip") is None


def test_a_body_of_a_length_that_is_cut_short_is_no_clean_end(session: requests.Session) -> None:
    with served(answering(head("Content-Length: 9") + b"whole")) as url, asked(session, url) as answer:
        data, error = read_to_fault(answer)
    assert data == b"whole"
    assert error.error_type is STREAM_INTERRUPTED


@posix("Wine ends a connection that should be reset")
def test_a_socket_that_breaks_off_is_reported_after_what_came_before(session: requests.Session) -> None:
    def serve(peer: Peer) -> None:
        peer.request()
        peer.send(head() + b"whole")
        assert read_it.wait(GUARD)
        peer.reset()

    read_it = threading.Event()
    with served(serve) as url, asked(session, url) as answer:
        assert answer.read() == b"whole"
        read_it.set()
        assert read_to_fault(answer)[1].error_type is STREAM_INTERRUPTED
