"""Redirects: which URL the stream asks next, and which servers get the token."""

from __future__ import annotations

import pytest
import requests

from helpers.servers import (
    CLIENT_ERROR,
    CONNECTION_ERROR,
    FATAL_ERROR,
    PATH,
    SOON,
    TIMEOUT,
    Peer,
    asked,
    assert_translated,
    head,
    nobody,
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
def test_a_redirect_to_another_host_or_port_leaves_the_token_behind(
    session: requests.Session, status: int, other: str
) -> None:
    signpost, target = Signpost(status=status), Signpost()
    with served(target) as there, served(signpost) as url:
        place = there if other == "port" else url.replace("127.0.0.1", "localhost")
        signpost.location = f"{place}/elsewhere"
        with asked(session, url) as answer:
            assert answer.status == 200
    first, second = [*signpost.seen, *target.seen]
    assert b"a-token" in first
    assert b"a-token" not in second
    assert b"Authorization" not in second


def test_a_token_left_behind_is_shown_again_to_the_first_host_at_the_next_attempt(
    session: requests.Session,
) -> None:
    signpost, target = Signpost(), Signpost()
    with served(target) as there, served(signpost) as url:
        signpost.location = f"{there}/elsewhere"
        for _ in range(2):
            send(session, url).close()
    assert [b"a-token" in asked_for for asked_for in signpost.seen] == [True, True]
    assert [b"a-token" in asked_for for asked_for in target.seen] == [False, False]


@methods_kept
def test_a_redirect_keeps_method_and_body_as_its_status_says(
    session: requests.Session, status: int, kept: bool
) -> None:
    signpost = Signpost("/elsewhere", status)
    with served(signpost) as url:
        send(session, url, method="post", json_data={"a": 1}).close()
    assert signpost.seen[1].startswith(b"POST " if kept else b"GET ")
    assert signpost.seen[1].endswith(b'{"a": 1}') == kept


def test_a_redirect_leads_to_the_stream(session: requests.Session) -> None:
    with Simulator(script=[(Send(b"one\n"), Stall())], token="own") as simulator:
        with served(Signpost(simulator.url + PATH)) as url, asked(session, url) as answer:
            assert answer.status == 401  # without the token
        with served(Signpost(PATH)) as url, asked(session, url) as answer:
            assert answer.status == 200
        session.headers["Authorization"] = "Bearer own"
        with asked(session, simulator.url + PATH) as answer:
            read_exactly(answer, b"one\n")


def test_a_circle_of_two_hosts_is_a_client_error(session: requests.Session) -> None:
    session.max_redirects = 4
    one, other = Signpost(), Signpost()
    with served(one) as here, served(other) as there:
        one.location, other.location = there, here
        error = refused(session, here)
    assert_translated(error, CLIENT_ERROR)
    assert "circles" in str(error)
    assert len(one.seen) + len(other.seen) == 5


def test_a_redirect_to_a_closed_port_is_a_connection_error(session: requests.Session) -> None:
    with nobody() as gone, served(Signpost(gone)) as url:
        assert_translated(refused(session, url), CONNECTION_ERROR)


@pytest.mark.parametrize("location", ["http://[::1", "http://host:port/", "ftp://127.0.0.1/", "http://a..b/"])
def test_a_redirect_to_what_is_no_url_is_fatal(session: requests.Session, location: str) -> None:
    with served(Signpost(location)) as url:
        assert_translated(refused(session, url), FATAL_ERROR)


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


def held_back(peer: Peer) -> None:
    peer.request()
    peer.send(head("Location: /elsewhere", status="302 Found"))
    peer.wait_until_left()


def cut(peer: Peer) -> None:
    asked_for = peer.request()
    if b" /elsewhere " in asked_for:
        peer.send(head("Content-Length: 0"))
    else:
        peer.send(head("Location: /elsewhere", "Content-Length: 50", status="302 Found") + b"moved")


def test_a_redirect_with_a_stalled_body_is_a_timeout(session: requests.Session) -> None:
    with served(held_back) as url:
        assert_translated(refused(session, url, read_timeout=SOON), TIMEOUT)


def test_a_redirect_with_a_body_cut_short_is_followed(session: requests.Session) -> None:
    with served(cut) as url, asked(session, url) as answer:
        assert answer.status == 200
