"""The framing of an answer: where its body starts and ends, and how broken framing is handled."""

from __future__ import annotations

import itertools
import threading
from typing import Any

import pytest
import requests

from helpers.servers import (
    CHUNKED,
    CONNECTION_ERROR,
    GUARD,
    STREAM_INTERRUPTED,
    Peer,
    answering,
    asked,
    assert_translated,
    head,
    read_all,
    read_exactly,
    read_to_fault,
    refused,
    served,
)
from xdk_streaming import Stream, StreamConfig, StreamError

WHOLE = b"5\r\nwhole\r\n"
LAST = b"0\r\n\r\n"


# Bodies that end well


@pytest.mark.parametrize(
    "sent",
    [
        b"HTTP/1.0 200 OK\r\n\r\nwhole",
        b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nwhole",
        b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + WHOLE + LAST,
        b"HTTP/1.1 200\r\n\r\nwhole",
        b"HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n" + WHOLE + LAST,
        head() + b"whole",
        head("Content-Length: 5") + b"whole",
        head("Content-Length: 5") + b"whole, and more",
        head("Content-Length: nonsense") + b"whole",
        head("Transfer-Encoding: identity") + b"whole",
        head("Transfer-Encoding: Chunked") + WHOLE + LAST,
        head("Transfer-Encoding: chunked", "Transfer-Encoding: chunked") + WHOLE + LAST,
        head("Transfer-Encoding: chunked", "Content-Length: 3") + WHOLE + LAST,
        CHUNKED + WHOLE + b"0\r\nX-Trailer: 1\r\nX-Other: 2\r\n\r\n",
        CHUNKED + b"5;name=value;flag\r\nwhole\r\n0;last\r\n\r\n",
        CHUNKED + b'5 ; name="a;b"\r\nwhole\r\n' + LAST,
        CHUNKED + b"00000000000000000005\r\nwhole\r\n000\r\n\r\n",
        CHUNKED + b"3\r\nwho\r\n2\r\nle\r\n" + LAST,
        CHUNKED + b"5\nwhole\n0\n\n",
        CHUNKED + b"5\nwhole\r\n0\r\n\r\n",
        CHUNKED + WHOLE + LAST + b"6\r\n, more\r\n" + LAST,
        CHUNKED + WHOLE + b"0\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" + CHUNKED + WHOLE + LAST,
        b"HTTP/1.1 100 Continue\r\nX-Early: 1\r\n\r\n" * 3 + CHUNKED + WHOLE + LAST,
    ],
    ids=[
        "HTTP/1.0 to the close",
        "HTTP/1.0 of a length",
        "HTTP/1.0 in chunks",
        "no reason given",
        "bare LF in the head",
        "to the close",
        "of a length",
        "longer than its length",
        "of a length that is no number",
        "identity",
        "capital letters",
        "chunked said twice",
        "chunks and a length",
        "trailers",
        "chunk extensions",
        "quoted chunk extensions",
        "leading zeros",
        "a word in two chunks",
        "bare LF",
        "bare LF after sizes",
        "more after the last chunk",
        "no line after the last chunk",
        "100 Continue",
        "100 Continue thrice",
    ],
)
def test_a_framing_that_can_be_read_gives_the_body_and_a_clean_end(
    session: requests.Session, sent: bytes
) -> None:
    with served(answering(sent)) as url, asked(session, url) as answer:
        assert answer.status == 200
        assert read_all(answer) == b"whole"
        assert answer.read() == b""


@pytest.mark.parametrize("size", ["1a", "1A", "01a"])
def test_a_chunks_size_is_a_hexadecimal_number_in_either_case(session: requests.Session, size: str) -> None:
    sent = CHUNKED + size.encode() + b"\r\n" + b"a" * 26 + b"\r\n" + LAST
    with served(answering(sent)) as url, asked(session, url) as answer:
        assert read_all(answer) == b"a" * 26


def test_a_body_is_over_with_its_last_chunk_whatever_the_server_sends_or_holds_back_after_it(
    session: requests.Session,
) -> None:
    over = threading.Event()

    def serve(peer: Peer) -> None:
        peer.request()
        peer.send(CHUNKED + WHOLE + b"0\r\nX-Trailer: endless")
        assert over.wait(GUARD)

    with served(serve) as url, asked(session, url) as answer:
        assert read_all(answer) == b"whole"
        over.set()


def test_a_chunk_is_read_as_it_comes_and_before_its_end_is_there(session: requests.Session) -> None:
    confirmed = [threading.Event(), threading.Event()]

    def serve(peer: Peer) -> None:
        peer.request()
        for piece, event in zip((CHUNKED + b"5\r\nwh", b"ole"), confirmed, strict=True):
            peer.send(piece)
            assert event.wait(GUARD)
        peer.send(b"\r\n" + LAST)

    with served(serve) as url, asked(session, url) as answer:
        read_exactly(answer, b"wh")
        confirmed[0].set()
        read_exactly(answer, b"ole")
        confirmed[1].set()
        assert read_all(answer) == b""


@pytest.mark.parametrize(
    ("method", "status"), [("get", "204 No Content"), ("get", "304 Not Modified"), ("head", "200 OK")]
)
@pytest.mark.parametrize("told", ["Transfer-Encoding: chunked", "Content-Length: 5", "Content-Encoding: br"])
def test_an_answer_that_may_have_no_body_ends_at_once_whatever_it_tells_of_one(
    session: requests.Session, method: str, status: str, told: str
) -> None:
    def serve(peer: Peer) -> None:
        peer.request()
        peer.send(head(told, status=status))
        peer.wait_until_left()

    with served(serve) as url, asked(session, url, method=method) as answer:
        assert answer.read() == b""


# Bodies that break the rules


@pytest.mark.parametrize(
    "rest",
    [
        b"-5\r\nwhole\r\n" + LAST,
        b"+5\r\nwhole\r\n" + LAST,
        b"0x5\r\nwhole\r\n" + LAST,
        b"1_0\r\nwhole\r\n" + LAST,
        b" 5\r\nwhole\r\n" + LAST,
        b"zebra\r\nwhole\r\n" + LAST,
        b"\r\n",
        b"\n",
        b";flag\r\nwhole\r\n",
        b"5" * 70_000,
        b"5;" + b"x" * 70_000 + b"\r\nwhole\r\n",
        b"5\r\nwholeXX" + LAST,
        b"5\r\nwhole5\r\nagain\r\n" + LAST,
        b"5\r\nwhole0\r\n\r\n",
        b"5\r\nwhole10\r\n0123456789abcdef\r\n" + LAST,
        b"5\r\nwhole\r\r\n" + LAST,
        b"ffffffffffffffffffffffff\r\nwhole\r\n" + LAST,
        b"",
        b"0",
        b"5",
        b"5\r\nwho",
        b"5\r\nwhole",
        b"5\r\nwhole\r",
    ],
    ids=[
        "negative size",
        "size with a plus",
        "size with 0x",
        "size with an underscore",
        "size after a blank",
        "size no number",
        "no size",
        "no size, bare LF",
        "only an extension",
        "size that never ends",
        "extension that never ends",
        "other bytes for the line's end",
        "no line's end, next size",
        "no line's end, last size",
        "no line's end, size that looks like the last",
        "CR twice",
        "size beyond all bounds",
        "no last chunk",
        "cut in the last size",
        "cut in a size",
        "cut in a chunk",
        "cut after a chunk",
        "cut in a chunk's end",
    ],
)
def test_chunks_that_break_the_rules_interrupt_the_stream_after_what_came_before(
    session: requests.Session, rest: bytes
) -> None:
    with served(answering(CHUNKED + b"6\r\nfirst\n\r\n" + rest)) as url, asked(session, url) as answer:
        data, error = read_to_fault(answer)
        assert data.startswith(b"first\n")
        assert b"wholewhole".startswith(data[6:11])
        assert_translated(error, STREAM_INTERRUPTED)
        assert len(str(error)) < 300
        assert answer.read() == b""


def test_a_size_that_never_ends_is_not_waited_for(session: requests.Session) -> None:
    def serve(peer: Peer) -> None:
        peer.request()
        peer.send(CHUNKED)
        while True:
            peer.send(b"5" * 1024)

    with served(serve) as url, asked(session, url) as answer:
        assert read_to_fault(answer)[1].error_type is STREAM_INTERRUPTED


def test_a_malformed_frame_is_reported(session: requests.Session) -> None:
    with served(answering(CHUNKED + b"zebra\r\n")) as url, asked(session, url) as answer:
        assert "zebra" in str(read_to_fault(answer)[1])


FIRST, SECOND = b'{"data":{"id":"1"}}\r\n', b'{"data":{"id":"2"}}\r\n'
PIECES = [FIRST, SECOND[:6], SECOND[6:]]  # a line in one chunk, and one in two
FRAMED = b"%x;a=b\r\n%b\r\n006\r\n%b\r\n%X\r\n%b\r\n00\r\n\r\n" % (
    *(len(FIRST), FIRST, SECOND[:6]),
    *(len(SECOND[6:]), SECOND[6:]),
)
ENDED = len(FRAMED) - len(b"\r\n")


def payload(cut: int) -> bytes:
    """What of the two lines is in the first bytes of the framed body."""
    starts = [FRAMED.rindex(b"\r\n" + piece) + 2 for piece in PIECES]
    return b"".join(piece[: max(0, cut - start)] for start, piece in zip(starts, PIECES, strict=True))


def test_a_body_cut_anywhere_gives_what_came_and_is_whole_only_after_its_last_size(
    session: requests.Session,
) -> None:
    cuts = itertools.count()

    def serve(peer: Peer) -> None:
        peer.request()
        peer.send(CHUNKED + FRAMED[: next(cuts)])

    with served(serve) as url:
        for cut in range(len(FRAMED) + 1):
            with asked(session, url) as answer:
                if cut < ENDED:
                    data, error = read_to_fault(answer)
                    assert error.error_type is STREAM_INTERRUPTED
                else:
                    data = read_all(answer)
            assert data == payload(cut), FRAMED[:cut]


def test_items_are_delivered_that_were_complete_before_a_cut_anywhere(session: requests.Session) -> None:
    cuts = itertools.count()

    def serve(peer: Peer) -> None:
        peer.request()
        json = head("Transfer-Encoding: chunked", "Content-Type: application/json")
        peer.send(json + FRAMED[: next(cuts)])

    with served(serve) as url:
        for cut in range(len(FRAMED) + 1):
            items: list[str] = []
            with pytest.raises(StreamError, match="Max retries") as caught:
                for item in Stream[Any](session, "get", url, StreamConfig(max_retries=0)):
                    items.append(item["data"]["id"])
            complete = payload(cut).count(b"}}")  # the line's end need not have come
            assert items == ["1", "2"][:complete], FRAMED[:cut]
            assert (caught.value.original_exception is None) == (cut >= ENDED)


# Heads


@pytest.mark.parametrize(
    "sent",
    [
        b"HTTP/1.1 20\r\n\r\n",
        b"HTTP/1.1 2000 OK\r\n\r\n",
        b"HTTP/1.1 OK\r\n\r\n",
        b"HTTP/1.1",
        b"HTTP/2 200 OK\r\n\r\n",
        b"ICY 200 OK\r\n\r\n",
        b"\r\n\r\n",
        b"<html>\r\n",
        b"HTTP/1.1 200 " + b"x" * 70_000,
        head("X-Huge: " + "x" * 70_000),
        head(*[f"X-{number}: 1" for number in range(200)]),
    ],
    ids=[
        "status of two digits",
        "status of four digits",
        "no status",
        "cut",
        "HTTP/2",
        "another protocol",
        "empty lines",
        "no head",
        "status line that never ends",
        "huge header",
        "hundreds of headers",
    ],
)
def test_a_head_that_cannot_be_read_is_a_connection_error(session: requests.Session, sent: bytes) -> None:
    with served(answering(sent)) as url:
        error = refused(session, url)
    assert_translated(error, CONNECTION_ERROR)
    assert len(str(error)) < 400
    assert str(error).isprintable()


@pytest.mark.parametrize(
    "lost", ["Transfer-Encoding: chunked", "content-encoding: gzip", "Content-Length : 5"]
)
def test_headers_lost_behind_a_line_that_is_none_interrupt_the_stream_rather_than_frame_it_wrongly(
    session: requests.Session, lost: str
) -> None:
    sent = head("X-Good: 1", "no header", lost) + WHOLE + LAST
    with served(answering(sent)) as url, asked(session, url) as answer:
        assert answer.headers == {"x-good": "1"}
        data, error = read_to_fault(answer)
    assert data == b""
    assert error.error_type is STREAM_INTERRUPTED
    assert "no header" in str(error)


def test_a_line_that_is_no_header_is_harmless_if_it_hides_no_framing(session: requests.Session) -> None:
    sent = head("Transfer-Encoding: chunked", "no header", "X-Lost: 1") + WHOLE + LAST
    with served(answering(sent)) as url, asked(session, url) as answer:
        assert read_all(answer) == b"whole"


def test_a_header_with_odd_bytes_and_folded_lines_does_no_harm(session: requests.Session) -> None:
    odd = b"X-Odd: \xff\xe9\x00\x01\r\nX-Folded: one\r\n two\r\nX-Empty:\r\n"
    sent = CHUNKED[:-2] + odd + b"\r\n" + WHOLE + LAST
    with served(answering(sent)) as url, asked(session, url) as answer:
        assert answer.headers["x-empty"] == ""
        assert read_all(answer) == b"whole"


def test_contradicting_lengths_interrupt_the_stream_and_are_reported(
    session: requests.Session,
) -> None:
    with served(answering(head("Content-Length: 5", "Content-Length: 6") + b"whole")) as url:
        error = refused(session, url)
    assert_translated(error, STREAM_INTERRUPTED)
    assert "Content-Length" in str(error)
    assert "token" not in str(error)


def test_early_hints_are_skipped(session: requests.Session) -> None:
    hints = b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\n\r\n"
    with served(answering(hints + CHUNKED + WHOLE + LAST)) as url, asked(session, url) as answer:
        assert answer.status == 200
        assert "link" not in answer.headers
        assert answer.read() != b""
