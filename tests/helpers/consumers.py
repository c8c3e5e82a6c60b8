"""Both ends of a stream: the user, whose callbacks are recorded, and the server, seeing the client leave."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any

import requests

from helpers.servers import Peer, Trust, frame_of, served, stands_in, until
from helpers.shortcuts import ids
from helpers.systems import send_signal
from xdk_streaming import ConnectionState, Stream, StreamConfig, StreamError, Trigger
from xdk_streaming.clock import SystemClock
from xdk_streaming.simulator import Refuse, Script, Simulator
from xdk_streaming.simulator.body import Framing
from xdk_streaming.wire.wait import Wait
from xdk_streaming.wire.waiting_socket import WaitingSocket

Post = dict[str, Any]

GUARD = 20.0
"""Seconds after which a test would call a thread hung. Nothing waits for them where all is well."""
LONG = 3 * GUARD
"""Seconds of a timeout or delay that must not be what ends a test."""
PATH = "/2/tweets/sample/stream"
CALLBACKS = (
    "on_connect",
    "on_disconnect",
    "on_reconnect",
    "on_error",
    "on_state_change",
    "on_invalid",
    "on_notice",
)
UNFORESEEN: Script = (Refuse(418),)
LEFT = ("silent until the client left", "left by the client")
"""Outcomes of a request that the client ended."""


class Recorder:
    """Records every callback of a stream, in order."""

    def __init__(self) -> None:
        self.received: list[tuple[str, tuple[Any, ...]]] = []

    def config(self, **settings: Any) -> StreamConfig:
        """Settings that record every callback, unless they name another. Retries come at once."""
        recording = {name: self.callback(name) for name in CALLBACKS}
        return StreamConfig(**{"initial_backoff": 0.0, "stall_timeout": LONG, **recording, **settings})

    def calls(self, name: str) -> list[tuple[Any, ...]]:
        return [arguments for called, arguments in self.received if called == name]

    @property
    def errors(self) -> list[StreamError]:
        return [error for (error,) in self.calls("on_error")]

    @property
    def disconnects(self) -> list[Exception | None]:
        return [reason for (reason,) in self.calls("on_disconnect")]

    def ended_with(self, stream: Stream[Any], failure: StreamError | None = None) -> None:
        """The stream has ended, by this error or cleanly, and all callbacks agree."""
        assert where(stream) is (ConnectionState.FAILED if failure else ConnectionState.DISCONNECTED)
        assert not stream.state.is_connected
        assert stream.state.connected_at is None
        assert next(iter(stream.batches() if stream._in_batches else stream), None) is None
        standing = [name for name, _ in self.received if name in {"on_connect", "on_disconnect"}]
        assert standing == ["on_connect", "on_disconnect"] * (len(standing) // 2)
        assert len({id(error) for error in self.errors}) == len(self.errors)
        assert [change for (change,) in self.calls("on_state_change")] == list(stream.history)
        assert stream.state.last_error is (self.errors[-1] if self.errors else None)
        if failure is not None:
            assert self.errors[-1] is failure

    def callback(self, name: str, action: Callable[..., object] = lambda *_: None) -> Callable[..., None]:
        """A callback that is recorded, and then does this."""

        def callback(*arguments: Any) -> None:
            self.received.append((name, arguments))
            action(*arguments)

        return callback


class Consumer(threading.Thread):
    """Iterates a stream in a thread of its own, from now on."""

    def __init__(self, stream: Iterable[Any]) -> None:
        super().__init__(daemon=True)
        self.items: list[Any] = []
        self._stream = stream
        self._raised: BaseException | None = None
        self.start()

    def run(self) -> None:
        try:
            for item in self._stream:
                self.items.append(item)
        except BaseException as error:  # noqa: BLE001 - shown to the test
            self._raised = error

    def result(self) -> list[Any]:
        """The items, when the iteration is over; what it raised is raised here."""
        self.join(GUARD)
        assert not self.is_alive(), "the iteration hangs"
        if self._raised is not None:
            raise self._raised
        return self.items


def consumed(stream: Iterable[Any]) -> tuple[list[Any], StreamError | None]:
    """All items, and the error with which the stream ended, if it was one."""
    items = []
    try:
        for item in stream:
            items.append(item)
    except StreamError as error:
        return items, error
    return items, None


def where(stream: Stream[Any]) -> ConnectionState:
    """Asked through a function, for type checkers take a property to stay what it was."""
    return stream.connection_state


def triggers(stream: Stream[Any]) -> list[Trigger]:
    return [change.trigger for change in stream.history]


def reads(thread: threading.Thread) -> bool:
    """Whether it waits for a server, for an answer or for bytes, and can be woken.

    Before it can be woken it makes the sockets for that. Ctrl-C there closes them as garbage, with a warning.
    """
    if stands_in(thread, WaitingSocket._receive_blocking):
        return True
    frame = frame_of(thread, Wait.pause)
    return frame is not None and frame.f_locals["self"]._ends is not None and not waits(thread)


def waits(thread: threading.Thread) -> bool:
    """Whether it is down in a wait between two attempts."""
    return stands_in(thread, SystemClock.wait)


# The server's side


@contextmanager
def simulated(
    session: requests.Session,
    trust: Trust | None,
    *scripts: Script,
    then: Script = UNFORESEEN,
    framing: Framing = "chunked",
) -> Iterator[Simulator]:
    """A simulator that plays these, over TLS if `trust` is given. One more request is refused for good."""
    if trust:
        session.verify = trust.authority
    tls = trust.server if trust else None
    with Simulator(script=scripts, then=then, rate=0, tls=tls, framing=framing) as simulator:
        yield simulator


def sees_the_client_leave(simulator: Simulator, number: int = -1) -> None:
    """The request ends now, because the client closes the connection."""
    until(lambda: simulator.requests[number].ended_at is not None)
    assert simulator.requests[number].outcome in LEFT


def all_once(items: list[Post], simulator: Simulator) -> bool:
    """Whether these are the items that were sent whole, in order and each once."""
    return ids(items) == [entry.id for entry in simulator.log if entry.whole]


@contextmanager
def witness(
    session: requests.Session, trust: Trust | None, answer: Callable[[Peer], object]
) -> Iterator[tuple[str, threading.Event]]:
    """A bare server that answers so, and then keeps the connection until the client leaves.

    Gives its URL, and the event of the client's leaving.
    """
    if trust:
        session.verify = trust.authority
    left = threading.Event()

    def attend(peer: Peer) -> None:
        if trust:
            peer = Peer(trust.server.wrap_socket(peer.socket, server_side=True))
        try:
            peer.request()
            answer(peer)
            peer.wait_until_left()
            left.set()
        finally:
            peer.close()

    with served(attend) as url:
        yield url.replace("http:", "https:") if trust else url, left


# Signals


@contextmanager
def bombarded(
    number: signal.Signals,
    handler: Callable[..., object],
    when: Callable[[], object],
    at_least: int = 1000,
) -> Iterator[None]:
    """Send the signal to this thread, from another, from the moment `when` is true until the block ends.

    Again and again, and so many times at least: one alone can fall between Python's last look at its
    signals and the system call, and then waits for that call to return.
    """
    main, ended = threading.get_ident(), threading.Event()
    previous = signal.signal(number, handler)

    def bombard() -> None:
        until(lambda: when() or ended.is_set())
        sent, enough_at = 0, time.monotonic() + GUARD  # a busy machine may delay each signal
        while (sent < at_least and time.monotonic() < enough_at) or not ended.wait(0.001):
            send_signal(main, number)
            sent += 1

    thread = threading.Thread(target=bombard, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()  # for as long as it takes: the default of a late signal would end the process
        signal.signal(number, previous)


def interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def first_time(action: Callable[..., object]) -> Callable[..., None]:
    """It, once; nothing after that."""
    calls = count()

    def act(*arguments: object) -> None:
        if next(calls) == 0:
            action(*arguments)

    return act


def ctrl_c(when: Callable[[], object]) -> Any:
    """A block in which Ctrl-C is pressed when this is true."""
    return bombarded(signal.SIGINT, first_time(interrupt), when, at_least=1)
