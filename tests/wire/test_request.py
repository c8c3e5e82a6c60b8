"""What is sent, as whom, and by which sessions."""

from __future__ import annotations

import io
import pickle
import threading
import traceback
from typing import Any
from unittest.mock import Mock

import pytest
import requests
import urllib3
from requests import exceptions as rq
from requests.structures import CaseInsensitiveDict

from helpers.servers import (
    CLIENT_ERROR,
    FATAL_ERROR,
    GUARD,
    PATH,
    SERVER_ERROR,
    STREAM_INTERRUPTED,
    TIMEOUT,
    Peer,
    answer_of,
    asked,
    assert_translated,
    head,
    limits,
    read_all,
    refused,
    send,
    served,
    streamed,
)
from helpers.shortcuts import namespace
from xdk_streaming.errors import StreamError, StreamErrorType
from xdk_streaming.simulator import Cut, End, Refuse, Send, Serve, Simulator, Stall
from xdk_streaming.testing import FakeClock, ScriptedSession
from xdk_streaming.wire.request import Request
from xdk_streaming.wire.wait import Wait

# Secrets

BROKEN_TOKENS = [
    "Bearer hush-hush\r\nX-More: 1",
    "Bearer hush-hush\n",
    " Bearer hush-hush",
    "Bearer hush\u2026hush",
]


@pytest.mark.parametrize("token", BROKEN_TOKENS, ids=ascii)
@pytest.mark.parametrize("place", ["session", "headers", "callable"])
def test_a_token_that_cannot_be_sent_is_fatal_and_shown_nowhere(
    session: requests.Session, token: str, place: str
) -> None:
    headers: Any = None
    if place == "session":
        session.headers["Authorization"] = token
    else:
        headers = {"Authorization": token}
    with Simulator() as simulator:
        error = refused(
            session, simulator.url + PATH, headers=(lambda: headers) if place == "callable" else headers
        )
    assert error.error_type is FATAL_ERROR
    shown = [
        str(error),
        repr(error),
        repr(vars(error)),
        repr(error.__cause__),
        "".join(traceback.format_exception(error)),
        repr(pickle.dumps(error)),
    ]
    assert [text for text in shown if "hush" in text] == []


# Who the stream is


def authorizations(session: ScriptedSession) -> list[Any]:
    return [call["headers"].get("Authorization") for call in session.calls]


def test_the_sessions_authorization_stays_that_of_the_first_attempt(clock: FakeClock) -> None:
    session = ScriptedSession([(), (), ()], clock=clock)
    request = Request(session, "get", "url")
    for token in ("first", "second", None):
        session.headers = CaseInsensitiveDict({"Authorization": token} if token else {})
        request.send(timeouts=limits(1, 1), wait=Wait(), chunk_size=1)
    assert authorizations(session) == ["first", "first", "first"]


def test_plain_headers_stay_those_of_the_first_attempt(clock: FakeClock) -> None:
    session = ScriptedSession([(), ()], clock=clock)
    headers = {"Authorization": "first", "X-Other": "1"}
    request = Request(session, "get", "url", headers=headers)
    request.send(timeouts=limits(1, 1), wait=Wait(), chunk_size=1)
    headers["Authorization"] = session.headers["Authorization"] = "second"
    request.send(timeouts=limits(1, 1), wait=Wait(), chunk_size=1)
    assert [call["headers"] for call in session.calls] == [
        {"Connection": "close", "Cache-Control": "no-store", "Authorization": "first", "X-Other": "1"}
    ] * 2


def test_callables_are_asked_at_every_attempt(clock: FakeClock) -> None:
    session = ScriptedSession([(), ()], clock=clock)
    tokens, params = iter(["first", "second"]), iter([{"a": 1}, {"a": 2}])
    request = Request(
        session,
        "get",
        "url",
        params=lambda: next(params),
        headers=lambda: {"Authorization": next(tokens)},
    )
    for _ in range(2):
        request.send(timeouts=limits(1, 1), wait=Wait(), chunk_size=1)
    assert authorizations(session) == ["first", "second"]
    assert [call["params"] for call in session.calls] == [{"a": 1}, {"a": 2}]


def test_callable_headers_without_a_token_leave_the_sessions_first_one(clock: FakeClock) -> None:
    session = ScriptedSession([(), ()], clock=clock)
    request = Request(session, "get", "url", headers=lambda: {"X-Other": "1"})
    for token in ("first", "second"):
        session.headers["Authorization"] = token
        request.send(timeouts=limits(1, 1), wait=Wait(), chunk_size=1)
    assert [call["headers"] for call in session.calls] == [
        {"Connection": "close", "Cache-Control": "no-store", "Authorization": "first", "X-Other": "1"}
    ] * 2


@pytest.mark.parametrize("kind", ["none", "plain", "callable"])
def test_the_server_sees_one_authorization_and_always_the_streams_own(
    session: requests.Session, kind: str
) -> None:
    seen: list[bytes] = []

    def serve(peer: Peer) -> None:
        seen.append(peer.request())
        peer.send(head("Content-Length: 0", "Connection: close"))

    own = {"authorization": "Bearer own"}
    headers: Any = {"none": None, "plain": own, "callable": lambda: own}[kind]
    with served(serve) as url:
        request = Request(session, "get", url, headers=headers)
        for _ in range(2):
            request.send(timeouts=limits(GUARD, GUARD), wait=Wait(), chunk_size=1).close()
            session.headers["Authorization"] = "Bearer another"
    lines = [
        line for request in seen for line in request.splitlines() if line.lower().startswith(b"authorization")
    ]
    assert [line.partition(b": ")[2] for line in lines] == [
        b"Bearer a-token" if kind == "none" else b"Bearer own"
    ] * 2


def test_a_callable_that_gives_nothing_adds_nothing(clock: FakeClock) -> None:
    session = ScriptedSession([()], clock=clock)
    nothing: Any = lambda: None  # noqa: E731 - what a user may write
    send(session, "url", params=nothing, headers=nothing)
    assert session.calls[0]["params"] == {}
    assert session.calls[0]["headers"] == {"Connection": "close", "Cache-Control": "no-store"}


@pytest.mark.parametrize("source", ["params", "headers"])
@pytest.mark.parametrize(
    ("raised", "error_type"),
    [(KeyError("token"), FATAL_ERROR), (rq.ReadTimeout("vault"), TIMEOUT)],
    ids=["unknown", "known"],
)
def test_what_a_callable_raises_is_translated(
    clock: FakeClock, source: str, raised: Exception, error_type: StreamErrorType
) -> None:
    error = refused(ScriptedSession([], clock=clock), "url", **{source: Mock(side_effect=raised)})
    assert_translated(error, error_type)
    assert error.original_exception is raised


# What is asked for


@pytest.mark.parametrize("method", ["get", "GET", "Get"])
def test_a_method_is_taken_in_any_case(session: requests.Session, method: str) -> None:
    assert Request(session, method, "url").method == "GET"
    with (
        Simulator(then=[Send(b"x"), End()]) as simulator,
        asked(session, simulator.url + PATH, method=method) as answer,
    ):
        assert answer.status == 200


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete", "head", "options"])
def test_every_method_of_a_session_can_be_asked_for(session: requests.Session, method: str) -> None:
    seen: list[bytes] = []

    def serve(peer: Peer) -> None:
        seen.append(peer.request())
        peer.send(head("Content-Length: 0"))

    with served(serve) as url:
        send(session, url, method=method).close()
    assert seen[0].startswith(method.upper().encode() + b" / ")


@pytest.mark.parametrize("method", ["", "fetch", "request", "close", "get "])
def test_an_unknown_method_is_a_value_error_that_names_the_known_ones(
    session: requests.Session, method: str
) -> None:
    with pytest.raises(ValueError, match="delete, get, head, options, patch, post, put"):
        Request(session, method, "url")


@pytest.mark.parametrize(
    ("json_data", "body"), [({}, b"{}"), ({"a": [1]}, b'{"a": [1]}'), ([], b"[]"), (None, b"")], ids=repr
)
def test_json_data_is_sent_empty_or_not(session: requests.Session, json_data: Any, body: bytes) -> None:
    seen: list[bytes] = []

    def serve(peer: Peer) -> None:
        seen.append(peer.request())
        peer.send(head("Content-Length: 0"))

    with served(serve) as url:
        send(session, url, method="post", json_data=json_data).close()
    start, _, rest = seen[0].partition(b"\r\n\r\n") if b"\r\n\r\n" in seen[0] else (seen[0], b"", b"")
    assert (rest or start).endswith(body)
    assert (b"application/json" in seen[0]) == (json_data is not None)


def test_the_session_is_called_in_the_shape_of_requests(clock: FakeClock) -> None:
    session = ScriptedSession([[Send(b"x")]], clock=clock)
    request = Request(session, "GET", "the url", {"a": 1}, {"b": "2"})
    request.send(timeouts=limits(3, None), wait=Wait(), chunk_size=7)
    assert session.calls == [
        {
            "method": "GET",
            "url": "the url",
            "params": {"a": 1},
            "headers": {"Connection": "close", "Cache-Control": "no-store", "b": "2"},
            "stream": True,
            "timeout": (3, None),
        }
    ]


# Sessions of requests' shape


def test_an_error_that_a_hook_raises_for_the_status_brings_the_answer(session: requests.Session) -> None:
    def raise_for_status(response: requests.Response, **_: Any) -> None:
        response.raise_for_status()

    session.hooks["response"].append(raise_for_status)
    with streamed(session, Refuse(503, b"busy", {"Retry-After": "9"})) as (answer, _):
        assert answer.status == 503
        assert answer.headers["retry-after"] == "9"
        assert answer.read_start(100, GUARD) == b"busy"


def test_a_body_that_a_hook_has_read_already_is_still_there(session: requests.Session) -> None:
    read: list[bytes] = []

    def look(response: requests.Response, **_: Any) -> None:
        read.append(response.content)

    session.hooks["response"].append(look)
    with streamed(session, Refuse(429, b'{"type":"usage-capped"}')) as (answer, _):
        assert read == [b'{"type":"usage-capped"}']
        assert answer.read_start(100, GUARD) == b'{"type":"usage-capped"}'


def test_an_http_error_without_an_answer_is_a_server_error(clock: FakeClock) -> None:
    assert_translated(refused(ScriptedSession([requests.HTTPError("503")], clock=clock), "url"), SERVER_ERROR)


@pytest.mark.parametrize(
    "returned",
    [None, "text", Mock(status_code="200"), namespace(status=200)],
    ids=lambda returned: type(returned).__name__,
)
def test_a_session_that_returns_no_response_is_fatal(returned: Any) -> None:
    session = Mock(get=Mock(return_value=returned), headers={})
    error = refused(session, "url")
    assert error.error_type is FATAL_ERROR
    assert type(returned).__name__ in str(error)
    assert "status_code" in str(error)


@pytest.mark.parametrize(
    "session",
    [None, object(), namespace(get="no function"), namespace(get=lambda url: None)],
    ids=["None", "object", "no function", "another function"],
)
def test_what_is_no_session_at_all_is_fatal(session: Any) -> None:
    assert_translated(refused(session, "url"), FATAL_ERROR)


def mocked(chunks: Any, headers: Any = None) -> Mock:
    return Mock(status_code=200, headers=headers, iter_content=Mock(return_value=chunks))


def test_a_mock_of_a_response_is_read_through_iter_content_with_the_chunk_size() -> None:
    response = mocked(iter([b"one\n", b"", "two €\n", "", "\ud800"]), headers=Mock())
    answer = answer_of(response, 77)
    assert answer.status == 200
    assert answer.headers == {}
    assert [answer.read() for _ in range(5)] == [b"one\n", "two €\n".encode(), b"\xed\xa0\x80", b"", b""]
    response.iter_content.assert_called_once_with(chunk_size=77)


@pytest.mark.parametrize(
    "headers", [None, Mock(), [], "text", {}], ids=lambda headers: type(headers).__name__
)
def test_headers_that_are_none_are_no_headers(headers: Any) -> None:
    assert answer_of(mocked([]), 1).headers == answer_of(mocked([], headers), 1).headers == {}


def test_a_header_that_is_no_str_is_absent() -> None:
    headers = {"A": "a", "B": 5, "C": None, "D": b"d", "E": Mock(), "F": ""}
    assert answer_of(mocked([], headers), 1).headers == {"a": "a", "f": ""}


def test_a_header_with_a_name_that_is_no_str_is_absent() -> None:
    assert answer_of(mocked([], {b"A": "a", None: "b", 5: "c", "D": "d"}), 1).headers == {"d": "d"}


def test_waking_and_closing_a_mock_closes_the_response() -> None:
    response = mocked(iter([b"x"]))
    answer = answer_of(response, 1)
    answer.wake()
    response.close.assert_not_called()
    answer.close()
    response.close.assert_called_once_with()


def test_a_real_response_in_memory_is_read_and_closed_like_any_other() -> None:
    raw = urllib3.HTTPResponse(io.BytesIO(b"one\ntwo\n"), status=200, preload_content=False)
    response = requests.Response()
    response.status_code, response.raw = 200, raw
    answer = answer_of(response, 1)
    answer.wake()
    assert read_all(answer) == b"one\ntwo\n"
    answer.close()
    assert raw.closed


class Undescribed(io.RawIOBase):
    """A file without a descriptor, as a body of urllib3-future: a read of it may wait for the network."""

    def __init__(self) -> None:
        self.reads_on: list[threading.Thread] = []

    def fileno(self) -> int:
        raise OSError("no file descriptor")

    def readable(self) -> bool:
        return True

    def read(self, size: int | None = -1) -> bytes:
        self.reads_on.append(threading.current_thread())
        return b"one\n" if len(self.reads_on) == 1 else b""


def test_a_body_that_hides_its_descriptor_is_read_on_a_thread_that_can_be_left() -> None:
    body = Undescribed()
    response = requests.Response()
    response.status_code, response.raw = 200, body
    answer = answer_of(response, 1)
    assert read_all(answer) == b"one\n"
    answer.close()
    assert threading.current_thread() not in body.reads_on


def test_a_memory_session_is_served_like_a_real_one(clock: FakeClock) -> None:
    session = ScriptedSession([[Serve(2), Cut()], [Serve(), Stall()], [Serve(), End()]], clock=clock)
    request = Request(session, "get", "url")
    expected: list[tuple[bytes, StreamErrorType | None]] = []
    for _ in range(3):
        answer = request.send(timeouts=limits(1, 1), wait=Wait(), chunk_size=1)
        data, error_type = b"", None
        try:
            data = answer.read()
            read_all(answer)
        except StreamError as error:
            error_type = error.error_type
        answer.close()
        expected.append((data, error_type))
    assert expected == [
        (b'{"data":{"id":"1"}}\r\n', STREAM_INTERRUPTED),
        (b'{"data":{"id":"4"}}\r\n', TIMEOUT),
        (b'{"data":{"id":"5"}}\r\n', None),
    ]
    assert all(response.raw.closed for response in session.responses)


def stream_error() -> StreamError:
    try:
        raise StreamError("mine", CLIENT_ERROR, status_code=418) from KeyError("mine")
    except StreamError as error:
        return error


@pytest.mark.parametrize("moment", ["dialling", "reading"])
def test_a_stream_error_of_the_sessions_own_passes_as_it_is(clock: FakeClock, moment: str) -> None:
    own = stream_error()
    cause = own.__cause__
    with pytest.raises(StreamError) as caught:
        if moment == "dialling":
            send(ScriptedSession([own], clock=clock), "url")
        else:
            answer_of(Mock(status_code=200, iter_content=Mock(side_effect=own)), 1).read()
    assert caught.value is own
    assert isinstance(cause, KeyError)
    assert own.__cause__ is cause


@pytest.mark.parametrize("moment", ["dialling", "reading"])
def test_an_unknown_exception_is_fatal_and_named(clock: FakeClock, moment: str) -> None:
    unknown = LookupError("what is this")
    with pytest.raises(StreamError) as caught:
        if moment == "dialling":
            send(ScriptedSession([unknown], clock=clock), "url")
        else:
            answer_of(Mock(status_code=200, iter_content=Mock(side_effect=unknown)), 1).read()
    assert_translated(caught.value, FATAL_ERROR)
    assert caught.value.original_exception is unknown
    assert "LookupError" in str(caught.value)
    assert "what is this" in str(caught.value)


@pytest.mark.parametrize("interruption", [KeyboardInterrupt(), SystemExit(1), GeneratorExit()], ids=repr)
def test_an_interruption_is_not_held_back(interruption: BaseException) -> None:
    session = Mock(get=Mock(side_effect=interruption), headers={})
    with pytest.raises(type(interruption)):
        send(session, "url")
    with pytest.raises(type(interruption)):
        answer_of(Mock(status_code=200, iter_content=Mock(side_effect=interruption)), 1).read()
