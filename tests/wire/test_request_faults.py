"""Every way in which a connection breaks, over real sockets, as an error of ours."""

from __future__ import annotations

import errno
import gzip
import re
import socket
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
import requests
import urllib3
from requests.adapters import HTTPAdapter

from helpers.servers import (
    CHUNKED,
    CLIENT_ERROR,
    CONNECTION_ERROR,
    FATAL_ERROR,
    PATH,
    SERVER_ERROR,
    SOON,
    STREAM_INTERRUPTED,
    TIMEOUT,
    Peer,
    Trust,
    answering,
    asked,
    assert_translated,
    certified,
    encodings,
    framings,
    head,
    read_all,
    read_to_fault,
    refused,
    securities,
    served,
    streamed,
)
from helpers.systems import posix
from xdk_streaming.simulator import Cut, Refuse, Reset, Send, Serve, Simulator, Stall
from xdk_streaming.simulator.body import Encoding, Framing

# Faults on the wire


@pytest.mark.parametrize(
    ("framing", "secure"),
    [
        ("chunked", False),
        ("chunked", True),
        # TLS shows a reset as an end: CPython gh-115627
        pytest.param("close", False, marks=posix("Wine ends a connection that should be reset")),
    ],
    ids=["plain-chunked", "tls-chunked", "plain-close"],
)
def test_a_reset_interrupts_the_stream_after_what_came_before_it(
    session: requests.Session, trust: Trust, framing: Framing, secure: bool
) -> None:
    script = Send(b"whole\n"), Reset()
    with streamed(session, *script, framing=framing, trust=trust if secure else None) as (answer, _):
        data, error = read_to_fault(answer)
        assert data.startswith(b"whole\n")
        assert_translated(error, STREAM_INTERRUPTED)
        assert answer.read() == b""


@encodings
@securities
def test_a_connection_closed_within_a_chunk_interrupts_the_stream(
    session: requests.Session, trust: Trust, encoding: Encoding | None, secure: bool
) -> None:
    with streamed(session, Send(b"whole\n"), Cut(), encoding=encoding, trust=trust if secure else None) as (
        answer,
        _,
    ):
        data, error = read_to_fault(answer)
        assert data.startswith(b"whole\n")
        assert_translated(error, STREAM_INTERRUPTED)


def test_items_before_a_cut_and_the_half_after_them_all_come(session: requests.Session) -> None:
    with streamed(session, Serve(2), Cut()) as (answer, _):
        data, _ = read_to_fault(answer)
    first, second, half = data.split(b"\r\n")
    assert first.endswith(b"}")
    assert second.endswith(b"}")
    assert half


@pytest.mark.parametrize(
    "sent",
    [
        CHUNKED + b"5\r\nwhole\r\n",
        CHUNKED + b"5\r\nwhole\r\n7",
        CHUNKED + b"5\r\nwhole\r\nzebra\r\nmore\r\n0\r\n\r\n",
        CHUNKED + b"5\r\nwhole\r\n\r\n",
        head("Content-Length: 9") + b"whole",
        head("Content-Encoding: gzip") + gzip.compress(b"whole")[:-8] + b"\xff" * 50,
        head("Content-Encoding: deflate") + b"\x00\xff no deflate at all",
        head("Content-Encoding: gzip") + b"no gzip at all",
    ],
    ids=[
        "no last chunk",
        "cut in a chunk's size",
        "chunk size no number",
        "no chunk size",
        "shorter than its length",
        "corrupt gzip",
        "no deflate",
        "no gzip",
    ],
)
def test_a_body_that_breaks_its_framing_or_coding_interrupts_the_stream(
    session: requests.Session, sent: bytes
) -> None:
    with served(answering(sent)) as url, asked(session, url) as answer:
        data, error = read_to_fault(answer)
        assert b"whole".startswith(data)
        assert_translated(error, STREAM_INTERRUPTED)
        assert answer.read() == b""


@framings
@securities
def test_silence_in_mid_stream_is_a_timeout(
    session: requests.Session, trust: Trust, framing: Framing, secure: bool
) -> None:
    script = Send(b"whole\n"), Stall()
    secured = trust if secure else None
    with streamed(session, *script, framing=framing, trust=secured, read_timeout=SOON) as (answer, _):
        data, error = read_to_fault(answer)
        assert data == b"whole\n"
        assert_translated(error, TIMEOUT)


def test_silence_before_the_headers_is_a_timeout(session: requests.Session) -> None:
    with served(Peer.wait_until_left) as url:
        assert_translated(refused(session, url, read_timeout=SOON), TIMEOUT)


def test_a_refused_port_is_a_connection_error(session: requests.Session) -> None:
    with socket.socket() as bound:  # but it does not listen
        bound.bind(("127.0.0.1", 0))
        error = refused(session, f"http://127.0.0.1:{bound.getsockname()[1]}")
    assert_translated(error, CONNECTION_ERROR)
    assert re.search(rf"Err(no|or) {errno.ECONNREFUSED}\]", str(error))


def test_a_name_that_resolves_to_nothing_is_a_connection_error(
    session: requests.Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    unknown = socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    monkeypatch.setattr(socket, "getaddrinfo", Mock(side_effect=unknown))  # no test waits for a resolver
    error = refused(session, "http://nowhere.invalid/")
    assert_translated(error, CONNECTION_ERROR)
    assert "Name or service not known" in str(error)


@pytest.mark.parametrize("leave", [Peer.close, Peer.reset], ids=["closed", "reset"])
def test_a_connection_lost_before_the_headers_is_a_connection_error(
    session: requests.Session, leave: Callable[[Peer], None]
) -> None:
    def serve(peer: Peer) -> None:
        peer.request()
        leave(peer)

    with served(serve) as url:
        assert_translated(refused(session, url), CONNECTION_ERROR)


def test_a_proxy_that_is_not_there_is_a_connection_error(session: requests.Session) -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        session.proxies["http"] = f"http://127.0.0.1:{bound.getsockname()[1]}"
        assert_translated(refused(session, "http://nowhere.invalid/"), CONNECTION_ERROR)


def test_a_certificate_of_an_unknown_authority_is_fatal(session: requests.Session, trust: Trust) -> None:
    with Simulator(tls=trust.server) as simulator:
        error = refused(session, simulator.url + PATH)
    assert_translated(error, FATAL_ERROR)
    assert "certificate" in str(error)


@pytest.mark.parametrize(
    ("host", "kinds"),
    [("elsewhere.example", {}), ("127.0.0.1", {"not_after": datetime(2020, 1, 1, tzinfo=timezone.utc)})],
    ids=["of another host", "expired"],
)
def test_a_certificate_that_does_not_fit_is_fatal(
    session: requests.Session, tmp_path: Path, host: str, kinds: dict[str, Any]
) -> None:
    unfit = certified(tmp_path, host, not_before=datetime(2019, 1, 1, tzinfo=timezone.utc), **kinds)
    session.verify = unfit.authority
    with Simulator(tls=unfit.server) as simulator:
        assert_translated(refused(session, simulator.url + PATH), FATAL_ERROR)


def test_a_server_that_does_not_speak_tls_is_a_connection_error(session: requests.Session) -> None:
    with Simulator() as simulator:
        error = refused(session, simulator.url.replace("http:", "https:") + PATH)
    assert_translated(error, CONNECTION_ERROR)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "nonsense",
        "http://",
        "http:///path",
        "ftp://api.x.com",
        "http://[::1",
        "http://h:port",
        "http://a..b/",
    ],
)
def test_a_url_that_cannot_be_used_is_fatal(session: requests.Session, url: str) -> None:
    assert_translated(refused(session, url), FATAL_ERROR)


def test_a_proxys_url_that_cannot_be_used_is_fatal(session: requests.Session) -> None:
    session.proxies["http"] = "http://:8080"
    assert_translated(refused(session, "http://nowhere.invalid/"), FATAL_ERROR)


def test_redirects_in_circles_are_a_client_error(session: requests.Session) -> None:
    session.max_redirects = 3
    circle = answering(head("Location: /", "Content-Length: 0", "Connection: close", status="302 Found"))
    with served(circle) as url:
        assert_translated(refused(session, url), CLIENT_ERROR)


def test_a_redirect_that_leads_nowhere_is_an_answer(session: requests.Session) -> None:
    with streamed(session, Refuse(302, b"moved")) as (answer, _):
        assert answer.status == 302
        assert read_all(answer) == b"moved"


def test_a_session_that_gives_up_on_the_servers_answers_is_a_server_error(session: requests.Session) -> None:
    retries = urllib3.Retry(total=1, status_forcelist=[503], backoff_factor=0)
    session.mount("http://", HTTPAdapter(max_retries=retries))
    busy = head("Content-Length: 0", "Connection: close", status="503 Service Unavailable")
    with served(answering(busy)) as url:
        assert_translated(refused(session, url), SERVER_ERROR)
