"""Redirects: which URL the stream asks next, and which servers get the token."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from helpers.servers import (
    CLIENT_ERROR,
    FATAL_ERROR,
    PATH,
    Peer,
    Trust,
    asked,
    assert_translated,
    head,
    read_exactly,
    refused,
    send,
    served,
)
from xdk_streaming.simulator import Send, Simulator, Stall

statuses = pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
methods_kept = pytest.mark.parametrize(("status", "kept"), [(302, False), (307, True), (308, True)])


class Signpost:
    """A server that redirects requests for / to a place, and answers requests for any other path."""

    def __init__(self, location: str = "", status: int = 302) -> None:
        self.location = location
        self.status = status
        self.seen: list[bytes] = []

    def __call__(self, peer: Peer) -> None:
        asked_for = peer.request()
        self.seen.append(asked_for)
        if asked_for.split()[1] == b"/":
            lines = f"Location: {self.location}", "Content-Length: 5", "Connection: close"
            peer.send(head(*lines, status=f"{self.status} Go") + b"there")
        else:
            peer.send(head("Content-Length: 0", "Connection: close"))


@statuses
@pytest.mark.parametrize("relative", [False, True], ids=["whole URL", "relative"])
def test_a_redirect_to_the_same_host_takes_the_token_along(
    session: requests.Session, status: int, relative: bool
) -> None:
    signpost = Signpost(status=status)
    with served(signpost) as url:
        signpost.location = "elsewhere" if relative else f"{url}/elsewhere"
        with asked(session, url) as answer:
            assert answer.status == 200
    assert [line.split()[1] for line in signpost.seen] == [b"/", b"/elsewhere"]
    assert all(b"Authorization: Bearer a-token" in asked_for for asked_for in signpost.seen)
    assert all(b"Connection: close" in asked_for for asked_for in signpost.seen)


@statuses
@pytest.mark.parametrize("other", ["port", "host"])
def test_a_redirect_to_another_origin_is_refused_by_name_and_nothing_is_sent_there(
    session: requests.Session, status: int, other: str
) -> None:
    signpost, target = Signpost(status=status), Signpost()
    with served(target) as there, served(signpost) as url:
        place = there if other == "port" else url.replace("127.0.0.1", "localhost")
        signpost.location = f"{place}/elsewhere?token=secret"
        error = refused(session, url)
    assert error.error_type is CLIENT_ERROR
    assert error.status_code == status
    assert f"to {place}, which is another origin" in str(error)
    assert "secret" not in str(error)
    assert error.intercepted
    assert len(signpost.seen) == 1
    assert target.seen == []


def test_a_redirect_from_http_to_https_on_the_same_host_is_followed(
    session: requests.Session, trust: Trust
) -> None:
    session.verify = trust.authority
    with (
        Simulator(script=[(Send(b"one\n"), Stall())], tls=trust.server) as simulator,
        served(Signpost(simulator.url + PATH)) as url,
        asked(session, url) as answer,
    ):
        read_exactly(answer, b"one\n")


def test_a_redirect_from_https_to_http_is_refused(session: requests.Session, trust: Trust) -> None:
    session.verify = trust.authority

    def moved(peer: Peer) -> None:
        secured = Peer(trust.server.wrap_socket(peer.socket, server_side=True))
        secured.request()
        secured.send(head("Location: http://127.0.0.1/", "Content-Length: 0", status="302 Found"))
        secured.close()

    with served(moved) as url:
        assert "another origin" in str(refused(session, url.replace("http:", "https:")))


@methods_kept
def test_a_redirect_keeps_method_and_body_as_its_status_says(
    session: requests.Session, status: int, kept: bool
) -> None:
    signpost = Signpost("/elsewhere", status)
    with served(signpost) as url:
        send(session, url, method="post", json_data={"a": 1}).close()
    assert signpost.seen[1].startswith(b"POST " if kept else b"GET ")
    assert signpost.seen[1].endswith(b'{"a": 1}') == kept


def test_a_circle_is_a_client_error(session: requests.Session) -> None:
    session.max_redirects = 4
    circle = Signpost("/")
    with served(circle) as here:
        error = refused(session, here)
    assert_translated(error, CLIENT_ERROR)
    assert "circles" in str(error)
    assert len(circle.seen) == 5


@pytest.mark.parametrize("location", ["http://[::1", "http://127.0.0.1:port/"])
def test_a_redirect_to_what_is_no_url_is_fatal(session: requests.Session, location: str) -> None:
    with served(Signpost(location)) as url:
        error = refused(session, url)
    assert (error.error_type, error.status_code) == (FATAL_ERROR, 302)
    assert "redirects (302) to what is no URL" in str(error)
    assert error.intercepted


@pytest.mark.parametrize("location", ["", None], ids=["empty", "none"])
def test_a_redirect_without_a_place_to_go_is_an_answer(
    session: requests.Session, location: str | None
) -> None:
    def serve(peer: Peer) -> None:
        peer.request()
        lines = [] if location is None else [f"Location: {location}"]
        peer.send(head(*lines, "Content-Length: 0", status="302 Found"))

    with served(serve) as url, asked(session, url) as answer:
        assert answer.status == 302


def cut(peer: Peer) -> None:
    asked_for = peer.request()
    if b" /elsewhere " in asked_for:
        peer.send(head("Content-Length: 0"))
    else:
        peer.send(head("Location: /elsewhere", "Content-Length: 50", status="302 Found") + b"moved")


def dripping(peer: Peer) -> None:
    if b" /elsewhere " in peer.request():
        peer.send(head("Content-Length: 0"))
        return
    peer.send(head("Location: /elsewhere", status="302 Found"))
    while True:  # until the client leaves
        peer.send(b"moved" * 10_000)


def test_a_redirect_with_an_endless_body_is_followed_unread(session: requests.Session) -> None:
    with served(dripping) as url, asked(session, url) as answer:
        assert answer.status == 200


def test_the_sessions_hooks_see_the_redirect_as_it_came_and_its_cookies_are_kept(
    session: requests.Session,
) -> None:
    seen: list[tuple[int, str | None]] = []

    def note(response: requests.Response, **_: Any) -> None:
        seen.append((response.status_code, response.headers.get("Location")))

    session.hooks["response"].append(note)
    asked_for: list[bytes] = []

    def serve(peer: Peer) -> None:
        asked_for.append(peer.request())
        if len(asked_for) == 1:
            peer.send(head("Location: /on", "Set-Cookie: guest=7", "Content-Length: 0", status="302 Found"))
        else:
            peer.send(head("Content-Length: 0"))

    with served(serve) as url, asked(session, url) as answer:
        assert answer.status == 200
    assert seen == [(302, "/on"), (200, None)]
    assert b"guest=7" in asked_for[1]


def test_a_session_that_cannot_be_told_not_to_follow_redirects_still_streams() -> None:
    class Plain:
        def get(self, url: str, params: Any, headers: Any, stream: bool, timeout: Any) -> requests.Response:
            return requests.get(url, headers=headers, stream=stream, timeout=timeout)

    with served(Signpost("/elsewhere")) as url, asked(Plain(), url) as answer:
        assert answer.status == 200


def test_a_redirect_with_a_body_cut_short_is_followed(session: requests.Session) -> None:
    with served(cut) as url, asked(session, url) as answer:
        assert answer.status == 200
