"""A socket that waits in our own way, and takes the records of TLS together."""

from __future__ import annotations

import errno
import socket
import ssl
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from helpers.clients import GUARD
from helpers.servers import Trust, limits, read_to_fault, streamed
from xdk_streaming.errors import StreamError
from xdk_streaming.simulator import Cut, End, Reset, Send
from xdk_streaming.wire import waiting_socket
from xdk_streaming.wire.timeouts import Deadlines
from xdk_streaming.wire.wait import Wait, Woken
from xdk_streaming.wire.waiting_socket import RECORD_BYTES, SHUTDOWN_ENDS_RECEIVE, WaitingSocket

FULL, PART = b"x" * RECORD_BYTES, b"the rest"


class Records:
    """What looks like a socket of TLS: each receive gives a record, or raises."""

    def __init__(self, sock: socket.socket, *records: bytes | Exception) -> None:
        self._sock = sock
        self.records = list(records)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)

    def pending(self) -> int:
        return 0

    def recv(self, size: int) -> bytes:
        record = self.records.pop(0)
        if isinstance(record, Exception):
            raise record
        return record


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    one, other = socket.socketpair()
    with one, other:
        yield one, other


def waiting(sock: Any) -> WaitingSocket:
    return WaitingSocket(sock, Wait(), Deadlines(limits(None, GUARD)))


def test_full_records_that_are_there_come_together(pair: tuple[socket.socket, socket.socket]) -> None:
    sock = waiting(Records(pair[0], FULL, FULL, PART, FULL))
    assert sock.recv(10 * RECORD_BYTES) == FULL + FULL + PART
    assert sock.recv(RECORD_BYTES) == FULL


def test_no_more_comes_than_was_asked_for(pair: tuple[socket.socket, socket.socket]) -> None:
    sock = waiting(Records(pair[0], FULL, FULL, FULL))
    assert sock.recv(2 * RECORD_BYTES) == FULL + FULL


def test_a_record_that_is_not_full_comes_at_once(pair: tuple[socket.socket, socket.socket]) -> None:
    records = Records(pair[0], PART, FULL)
    assert waiting(records).recv(10 * RECORD_BYTES) == PART
    assert records.records == [FULL]


def test_a_receive_after_the_last_record_waits(pair: tuple[socket.socket, socket.socket]) -> None:
    sock = waiting(Records(pair[0], FULL, ssl.SSLWantReadError(), PART))
    assert sock.recv(10 * RECORD_BYTES) == FULL
    pair[1].send(b"readable")
    assert sock.recv(10 * RECORD_BYTES) == PART


def test_what_broke_after_a_record_is_raised_after_it(pair: tuple[socket.socket, socket.socket]) -> None:
    sock = waiting(Records(pair[0], FULL, ConnectionResetError("reset"), b""))
    assert sock.recv(10 * RECORD_BYTES) == FULL
    for _ in range(2):
        with pytest.raises(ConnectionResetError):
            sock.recv(10 * RECORD_BYTES)


@pytest.mark.parametrize("fault", [Cut(half=False), Reset(half=False)])
def test_all_records_before_a_break_come(session: requests.Session, trust: Trust, fault: Any) -> None:
    sent = b"y" * (8 * RECORD_BYTES)
    with streamed(session, Send(sent), fault, trust=trust) as (answer, _):
        data, _ = read_to_fault(answer)
    assert data == sent


def test_all_records_before_an_end_come(session: requests.Session, trust: Trust) -> None:
    sent = b"y" * (8 * RECORD_BYTES)
    with streamed(session, Send(sent), End(), trust=trust, framing="close") as (answer, _):
        data = b"".join(iter(answer.read, b""))
        assert answer.read() == b""
    assert data == sent


def blocking(sock: Any, wait: Wait, read: float = GUARD) -> WaitingSocket:
    """One that the caller of `wake` shuts down."""
    return WaitingSocket(sock, wait, Deadlines(limits(None, read)), shut_by_waker=True)


@pytest.mark.parametrize("into", [False, True], ids=["recv", "recv_into"])
def test_a_shutdown_ends_a_receive_that_waits_in_the_system(
    pair: tuple[socket.socket, socket.socket], into: bool
) -> None:
    wait = Wait()
    sock = blocking(pair[0], wait)

    def stop() -> None:
        wait.wake()
        pair[0].shutdown(socket.SHUT_RDWR)

    threading.Timer(0.05, stop).start()
    with pytest.raises(Woken):
        sock.recv_into(bytearray(10)) if into else sock.recv(10)


def test_a_wake_whose_shutdown_is_lost_is_seen_a_slice_later(
    pair: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting_socket, "SLICE_SECONDS", 0.01)
    wait = Wait()
    sock = blocking(pair[0], wait)
    threading.Timer(0.05, wait.wake).start()
    with pytest.raises(Woken):
        sock.recv(10)


def test_a_deadline_ends_a_receive_that_waits_in_the_system(
    pair: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting_socket, "SLICE_SECONDS", 0.02)
    sock = blocking(pair[0], Wait(), read=0.05)
    with pytest.raises(StreamError, match=r"Nothing came from the server within 0\.05 s"):
        sock.recv(10)


def test_an_end_that_nobody_here_made_is_an_end(pair: tuple[socket.socket, socket.socket]) -> None:
    sock = blocking(pair[0], Wait())
    pair[1].send(b"the last")
    pair[1].close()
    assert [sock.recv(100), sock.recv(100)] == [b"the last", b""]


class Unacknowledged(socket.socket):
    """A socket whose peer acknowledges nothing any more."""

    def recv_into(self, *_: Any) -> int:
        raise TimeoutError(errno.ETIMEDOUT, "Connection timed out")


def test_a_connection_that_tcp_gives_up_is_broken() -> None:
    one, other = socket.socketpair()
    with (
        other,
        Unacknowledged(fileno=one.detach()) as broken,
        pytest.raises(TimeoutError, match="Connection timed out"),
    ):
        blocking(broken, Wait()).recv_into(bytearray(10))


class Green(socket.socket):
    """A socket whose receive is not the system's, as those of gevent and eventlet."""

    def recv(self, size: int, flags: int = 0) -> bytes:
        return super().recv(size, flags)


def test_only_the_systems_own_receive_is_left_to_wait() -> None:
    one, other = socket.socketpair()
    with one, other, Green(fileno=one.detach()) as green:
        blocking(green, Wait())
        assert green.gettimeout() == 0
        WaitingSocket(other, Wait(), Deadlines(limits(None, GUARD)))
        assert other.gettimeout() == 0
        blocking(other, Wait())
        assert bool(other.gettimeout()) == SHUTDOWN_ENDS_RECEIVE
