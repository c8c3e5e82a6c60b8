"""Callbacks of a stream for asyncio: on the loop, in order, each done before the stream goes on."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from contextvars import ContextVar
from typing import Any

import pytest
import requests

from helpers.consumers import GUARD, LONG, PATH, simulated
from xdk_streaming import AsyncStream, ConnectionState, StreamConfig, StreamError
from xdk_streaming.simulator import End, Refuse, Reset, Script, Serve, Stall
from xdk_streaming.streams.loop_bridge import CallbackCall, LoopBridge

BROKEN: list[Script] = [(Serve(1), Reset()), (Serve(1), End()), (Refuse(401),)]
HANGS: Script = (Serve(1), Stall())

pytestmark = pytest.mark.usefixtures("nothing_is_left")


class Odd(BaseException):
    """No `Exception`."""


async def all_of(stream: AsyncStream[Any]) -> None:
    async with stream:
        async for _ in stream:
            pass


def played(session: requests.Session, config: StreamConfig, *scripts: Script) -> AsyncStream[Any]:
    """The stream, when it is over."""
    with simulated(session, None, *scripts) as simulator:
        stream = AsyncStream[Any](session, "get", simulator.url + PATH, config)
        with pytest.raises(StreamError):
            asyncio.run(asyncio.wait_for(all_of(stream), GUARD))
    return stream


@pytest.mark.parametrize("kind", ["plain", "coroutine"])
def test_they_run_on_the_loops_thread_one_after_the_other(kind: str, session: requests.Session) -> None:
    told: list[str] = []

    def listener(name: str) -> Any:
        def plain(*_: object) -> None:
            assert threading.current_thread() is threading.main_thread()
            asyncio.get_running_loop()
            told.append(name)

        async def coroutine(*_: object) -> None:
            told.append("begin")
            await asyncio.sleep(0.001)
            assert told[-1] == "begin"
            told[-1] = name

        return plain if kind == "plain" else coroutine

    names = ("on_connect", "on_disconnect", "on_error", "on_reconnect", "on_gap")
    config = StreamConfig(initial_backoff=0.0, **{name: listener(name) for name in names})
    stream = played(session, config, *BROKEN)
    assert stream.state.callback_errors == 0
    lost = ["on_disconnect", "on_reconnect"]
    assert told == ["on_connect", "on_error", *lost, "on_connect", "on_gap", *lost, "on_error"]


@pytest.mark.parametrize("kind", ["plain", "coroutine"])
def test_an_exception_of_one_is_logged_and_counted_and_the_stream_goes_on(
    kind: str, session: requests.Session, caplog: pytest.LogCaptureFixture
) -> None:
    def plain() -> None:
        raise ZeroDivisionError

    async def coroutine() -> None:
        await asyncio.sleep(0)
        raise ZeroDivisionError

    config = StreamConfig(initial_backoff=0.0, on_connect=plain if kind == "plain" else coroutine)
    stream = played(session, config, *BROKEN)
    assert stream.state.callback_errors == 2
    assert [type(r.exc_info[1]) for r in caplog.records if r.exc_info] == [ZeroDivisionError] * 2
    assert not [record for record in caplog.records if record.name == "asyncio"]


def test_one_that_is_cancelled_has_ended_and_the_stream_goes_on(session: requests.Session) -> None:
    def plain() -> None:
        raise asyncio.CancelledError

    async def coroutine(_: object) -> None:
        raise asyncio.CancelledError

    config = StreamConfig(initial_backoff=0.0, on_connect=plain, on_error=coroutine)
    stream = played(session, config, *BROKEN)
    assert stream.connection_state is ConnectionState.FAILED
    assert stream.state.callback_errors == 0


def test_what_is_no_exception_comes_out_of_the_iteration(session: requests.Session) -> None:
    def raises() -> None:
        raise Odd

    with simulated(session, None, HANGS) as simulator:
        stream = AsyncStream[Any](session, "get", simulator.url + PATH, StreamConfig(on_connect=raises))
        with pytest.raises(Odd):
            asyncio.run(all_of(stream))


@pytest.mark.parametrize("kind", ["plain", "coroutine"])
def test_an_exit_leaves_the_loop_as_asyncio_has_it(kind: str, session: requests.Session) -> None:
    def plain() -> None:
        raise SystemExit(3)

    async def coroutine() -> None:
        raise SystemExit(3)

    config = StreamConfig(stall_timeout=LONG, on_connect=plain if kind == "plain" else coroutine)
    with simulated(session, None, HANGS) as simulator:
        stream = AsyncStream[Any](session, "get", simulator.url + PATH, config)
        with pytest.raises(SystemExit):
            asyncio.run(all_of(stream))
        assert stream.connection_state is ConnectionState.DISCONNECTED


def test_a_coroutine_that_runs_when_the_stream_is_closed_is_cancelled(session: requests.Session) -> None:
    ended: list[str] = []

    async def main() -> None:
        running = asyncio.Event()

        async def for_ever() -> None:
            running.set()
            try:
                await asyncio.sleep(LONG)
            finally:
                ended.append("on_connect")

        async def last(_: object) -> None:
            await asyncio.sleep(0.01)
            ended.append("on_disconnect")

        config = StreamConfig(stall_timeout=LONG, on_connect=for_ever, on_disconnect=last)
        task = asyncio.create_task(all_of(AsyncStream(session, "get", simulator.url + PATH, config)))
        await running.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    with simulated(session, None, HANGS) as simulator:
        asyncio.run(asyncio.wait_for(main(), GUARD))
    assert ended == ["on_connect", "on_disconnect"]


def test_they_see_the_context_in_which_the_stream_was_opened(session: requests.Session) -> None:
    user: ContextVar[str] = ContextVar("user")
    seen: list[str] = []
    config = StreamConfig(on_error=lambda _: seen.append(user.get()))

    async def main() -> None:
        user.set("me")
        with pytest.raises(StreamError):
            await all_of(AsyncStream(session, "get", simulator.url + PATH, config))

    with simulated(session, None, (Refuse(401),)) as simulator:
        asyncio.run(main())
    assert seen == ["me"]


ABANDONED = """
import asyncio, sys, requests
from xdk_streaming import AsyncStream, StreamConfig
session = requests.Session()
session.trust_env = False
session.headers["Authorization"] = "Bearer a-token"
config = StreamConfig(stall_timeout=60, on_disconnect=lambda _: None)
stream = AsyncStream(session, "get", sys.argv[1], config)
loop = asyncio.new_event_loop()
print(loop.run_until_complete(stream.__aiter__().__anext__()))
CLOSE
"""


@pytest.mark.parametrize("close", ["loop.close()", ""], ids=["closed", "stopped"])
def test_a_program_ends_though_its_loop_ended_before_the_stream(
    close: str, session: requests.Session
) -> None:
    """Nobody is left to run its callback: that is said, and not waited for."""
    with simulated(session, None, HANGS) as simulator:
        code = ABANDONED.replace("CLOSE", close)
        shown = subprocess.run(
            [sys.executable, "-c", code, simulator.url + PATH],
            capture_output=True,
            text=True,
            timeout=GUARD,
        )
    assert shown.returncode == 0
    assert "id" in shown.stdout
    assert "on_disconnect callback raised" in shown.stderr


# The bridge itself


def test_a_callback_that_is_cancelled_before_it_begins_ends_at_once() -> None:
    ended: list[str] = []

    async def callback() -> None:
        ended.append("began")
        await asyncio.sleep(LONG)

    async def main() -> None:
        call = CallbackCall(callback, ())
        call.cancel()
        call.begin()
        assert call.task is not None
        await asyncio.wait([call.task], timeout=GUARD)
        assert call.task.cancelled()
        assert call.done.acquire(blocking=False)
        call.result()

    asyncio.run(main())
    assert ended == []


class Running:
    """A thread's stream, as far as a bridge asks."""

    stopping = False

    def stop(self) -> None:
        self.stopping = True


@pytest.mark.parametrize("end", ["closed", "stopped"])
def test_a_thread_does_not_wait_for_a_loop_that_has_ended(end: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("xdk_streaming.streams.loop_bridge.LOOP_CHECK_SECONDS", 0.001)
    loop, bridge, threaded = asyncio.new_event_loop(), LoopBridge(), Running()

    async def opened() -> None:
        bridge.open(threaded)  # type: ignore[arg-type]  # all that it asks for

    loop.run_until_complete(opened())
    called: list[str] = []
    raised: list[BaseException] = []

    def call() -> None:
        try:
            bridge.run(called.append, "called")
        except RuntimeError as error:
            raised.append(error)

    thread = threading.Thread(target=call)
    thread.start()
    thread.join(0.05)  # it looks up meanwhile, and waits on
    assert thread.is_alive()
    if end == "closed":
        loop.close()
    else:
        threaded.stop()
    thread.join(GUARD)
    loop.close()
    assert not thread.is_alive()
    assert "loop" in str(raised[0])
    assert called == []
