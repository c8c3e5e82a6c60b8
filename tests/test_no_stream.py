"""A 200 that is no stream, whatever its type says: counted, reported once, and never taken for progress."""

from __future__ import annotations

import gzip
import itertools
import json
from typing import Any

import pytest
import requests
from pydantic import BaseModel

from helpers.servers import Peer, answering, head, served
from helpers.streams import STREAM_TYPES, StreamType, take_all
from xdk_streaming import (
    ConnectionState,
    RetriesExhausted,
    RetryPolicy,
    Stream,
    StreamConfig,
    StreamError,
    StreamErrorType,
)
from xdk_streaming.testing import FakeClock
from xdk_streaming.wire.beginning import PATIENCE_BYTES

PAGE = b"""<!DOCTYPE html>
<html><head><title>Log in to the network</title>

<style>body { color: red }</style></head>
<body>
<p>Please log in.</p>
</body></html>
"""
SCRIPTED = PAGE.replace(b"<p>", b'<script>\n{"@context": "https://schema.org"}\n</script><p>')
ITEM = b'{"data":{"id":"7"}}\r\n'
PROBLEM = {"errors": [{"title": "Down", "type": "about:blank", "detail": {"depth": []}}]}

NO_STREAMS: dict[str, tuple[bytes, str]] = {
    # what comes, and what is quoted of it
    "a page": (PAGE, "`<!DOCTYPE html>"),
    "a page on one line": (PAGE.replace(b"\n", b""), "`<!DOCTYPE html><html>"),
    "a page after blank lines": (b"\r\n\r\n  " + PAGE, "`<!DOCTYPE html>"),
    "a page after a byte order mark": (b"\xef\xbb\xbf" + PAGE, "`<!DOCTYPE html>"),
    "a page with an object among its scripts": (SCRIPTED, "`<!DOCTYPE html>"),
    "a text": (b"upstream connect error or disconnect/reset before headers", "`upstream connect error"),
    "a text of several lines": (b"Service\nunavailable\n", "`Service unavailable`"),
    "XML": (b'<?xml version="1.0"?>\n<Error><Code>AccessDenied</Code></Error>', "`<?xml version="),
    "an array": (json.dumps([{"data": {"id": "1"}}]).encode(), '`[{"data"'),
    "an array over several lines": (b'[\n{"data":1},\n{"data":2},\n]\n', '`[ {"data":1}'),
    "a document over several lines": (json.dumps(PROBLEM, indent=2).encode(), '`{ "errors"'),
    "a document with CRLF": (json.dumps(PROBLEM, indent=1).replace("\n", "\r\n").encode(), "`{ "),
    "a string": (b'"Try again later"\n', '`"Try again later"`'),
    "a number": (b"503\n", "`503`"),
    "null": (b"null", "`null`"),
    "server-sent events": (b'event: tweet\ndata: {"data":{"id":"1"}}\n\n', "`event: tweet"),
    "a page in gzip that is not declared": (gzip.compress(PAGE, mtime=0), "`\\x1f\\x8b"),
    "UTF-16": ("{}".encode("utf-16"), "`\\xff"),
    "JSON with a prefix": (b")]}',\n" + ITEM[:-9], "`)]}',"),
}
TYPES = ("application/json", "text/plain", "application/octet-stream", "")

kinds = pytest.mark.parametrize("kind", NO_STREAMS)


def answer(body: bytes, content_type: str = "application/json", *more: str) -> bytes:
    named = [f"Content-Type: {content_type}"] if content_type else []
    return head(*named, *more, "Connection: close") + body


class Account:
    """A stream of an answer, or of one answer after the other, and all that it reports."""

    def __init__(
        self, session: requests.Session, *answers: bytes, kind: StreamType = Stream, **settings: Any
    ) -> None:
        self.connects = 0
        self.errors: list[StreamError] = []
        self.disconnects: list[Exception | None] = []
        self.items: list[Any] = []
        self.failure: StreamError | None = None
        model = settings.pop("response_model", None)
        self.clock = FakeClock()
        config = StreamConfig(
            **{
                "max_retries": 2,
                "on_error": self.errors.append,
                "on_disconnect": self.disconnects.append,
                **settings,
            }
        )
        following = itertools.chain(answers, itertools.repeat(answers[-1]))

        def serve(peer: Peer) -> None:
            self.connects += 1
            answering(next(following))(peer)

        with served(serve) as url:
            self.stream = kind(session, "get", url, config, response_model=model, clock=self.clock)
            try:
                take_all(self.stream, self.items)
            except StreamError as error:
                self.failure = error


@kinds
@pytest.mark.parametrize("content_type", TYPES, ids=["JSON", "text", "bytes", "untyped"])
def test_what_is_no_stream_spends_the_retries_and_is_reported_each_time_once(
    session: requests.Session, kind: str, content_type: str
) -> None:
    body, quoted = NO_STREAMS[kind]
    account = Account(session, answer(body, content_type))
    assert account.items == []
    assert account.connects == 3
    assert isinstance(account.failure, RetriesExhausted)
    assert account.stream.connection_state is ConnectionState.FAILED
    *each, last = account.errors
    assert last is account.failure
    assert len(each) == len({id(error) for error in each}) == 3
    for error in each:
        assert (error.error_type, error.status_code) == (StreamErrorType.SERVER_ERROR, 200)
        assert "what came is no stream: it begins " + quoted in str(error)
        assert str(error).isprintable()
        assert error.intercepted
    assert account.disconnects == each


@pytest.mark.parametrize("kind", STREAM_TYPES)
def test_both_faces_report_it(session: requests.Session, kind: StreamType) -> None:
    account = Account(session, answer(PAGE), kind=kind)
    assert account.connects == 3
    assert ' (its title is "Log in to the network")' in str(account.errors[0])
    assert account.errors[0].response_body is not None
    assert account.errors[0].response_body.startswith("<!DOCTYPE html>")


def test_a_page_that_is_declared_as_gzip_is_one(session: requests.Session) -> None:
    packed = gzip.compress(PAGE)
    account = Account(session, answer(packed, "application/json", "Content-Encoding: gzip"))
    assert "it begins `<!DOCTYPE html>" in str(account.errors[0])


@pytest.mark.parametrize("model", [bytes, lambda line: line.decode()], ids=["bytes", "function"])
def test_it_is_no_progress_in_any_mode(session: requests.Session, model: Any) -> None:
    account = Account(session, answer(PAGE), response_model=model)
    assert (account.items, account.connects) == ([], 3)


def test_the_delays_grow(session: requests.Session) -> None:
    assert Account(session, answer(PAGE), jitter=False, max_retries=4).clock.waits == [1, 2, 4, 8]


def test_a_page_that_is_cut_off_is_no_stream_either(session: requests.Session) -> None:
    cut = head("Content-Type: application/json", "Content-Length: 5000") + PAGE
    account = Account(session, cut)
    assert (account.connects, len(account.errors)) == (3, 4)
    assert "what came is no stream" in str(account.errors[0])
    assert account.errors[0].original_exception is not None


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\r\n\r\n",
        b"{}\r\n",
        b'{"data":{"id":"1","te',
        b"{",
        b'{ "data": oops}\r\n',
        b'{"errors":[{"title":"x","type":"about:blank"}]}\r\n{"a\r\n',
    ],
    ids=["nothing", "blank lines", "an empty object", "a cut item", "a brace", "a bad line", "a notice"],
)
def test_what_begins_like_a_stream_ends_as_before_and_spends_the_retries_too(
    session: requests.Session, body: bytes
) -> None:
    account = Account(session, answer(body))
    assert account.connects == 3
    assert isinstance(account.failure, RetriesExhausted)
    assert account.errors == [account.failure]
    assert account.disconnects == [None, None, None]


# What did come is never lost.


@pytest.mark.parametrize("before", [b"", b"what is this\n", PAGE], ids=["alone", "bad line", "page"])
@pytest.mark.parametrize("after", [b"", PAGE], ids=["", "page"])
def test_items_come_whatever_stands_beside_them(
    session: requests.Session, before: bytes, after: bytes
) -> None:
    account = Account(session, answer(before + ITEM + after), max_retries=0)
    assert account.items == [{"data": {"id": "7"}}]
    assert isinstance(account.failure, RetriesExhausted)
    assert account.errors == [account.failure]


def test_an_item_restores_the_retries(session: requests.Session) -> None:
    """Page, page, item, page, page, page: the last is the third after the item."""
    answers = [answer(body) for body in (PAGE, PAGE, b"oops\n" + ITEM, PAGE, PAGE)]
    account = Account(session, *answers)
    assert account.items == [{"data": {"id": "7"}}]
    assert account.connects == 5


class Narrow(BaseModel):
    data: int


def test_an_object_that_the_model_refuses_is_progress(session: requests.Session) -> None:
    """What X sends is a stream, though the model does not fit it: the third answer ends the retries."""
    account = Account(session, answer(PAGE), answer(ITEM), answer(PAGE), response_model=Narrow)
    assert account.items == []
    assert account.connects == 4


def test_a_model_error_that_is_to_be_raised_is_raised_under_any_policy(session: requests.Session) -> None:
    policy = RetryPolicy(final=frozenset())
    account = Account(
        session,
        answer(PAGE + b"\n" + ITEM),
        response_model=Narrow,
        on_model_error="raise",
        retry_policy=policy,
    )
    assert account.connects == 1
    assert "The response model refused an item" in str(account.failure)


def test_a_line_that_is_no_object_is_no_progress_though_the_connection_goes_on(
    session: requests.Session,
) -> None:
    account = Account(session, answer(b'{"data": oops}\n' * 10), max_retries=1)
    assert account.connects == 2


def test_what_never_becomes_a_stream_is_given_up_after_a_while(session: requests.Session) -> None:
    account = Account(session, head("Content-Length: 99999999") + b"rubbish\n" * (PATIENCE_BYTES // 4))
    assert account.connects == 3
    assert account.stream.state.bytes_received < 6 * PATIENCE_BYTES
    assert "it begins `rubbish rubbish" in str(account.errors[0])


def test_a_token_that_a_page_sends_back_is_not_shown(session: requests.Session) -> None:
    account = Account(session, answer(b"refused: Bearer abcdefghijklmnopqrstuvwxyz0123456789AAAAAAAAAA"))
    assert "abcdefghij" not in str(account.errors[0])


def test_an_object_at_the_end_of_a_page_is_reported_as_its_bytes(session: requests.Session) -> None:
    session.headers["Authorization"] = "Bearer a-token-of-mine"
    told: list[bytes] = []
    page = head("Content-Type: application/json")
    with served(answering(page + b'<html>\n{"b":1}')) as url:
        config = StreamConfig(max_retries=0, on_invalid=lambda line, _: told.append(line))
        with pytest.raises(RetriesExhausted, match="what came is no stream"):
            list(Stream[Any](session, "get", url, config))
    assert told == [b"<html>", b'{"b":1}']
