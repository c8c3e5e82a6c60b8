"""TLS, many clients, and a clean end of the simulator."""

from __future__ import annotations

import errno
import math
import socket
import ssl
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import requests
import trustme

from helpers.clients import (
    GUARD,
    SAMPLE,
    SHORT,
    Until,
    asking,
    connected,
    get,
    items,
    lines,
    outcomes,
    post_ids,
    read_to_the_end,
    read_until,
    request,
    wait_for,
)
from xdk_streaming.simulator import (
    End,
    Live,
    Script,
    Send,
    Serve,
    Simulator,
    Stall,
)
from xdk_streaming.simulator.body import Framing

pytestmark = pytest.mark.usefixtures("nothing_is_left", "no_thread_complains")


# TLS.


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def certificates(authority: trustme.CA, tmp_path: Path) -> str:
    """The CA file for the client."""
    path = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(path)
    return str(path)


@pytest.fixture
def tls(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context


@pytest.mark.parametrize("framing", ["chunked", "close"])
def test_under_tls_a_stream_is_the_same(tls: ssl.SSLContext, certificates: str, framing: Framing) -> None:
    is_read = threading.Event()
    script: Script = (Serve(1), Until(is_read), Serve(1), End())
    with Simulator(script=[script], tls=tls, framing=framing) as simulator:
        assert simulator.url.startswith("https://127.0.0.1:")
        with get(simulator, verify=certificates) as response:
            received = post_ids(response)
            one = next(received)
            is_read.set()
            (two,) = received
    assert [one, two] == [entry.id for entry in simulator.log]
    assert outcomes(simulator) == ["ended cleanly"]


def test_under_tls_a_client_that_leaves_is_noticed(tls: ssl.SSLContext, certificates: str) -> None:
    with (
        Simulator(tls=tls, rate=0, heartbeat=0.01) as simulator,
        get(simulator, verify=certificates) as response,
    ):
        assert next(lines(response)) == b"\r"
        response.close()
        wait_for(lambda: outcomes(simulator) == ["left by the client"])


def test_a_client_without_tls_gets_nothing_and_troubles_nobody(
    tls: ssl.SSLContext, certificates: str
) -> None:
    with Simulator(tls=tls, then=SHORT) as simulator:
        with asking(simulator) as connection, pytest.raises((AssertionError, ConnectionResetError)):
            read_until(connection, b"200 OK")
        with get(simulator, verify=certificates) as response:
            assert len(list(items(response))) == 1


def test_a_client_slow_in_its_handshake_delays_nobody(tls: ssl.SSLContext, certificates: str) -> None:
    with (
        Simulator(tls=tls, then=SHORT) as simulator,
        connected(simulator),
        get(simulator, verify=certificates) as response,
    ):
        assert len(list(items(response))) == 1


# Opening and closing.


def closed_by_the_other_side(connection: socket.socket) -> bool:
    """Read until the stream ends. Raises TimeoutError if the stream does not end."""
    try:
        read_to_the_end(connection)
    except ConnectionResetError:
        return True
    return True


STUCK: Mapping[str, tuple[Script, bytes]] = {
    "idle": ((Live(),), request()),
    "stalled": ((Stall(),), request()),
    "not reading": ((Send(b"x" * 2**24),), request()),
    "silent before its request": ((), b""),
    "in the middle of its request": ((), request()[:20]),
}


@pytest.mark.parametrize("kind", STUCK)
def test_closing_the_simulator_closes_a_connection_that_is(kind: str) -> None:
    script, sent = STUCK[kind]
    with ExitStack() as clients:
        with Simulator(script=[script], rate=0) as simulator:
            connection = clients.enter_context(connected(simulator))
            connection.sendall(sent)
            if script:
                assert connection.recv(1) == b"H"
            else:
                wait_for(lambda: len(handlers()) == 1)
        assert not handlers()
        assert closed_by_the_other_side(connection)


def handlers() -> Sequence[threading.Thread]:
    return [thread for thread in threading.enumerate() if "process_request_thread" in thread.name]


def test_closing_the_simulator_closes_a_connection_in_its_tls_handshake(
    tls: ssl.SSLContext,
) -> None:
    client = ssl.create_default_context()
    outgoing = ssl.MemoryBIO()
    hello = client.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="localhost")
    with pytest.raises(ssl.SSLWantReadError):
        hello.do_handshake()
    with ExitStack() as clients:
        with Simulator(tls=tls) as simulator:
            connection = clients.enter_context(connected(simulator))
            connection.sendall(outgoing.read())
            assert (
                connection.recv(1) == b"\x16"
            )  # the server's part of the handshake; the client's part never comes
        assert closed_by_the_other_side(connection)


HELLO = b"\x16"
"""The first byte of a TLS handshake."""


class SlowToWrap(ssl.SSLContext):
    """Holds each accepted connection until allowed to continue."""

    holding: threading.Event
    release: threading.Event

    def wrap_socket(self, *arguments: Any, **named: Any) -> ssl.SSLSocket:
        self.holding.set()
        assert self.release.wait(GUARD)
        return super().wrap_socket(*arguments, **named)


@pytest.fixture
def slow_to_wrap(authority: trustme.CA) -> SlowToWrap:
    context = SlowToWrap(ssl.PROTOCOL_TLS_SERVER)
    context.holding, context.release = threading.Event(), threading.Event()
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context


def test_closing_the_simulator_closes_a_connection_being_accepted(
    slow_to_wrap: SlowToWrap,
) -> None:
    simulator = Simulator(tls=slow_to_wrap).__enter__()
    closing_it = threading.Thread(target=simulator.__exit__, args=(None, None, None))
    with connected(simulator) as client:
        client.sendall(HELLO)
        assert slow_to_wrap.holding.wait(GUARD)
        closing_it.start()
        closing_it.join(0.15)  # enough to close all connections except the held one
        slow_to_wrap.release.set()
        closing_it.join(2.0)
        hung = closing_it.is_alive()
    closing_it.join(GUARD)  # after the client has left, closing must end
    assert not hung


def test_a_client_may_leave_before_it_is_accepted(slow_to_wrap: SlowToWrap, certificates: str) -> None:
    with Simulator(tls=slow_to_wrap, then=SHORT) as simulator:
        with connected(simulator) as client:
            client.sendall(HELLO)
            assert slow_to_wrap.holding.wait(GUARD)
            with connected(simulator) as impatient:
                impatient.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            slow_to_wrap.release.set()
        with get(simulator, verify=certificates) as response:
            assert len(list(items(response))) == 1


def test_a_hundred_clients_are_closed_with_all_their_threads() -> None:
    with ExitStack() as clients:
        with Simulator(rate=0) as simulator:
            connections = [clients.enter_context(asking(simulator)) for _ in range(100)]
            assert {connection.recv(1) for connection in connections} == {b"H"}
            assert len(simulator.requests) == 100
        assert not handlers()
        assert all(map(closed_by_the_other_side, connections))
    assert set(outcomes(simulator)) == {"left by the client"}


def test_a_simulator_listens_on_loopback_unless_told_otherwise() -> None:
    with Simulator() as simulator:
        assert simulator.url.startswith("http://127.0.0.1:")
    with pytest.raises(requests.ConnectionError), get(simulator):
        pass


def test_two_simulators_have_ports_of_their_own() -> None:
    with Simulator() as one, Simulator() as other:
        assert one.url != other.url


def test_an_address_of_ipv6_stands_in_brackets() -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:  # a machine without IPv6 says so
        with pytest.raises(OSError, match="address"):
            Simulator(host="::1")
        return
    with Simulator(script=[SHORT], host="::1") as simulator:
        assert simulator.url.startswith("http://[::1]:")
        with get(simulator) as response:
            assert len(list(items(response))) == 1


def test_a_port_in_use_is_an_oserror_and_nothing_stays_open(recorded: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        with pytest.raises(OSError, match=str(errno.EADDRINUSE)):
            Simulator(port=taken.getsockname()[1])
        with pytest.raises(OSError, match=str(errno.EADDRINUSE)):
            Simulator(port=taken.getsockname()[1], replay=recorded)


def test_a_port_is_free_again_when_the_simulator_is_closed() -> None:
    with Simulator() as first:
        port = int(first.url.rpartition(":")[2])
        with asking(first) as connection:
            connection.recv(1)
    with Simulator(port=port, script=[SHORT]) as second, get(second) as response:
        assert second.url == first.url
        assert len(list(items(response))) == 1


def test_a_served_request_has_path_params_and_times() -> None:
    before = time.time()
    script: Script = (Live(0.01), End())
    with Simulator(script=[script], rate=0) as simulator, get(simulator, tweet_fields="lang") as response:
        assert list(lines(response)) == []
    (request,) = simulator.requests
    assert (request.number, request.path, request.params) == (0, SAMPLE, {"tweet.fields": "lang"})
    moments = [
        before,
        request.opened_at,
        request.live_since,
        request.live_until,
        request.ended_at,
        time.time(),
    ]
    assert None not in moments
    assert moments == sorted(moment for moment in moments if moment is not None)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[("rate", value) for value in (-1.0, math.inf, math.nan)],
        *[("heartbeat", value) for value in (0.0, -1.0, math.nan)],
        *[("random_faults", value) for value in (-0.1, 1.1, math.nan)],
    ],
)
def test_an_invalid_argument_is_refused_by_name(name: str, value: float) -> None:
    settings: Any = {name: value}
    with pytest.raises(ValueError, match=rf"{name} is {value}, must be "):
        Simulator(**settings)


NEVER_LEFT = """
import requests
from xdk_streaming import Buffer, Stream, StreamConfig
from xdk_streaming.simulator import Simulator

simulator = Simulator(rate=50).__enter__()
session = requests.Session()
session.headers["Authorization"] = "Bearer any"
config = StreamConfig(buffer={buffer})
stream = Stream(session, "get", simulator.url + "/2/tweets/sample/stream", config)
items = iter(stream)
print(len(next(items)["data"]["id"]))
"""


@pytest.mark.parametrize("buffer", ["None", "Buffer()"])
def test_a_program_that_never_leaves_its_simulator_ends(buffer: str) -> None:
    """Though its stream is open: before, the interpreter waited for the connection's thread for ever."""
    program = NEVER_LEFT.format(buffer=buffer)
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=GUARD, check=True
    )
    assert (ran.stdout.strip(), ran.stderr) == ("19", "")
