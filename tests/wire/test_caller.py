"""Calls of other code on a thread that can be left."""

from __future__ import annotations

import socket
import threading
import time
from contextvars import ContextVar
from typing import Any
from unittest.mock import Mock

import pytest
import requests
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from helpers.clients import GUARD
from helpers.servers import Peer, head, limits, refused, served, until
from xdk_streaming.clock import monotonic
from xdk_streaming.wire import interrupt
from xdk_streaming.wire.caller import Caller
from xdk_streaming.wire.request import Request
from xdk_streaming.wire.wait import Wait, Woken

LONG = 10 * GUARD

named = ContextVar("named", default="nobody")


class Result:
    """Something that a call returns, and that must be closed."""

    def __init__(self, error: Exception | None = None) -> None:
        self.closed = False
        self._error = error

    def close(self) -> None:
        self.closed = True
        if self._error is not None:
            raise self._error


class Slow:
    """A call that returns when it is let go."""

    def __init__(self, result: Any) -> None:
        self.result = result
        self.called, self.let_go = threading.Event(), threading.Event()

    def __call__(self) -> Any:
        self.called.set()
        assert self.let_go.wait(GUARD)
        return self.result


def test_a_call_gives_its_result_and_sees_the_callers_context() -> None:
    named.set("somebody")
    caller = Caller(Wait())
    assert caller.call(lambda: (named.get(), threading.current_thread().name))[0] == "somebody"
    caller.end()


def test_a_call_raises_its_error() -> None:
    caller = Caller(Wait())
    with pytest.raises(ZeroDivisionError):
        caller.call(lambda: 1 / 0)
    caller.end()


@pytest.mark.parametrize("error", [None, OSError("broken")])
def test_a_result_that_comes_too_late_is_closed(error: Exception | None) -> None:
    result = Result(error)
    slow = Slow(result)
    with pytest.raises(TimeoutError):
        Caller(Wait()).call(slow, monotonic() + 0.05)
    assert not result.closed
    slow.let_go.set()
    until(lambda: result.closed)


def test_a_wake_leaves_the_call() -> None:
    wait, slow = Wait(), Slow(Result())

    def wake() -> None:
        slow.called.wait(GUARD)
        wait.wake()

    threading.Thread(target=wake).start()
    began = time.monotonic()
    with pytest.raises(Woken):
        Caller(wait).call(slow)
    assert time.monotonic() - began < GUARD / 2
    slow.let_go.set()
    until(lambda: slow.result.closed)


def test_a_call_that_is_done_when_it_is_left_has_its_result_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    wait, result = Wait(), Result()

    def give_up() -> None:
        until(lambda: done)
        raise KeyboardInterrupt

    done: list[None] = []
    monkeypatch.setattr(wait, "ring", lambda: done.append(None))
    monkeypatch.setattr(wait, "check", give_up)
    with pytest.raises(KeyboardInterrupt):
        Caller(wait).call(lambda: result)
    assert result.closed


def test_a_call_without_a_thread_is_made_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threading.Thread, "start", Mock(side_effect=RuntimeError("can't start new thread")))
    caller = Caller(Wait())
    assert caller.call(lambda: "made") == "made"
    with pytest.raises(ZeroDivisionError):
        caller.call(lambda: 1 / 0)
    caller.end()


def test_only_the_sockets_of_the_call_are_shut_down() -> None:
    one, other = socket.socketpair()
    with one, other:
        interrupt.shut_down_sockets(threading.get_ident(), lambda frame: False)
        one.send(b"x")
        assert other.recv(1) == b"x"


def test_a_stop_leaves_an_adapter_that_sleeps_between_its_own_retries(session: requests.Session) -> None:
    asked = threading.Event()

    def busy(peer: Peer) -> None:
        peer.request()
        peer.send(head("Retry-After: 60", "Content-Length: 0", status="503 Service Unavailable"))
        asked.set()

    def stop_soon() -> None:
        asked.wait(GUARD)
        time.sleep(0.1)  # until the adapter sleeps
        wait.wake()

    retry = Retry(total=3, status_forcelist=[503], respect_retry_after_header=True)
    session.mount("http://", HTTPAdapter(max_retries=retry))
    wait = Wait()
    with served(busy) as url:
        threading.Thread(target=stop_soon).start()
        began = time.monotonic()
        with pytest.raises(Woken):
            Request(session, "get", url).send(timeouts=limits(GUARD, LONG), wait=wait, chunk_size=None)
    assert time.monotonic() - began < GUARD / 2


def test_a_close_that_raises_does_not_replace_what_is_under_way(session: requests.Session) -> None:
    def unlucky(response: requests.Response, **_: object) -> None:
        closed = response.close

        def close() -> None:
            closed()
            raise OSError("no close")

        response.close = close  # type: ignore[method-assign]
        raise RuntimeError("the hook's own")

    session.hooks["response"].append(unlucky)
    with served(lambda peer: peer.send(head("Content-Length: 2") + b"ok")) as url:
        assert "the hook's own" in str(refused(session, url))
