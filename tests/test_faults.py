"""Every fault of the catalogue, played over real sockets: its outcome is the documented one."""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import pytest
import requests

from helpers.servers import Trust
from helpers.shortcuts import ids
from helpers.streams import STREAM_TYPES, StreamType, take_all
from xdk_streaming import (
    Buffer,
    ConnectionState,
    Recovery,
    Stream,
    StreamConfig,
    StreamError,
    StreamErrorType,
    Trigger,
)
from xdk_streaming.clock import Wake
from xdk_streaming.driver.outcomes import OUTCOMES
from xdk_streaming.simulator import End, Refuse, Script, Serve, Simulator
from xdk_streaming.simulator.faults import CATALOGUE, RANDOM_FAULTS, STREAM_FAULTS, Peer, StreamFault

PATH = "/2/tweets/search/stream"
LAST_WORD = (Refuse(401),)
"""What ends a stream that goes on, once the fault has been seen."""
BACKOFF = 3.0
STREAMING = ConnectionState.STREAMING
CALLBACKS = ("on_connect", "on_disconnect", "on_reconnect", "on_error", "on_invalid", "on_notice")


class QuickClock:
    """The real time, but waits are noted instead of waited."""

    def __init__(self) -> None:
        self.waits: list[float] = []

    def time(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()

    def wait(self, seconds: float, wake: Wake) -> None:
        self.waits.append(seconds)


class Play:
    """One fault, seen through to the attempt after it."""

    def __init__(
        self, stream_type: StreamType, fault: StreamFault, session: requests.Session, url: str, **more: Any
    ) -> None:
        self.told: list[str] = []
        self.errors: list[StreamError] = []
        self.invalid: list[tuple[bytes, str]] = []
        self.clock = QuickClock()
        self.items: list[dict[str, Any]] = []
        listeners: dict[str, Any] = {name: self._listener(name) for name in CALLBACKS}
        config = StreamConfig(
            jitter=False,
            initial_backoff=BACKOFF,
            max_retries=-1
            if fault.peer is Peer.SERVER
            else 1,  # without an answer no refusal ends the stream
            **listeners,
            **OUTCOMES[fault.name].settings,
            **more,
        )
        self.stream = stream_type(session, "get", url, config, clock=self.clock)
        with pytest.raises(StreamError) as raised:
            take_all(self.stream, self.items)
        self.end = raised.value

    def _listener(self, name: str) -> Callable[..., None]:
        def listen(*arguments: Any) -> None:
            self.told.append(name)
            if name == "on_error":
                self.errors.append(arguments[0])
            if name == "on_invalid":
                self.invalid.append(arguments)

        return listen


def scripts(fault: StreamFault) -> list[Script]:
    """The fault between two items, where there is a stream; then a refusal that ends it all."""
    if OUTCOMES[fault.name].refuses:
        return [fault.script, LAST_WORD]
    return [(Serve(1), *fault.script, Serve(1), End()), LAST_WORD]


@contextmanager
def at_the_peer(
    fault: StreamFault, session: requests.Session, trust: Trust | None
) -> Iterator[tuple[str, Any]]:
    """The URL under which the fault shows, and the simulator where there is one."""
    scheme = "https" if trust else "http"
    session.verify = trust.authority if trust else False
    if fault.peer is Peer.CLOSED_PORT:
        with socket.socket() as bound:  # but it does not listen
            bound.bind(("127.0.0.1", 0))
            yield f"{scheme}://127.0.0.1:{bound.getsockname()[1]}{PATH}", None
    elif fault.peer is Peer.UNKNOWN_HOST:
        unknown = socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        with patch("socket.getaddrinfo", side_effect=unknown):  # no test waits for a resolver
            yield f"{scheme}://nowhere.invalid{PATH}", None
    else:
        if fault.peer is Peer.UNTRUSTED:
            session.verify = True
        with Simulator(
            script=scripts(fault),
            then=LAST_WORD,
            rate=0,
            encoding=fault.encoding,
            tls=trust.server if trust else None,
        ) as simulator:
            yield simulator.url + PATH, simulator


def until(told: list[str], name: str, *, itself: bool) -> list[str]:
    """The calls before the first such call, and that call too on request."""
    return told[: told.index(name) + itself] if name in told else told


CASES = [
    pytest.param(fault, secure, id=f"{fault.name} {'tls' if secure else 'plain'}")
    for fault in STREAM_FAULTS.values()
    for secure in (False, True)
    if secure or fault.peer is not Peer.UNTRUSTED
]


@pytest.mark.usefixtures("route")
@pytest.mark.parametrize("stream_type", STREAM_TYPES)
@pytest.mark.parametrize(("fault", "secure"), CASES)
def test_a_fault_has_its_documented_outcome(
    stream_type: StreamType, fault: StreamFault, secure: bool, session: requests.Session, trust: Trust
) -> None:
    with at_the_peer(fault, session, trust if secure else None) as (url, simulator):
        played = Play(stream_type, fault, session, url)
        if simulator is not None:
            assert_items(fault, played, simulator)
    assert_outcome(fault, played)
    assert not played.stream.state.is_connected
    assert all(reason for _, reason in played.invalid)


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(fault, id=fault.name)
        for fault in STREAM_FAULTS.values()
        if fault.peer is not Peer.UNTRUSTED
    ],
)
def test_it_is_the_same_through_a_buffer_and_with_recovery(
    fault: StreamFault, session: requests.Session
) -> None:
    with at_the_peer(fault, session, None) as (url, simulator):
        played = Play(Stream, fault, session, url, buffer=Buffer(), recovery=Recovery())
        if simulator is not None:
            assert_items(fault, played, simulator)
    assert_outcome(fault, played)


def assert_items(fault: StreamFault, played: Play, simulator: Simulator) -> None:
    """No neighbour of the fault is lost, nothing comes twice."""
    outcome = OUTCOMES[fault.name]
    served = [entry.id for entry in simulator.log if entry.whole]
    received = ids(played.items)
    if outcome.refuses:
        assert received == []
    elif outcome.state is STREAMING:
        assert (received[0], received[-1]) == (served[0], served[-1])
        assert len(received) == 2 + outcome.items
    else:
        assert received[0] == served[0]
        assert len(received) == 1 + outcome.items
    assert len(set(received)) == len(received) == played.stream.state.total_items_received


def assert_outcome(fault: StreamFault, played: Play) -> None:
    outcome = OUTCOMES[fault.name]
    opened = [] if outcome.refuses else ["on_connect"]
    before_the_end = outcome.state is STREAMING
    told = until(
        played.told, "on_disconnect" if before_the_end else "on_reconnect", itself=not before_the_end
    )
    assert told == [*opened, *outcome.callbacks]

    changes = played.stream.history
    if outcome.trigger is None:
        assert [change.trigger for change in changes[:3]] == [Trigger.START, Trigger.OPENED, Trigger.ENDED]
    else:
        assert next(change.dest for change in changes if change.trigger is outcome.trigger) is outcome.state

    if outcome.error is not None:
        assert played.errors[0].error_type is outcome.error
        assert played.errors[0].is_retryable is (outcome.state is ConnectionState.BACKOFF)
    if outcome.state is ConnectionState.FAILED:
        assert played.end is played.errors[0]
        assert played.clock.waits == []
    elif outcome.asks:
        assert BACKOFF < played.clock.waits[0] <= 900.0
    else:
        assert played.clock.waits[0] == BACKOFF


def test_the_certificate_of_an_unknown_authority_is_the_only_fault_that_needs_tls() -> None:
    assert [fault.name for fault in STREAM_FAULTS.values() if fault.peer is Peer.UNTRUSTED] == [
        "certificate-refused"
    ]


def test_names_are_unique_and_can_be_typed_in_a_shell() -> None:
    names = [fault.name for entries in CATALOGUE.values() for fault in entries]
    assert len(set(names)) == len(names) == len(STREAM_FAULTS)
    assert all(re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name) for name in names)


def test_each_fault_has_an_outcome_and_each_outcome_a_fault() -> None:
    assert list(OUTCOMES) == list(STREAM_FAULTS)


def test_every_class_of_error_has_a_fault() -> None:
    assert {outcome.error for outcome in OUTCOMES.values()} == {None, *StreamErrorType}


def test_sentences_are_sentences() -> None:
    assert all(fault.sentence[0].isupper() or fault.sentence[0].isdigit() for fault in STREAM_FAULTS.values())
    assert all(fault.sentence.endswith(".") for fault in STREAM_FAULTS.values())


def test_what_befalls_at_random_befalls_a_stream_that_is_open() -> None:
    assert not any(OUTCOMES[fault.name].refuses for fault in RANDOM_FAULTS)
