"""What a user gives to a stream is checked when the stream is made, by its shape."""

from __future__ import annotations

from typing import Any
from unittest.mock import AsyncMock, MagicMock, Mock

import httpx
import pytest
import requests

from helpers.shortcuts import namespace
from xdk_streaming import AsyncStream, Stream, StreamConfig
from xdk_streaming.testing import ScriptedSession
from xdk_streaming.wire.arguments import is_coroutine_function

URL = "https://api.x.com/2/tweets/sample/stream"


class AsyncSession:
    """A session whose methods are coroutine functions, as those of niquests and httpx."""

    async def get(self, url: str, **named: Any) -> None: ...


class ClosedByAwaiting:
    """A session that returns what is awaited, and is closed by awaiting, as that of aiohttp."""

    def get(self, url: str, **named: Any) -> None: ...

    async def close(self) -> None: ...


async def coroutine(*_: Any) -> None: ...


class Coroutine:
    async def __call__(self, *_: Any) -> None: ...


@pytest.mark.parametrize("kind", [Stream, AsyncStream])
@pytest.mark.parametrize(
    ("session", "advice"),
    [
        (None, "session is of type NoneType, which has no method get"),
        ("AAAA-token", r'session is of type str; .* session.headers\["Authorization"\] = "Bearer \.\.\."'),
        (requests.Session, r"session is the class Session; .*: Session\(\)"),
        (object(), "session is of type object"),
        (namespace(get="no function"), "has no method get"),
        (namespace(get=lambda url: None), "takes no argument stream=True"),
        (httpx.Client(), r"session is of type Client, whose get\(\) takes no argument stream=True"),
        (httpx.AsyncClient(), "session is of type AsyncClient, which is asynchronous"),
        (AsyncSession(), "which is asynchronous.* AsyncStream takes a requests.Session, too"),
        (ClosedByAwaiting(), "which is asynchronous"),
        (AsyncMock(), "which is asynchronous"),
    ],
    ids=range(11),
)
def test_what_is_no_session_is_refused_by_its_shape(kind: Any, session: Any, advice: str) -> None:
    with pytest.raises(ValueError, match=advice) as refusal:
        kind(session, "get", URL)
    assert "AAAA-token" not in str(refusal.value)


@pytest.mark.parametrize(
    "session",
    [Mock(), MagicMock(), Mock(spec=requests.Session), requests, ScriptedSession([])],
    ids=["Mock", "MagicMock", "a Mock with a spec", "the module", "ScriptedSession"],
)
def test_an_imitation_of_a_session_is_welcome(session: Any) -> None:
    Stream(session, "get", URL).close()


@pytest.mark.parametrize(
    "url", ["api.x.com/2/stream", "", "//api.x.com", "/2/stream", "localhost", b"x.com", None, 5]
)
def test_a_url_without_a_scheme_is_refused(session: requests.Session, url: Any) -> None:
    with pytest.raises(ValueError, match=r"url (has no scheme; write it in full|is of type)"):
        Stream(session, "get", url)


def test_a_refused_url_is_not_quoted(session: requests.Session) -> None:
    with pytest.raises(ValueError, match="no scheme") as refusal:
        Stream(session, "get", "user/secret@api.x.com")
    assert "secret" not in str(refusal.value)


@pytest.mark.parametrize("name", ["params", "headers"])
@pytest.mark.parametrize("values", ["a=b", b"a=b", 5, ["a", "b"]], ids=repr)
def test_params_and_headers_have_names(session: requests.Session, name: str, values: Any) -> None:
    with pytest.raises(ValueError, match=rf"{name} is of type {type(values).__name__}, must be a mapping"):
        Stream(session, "get", URL, **{name: values})


@pytest.mark.parametrize("values", [None, {}, {"a": 1}, [("a", 1)], dict])
def test_whatever_a_dict_can_be_made_of_has_names(session: requests.Session, values: Any) -> None:
    Stream(session, "get", URL, params=values, headers=values).close()


@pytest.mark.parametrize("method", ["gets", "", 5, None])
def test_what_is_no_method_is_refused(session: requests.Session, method: Any) -> None:
    with pytest.raises(ValueError, match=r"method is .*, must be one of delete, get"):
        Stream(session, method, URL)


@pytest.mark.parametrize("kind", [Stream, AsyncStream])
def test_a_missing_argument_names_the_class_that_the_user_knows(kind: Any) -> None:
    with pytest.raises(TypeError, match=rf"^{kind.__name__}\.__init__\(\) missing 1 required .*: 'url'"):
        kind(requests.Session(), "get")


class Own(Stream[Any]):
    def __init__(self, session: requests.Session) -> None:
        super().__init__(session, "get", URL)


class Derived(Stream[Any]):
    pass


def test_a_class_of_the_users_own_keeps_its_constructor_or_gets_one_of_its_name(
    session: requests.Session,
) -> None:
    Own(session).close()
    with pytest.raises(TypeError, match=r"^Derived\.__init__\(\) missing 3"):
        Derived()  # type: ignore[call-arg]


@pytest.mark.parametrize("callback", [coroutine, Coroutine()], ids=["function", "object"])
@pytest.mark.parametrize("name", ["on_connect", "on_lag", "on_state_change"])
def test_a_coroutine_function_is_no_callback_of_a_stream(
    session: requests.Session, name: str, callback: Any
) -> None:
    config = StreamConfig(**{name: callback})
    with pytest.raises(ValueError, match=f"{name} is a coroutine function, which Stream cannot await"):
        Stream(session, "get", URL, config)
    AsyncStream(session, "get", URL, config)


def test_a_coroutine_function_is_no_observer_of_a_stream(session: requests.Session) -> None:
    with pytest.raises(ValueError, match="an observer is a coroutine function"):
        Stream(session, "get", URL, StreamConfig(observers=(print, coroutine)))


@pytest.mark.parametrize(
    ("function", "expected"),
    [(coroutine, True), (Coroutine(), True), (AsyncMock(), True), (print, False), (Mock(spec=print), False)],
    ids=range(5),
)
def test_it_is_known_what_returns_a_coroutine(function: Any, expected: bool) -> None:
    assert is_coroutine_function(function) is expected


def test_an_imitation_that_cannot_be_inspected_is_taken_as_a_function() -> None:
    assert not is_coroutine_function(Mock(spec=lambda line: line))
