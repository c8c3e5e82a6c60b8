"""What the user's and other foreign code does in the midst of a stream, over plain and TLS connections."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import ExitStack
from itertools import count
from typing import Any

import pytest
import requests
from pydantic import BaseModel
from requests.adapters import HTTPAdapter

from helpers.consumers import (
    CALLBACKS,
    PATH,
    Post,
    Recorder,
    all_once,
    consumed,
    sees_the_client_leave,
    simulated,
    triggers,
)
from helpers.servers import Trust
from helpers.shortcuts import ids
from xdk_streaming import ConnectionState, Stream, StreamError, StreamErrorType, Trigger
from xdk_streaming.simulator import (
    UNAVAILABLE,
    End,
    Notice,
    Refuse,
    Reset,
    Script,
    Send,
    Serve,
    Simulator,
    Stall,
)
from xdk_streaming.testing import FakeClock
from xdk_streaming.wire.bulk import PORTABLE_VARIABLE

pytestmark = pytest.mark.usefixtures("nothing_stays_open")

START, OPENED, REFUSED, ENDED, BROKE, RETRY, WAITED, STOP = (
    Trigger.START,
    Trigger.OPENED,
    Trigger.REFUSED,
    Trigger.ENDED,
    Trigger.BROKE,
    Trigger.RETRY,
    Trigger.WAITED,
    Trigger.STOP,
)
FATAL_ERROR = StreamErrorType.FATAL_ERROR
ODD_NOTICE = Notice({"errors": [{"title": "Odd", "type": "x/odd"}]})
JUNK = Send(b"nonsense\r\n")

LIFE: tuple[Script, ...] = (
    (Serve(1), JUNK, ODD_NOTICE, Serve(1), End()),
    (UNAVAILABLE,),
    (Serve(1), Reset()),
    (Refuse(401),),
)
"""Every callback is called in it."""
LIFES_CHANGES = [
    START,
    OPENED,
    ENDED,
    RETRY,
    WAITED,
    REFUSED,
    RETRY,
    WAITED,
    OPENED,
    BROKE,
    RETRY,
    WAITED,
    REFUSED,
]
CALLS = {
    "on_connect": 2,
    "on_disconnect": 2,
    "on_reconnect": 3,
    "on_error": 3,
    "on_state_change": len(LIFES_CHANGES),
    "on_invalid": 2,
    "on_notice": 1,
}


class Odd(Exception):
    """An exception of an unknown class."""


def raising(error: BaseException) -> Callable[..., Any]:
    def function(*_: object, **__: object) -> None:
        raise error

    return function


# Callbacks


@pytest.mark.parametrize("callback", CALLBACKS)
def test_callback_raises_and_that_is_logged_and_counted_and_changes_nothing_else(
    session: requests.Session, tls: Trust | None, callback: str, caplog: pytest.LogCaptureFixture
) -> None:
    recorder = Recorder()
    with simulated(session, tls, *LIFE) as simulator:
        config = recorder.config(**{callback: recorder.callback(callback, raising(Odd("mine")))})
        stream = Stream[Post](session, "get", simulator.url + PATH, config)
        items, failure = consumed(stream)
        assert all_once(items, simulator)
    assert failure is not None
    assert failure.status_code == 401
    recorder.ended_with(stream, failure)
    assert triggers(stream) == LIFES_CHANGES
    assert {name: len(recorder.calls(name)) for name in CALLBACKS} == CALLS
    assert stream.state.callback_errors == CALLS[callback]
    complaints = [record for record in caplog.records if record.exc_info]
    assert len(complaints) == CALLS[callback]
    for record in complaints:
        assert record.levelno == logging.WARNING
        assert callback in record.getMessage()


STOPPED: dict[str, tuple[Script, int, list[Trigger]]] = {
    "on_connect": ((Serve(1), Stall()), 0, [START, OPENED, STOP]),
    "on_disconnect": ((Serve(1), End()), 1, [START, OPENED, ENDED, STOP]),
    "on_reconnect": ((Serve(1), End()), 1, [START, OPENED, ENDED, RETRY, STOP]),
    "on_error": ((Serve(1), Reset()), 1, [START, OPENED, BROKE, STOP]),
    "on_state_change": ((Serve(1), Stall()), 0, [START, STOP]),
    "on_invalid": ((Serve(1), JUNK, Serve(1), Stall()), 1, [START, OPENED, STOP]),
    "on_notice": ((Serve(1), ODD_NOTICE, Serve(1), Stall()), 1, [START, OPENED, STOP]),
}
"""What a callback calls stop() in: the script, the items before that, and the whole life."""


@pytest.mark.parametrize("callback", STOPPED)
def test_callback_calls_stop_and_nothing_follows_but_the_end(
    session: requests.Session, tls: Trust | None, callback: str
) -> None:
    script, before, life = STOPPED[callback]
    recorder = Recorder()
    with simulated(session, tls, script) as simulator:
        config = recorder.config(**{callback: recorder.callback(callback, lambda *_: stream.stop())})
        stream = Stream[Post](session, "get", simulator.url + PATH, config)
        items, failure = consumed(stream)
        if isinstance(script[-1], Stall) and OPENED in life:
            sees_the_client_leave(simulator)
    assert failure is None
    assert ids(items) == [entry.id for entry in simulator.log][:before]
    recorder.ended_with(stream)
    assert triggers(stream) == life
    assert stream.state.callback_errors == 0
    assert len(simulator.requests) == (OPENED in life)


# Callables


@pytest.mark.parametrize("attempt", [1, 2])
@pytest.mark.parametrize("field", ["headers", "params"])
def test_headers_or_params_callable_raises_and_that_is_the_streams_failure(
    session: requests.Session, tls: Trust | None, field: str, attempt: int
) -> None:
    recorder, asked = Recorder(), count(1)
    cause = LookupError("no token left")

    def source() -> dict[str, str]:
        if next(asked) == attempt:
            raise cause
        return {}

    with simulated(session, tls, (Serve(2), End())) as simulator:
        arguments: Any = {field: source}
        stream = Stream[Post](session, "get", simulator.url + PATH, recorder.config(), **arguments)
        items, failure = consumed(stream)
        assert all_once(items, simulator)
    assert failure is not None
    assert failure.error_type is FATAL_ERROR
    assert failure.original_exception is failure.__cause__ is cause
    recorder.ended_with(stream, failure)
    assert recorder.errors == [failure]
    assert len(recorder.disconnects) == len(simulator.requests) == attempt - 1


@pytest.mark.parametrize("field", ["headers", "params"])
def test_headers_or_params_callable_raises_an_error_of_ours_and_a_retryable_one_is_retried(
    session: requests.Session, tls: Trust | None, field: str
) -> None:
    recorder, asked = Recorder(), count(1)
    passing = StreamError("the token service sleeps", StreamErrorType.SERVER_ERROR)

    def source() -> dict[str, str]:
        if next(asked) == 1:
            raise passing
        return {}

    with simulated(session, tls, (Serve(2), End()), (Refuse(401),)) as simulator:
        arguments: Any = {field: source}
        stream = Stream[Post](session, "get", simulator.url + PATH, recorder.config(), **arguments)
        items, failure = consumed(stream)
        assert all_once(items, simulator)
    recorder.ended_with(stream, failure)
    assert recorder.errors == [passing, failure]


@pytest.mark.parametrize("field", ["headers", "params"])
def test_keyboard_interrupt_in_a_headers_or_params_callable_comes_out(
    session: requests.Session, field: str
) -> None:
    recorder = Recorder()
    arguments: Any = {field: raising(KeyboardInterrupt())}
    with simulated(session, None) as simulator:
        stream = Stream[Post](session, "get", simulator.url + PATH, recorder.config(), **arguments)
        with pytest.raises(KeyboardInterrupt):
            list(stream)
    assert not simulator.requests
    recorder.ended_with(stream)


# Sessions


class OddAdapter(HTTPAdapter):
    """Raises an exception of an unknown class instead of sending."""

    def send(self, *_: Any, **__: Any) -> requests.Response:
        raise Odd("mine")


def test_unknown_exception_of_a_session_is_the_streams_failure(session: requests.Session) -> None:
    recorder = Recorder()
    session.mount("http://", OddAdapter())
    stream = Stream[Post](session, "get", "http://127.0.0.1:1", recorder.config())
    items, failure = consumed(stream)
    assert items == []
    assert failure is not None
    assert failure.error_type is FATAL_ERROR
    assert isinstance(failure.original_exception, Odd)
    assert "Odd" in str(failure)
    recorder.ended_with(stream, failure)
    assert triggers(stream) == [START, REFUSED]
    assert recorder.errors == [failure]
    assert recorder.disconnects == []


@pytest.mark.parametrize(
    "error", [Odd("mine"), ValueError("theirs"), StopIteration()], ids=["odd", "value", "stop"]
)
def test_unknown_exception_of_a_read_is_the_streams_failure_and_closes_the_connection(
    session: requests.Session, tls: Trust | None, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(PORTABLE_VARIABLE, "1")  # or the package would not call urllib3
    recorder = Recorder()

    def break_second_read(response: requests.Response, **_: Any) -> None:
        read, reads = response.raw.read1, count(1)
        response.raw.read1 = lambda *a, **k: read(*a, **k) if next(reads) == 1 else raising(error)()

    session.hooks["response"].append(break_second_read)
    with simulated(session, tls, (Serve(1), Stall()), framing="close") as simulator:
        stream = Stream[Post](session, "get", simulator.url + PATH, recorder.config())
        items, failure = consumed(stream)
        assert all_once(items, simulator)
        sees_the_client_leave(simulator)
    assert failure is not None
    assert failure.error_type is FATAL_ERROR
    recorder.ended_with(stream, failure)
    assert triggers(stream) == [START, OPENED, BROKE]
    assert recorder.errors == [failure]
    assert recorder.disconnects == [failure.original_exception]


# Servers that are not what they should be


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirect_to_another_host_is_not_followed(
    session: requests.Session, tls: Trust | None, status: int
) -> None:
    recorder = Recorder()
    with ExitStack() as servers:
        other = servers.enter_context(Simulator())
        elsewhere = other.url.replace("127.0.0.1", "localhost") + PATH
        here = servers.enter_context(simulated(session, tls, (Refuse(status, b"", {"Location": elsewhere}),)))
        stream = Stream[Post](session, "get", here.url + PATH, recorder.config())
        items, failure = consumed(stream)
    assert items == []
    assert failure is not None
    assert failure.error_type is StreamErrorType.CLIENT_ERROR
    assert "localhost" in str(failure)
    assert not other.requests
    recorder.ended_with(stream, failure)
    assert recorder.errors == [failure]


def test_redirect_on_the_same_host_keeps_the_token(session: requests.Session, tls: Trust | None) -> None:
    recorder = Recorder()
    moved = Refuse(307, b"", {"Location": PATH.replace("sample", "search")})
    with simulated(session, tls, (moved,), (Serve(2), End()), (Refuse(401),)) as simulator:
        stream = Stream[Post](session, "get", simulator.url + PATH, recorder.config())
        items, failure = consumed(stream)
        assert all_once(items, simulator)
    recorder.ended_with(stream, failure)
    assert triggers(stream) == [START, OPENED, ENDED, RETRY, WAITED, REFUSED]


@pytest.mark.parametrize("fault", ["unknown authority", "other host"])
def test_certificate_refused_fails_at_once_and_asks_for_nothing(
    session: requests.Session, trust: Trust, clock: FakeClock, fault: str
) -> None:
    recorder = Recorder()
    with simulated(session, trust) as simulator:
        url = simulator.url
        if fault == "other host":
            url = url.replace("127.0.0.1", "localhost")
        else:
            session.verify = True
        stream = Stream[Post](session, "get", url + PATH, recorder.config(), clock=clock)
        items, failure = consumed(stream)
    assert items == []
    assert failure is not None
    assert failure.error_type is FATAL_ERROR
    assert "certificate" in str(failure)
    assert isinstance(failure.original_exception, requests.exceptions.SSLError)
    recorder.ended_with(stream, failure)
    assert triggers(stream) == [START, REFUSED]
    assert recorder.errors == [failure]
    assert not simulator.requests
    assert clock.waits == []


# Models


class Numbered(BaseModel):
    number: int


GOOD = b'{"data":{},"number":%d}\r\n'
BAD = b'{"data":{},"number":"none"}\r\n'
MIXED: Script = (Send(GOOD % 1), Send(BAD), Send(GOOD % 2), End())


@pytest.mark.parametrize("together", [False, True], ids=["one by one", "at once"])
@pytest.mark.parametrize("choice", ["report", "yield", "raise"])
def test_model_mismatch_is_reported_yielded_or_raised(
    session: requests.Session, tls: Trust | None, choice: str, together: bool
) -> None:
    recorder = Recorder()
    script = (Send(GOOD % 1 + BAD + GOOD % 2), End()) if together else MIXED
    with simulated(session, tls, script, (Refuse(401),)) as simulator:
        stream = Stream[Numbered](
            session,
            "get",
            simulator.url + PATH,
            recorder.config(on_model_error=choice),
            response_model=Numbered,
        )
        items, failure = consumed(stream)
    one, two, plain = Numbered(number=1), Numbered(number=2), {"data": {}, "number": "none"}
    assert items == {"report": [one, two], "yield": [one, plain, two], "raise": [one]}[choice]
    assert failure is not None
    recorder.ended_with(stream, failure)
    assert recorder.errors == [failure]
    assert [line.strip() for line, _ in recorder.calls("on_invalid")] == (
        [BAD.strip()] if choice == "report" else []
    )
    if choice == "raise":
        assert failure.error_type is FATAL_ERROR
        assert isinstance(failure.original_exception, ValueError)
        assert failure.response_body == BAD.decode().removesuffix("\n")
        assert recorder.disconnects == [failure.original_exception]
    else:
        assert failure.status_code == 401
        assert recorder.disconnects == [None]


def test_model_mismatch_that_is_raised_closes_the_connection(
    session: requests.Session, tls: Trust | None
) -> None:
    recorder = Recorder()
    config = recorder.config(on_model_error="raise")
    with simulated(session, tls, (Send(BAD), Stall())) as simulator:
        stream = Stream[Numbered](session, "get", simulator.url + PATH, config, response_model=Numbered)
        with pytest.raises(StreamError) as held:
            list(stream)
        sees_the_client_leave(simulator)
    recorder.ended_with(stream, held.value)
    assert stream.connection_state is ConnectionState.FAILED
