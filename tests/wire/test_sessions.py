"""Sessions as users bring them: with retries, logins, hooks, adapters and threads of their own."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest
import requests
import urllib3
from requests.adapters import BaseAdapter, HTTPAdapter

from helpers.servers import (
    CONNECTION_ERROR,
    FATAL_ERROR,
    GUARD,
    PASSWORD,
    PATH,
    SERVER_ERROR,
    Await,
    Peer,
    Reader,
    answer_of,
    asked,
    assert_translated,
    encodings,
    framings,
    head,
    nobody,
    read_all,
    read_exactly,
    read_to_fault,
    reads_its_socket,
    refused,
    send,
    served,
    shown,
    streamed,
    until,
)
from xdk_streaming import Stream, StreamConfig, StreamError
from xdk_streaming.simulator import End, Refuse, Send, Serve, Simulator, Stall
from xdk_streaming.simulator.body import Encoding, Framing

BUSY = Refuse(503, b"busy")


class Listener:
    """A server that answers with no body, and keeps what it was asked."""

    def __init__(self, *lines: str) -> None:
        self.seen: list[str] = []
        self._lines = lines

    def __call__(self, peer: Peer) -> None:
        self.seen.append(peer.request().decode())
        peer.send(head(*self._lines, "Content-Length: 0", "Connection: close"))

    def told(self, name: str) -> list[str | None]:
        """What each request had in this header."""
        return [
            next((line.partition(": ")[2] for line in lines if line.lower().startswith(name.lower())), None)
            for lines in (request.splitlines() for request in self.seen)
        ]


# With retries of their own


def retrying(session: requests.Session, **settings: Any) -> None:
    retries = urllib3.Retry(total=2, backoff_factor=0, **settings)
    session.mount("http://", HTTPAdapter(max_retries=retries))


def test_a_session_that_retries_refused_connections_ends_in_the_same_error(
    session: requests.Session,
) -> None:
    retrying(session)
    with nobody() as url:
        assert_translated(refused(session, url), CONNECTION_ERROR)


def test_a_session_that_retries_lost_connections_brings_the_answer(session: requests.Session) -> None:
    retrying(session)
    connections: list[Peer] = []

    def serve(peer: Peer) -> None:
        connections.append(peer)
        peer.request()
        if len(connections) == 3:
            peer.send(head("Content-Length: 5") + b"whole")

    with served(serve) as url, asked(session, url) as answer:
        assert read_all(answer) == b"whole"
    assert len(connections) == 3


def test_a_session_that_retries_a_status_brings_the_stream(session: requests.Session) -> None:
    retrying(session, status_forcelist=[503])
    script: list[list[Any]] = [[BUSY], [BUSY], [Send(b"x"), End()]]
    with Simulator(script=script) as simulator, asked(session, simulator.url + PATH) as answer:
        assert answer.status == 200
        assert read_all(answer) == b"x"


@pytest.mark.parametrize("raises", [True, False])
def test_a_session_that_gives_up_on_a_status_raises_or_brings_the_answer(
    session: requests.Session, raises: bool
) -> None:
    retrying(session, status_forcelist=[503], raise_on_status=raises)
    with Simulator(then=[BUSY]) as simulator:
        if raises:
            error = refused(session, simulator.url + PATH)
            assert_translated(error, SERVER_ERROR)
            assert "503" in str(error)
        else:
            with asked(session, simulator.url + PATH) as answer:
                assert answer.status == 503
                assert answer.read_start(100, GUARD) == b"busy"
        assert len(simulator.requests) == 3


# With logins of their own


def test_a_sessions_own_login_goes_before_the_token(session: requests.Session) -> None:
    session.auth = ("user", "pass")
    listener = Listener()
    with served(listener) as url:
        for _ in range(2):
            send(session, url).close()
    assert listener.told("Authorization") == ["Basic dXNlcjpwYXNz"] * 2


def test_a_login_of_a_class_of_its_own_is_asked_at_every_attempt(session: requests.Session) -> None:
    tokens = iter(["first", "second"])

    class Rotating(requests.auth.AuthBase):
        def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
            request.headers["Authorization"] = f"Bearer {next(tokens)}"
            return request

    session.auth = Rotating()
    listener = Listener()
    with served(listener) as url:
        for _ in range(2):
            send(session, url).close()
        assert refused(session, url).error_type is FATAL_ERROR  # StopIteration: there is no third
    assert listener.told("Authorization") == ["Bearer first", "Bearer second"]


@pytest.mark.parametrize("end", ["\n", "\r\nX-More: 1", "\u2026"], ids=ascii)
def test_a_token_that_cannot_be_sent_is_fatal_and_never_shown(session: requests.Session, end: str) -> None:
    """As read from a file, with the line's end: requests looks at headers before a login adds its own."""

    class FromFile(requests.auth.AuthBase):
        def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
            request.headers["Authorization"] = f"Bearer {PASSWORD}{end}"
            return request

    session.auth = FromFile()
    with served(Listener()) as url:
        error = refused(session, url)
    assert error.error_type is FATAL_ERROR
    assert "header" in str(error)
    assert [text for text in shown(error) if PASSWORD in text] == []


def test_a_login_that_fails_is_fatal_and_reported(session: requests.Session) -> None:
    session.auth = Mock(side_effect=LookupError("the vault is closed"))
    error = refused(session, "http://127.0.0.1:9")
    assert_translated(error, FATAL_ERROR)
    assert "the vault is closed" in str(error)


@pytest.mark.parametrize("where", ["session", "headers", "callable"])
def test_a_netrc_file_does_not_replace_the_authorization_that_was_given(
    session: requests.Session, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, where: str
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login user password pass\n")
    monkeypatch.setenv("NETRC", str(netrc))
    session.trust_env = True
    token = {"Authorization": "Bearer given"}
    if where == "session":
        session.headers.update(token)
    headers: Any = {"session": None, "headers": token, "callable": lambda: token}[where]
    listener = Listener()
    with served(listener) as url:
        send(session, url, headers=headers).close()
    assert listener.told("Authorization") == ["Bearer given"]


def test_a_netrc_file_is_used_where_no_authorization_was_given(
    session: requests.Session, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login user password pass\n")
    monkeypatch.setenv("NETRC", str(netrc))
    session.trust_env = True
    del session.headers["Authorization"]
    listener = Listener()
    with served(listener) as url:
        send(session, url).close()
    assert listener.told("Authorization") == ["Basic dXNlcjpwYXNz"]


def test_a_netrc_file_is_left_alone_by_a_session_that_does_not_trust_the_environment(
    session: requests.Session, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login user password pass\n")
    monkeypatch.setenv("NETRC", str(netrc))
    listener = Listener()
    with served(listener) as url:
        send(session, url).close()
    assert listener.told("Authorization") == ["Bearer a-token"]


# With params and cookies


def test_a_sessions_own_params_are_sent_beside_the_streams(session: requests.Session) -> None:
    session.params = {"of": "session", "both": "session"}
    listener = Listener()
    with served(listener) as url:
        send(session, f"{url}/?in=url", params={"of": "stream", "both": "stream"}).close()
        send(session, url, params=lambda: {"asked": "now"}).close()
    first, second = (request.split()[1] for request in listener.seen)
    assert first == "/?in=url&of=stream&both=stream"
    assert second == "/?of=session&both=session&asked=now"


def test_a_cookie_that_the_server_sets_is_brought_back_at_the_next_attempt(session: requests.Session) -> None:
    listener = Listener("Set-Cookie: guest_id=v1; Path=/")
    with served(listener) as url:
        for _ in range(2):
            send(session, url).close()
    assert listener.told("Cookie") == [None, "guest_id=v1"]


# With hooks


class Refused(Exception):
    """A user's own."""


def test_a_hook_that_raises_is_fatal_and_the_connection_is_closed_while_the_error_is_kept(
    session: requests.Session,
) -> None:
    def check(response: requests.Response, **_: Any) -> None:
        raise Refused(response.status_code)

    session.hooks["response"].append(check)
    with Simulator(script=[[Send(b"x"), Stall()]], rate=0) as simulator:
        error = refused(session, simulator.url + PATH)
        assert_translated(error, FATAL_ERROR)
        assert isinstance(error.original_exception, Refused)
        until(lambda: simulator.requests[0].outcome == "silent until the client left")


def test_a_hook_that_raises_from_deep_within_closes_the_connection_too(session: requests.Session) -> None:
    def check(response: requests.Response, **_: Any) -> None:
        try:
            int("no number")
        except ValueError as error:
            raise Refused from error

    session.hooks["response"].append(check)
    with Simulator(script=[[Send(b"x"), Stall()]], rate=0) as simulator:
        error = refused(session, simulator.url + PATH)
        assert "Refused" in str(error)
        until(lambda: simulator.requests[0].outcome == "silent until the client left")


def test_a_hook_that_returns_another_response_has_that_one_read(session: requests.Session) -> None:
    def replace(response: requests.Response, **_: Any) -> requests.Response:
        response.close()
        other = requests.Response()
        other.status_code, other.raw = 200, io.BytesIO(b"from elsewhere")
        return other

    session.hooks["response"].append(replace)
    with streamed(session, Refuse(503)) as (answer, _):
        assert answer.status == 200
        assert read_all(answer) == b"from elsewhere"


def test_a_hook_that_reads_the_whole_stream_has_left_it_to_be_read_again(session: requests.Session) -> None:
    session.hooks["response"].append(lambda response, **_: response.content and None)
    with streamed(session, Send(b"one\n"), Send(b"two\n"), End()) as (answer, _):
        assert read_all(answer) == b"one\ntwo\n"
        assert answer.read() == b""


@framings
@encodings
@pytest.mark.parametrize("amount", [2, 100], ids=["half a line", "a line"])
def test_a_hook_that_reads_the_start_of_the_stream_has_left_the_rest(
    session: requests.Session, framing: Framing, encoding: Encoding | None, amount: int
) -> None:
    confirmed = threading.Event()
    starts: list[bytes] = []

    def look(response: requests.Response, **_: Any) -> None:
        starts.append(response.raw.read1(amount, decode_content=True))

    session.hooks["response"].append(look)
    script = Send(b"one\n"), Await(confirmed), Send(b"two\n")
    with streamed(session, *script, framing=framing, encoding=encoding) as (answer, _):
        assert starts == [b"one\n"[:amount]]
        confirmed.set()
        assert read_all(answer) == b"one\ntwo\n"[amount if amount == 2 else 4 :]


def test_a_hook_that_reads_the_first_chunk_has_left_the_others(session: requests.Session) -> None:
    starts: list[bytes] = []
    held: list[Iterator[bytes]] = []  # an iteration that is given up closes the connection

    def look(response: requests.Response, **_: Any) -> None:
        held.append(response.iter_content(None))
        starts.append(next(held[0]))

    session.hooks["response"].append(look)
    with streamed(session, Send(b"one\n"), Send(b"two\n"), encoding="gzip") as (answer, _):
        assert starts == [b"one\n"]
        assert read_all(answer) == b"two\n"


# With adapters


def test_an_adapter_that_adds_to_requests_and_responses_is_used(session: requests.Session) -> None:
    class Signing(HTTPAdapter):
        def add_headers(self, request: requests.PreparedRequest, **_: Any) -> None:
            request.headers["X-Signed"] = "yes"

        def build_response(self, *given: Any) -> requests.Response:
            response = super().build_response(*given)
            response.headers["X-Checked"] = "yes"
            return response

    session.mount("http://", Signing())
    listener = Listener()
    with served(listener) as url, asked(session, url) as answer:
        assert answer.headers["x-checked"] == "yes"
    assert listener.told("X-Signed") == ["yes"]


class InMemory(BaseAdapter):
    """An adapter without any urllib3 in it."""

    def __init__(self, raw: Any) -> None:
        super().__init__()
        self._raw = raw
        self.closed = False

    def send(self, request: requests.PreparedRequest, *_: Any, **__: Any) -> requests.Response:
        response = requests.Response()
        response.status_code, response.request, response.raw = 200, request, self._raw
        response.url = str(request.url)
        return response

    def close(self) -> None:
        self.closed = True


def test_an_adapter_without_urllib3_is_read_through_iter_content(session: requests.Session) -> None:
    session.mount("memory://", InMemory(io.BytesIO(b"one\ntwo\n")))
    with asked(session, "memory://anywhere") as answer:
        assert read_all(answer) == b"one\ntwo\n"
        answer.wake()


def test_an_unknown_exception_from_an_adapters_body_is_fatal_and_reported(session: requests.Session) -> None:
    raw = Mock(spec=["read"], read=Mock(side_effect=Refused("own reason")))
    session.mount("memory://", InMemory(raw))
    with asked(session, "memory://anywhere") as answer:
        _, error = read_to_fault(answer)
    assert_translated(error, FATAL_ERROR)
    assert "own reason" in str(error)


def test_a_foreign_connection_under_urllib3s_response_keeps_its_socket() -> None:
    class Foreign:
        sock = property(lambda self: object())

    body = io.BytesIO(b"one\n")
    raw = urllib3.HTTPResponse(body, status=200, preload_content=False, connection=Foreign())  # type: ignore[arg-type]
    response = requests.Response()
    response.status_code, response.raw = 200, raw
    assert read_all(answer_of(response, 1)) == b"one\n"


# Of requests' shape only


class Shaped(requests.Session):
    """A session that answers by itself."""

    def __init__(self, response: Any) -> None:
        super().__init__()
        self._response = response

    def get(self, url: str | bytes, **_: Any) -> Any:  # type: ignore[override]  # any response
        return self._response


@pytest.mark.parametrize("kind", [Mock, SimpleNamespace])
def test_a_session_that_returns_responses_of_its_own_kind_is_streamed_from(kind: Any) -> None:
    line = '{"data":{"id":"1"}}\n'
    response = kind(
        status_code=200,
        headers={"content-type": "application/json"},
        iter_content=lambda chunk_size: iter([line[:5], line[5:].encode(), "", None, bytearray(b"\n")]),
        close=lambda: None,
    )
    with Shaped(response) as session, Stream[Any](session, "get", "http://nowhere") as stream:
        assert next(iter(stream)) == {"data": {"id": "1"}}


class Odd:
    """A response that raises if one of its attributes is read."""

    def __init__(self, odd: str) -> None:
        self._odd = odd

    def __getattr__(self, name: str) -> Any:
        if name == self._odd:
            raise LookupError(f"no {name} today")
        return {"status_code": 200, "headers": {}, "raw": None, "close": lambda: None}[name]


@pytest.mark.parametrize("odd", ["status_code", "headers", "raw"])
def test_a_response_that_raises_on_access_is_fatal_and_reported(odd: str) -> None:
    with Shaped(Odd(odd)) as session:
        error = refused(session, "http://nowhere")
    assert_translated(error, FATAL_ERROR)
    assert f"no {odd} today" in str(error)


@pytest.mark.parametrize("chunks", [b"bytes, not a list of them", [1, 2], [["x"]], 5], ids=repr)
def test_chunks_that_are_no_bytes_are_fatal(chunks: Any) -> None:
    response = SimpleNamespace(status_code=200, iter_content=lambda chunk_size: chunks)
    with Shaped(response) as session, asked(session, "http://nowhere") as answer:
        with pytest.raises(StreamError) as caught:
            answer.read()
        assert answer.read() == b""
    assert_translated(caught.value, FATAL_ERROR)


def test_an_exception_without_a_text_is_reported_by_its_class() -> None:
    class Wordless(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    error = refused(Mock(get=Mock(side_effect=Wordless), headers={}), "http://nowhere")
    assert_translated(error, FATAL_ERROR)
    assert "Wordless" in str(error)


# Shared, and closed


def test_a_session_serves_other_threads_while_a_stream_runs_on_it(session: requests.Session) -> None:
    confirmed = threading.Event()
    others: list[int] = []
    script: list[list[Any]] = [[Send(b"one\n"), Await(confirmed), Send(b"two\n"), End()]]

    def call(url: str) -> None:
        for _ in range(5):
            others.append(session.get(url + "/2/nowhere", timeout=GUARD).status_code)

    with Simulator(script=script) as simulator, asked(session, simulator.url + PATH) as answer:
        read_exactly(answer, b"one\n")
        callers = [threading.Thread(target=call, args=[simulator.url]) for _ in range(4)]
        for caller in callers:
            caller.start()
        for caller in callers:
            caller.join(GUARD)
        confirmed.set()
        assert read_all(answer) == b"two\n"
    assert others == [404] * 20


@pytest.mark.parametrize("thread", ["same", "another"])
def test_a_session_closed_while_a_stream_runs_on_it_does_not_disturb_the_stream(
    session: requests.Session, thread: str
) -> None:
    confirmed = threading.Event()
    script: list[list[Any]] = [
        [Send(b"one\n"), Await(confirmed), Send(b"two\n"), End()],
        [Send(b"three\n"), End()],
    ]
    with Simulator(script=script) as simulator:
        with asked(session, simulator.url + PATH) as answer:
            read_exactly(answer, b"one\n")
            if thread == "same":
                session.close()
            else:
                closer = threading.Thread(target=session.close)
                closer.start()
                closer.join(GUARD)
            confirmed.set()
            assert read_all(answer) == b"two\n"
        with asked(session, simulator.url + PATH) as answer:
            assert read_all(answer) == b"three\n"


def test_a_session_closed_while_a_read_blocks_leaves_it_to_be_woken(session: requests.Session) -> None:
    with streamed(session, Send(b"one\n"), Stall()) as (answer, simulator):
        reader = Reader(answer)
        reader.start()
        until(lambda: reader.data and reads_its_socket(reader))
        session.close()
        answer.wake()
        reader.join(GUARD)
        assert not reader.is_alive()
        assert reader.data == b"one\n"
        until(lambda: simulator.requests[0].outcome == "silent until the client left")


def test_a_session_closed_between_items_by_their_consumer_goes_on(session: requests.Session) -> None:
    config = StreamConfig(initial_backoff=0.001, max_backoff=0.001)
    ids: list[str] = []
    with (
        Simulator(then=[Serve(2), End()], rate=0) as simulator,
        Stream[Any](session, "get", simulator.url + PATH, config) as stream,
    ):
        for item in stream:
            ids.append(item["data"]["id"])
            session.close()
            if len(ids) == 4:
                stream.stop()
    assert len(set(ids)) == 4
