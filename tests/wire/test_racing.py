"""Several addresses of one name: tried side by side, by the connections of the user's session."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any
from unittest.mock import Mock
from urllib.parse import urlsplit

import pytest
import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection
from urllib3.exceptions import LocationParseError

from helpers.clients import GUARD
from helpers.servers import Peer, asked, head, limits, nobody, proxy, refused, served, through
from helpers.systems import posix
from helpers.unfinished import full_backlog
from xdk_streaming.errors import StreamErrorType
from xdk_streaming.wire import pools, racing
from xdk_streaming.wire.request import Request
from xdk_streaming.wire.wait import Wait, Woken

NAME = "several.example"
V4, V6 = socket.AF_INET, socket.AF_INET6


@pytest.fixture(autouse=True)
def nobody_was_beaten() -> Iterator[None]:
    racing.beaten.clear()
    yield
    racing.beaten.clear()


@pytest.fixture
def black_holes() -> Iterator[list[int]]:
    """Two ports that answer no SYN."""
    with ExitStack() as stack:
        yield [port(stack.enter_context(full_backlog())) for _ in range(2)]


@pytest.fixture
def good() -> Iterator[int]:
    def serve(peer: Peer) -> None:
        peer.request()  # the session must not keep a connection that this server is about to close
        peer.send(head("Content-Length: 2", "Connection: close") + b"ok")

    with served(serve) as url:
        yield port(url)


@pytest.fixture
def named(monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Gives a name to ports of this machine, as a resolver gives a name to addresses; returns its URL."""

    def name(*ports: int) -> str:
        found = [(V4, socket.SOCK_STREAM, 6, "", ("127.0.0.1", each)) for each in ports]
        original = socket.getaddrinfo

        def resolve(host: Any, *rest: Any, **more: Any) -> Any:
            return found if host == NAME else original(host, *rest, **more)

        monkeypatch.setattr(socket, "getaddrinfo", resolve)
        return f"http://{NAME}/2/stream"

    return name


def port(url: str) -> int:
    found = urlsplit(url).port
    assert found
    return found


def tried(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The ports that are tried from now on."""
    ports: list[int] = []
    begin = racing._begun

    def begun(family: int, kind: int, protocol: int, address: Any, *rest: Any) -> socket.socket:
        ports.append(address[1])
        return begin(family, kind, protocol, address, *rest)

    monkeypatch.setattr(racing, "_begun", begun)
    return ports


def read(session: requests.Session, url: str, **rest: Any) -> bytes:
    with asked(session, url, **rest) as answer:
        return answer.read()


def test_two_dead_addresses_cost_two_head_starts_and_no_timeout(
    session: requests.Session, named: Callable[..., str], black_holes: list[int], good: int
) -> None:
    began = time.monotonic()
    assert read(session, named(*black_holes, good)) == b"ok"
    assert 2 * racing.HEAD_START_SECONDS <= time.monotonic() - began < GUARD / 2


def test_the_good_address_is_remembered(
    session: requests.Session,
    named: Callable[..., str],
    black_holes: list[int],
    good: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ports, url = tried(monkeypatch), named(*black_holes, good)
    assert read(session, url) == read(session, url) == b"ok"
    assert ports == [*black_holes, good, good]


def test_an_address_that_was_beaten_is_first_again_once_it_wins(
    named: Callable[..., str], good: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    named(good)
    racing.beaten.append(("127.0.0.1", good))
    racing.connected(NAME, 80, GUARD).close()
    assert not racing.beaten


def test_an_address_that_refuses_costs_no_head_start(
    session: requests.Session, named: Callable[..., str], good: int
) -> None:
    with nobody() as url:
        assert read(session, named(port(url), good)) == b"ok"
    assert racing.beaten == type(racing.beaten)([("127.0.0.1", port(url))])


def test_addresses_that_all_refuse_are_a_connection_error(
    session: requests.Session, named: Callable[..., str]
) -> None:
    with nobody() as one, nobody() as other:
        error = refused(session, named(port(one), port(other)))
    assert error.error_type is StreamErrorType.CONNECTION_ERROR
    assert "refused" in str(error)


def test_addresses_of_which_none_answers_end_by_one_timeout(
    session: requests.Session, named: Callable[..., str], black_holes: list[int]
) -> None:
    began = time.monotonic()
    with pytest.raises(Exception, match="timeout") as caught:
        request = Request(session, "get", named(*black_holes))
        request.send(timeouts=limits(0.4, GUARD), wait=Wait(), chunk_size=None)
    assert caught.value.error_type is StreamErrorType.TIMEOUT  # type: ignore[attr-defined]
    assert time.monotonic() - began < GUARD / 2


def test_without_a_timeout_the_race_goes_on_until_it_is_won(
    named: Callable[..., str], black_holes: list[int], good: int
) -> None:
    named(*black_holes, good)
    with racing.connected(NAME, 80, None) as sock:
        assert sock.getpeername()[1] == good
        assert sock.gettimeout() is None


@posix("a shutdown ends no connect there: the stop is prompt, and the thread ends at its timeout")
def test_a_stop_ends_a_race(
    session: requests.Session, named: Callable[..., str], black_holes: list[int]
) -> None:
    wait, threads = Wait(), set(threading.enumerate())
    url = named(*black_holes)
    threading.Timer(0.4, wait.wake).start()
    began = time.monotonic()
    with pytest.raises(Woken):
        Request(session, "get", url).send(timeouts=limits(GUARD, GUARD), wait=wait, chunk_size=None)
    for thread in set(threading.enumerate()) - threads:
        thread.join(GUARD)
        assert not thread.is_alive()
    assert time.monotonic() - began < GUARD / 2


def test_the_families_take_turns() -> None:
    found = [(family, 1, 6, "", (address,)) for family, address in ((V6, 1), (V6, 2), (V6, 3), (V4, 4))]
    assert [each[4][0] for each in racing._in_turn(found)] == [1, 4, 2, 3]


def test_a_family_without_a_route_is_passed_over(
    monkeypatch: pytest.MonkeyPatch, session: requests.Session, good: int
) -> None:
    # An address of the documentation's range, bound to an address that this machine does not have.
    unreachable = (V6, socket.SOCK_STREAM, 6, "", ("2001:db8::1", 80, 0, 0))
    found = [unreachable, (V4, socket.SOCK_STREAM, 6, "", ("127.0.0.1", good))]
    monkeypatch.setattr(socket, "getaddrinfo", Mock(return_value=found))
    assert read(session, f"http://{NAME}/") == b"ok"


def test_a_name_without_an_address_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", Mock(return_value=[]))
    with pytest.raises(OSError, match="no address"):
        racing.connected(NAME, 80, GUARD)


def test_a_source_address_and_options_are_set_before_the_connect(
    named: Callable[..., str], good: int
) -> None:
    named(good)
    options = [(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)]
    with racing.connected(NAME, 80, GUARD, ("127.0.0.1", 0), options) as sock:
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert sock.getsockname()[0] == "127.0.0.1"


def test_a_source_address_that_is_not_of_this_machine_is_an_error(
    named: Callable[..., str], good: int
) -> None:
    named(good)
    with pytest.raises(OSError, match=r"assign|10049"):
        racing.connected(NAME, 80, GUARD, ("192.0.2.1", 0))


def test_a_socket_that_was_shut_down_while_it_connected_has_not_won() -> None:
    with socket.socket() as sock:
        assert racing._fault(sock) is not None


def test_a_label_that_is_too_long_is_an_error_of_urllib3s() -> None:
    with pytest.raises(LocationParseError, match="too long"):
        pools.RACING[HTTPConnection]("x" * 70, 80).connect()


# Whose connections race


def classes(session: requests.Session) -> set[str]:
    """The connection classes in the session's pools."""
    manager = session.get_adapter("http://").poolmanager  # type: ignore[attr-defined]  # of an HTTPAdapter
    return {manager.pools[key].ConnectionCls.__module__ for key in manager.pools.keys()}  # noqa: SIM118


def test_a_pool_from_before_races_too(
    session: requests.Session, named: Callable[..., str], good: int, black_holes: list[int]
) -> None:
    url = named(good)
    session.get(url, headers={"Connection": "close"})
    assert classes(session) == {"urllib3.connection"}
    assert read(session, url) == b"ok"
    assert classes(session) == {pools.__name__}


def test_a_connection_class_of_the_users_stays(
    session: requests.Session, named: Callable[..., str], good: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Own(HTTPConnection):
        pass

    monkeypatch.setattr(urllib3.HTTPConnectionPool, "ConnectionCls", Own)
    assert read(session, named(good)) == b"ok"
    assert classes(session) == {Own.__module__}


class OwnManager(urllib3.PoolManager):
    pass


class OwnAdapter(HTTPAdapter):
    """An adapter whose connections are not known, and which keeps the timeouts that it is given."""

    def init_poolmanager(self, connections: int, maxsize: int, block: bool = False, **rest: Any) -> None:
        self.poolmanager = OwnManager(num_pools=connections, maxsize=maxsize, block=block, **rest)

    def send(self, *arguments: Any, **rest: Any) -> requests.Response:
        self.timeout = rest["timeout"]
        return super().send(*arguments, **rest)


def test_addresses_that_cannot_race_share_the_time(
    session: requests.Session, named: Callable[..., str], good: int
) -> None:
    adapter = OwnAdapter()
    session.mount("http://", adapter)
    url = named(good, good, good, good)
    with asked(session, url) as answer:
        assert answer.read() == b"ok"
    assert adapter.timeout[0] == pytest.approx(adapter.timeout[1] / 4)
    assert classes(session) == {"urllib3.connection"}


def test_a_proxy_leaves_the_whole_time_to_an_adapter_that_cannot_race(
    session: requests.Session, named: Callable[..., str], good: int
) -> None:
    with proxy() as way:
        adapter = OwnAdapter()
        session.mount("http://", adapter)
        through(session, way.url)
        assert pools.race(session, named(good, good)) == 1


@pytest.mark.parametrize("url", ["http://[::1", "http://several.example:port", "http://nowhere.example"])
def test_a_url_without_addresses_shares_nothing(
    session: requests.Session, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", Mock(side_effect=socket.gaierror))
    session.mount("http://", OwnAdapter())
    assert pools.race(session, url) == 1


def test_an_adapter_that_is_not_requests_connects_as_it_likes(session: requests.Session) -> None:
    session.mount("http://", Mock())
    assert pools.race(session, "http://several.example") == 1
    assert pools.race(session, "ftp://several.example") == 1
    assert pools.race(object(), "http://several.example") == 1


def test_the_connections_of_another_library_in_urllib3s_place_stay_as_they_are(
    session: requests.Session, named: Callable[..., str], good: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As urllib3-future's, which niquests installs."""
    monkeypatch.setattr(pools, "IS_URLLIB3", False)
    url = named(good, good)
    assert pools.race(session, url) == 2
    with asked(session, url) as answer:
        assert answer.read() == b"ok"
    assert classes(session) == {"urllib3.connection"}
