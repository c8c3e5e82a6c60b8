"""A stream's connection is its own: over either IP, never used twice, and closed on our side at the end."""

from __future__ import annotations

import socket
import threading
from typing import Any

import pytest
import requests
from requests.adapters import HTTPAdapter

from helpers.servers import (
    GUARD,
    PATH,
    Await,
    Peer,
    Reader,
    Trust,
    answering,
    asked,
    certified,
    head,
    read_all,
    read_exactly,
    reads_its_socket,
    securities,
    send,
    served,
    until,
)
from xdk_streaming import Stream, StreamConfig
from xdk_streaming.simulator import End, Send, Serve, Simulator, Stall

# IPv6


def has_ipv6() -> bool:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


ipv6 = pytest.mark.skipif(not has_ipv6(), reason="this machine has no ::1")


@pytest.fixture(scope="module")
def trust6(tmp_path_factory: pytest.TempPathFactory) -> Trust:
    return certified(tmp_path_factory.mktemp("tls6"), "::1")


@ipv6
@securities
def test_bytes_come_over_ipv6_as_soon_as_they_are_sent(
    session: requests.Session, trust6: Trust, secure: bool
) -> None:
    confirmed = threading.Event()
    session.verify = trust6.authority
    script = Send(b"one\n"), Await(confirmed), Send(b"two\n"), End()
    with Simulator(script=[script], host="::1", tls=trust6.server if secure else None) as simulator:
        assert "://[::1]:" in simulator.url
        with asked(session, simulator.url + PATH) as answer:
            read_exactly(answer, b"one\n")
            confirmed.set()
            assert read_all(answer) == b"two\n"


@ipv6
@securities
def test_wake_ends_a_read_that_blocks_over_ipv6_and_the_server_sees_the_client_leave(
    session: requests.Session, trust6: Trust, secure: bool
) -> None:
    session.verify = trust6.authority
    script = Send(b"whole\n"), Stall()
    with (
        Simulator(script=[script], host="::1", tls=trust6.server if secure else None) as simulator,
        asked(session, simulator.url + PATH) as answer,
    ):
        reader = Reader(answer)
        reader.start()
        until(lambda: reader.data and reads_its_socket(reader))
        answer.wake()
        reader.join(GUARD / 2)
        assert not reader.is_alive()
        assert reader.data == b"whole\n"
        until(lambda: simulator.requests[0].outcome == "silent until the client left")


# Servers that keep the connection open


class Keeper:
    """A server that sends the same on every connection, ignores `Connection: close`, and waits to be left."""

    def __init__(self, sent: bytes) -> None:
        self.requests: list[bytes] = []
        self.left: list[threading.Event] = []
        self._sent = sent

    def __call__(self, peer: Peer) -> None:
        left = threading.Event()
        self.left.append(left)
        while asked_for := peer.request():
            self.requests.append(asked_for)
            peer.send(self._sent)
        left.set()


kept = pytest.mark.parametrize(
    "sent",
    [
        head("Transfer-Encoding: chunked") + b"5\r\nwhole\r\n0\r\n\r\n",
        head("Transfer-Encoding: chunked", "Connection: keep-alive") + b"5\r\nwhole\r\n0\r\n\r\n",
        head("Transfer-Encoding: chunked") + b"5\r\nwhole\r\n0\r\nX-Trailer: 1\r\n",
        head("Content-Length: 5") + b"whole",
        head("Content-Length: 5", "Connection: keep-alive") + b"whole",
    ],
    ids=[
        "chunked",
        "chunked, keep-alive",
        "a trailer unfinished",
        "of a length",
        "of a length and keep-alive",
    ],
)


@kept
def test_a_connection_that_the_server_keeps_open_after_the_end_is_closed_by_us(
    session: requests.Session, sent: bytes
) -> None:
    keeper = Keeper(sent)
    with served(keeper) as url:
        for number in range(3):
            with asked(session, url) as answer:
                assert read_all(answer) == b"whole"
            assert keeper.left[number].wait(GUARD)  # and the session is still open
    assert len(keeper.left) == len(keeper.requests) == 3


@kept
def test_a_connection_that_the_server_keeps_open_is_closed_though_nothing_was_read(
    session: requests.Session, sent: bytes
) -> None:
    keeper = Keeper(sent)
    with served(keeper) as url:
        send(session, url).close()
        assert keeper.left[0].wait(GUARD)


def test_a_stream_takes_up_again_with_a_server_that_keeps_its_connections_open(
    session: requests.Session,
) -> None:
    line = b'{"data":{"id":"1"}}\r\n'
    keeper = Keeper(
        head("Transfer-Encoding: chunked", "Content-Type: application/json")
        + b"%x\r\n%b\r\n0\r\n\r\n" % (len(line), line)
    )
    config = StreamConfig(initial_backoff=0.001, max_backoff=0.001)
    with served(keeper) as url:
        with Stream[dict[str, object]](session, "get", url, config) as stream:
            items = [item for item, _ in zip(stream, range(3), strict=False)]
        until(lambda: all(left.is_set() for left in keeper.left))
    assert len(items) == 3
    assert stream.state.last_error is None


def test_a_connection_kept_open_by_another_call_is_not_taken_from_the_session(
    session: requests.Session,
) -> None:
    keeper = Keeper(head("Content-Length: 5") + b"whole")
    with served(keeper) as url:
        for _ in range(3):
            assert session.get(url, timeout=GUARD).text == "whole"
        assert len(keeper.left) == 1
        with asked(session, url) as answer:
            assert read_all(answer) == b"whole"
        assert keeper.left[0].wait(GUARD)
        assert session.get(url, timeout=GUARD).text == "whole"
    assert len(keeper.left) == 2


@pytest.mark.parametrize("ending", [Stall(), End()], ids=["left", "read to the end"])
def test_a_pool_of_one_connection_has_it_back_after_each_stream(
    session: requests.Session, ending: Any
) -> None:
    session.mount("http://", HTTPAdapter(pool_connections=1, pool_maxsize=1, pool_block=True))

    def call() -> None:
        for _ in range(3):
            with asked(session, simulator.url + PATH) as answer:
                assert answer.read()
                assert ending == Stall() or answer.read() == b""

    with Simulator(then=(Serve(1), ending), rate=0) as simulator:
        caller = threading.Thread(target=call, daemon=True)  # it would wait for ever
        caller.start()
        caller.join(GUARD)
        assert not caller.is_alive()
        assert len(simulator.requests) == 3


def test_bytes_after_the_end_belong_to_no_answer(session: requests.Session) -> None:
    smuggled = head("Content-Length: 8") + b"smuggled"
    with served(answering(head("Content-Length: 5") + b"whole" + smuggled)) as url:
        for _ in range(2):
            with asked(session, url) as answer:
                assert read_all(answer) == b"whole"
