"""What a proxy says when it lets nobody through: of a wrong login, a forbidden host, and its own faults."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests

from helpers.servers import (
    CLIENT_ERROR,
    CONNECTION_ERROR,
    FATAL_ERROR,
    PASSWORD,
    PATH,
    SERVER_ERROR,
    TIMEOUT,
    Peer,
    Trust,
    answering,
    certified,
    head,
    nobody,
    proxy,
    refused,
    served,
    shown,
    through,
)
from helpers.socks import LOGIN, Socks, socks_proxy
from xdk_streaming import ConnectionState, Stream, StreamConfig, StreamError, StreamErrorType
from xdk_streaming.simulator import End, Serve, Simulator
from xdk_streaming.testing import FakeClock
from xdk_streaming.wire.translation import translate

TUNNELLED = "https://nowhere.invalid/"
RATE_LIMITED = StreamErrorType.RATE_LIMITED
LOGIN_PAGE = b"<!DOCTYPE html><title>Cache Access Denied</title>"


@pytest.fixture
def attempts() -> list[bytes]:
    """The requests that a proxy was sent."""
    return []


def noting(attempts: list[bytes], *parts: bytes) -> Callable[[Peer], None]:
    def serve(peer: Peer) -> None:
        attempts.append(peer.request())
        for part in parts:
            peer.send(part)

    return serve


def failure_of(session: requests.Session, url: str, **settings: Any) -> tuple[StreamError, Stream[Any]]:
    """How a stream ends that tries three times, at most, and waits by no real clock."""
    stream = Stream[Any](session, "get", url, StreamConfig(max_retries=2, **settings), clock=FakeClock())
    with pytest.raises(StreamError) as caught:
        list(stream)
    return caught.value, stream


# Tunnels (CONNECT)


@pytest.mark.parametrize(
    ("status", "error_type", "words"),
    [
        ("407 Who are you", CLIENT_ERROR, "put user and password into the proxy's URL"),
        ("407", CLIENT_ERROR, "put user and password into the proxy's URL"),
        ("401 Unauthorized", CLIENT_ERROR, "put user and password into the proxy's URL"),
        ("403 Forbidden", CLIENT_ERROR, "the proxy forbids this host"),
        ("403 407 403", CLIENT_ERROR, "the proxy forbids this host"),
        ("405 Method Not Allowed", CLIENT_ERROR, "opens no tunnel"),
        ("302 Found", CLIENT_ERROR, "opens no tunnel"),
        ("408 Slow", TIMEOUT, "another attempt"),
        ("429 Busy", RATE_LIMITED, "less often"),
        ("500 Oh", SERVER_ERROR, "another attempt"),
        ("502 Bad Gateway", SERVER_ERROR, "another attempt"),
        ("503 Unavailable", SERVER_ERROR, "another attempt"),
        ("504 Late", SERVER_ERROR, "another attempt"),
    ],
)
@pytest.mark.parametrize("page", [b"", LOGIN_PAGE], ids=["bare", "page"])
def test_a_proxy_that_refuses_a_tunnel_is_understood_by_its_status(
    session: requests.Session, status: str, error_type: StreamErrorType, words: str, page: bytes
) -> None:
    answer = head("Content-Type: text/html", f"Content-Length: {len(page)}", status=status) + page
    with served(answering(answer)) as between:
        through(session, between)
        error = refused(session, TUNNELLED)
    assert error.error_type is error_type
    assert error.status_code == int(status[:3])
    assert "proxy" in str(error)
    assert words in str(error)
    assert isinstance(error.original_exception, requests.exceptions.ProxyError)
    assert error.__cause__ is error.original_exception


@pytest.mark.parametrize("status", [407, 403])
def test_a_stream_whose_tunnel_is_refused_fails_at_the_first_attempt(
    session: requests.Session, attempts: list[bytes], status: int
) -> None:
    with served(noting(attempts, head("Content-Length: 0", status=f"{status} No"))) as between:
        through(session, between)
        failure, stream = failure_of(session, TUNNELLED)
    assert failure.status_code == status
    assert stream.connection_state is ConnectionState.FAILED
    assert len(attempts) == 1


def test_a_stream_whose_proxy_has_a_fault_of_its_own_tries_again(
    session: requests.Session, attempts: list[bytes]
) -> None:
    with served(noting(attempts, head("Content-Length: 0", status="503 No"))) as between:
        through(session, between)
        failure, _ = failure_of(session, TUNNELLED)
    assert "Max retries exceeded" in str(failure)
    assert "The proxy refused a tunnel with 503" in str(failure)
    assert len(attempts) == 3


@pytest.mark.parametrize("in_tls", [False, True], ids=["plain proxy", "proxy in TLS"])
def test_a_proxys_login_that_is_wrong_fails_the_stream_and_shows_no_password(
    session: requests.Session, trust: Trust, in_tls: bool
) -> None:
    session.verify = trust.authority
    with proxy(trust.server if in_tls else None, wants_password=True) as between:
        through(session, between.url.replace("://", "://user:wrong-word@"))
        failure, _ = failure_of(session, TUNNELLED)
    assert failure.error_type is CLIENT_ERROR
    assert failure.status_code == 407
    assert len(between.seen) == 1
    assert [text for text in shown(failure) if "wrong-word" in text] == []


@pytest.mark.parametrize("status", ["407 Who", "403 No"])
def test_a_tunnel_and_a_forwarding_proxy_fail_alike(session: requests.Session, status: str) -> None:
    """The forwarding one sends its page with the refusal, as proxies do."""
    page = head("Content-Type: text/plain", "Content-Length: 2", status=status) + b"No"
    failures = []
    for url in (TUNNELLED, "http://nowhere.invalid/"):
        with served(answering(page)) as between:
            through(session, between)
            failures.append(failure_of(session, url)[0])
    assert {failure.status_code for failure in failures} == {int(status[:3])}
    assert not any(failure.is_retryable for failure in failures)


def test_a_forwarded_407_is_final_though_it_comes_with_a_web_page(session: requests.Session) -> None:
    page = (
        head("Content-Type: text/html", f"Content-Length: {len(LOGIN_PAGE)}", status="407 Who") + LOGIN_PAGE
    )
    with served(answering(page)) as between:
        through(session, between)
        failure, _ = failure_of(session, "http://nowhere.invalid/")
    assert (failure.error_type, failure.status_code, failure.intercepted) == (CLIENT_ERROR, 407, False)


# SOCKS


@pytest.mark.parametrize("login", [f"user:{PASSWORD}@", ""], ids=["wrong login", "no login"])
@pytest.mark.parametrize("url", [TUNNELLED, "http://nowhere.invalid/"], ids=["https", "http"])
def test_a_socks_login_that_is_refused_fails_the_stream_at_the_first_attempt(
    session: requests.Session, login: str, url: str
) -> None:
    between = Socks(method=LOGIN, password=b"another")
    with socks_proxy(between, login) as proxy_url:
        through(session, proxy_url.replace("socks5:", "socks5h:"))
        failure, stream = failure_of(session, url)
    assert failure.error_type is CLIENT_ERROR
    assert "put user and password into the proxy's URL" in str(failure)
    assert stream.connection_state is ConnectionState.FAILED
    assert between.attempts == 1
    assert [text for text in shown(failure) if PASSWORD in text] == []


@pytest.mark.parametrize(
    ("reply", "attempts", "words"),
    [
        (1, 3, "General SOCKS server failure"),
        (2, 1, "the proxy forbids this host"),
        (3, 3, "Network unreachable"),
        (4, 3, "Host unreachable"),
        (5, 3, "Connection refused"),
    ],
)
def test_a_socks_reply_is_final_only_if_the_rules_forbid_the_host(
    session: requests.Session, reply: int, attempts: int, words: str
) -> None:
    between = Socks(reply=reply)
    with socks_proxy(between) as proxy_url:
        through(session, proxy_url.replace("socks5:", "socks5h:"))
        failure, _ = failure_of(session, TUNNELLED)
    assert between.attempts == attempts
    assert words in str(failure)


def test_a_stream_comes_through_a_socks_proxy(session: requests.Session) -> None:
    between = Socks(method=LOGIN, password=PASSWORD.encode())
    with (
        socks_proxy(between, f"user:{PASSWORD}@") as proxy_url,
        Simulator(script=[(Serve(2), End())], rate=0) as simulator,
    ):
        through(session, proxy_url)
        with Stream[Any](session, "get", simulator.url + PATH) as stream:
            assert next(iter(stream))["data"]
    assert between.attempts == 1


def test_a_socks_proxy_that_nobody_runs_is_named(session: requests.Session) -> None:
    with nobody() as url:
        through(session, url.replace("http:", "socks5h:"))
        error = refused(session, TUNNELLED)
    assert error.error_type is CONNECTION_ERROR
    assert "the proxy cannot be reached" in str(error)


# Their kin


@pytest.fixture
def unreachable() -> Iterator[str]:
    with nobody() as url:
        yield url


@pytest.mark.parametrize("url", [TUNNELLED, "http://nowhere.invalid/"], ids=["tunnelled", "forwarded"])
def test_a_proxy_that_cannot_be_reached_is_named(
    session: requests.Session, unreachable: str, url: str
) -> None:
    through(session, unreachable)
    error = refused(session, url)
    assert error.error_type is CONNECTION_ERROR
    assert "through the proxy" in str(error)


def test_a_proxys_certificate_that_is_refused_is_named_as_the_proxys(
    session: requests.Session, trust: Trust, tmp_path_factory: pytest.TempPathFactory
) -> None:
    session.verify = certified(tmp_path_factory.mktemp("other"), "127.0.0.1").authority
    with proxy(trust.server) as between:
        through(session, between.url)
        error = refused(session, TUNNELLED)
    assert error.error_type is FATAL_ERROR
    assert str(error).startswith("The certificate of the proxy was refused")


def test_a_servers_certificate_behind_a_tunnel_is_named_as_the_servers(
    session: requests.Session, trust: Trust
) -> None:
    with proxy() as between, Simulator(tls=trust.server) as simulator:
        through(session, between.url)
        error = refused(session, simulator.url + PATH)
    assert str(error).startswith("The certificate of the server was refused")


# Texts that are none of these


@pytest.mark.parametrize(
    "exception",
    [
        OSError("Tunnel connection failed: none"),
        OSError("Tunnel connection failed: 4071"),
        OSError("it says: Tunnel connection failed: 407"),
        ValueError("Tunnel connection failed: 407 Who"),
    ],
    ids=repr,
)
def test_a_text_that_is_not_http_clients_is_not_read(exception: Exception) -> None:
    assert translate(exception).status_code is None


def test_a_chain_of_exceptions_without_an_end_is_looked_at_for_a_while() -> None:
    first, second = requests.ConnectionError("one"), requests.ConnectionError("two")
    first.__context__, second.__context__ = second, first
    assert translate(first).error_type is CONNECTION_ERROR
