"""The route by which a body is read: the fast one is not taken if anything is not as expected."""

from __future__ import annotations

import http.client
import io
import socket
from collections.abc import Callable, Iterator
from typing import Any
from unittest.mock import Mock

import pytest
import requests
import urllib3

from helpers.servers import CHUNKED, answering, asked, head, read_all, served
from xdk_streaming.wire import bulk

BODY = b"5\r\nwhole\r\n0\r\n\r\n"


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The codings of the bodies that went the fast way."""
    codings: list[str] = []
    fast = bulk.read_chunked

    def noted(file: Any, coding: str, *handle: Any) -> Any:
        codings.append(coding)
        return fast(file, coding, *handle)

    monkeypatch.setattr(bulk, "read_chunked", noted)
    return codings


def read(session: requests.Session, sent: bytes) -> bytes:
    with served(answering(sent)) as url, asked(session, url) as answer:
        return read_all(answer)


def test_a_chunked_body_goes_the_fast_way(session: requests.Session, taken: list[str]) -> None:
    assert read(session, CHUNKED + BODY) == b"whole"
    assert taken == [""]


def test_the_switch_has_it_go_the_portable_way(
    session: requests.Session, taken: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(bulk.PORTABLE_VARIABLE, "1")
    assert read(session, CHUNKED + BODY) == b"whole"
    assert taken == []


@pytest.mark.parametrize(
    "sent",
    [head() + b"whole", head("Content-Length: 5") + b"whole"],
    ids=["to the close", "of a length"],
)
def test_a_body_without_chunks_needs_no_fast_way(
    session: requests.Session, taken: list[str], sent: bytes
) -> None:
    assert read(session, sent) == b"whole"
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


class Watched:
    """A socket, and what was received from it without its file."""

    def __init__(self, own: socket.socket) -> None:
        self._own = own
        self.received: list[int] = []

    def gettimeout(self) -> float | None:
        return self._own.gettimeout()

    def recv(self, size: int, flags: int) -> bytes:
        data = self._own.recv(size, flags)
        self.received.append(len(data))
        return data


ROOM = 10_000
"""More than a file keeps for itself, as it has to be."""


@pytest.fixture
def both_ends(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[socket.socket, socket.socket]]:
    monkeypatch.setattr(bulk, "READ_SIZE", ROOM)
    theirs, ours = socket.socketpair()
    with theirs, ours:
        ours.settimeout(0.05)
        yield theirs, ours


@pytest.fixture
def handle(both_ends: Any) -> Iterator[Any]:
    with socket.fromfd(both_ends[1].fileno(), socket.AF_UNIX, socket.SOCK_STREAM) as own:
        yield Watched(own)


def sent_of(size: int) -> bytes:
    """A chunk of so many bytes, frame and all."""
    frame = b"%x\r\n" % (size - 8)
    return frame + b"x" * (size - len(frame) - 2) + b"\r\n"


def test_what_waits_behind_a_full_read_is_received_without_the_file(both_ends: Any, handle: Any) -> None:
    theirs, ours = both_ends
    theirs.sendall(sent_of(2 * ROOM + 500) + b"0\r\n\r\n")
    with ours.makefile("rb") as file:
        body = b"".join(bulk.read_chunked(file, "", handle))
    assert body == b"x" * (2 * ROOM + 500 - 8)
    assert handle.received == [ROOM, 505]


def test_behind_a_read_that_was_not_full_the_file_is_waited_for(both_ends: Any, handle: Any) -> None:
    theirs, ours = both_ends
    theirs.sendall(sent_of(ROOM - 5) + b"0\r\n\r\n"[:4])
    with ours.makefile("rb") as file:
        assert len(b"".join(bulk.read_chunked(file, "", handle))) == ROOM - 5 - 8
    assert handle.received == []


@pytest.mark.parametrize("ended", [False, True], ids=["silent", "closed"])
def test_a_full_read_with_nothing_behind_it_falls_back_to_the_file(
    both_ends: Any, handle: Any, ended: bool
) -> None:
    theirs, ours = both_ends
    theirs.sendall(sent_of(ROOM))
    if ended:
        theirs.shutdown(socket.SHUT_WR)
    with ours.makefile("rb") as file:
        arriving = bulk.read_chunked(file, "", handle)
        assert len(next(arriving)) == ROOM - 8
        with pytest.raises(http.client.IncompleteRead if ended else urllib3.exceptions.ReadTimeoutError):
            next(arriving)


def test_a_file_of_anything_but_a_plain_socket_is_read_by_itself() -> None:
    handle: Any = Watched(Mock(**{"gettimeout.return_value": None}))
    file: Any = io.BufferedReader(io.BytesIO(sent_of(bulk.READ_SIZE) + BODY))
    assert b"".join(bulk.read_chunked(file, "", handle)).endswith(b"whole")
    assert handle.received == []


def test_a_socket_with_a_timeout_is_not_asked_at_once_for_it_would_wait(both_ends: Any) -> None:
    theirs, ours = both_ends
    theirs.sendall(sent_of(ROOM) + b"0\r\n\r\n")
    handle: Any = Watched(ours)
    with ours.makefile("rb") as file:
        assert len(b"".join(bulk.read_chunked(file, "", handle))) == ROOM - 8
    assert handle.received == []
