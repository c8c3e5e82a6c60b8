"""Streams through proxies, forwarding and tunnelling, and what becomes of them when the proxy fails."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any

import pytest
import requests
from requests.adapters import HTTPAdapter

from helpers.servers import (
    CONNECTION_ERROR,
    FATAL_ERROR,
    GUARD,
    PASSWORD,
    PATH,
    SOON,
    STREAM_INTERRUPTED,
    TIMEOUT,
    Await,
    Peer,
    Reader,
    Trust,
    answering,
    asked,
    assert_translated,
    certified,
    head,
    limits,
    nobody,
    proxy,
    read_all,
    read_exactly,
    read_to_fault,
    reads_its_socket,
    refused,
    served,
    shown,
    streamed,
    through,
    until,
)
from helpers.systems import posix
from xdk_streaming import ConnectionState, Stream, StreamConfig, StreamError, StreamErrorType
from xdk_streaming.simulator import End, Send, Serve, Simulator, Stall
from xdk_streaming.wire.request import Request
from xdk_streaming.wire.wait import Wait

routes = pytest.mark.parametrize("tunnel", [False, True], ids=["forwarded", "tunnelled"])
"""A plain URL is forwarded by the proxy; a TLS one goes through a tunnel."""
FORWARDED, TUNNELLED = "http://nowhere.invalid/", "https://nowhere.invalid/"
both_urls = pytest.mark.parametrize("url", [FORWARDED, TUNNELLED], ids=["forwarded", "tunnelled"])


# Proxies that work


@routes
@pytest.mark.parametrize("wants_password", [False, True], ids=["open", "with password"])
def test_bytes_come_through_a_proxy_as_soon_as_they_are_sent(
    session: requests.Session, trust: Trust, tunnel: bool, wants_password: bool
) -> None:
    confirmed = [threading.Event(), threading.Event()]
    script = Send(b"one\n"), Await(confirmed[0]), Send(b"two\n"), Await(confirmed[1])
    with proxy(wants_password=wants_password) as between:
        through(session, between.url_with_password if wants_password else between.url)
        with streamed(session, *script, trust=trust if tunnel else None) as (answer, _):
            for piece, event in zip([b"one\n", b"two\n"], confirmed, strict=True):
                read_exactly(answer, piece)
                event.set()
            assert read_all(answer) == b""
    assert [asked_for.startswith(b"CONNECT ") for asked_for in between.seen] == [tunnel]
    assert (b"a-token" in between.seen[0]) is not tunnel  # what is forwarded must be seen, a tunnel is not


def test_bytes_come_through_a_tunnel_in_a_connection_that_is_tls_already(
    session: requests.Session, trust: Trust
) -> None:
    confirmed = threading.Event()
    script = Send(b"one\n"), Await(confirmed), Send(b"two\n")
    with proxy(trust.server, wants_password=True) as between:
        through(session, between.url_with_password)
        with streamed(session, *script, trust=trust) as (answer, _):
            read_exactly(answer, b"one\n")
            confirmed.set()
            assert read_all(answer) == b"two\n"


@pytest.mark.parametrize("proxied", ["forwarded", "tunnelled", "tunnelled in TLS"])
def test_wake_ends_a_read_that_blocks_behind_a_proxy_and_the_server_sees_the_client_leave(
    session: requests.Session, trust: Trust, proxied: str
) -> None:
    script = Send(b"whole\n"), Stall()
    secured = None if proxied == "forwarded" else trust
    with proxy(trust.server if proxied == "tunnelled in TLS" else None) as between:
        through(session, between.url)
        with streamed(session, *script, trust=secured) as (answer, simulator):
            reader = Reader(answer)
            reader.start()
            until(lambda: reader.data and reads_its_socket(reader))
            answer.wake()
            reader.join(GUARD / 2)
            assert not reader.is_alive()
            assert reader.data == b"whole\n"
            until(lambda: simulator.requests[0].outcome == "silent until the client left")


@routes
def test_a_stream_behind_a_proxy_is_stopped_like_any_other(
    session: requests.Session, trust: Trust, tunnel: bool
) -> None:
    session.verify = trust.authority
    items: list[Any] = []
    tls = trust.server if tunnel else None
    with proxy() as between, Simulator(script=[(Serve(2), Stall())], rate=0, tls=tls) as simulator:
        through(session, between.url)
        stream = Stream[dict[str, Any]](session, "get", simulator.url + PATH)
        reader = threading.Thread(target=lambda: items.extend(stream))
        reader.start()
        until(lambda: stream.state.total_items_received == 2 and reads_its_socket(reader))
        stream.stop()
        reader.join(GUARD)
        assert stream.connection_state is ConnectionState.DISCONNECTED
        assert stream.state.last_error is None
        until(lambda: simulator.requests[0].outcome == "silent until the client left")
    assert len(items) == 2


@routes
def test_a_stream_behind_a_proxy_that_dies_is_taken_up_again(
    session: requests.Session, trust: Trust, tunnel: bool
) -> None:
    session.verify = trust.authority
    script = [(Serve(1), Stall()), (Serve(1), Stall())]
    with (
        proxy() as between,
        Simulator(script=script, rate=0, tls=trust.server if tunnel else None) as simulator,
    ):
        through(session, between.url)
        config = StreamConfig(initial_backoff=0.01, max_backoff=0.01)
        items = []
        with Stream[dict[str, Any]](session, "get", simulator.url + PATH, config) as stream:
            for item in stream:
                items.append(item["data"]["id"])
                if len(items) == 2:
                    break
                between.die()
    assert len(set(items)) == 2
    assert len(between.seen) == 2


def test_a_session_that_trusts_the_environment_takes_its_proxies_from_there(
    session: requests.Session, trust: Trust, monkeypatch: pytest.MonkeyPatch
) -> None:
    unproxied(monkeypatch)
    session.trust_env = True
    with proxy(wants_password=True) as between:
        for name in ("HTTP_PROXY", "HTTPS_PROXY"):
            monkeypatch.setenv(name, between.url_with_password)
        for secured in (None, trust):
            with streamed(session, Send(b"x"), End(), trust=secured) as (answer, _):
                assert read_all(answer) == b"x"
    assert [asked_for.split()[0] for asked_for in between.seen] == [b"GET", b"CONNECT"]


@pytest.mark.parametrize("why", ["not trusted", "exempt"])
def test_an_environment_that_does_not_count_leads_to_no_proxy(
    session: requests.Session, monkeypatch: pytest.MonkeyPatch, why: str
) -> None:
    unproxied(monkeypatch)
    session.trust_env = why == "exempt"
    with proxy() as between:
        monkeypatch.setenv("HTTP_PROXY", between.url)
        if why == "exempt":
            monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        with streamed(session, Send(b"x"), End()) as (answer, _):
            assert read_all(answer) == b"x"
    assert between.seen == []


def unproxied(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the machine's own environment says of proxies and certificates is not what is tested."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)


# Proxies that fail


def hang_up(peer: Peer) -> None:
    """Close at once, before anything is asked."""


def reset(peer: Peer) -> None:
    peer.request()
    peer.reset()


BROKEN: dict[str, Callable[[Peer], None]] = {
    "closes at once": hang_up,
    "closes when asked": answering(),
    "resets": reset,
    "closes in the middle of its answer": answering(b"HTTP/1."),
    "talks rubbish": answering(b"SSH-2.0-OpenSSH_9.6\r\n"),
    "talks binary rubbish": answering(bytes(range(256))),
    "talks much rubbish": answering(b"rubbish " * 5000 + b"\r\n"),
}


@both_urls
@pytest.mark.parametrize("broken", list(BROKEN))
def test_a_broken_proxy_is_a_connection_error(session: requests.Session, url: str, broken: str) -> None:
    with served(BROKEN[broken]) as between:
        through(session, between)
        error = refused(session, url)
    assert_translated(error, CONNECTION_ERROR)
    assert len(str(error)) < 400
    assert str(error).isprintable()  # what a stranger says must not make lines in a log


def test_a_proxy_that_opens_a_tunnel_and_closes_it_is_a_connection_error(session: requests.Session) -> None:
    with served(answering(head(status="200 Connection established"))) as between:
        through(session, between)
        assert_translated(refused(session, TUNNELLED), CONNECTION_ERROR)


@both_urls
def test_a_proxy_that_is_not_there_is_a_connection_error_that_names_it(
    session: requests.Session, url: str
) -> None:
    with nobody() as between:
        through(session, between)
        error = refused(session, url)
    assert_translated(error, CONNECTION_ERROR)
    assert "proxy" in str(error)


@both_urls
def test_a_silent_proxy_is_a_timeout(session: requests.Session, url: str) -> None:
    with served(Peer.wait_until_left) as between:
        through(session, between)
        with pytest.raises(StreamError, match="proxy") as caught:
            connect_within_soon(session, url)
    assert_translated(caught.value, TIMEOUT)


def test_a_proxy_that_is_silent_in_its_tls_handshake_is_a_timeout(session: requests.Session) -> None:
    with served(Peer.wait_until_left) as between:
        through(session, between.replace("http:", "https:"))
        with pytest.raises(StreamError, match="proxy") as caught:
            connect_within_soon(session, TUNNELLED)
    assert_translated(caught.value, TIMEOUT)


def connect_within_soon(session: requests.Session, url: str) -> None:
    """A tunnel's opening is bounded by the timeout for connecting."""
    Request(session, "get", url).send(timeouts=limits(SOON, GUARD), wait=Wait(), chunk_size=1).close()


@pytest.mark.parametrize("status", [403, 407, 502])
def test_a_proxy_that_refuses_to_forward_has_answered(session: requests.Session, status: int) -> None:
    refusal = head("Content-Length: 4", status=f"{status} No") + b"busy"
    with served(answering(refusal)) as between:
        through(session, between)
        with asked(session, FORWARDED) as answer:
            assert answer.status == status
            assert answer.read_start(100, GUARD) == b"busy"


def test_a_stream_that_a_proxy_wants_a_password_for_fails_with_407(session: requests.Session) -> None:
    with proxy(wants_password=True) as between:
        through(session, between.url)
        stream = Stream[Any](session, "get", FORWARDED)
        with pytest.raises(StreamError, match="407") as caught:
            list(stream)
    assert caught.value.status_code == 407


@posix("the relay of the tests ends by a shutdown, which ends no receive there")
@routes
@pytest.mark.parametrize("by_reset", [False, True], ids=["closed", "reset"])
def test_a_proxy_that_dies_in_mid_stream_interrupts_it_after_what_came_before(
    session: requests.Session, trust: Trust, tunnel: bool, by_reset: bool
) -> None:
    with proxy() as between:
        through(session, between.url)
        with streamed(session, Send(b"whole\n"), Stall(), trust=trust if tunnel else None) as (answer, _):
            read_exactly(answer, b"whole\n")
            between.die(by_reset=by_reset)
            data, error = read_to_fault(answer)
            assert data == b""
            assert_translated(error, STREAM_INTERRUPTED)


def test_a_proxy_that_falls_silent_in_mid_stream_is_a_timeout(
    session: requests.Session, trust: Trust
) -> None:
    with proxy() as between:
        through(session, between.url)
        script = Send(b"whole\n"), Stall()
        with streamed(session, *script, trust=trust, read_timeout=SOON) as (answer, _):
            data, error = read_to_fault(answer)
            assert data == b"whole\n"
            assert_translated(error, TIMEOUT)


def test_a_certificate_refused_behind_a_tunnel_is_fatal(session: requests.Session, trust: Trust) -> None:
    with proxy() as between, Simulator(tls=trust.server) as simulator:
        through(session, between.url)
        assert_translated(refused(session, simulator.url + PATH), FATAL_ERROR)


def test_a_proxys_own_certificate_that_is_refused_is_fatal(
    session: requests.Session, trust: Trust, tmp_path_factory: pytest.TempPathFactory
) -> None:
    other = certified(tmp_path_factory.mktemp("other"), "127.0.0.1")
    session.verify = other.authority
    with proxy(trust.server) as between:
        through(session, between.url)
        error = refused(session, TUNNELLED)
    assert_translated(error, FATAL_ERROR)
    assert "proxy" in str(error)


# Their passwords

UNUSABLE = [
    f"http://user:{PASSWORD}@",
    f"http://user:{PASSWORD}@:8080",
    f"http://user:{PASSWORD}@host:port",
    f"user:{PASSWORD}@host:port",
    f"http://user:{PASSWORD}@[::1",
    f"http://user:{PASSWORD}@a..b:80",
    f"http://user:{PASSWORD}#more@host:80",
    f"http://user:{PASSWORD}/more@host:80",
    f"http://user:{PASSWORD}?more@host:80",
    f"http://{PASSWORD}:more/more@host:80",
    f"http://user: {PASSWORD}@host:port",
    f"http://user:\u2026{PASSWORD}@host:80",
    f"http://user:{PASSWORD}@h\u2100st:80",
    f"ftp://user:{PASSWORD}@127.0.0.1:1",
]


@both_urls
@pytest.mark.parametrize("unusable", UNUSABLE, ids=ascii)
def test_a_proxys_url_that_cannot_be_used_is_fatal_and_its_password_shown_nowhere(
    session: requests.Session, caplog: pytest.LogCaptureFixture, url: str, unusable: str
) -> None:
    caplog.set_level(logging.DEBUG)
    through(session, unusable)
    error = refused(session, url)
    assert error.error_type is FATAL_ERROR
    assert [text for text in [*shown(error), caplog.text] if PASSWORD in text] == []


def test_the_password_of_a_proxy_in_the_environment_is_shown_nowhere(
    session: requests.Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    unproxied(monkeypatch)
    session.trust_env = True
    monkeypatch.setenv("HTTP_PROXY", f"http://user:{PASSWORD}#@host:80")
    error = refused(session, FORWARDED)
    assert error.error_type is FATAL_ERROR
    assert [text for text in shown(error) if PASSWORD in text] == []


@pytest.mark.parametrize("kind", [RuntimeError, requests.HTTPError], ids=lambda kind: kind.__name__)
def test_a_password_that_an_adapter_quotes_is_shown_nowhere(
    session: requests.Session, kind: type[Exception]
) -> None:
    class Telling(HTTPAdapter):
        def send(self, *_: Any, proxies: Any = None, **__: Any) -> Any:
            raise kind(f"no way through {proxies['http']}")

    session.mount("http://", Telling())
    through(session, f"http://user:{PASSWORD}@127.0.0.1:1")
    error = refused(session, FORWARDED)
    assert "quotes a password" in str(error)
    assert [text for text in shown(error) if PASSWORD in text] == []


@pytest.mark.parametrize(
    "unusable",
    [
        f"http://user:{PASSWORD}@",
        f"http://user:{PASSWORD}@h:port",
        f"user:{PASSWORD}@h",
        f"ftp://u:{PASSWORD}@h",
    ],
)
def test_the_password_in_a_url_that_cannot_be_used_is_shown_nowhere(
    session: requests.Session, unusable: str
) -> None:
    error = refused(session, unusable)
    assert error.error_type is FATAL_ERROR
    assert [text for text in shown(error) if PASSWORD in text] == []


FAILING: dict[str, tuple[Callable[[Peer], None], StreamErrorType]] = {
    **{name: (serve, CONNECTION_ERROR) for name, serve in BROKEN.items()},
    "is silent": (Peer.wait_until_left, TIMEOUT),
}


@pytest.mark.parametrize("failing", list(FAILING))
def test_the_password_of_a_proxy_that_fails_is_shown_nowhere(
    session: requests.Session, caplog: pytest.LogCaptureFixture, failing: str
) -> None:
    caplog.set_level(logging.DEBUG)
    serve, error_type = FAILING[failing]
    with served(serve) as between:
        through(session, between.replace("://", f"://user:{PASSWORD}@"))
        with pytest.raises(StreamError, match="proxy") as caught:
            connect_within_soon(session, TUNNELLED)
    assert_translated(caught.value, error_type)
    assert [text for text in [*shown(caught.value), caplog.text] if PASSWORD in text] == []


def test_the_password_of_a_proxy_that_dies_in_mid_stream_is_shown_nowhere(
    session: requests.Session, caplog: pytest.LogCaptureFixture, trust: Trust
) -> None:
    caplog.set_level(logging.DEBUG)
    session.verify = trust.authority
    errors: list[StreamError] = []
    with (
        proxy(wants_password=True) as between,
        Simulator(script=[(Serve(1), Stall())], rate=0, tls=trust.server) as simulator,
    ):
        through(session, between.url_with_password)
        config = StreamConfig(max_retries=0, on_error=errors.append)
        with pytest.raises(StreamError, match="retries") as caught:
            for _ in Stream[Any](session, "get", simulator.url + PATH, config):
                between.die()
    for error in [*errors, caught.value]:
        assert [text for text in [*shown(error), caplog.text] if PASSWORD in text] == []
