"""The face for asyncio: however a stream is left, its connection and its thread go with it, at once."""

from __future__ import annotations

import asyncio
import gc
import importlib
import signal
import subprocess
import sys
import threading
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
import requests

from helpers.consumers import GUARD, LONG, PATH, sees_the_client_leave, simulated, witness
from helpers.servers import Peer, Trust, head, served
from helpers.shortcuts import ids
from helpers.systems import posix
from xdk_streaming import (
    AsyncStream,
    Buffer,
    ConnectionState,
    Recovery,
    StreamConfig,
    StreamError,
    astream_with_retry,
)
from xdk_streaming.simulator import End, Refuse, Reset, Script, Send, Serve, Simulator, Stall

Main = Callable[[], Coroutine[Any, Any, Any]]
Run = Callable[[Main], Any]

QUIET = StreamConfig(stall_timeout=LONG)
HANGS = (Serve(2), Stall())
"""Two items, and then nothing for as long as anyone waits."""


def in_asyncio(main: Main) -> Any:
    return asyncio.run(asyncio.wait_for(main(), GUARD))


def in_uvloop(main: Main) -> Any:
    return importlib.import_module("uvloop").run(asyncio.wait_for(main(), GUARD))


@pytest.fixture(
    params=[in_asyncio, pytest.param(in_uvloop, marks=posix("uvloop has no wheel for it"))],
    ids=["asyncio", "uvloop"],
)
def run(request: pytest.FixtureRequest) -> Run:
    chosen: Run = request.param
    return chosen


@pytest.fixture(autouse=True)
def nothing_is_lost(caplog: pytest.LogCaptureFixture, nothing_is_left: None) -> Any:
    """No thread stays, and asyncio has nothing to complain of."""
    yield
    gc.collect()
    assert [record for record in caplog.records if record.name == "asyncio"] == []


async def first(stream: AsyncGenerator[Any, None]) -> Any:
    return await stream.__anext__()


async def settled(condition: Callable[[], bool]) -> None:
    """The loop runs until this is so."""
    deadline = time.monotonic() + GUARD
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.001)


def no_thread() -> bool:
    return all(thread.name != "xdk_streaming" for thread in threading.enumerate())


# Items


def test_items_come_in_order_over_reconnects_and_the_last_error_is_raised(
    run: Run, session: requests.Session, tls: Trust | None
) -> None:
    items: list[Any] = []

    async def main() -> None:
        fast = StreamConfig(initial_backoff=0.0)
        async for item in astream_with_retry(session, "get", simulator.url + PATH, fast):
            items.append(item)

    script: list[Script] = [(Serve(300), Reset()), (Serve(300), End()), (Refuse(401),)]
    with simulated(session, tls, *script) as simulator, pytest.raises(StreamError, match="401"):
        run(main)
    assert ids(items) == [entry.id for entry in simulator.log if entry.whole]


def test_a_bad_line_in_a_flood_is_reported_and_its_neighbours_are_items(session: requests.Session) -> None:
    invalid: list[tuple[bytes, str]] = []
    items: list[Any] = []

    def note(line: bytes, reason: str) -> None:
        invalid.append((line, reason))

    async def main() -> None:
        config = StreamConfig(on_invalid=note)
        async with AsyncStream[Any](session, "get", simulator.url + PATH, config) as stream:
            async for item in stream:
                items.append(item)
                if len(items) == 99:
                    break
            state = stream.state
        assert (state.total_items_received, state.invalid_items) == (99, 1)

    lines = [b'{"data":{"id":"%d"}}\n' % number for number in range(100)]
    lines[50] = lines[50].replace(b"}}", b"}")
    with simulated(session, None, (Send(lines[0]), Send(b"".join(lines[1:])), Stall())) as simulator:
        asyncio.run(main())
    assert ids(items) == [str(number) for number in range(100) if number != 50]
    assert [line for line, _ in invalid] == [lines[50].rstrip()]


def test_a_bad_line_in_a_flood_is_reported_while_the_stream_goes_on(session: requests.Session) -> None:
    lines = [b'{"data":{"id":"%d"}}\n' % number for number in range(10)]
    lines[5] = b'{"data":{"id":"5"}\n'
    began, told = threading.Event(), threading.Event()

    def serve(peer: Peer) -> None:
        peer.request()
        peer.send(head("Connection: close") + lines[0])
        assert began.wait(GUARD)  # else all would come in one read, which is looked at line by line
        peer.send(b"".join(lines[1:]))
        while not told.wait(0.01):
            peer.send(b"\r\n")
        peer.wait_until_left()

    async def main(url: str) -> None:
        config = StreamConfig(on_invalid=lambda line, reason: told.set())
        async with AsyncStream[Any](session, "get", url, config) as stream:
            taken = 0
            async for _ in stream:
                began.set()
                taken += 1
                if taken == 9:
                    break
            assert await asyncio.to_thread(told.wait, GUARD)

    with served(serve) as url:
        asyncio.run(main(url + PATH))


def test_a_consumer_that_pauses_holds_the_reader_back(session: requests.Session) -> None:
    async def main() -> int:
        async with AsyncStream[Any](session, "get", simulator.url + PATH) as stream:
            await first(aiter_of(stream))
            seen = -1
            while seen != stream.state.bytes_received:
                seen = stream.state.bytes_received
                await asyncio.sleep(0.2)
            return seen

    with Simulator(script=[(Serve(1), *[Send(b'{"data":{"id":"1"}}\n' * 5_000)] * 100)], rate=0) as simulator:
        assert asyncio.run(main()) < 4 * 2**20  # of ten


def aiter_of(stream: AsyncStream[Any]) -> AsyncGenerator[Any, None]:
    return stream.__aiter__()


def test_an_endless_flood_does_not_keep_the_loop(session: requests.Session) -> None:
    async def main() -> None:
        async with AsyncStream[Any](session, "get", simulator.url + PATH) as stream:
            asyncio.get_running_loop().call_later(0.05, stream.stop)
            async for _ in stream:
                pass

    with Simulator(rate=1_000_000) as simulator:
        in_asyncio(main)


# Ways to leave


async def cancelled(stream: AsyncStream[Any], config: StreamConfig) -> None:
    async def consume() -> None:
        async for _ in stream:
            if stream.state.total_items_received == 2:
                reading.set()

    reading = asyncio.Event()
    async with stream:
        task = asyncio.create_task(consume())
        await reading.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert task.cancelled()


async def left_by_break(stream: AsyncStream[Any], config: StreamConfig) -> None:
    async with stream:
        async for _ in stream:
            break


async def left_by_an_error(stream: AsyncStream[Any], config: StreamConfig) -> None:
    with pytest.raises(ZeroDivisionError):
        async with stream:
            async for _ in stream:
                raise ZeroDivisionError


async def closed(stream: AsyncStream[Any], config: StreamConfig) -> None:
    await first(aiter_of(stream))
    await stream.aclose()
    await stream.aclose()


async def closed_while_another_task_waits(stream: AsyncStream[Any], config: StreamConfig) -> None:
    async def consume() -> list[Any]:
        return [item async for item in stream]

    task = asyncio.create_task(consume())
    await settled(lambda: stream.state.total_items_received == 2)
    await stream.aclose()
    assert no_thread()
    assert len(await task) <= 2


async def stopped_from_a_thread(stream: AsyncStream[Any], config: StreamConfig) -> None:
    async for _ in stream:
        if stream.state.total_items_received == 2:
            await asyncio.to_thread(stream.stop)


async def stopped_by_a_callback(stream: AsyncStream[Any], config: StreamConfig) -> None:
    config.on_connect = stream.stop
    assert [item async for item in stream] == []


async def closed_by_a_callback(stream: AsyncStream[Any], config: StreamConfig) -> None:
    config.on_connect = stream.aclose
    assert [item async for item in stream] == []


async def dropped(stream: AsyncStream[Any], config: StreamConfig) -> None:
    await first(aiter_of(stream))
    del stream


Leave = Callable[[AsyncStream[Any], StreamConfig], Awaitable[None]]
LEAVES: list[Leave] = [
    cancelled,
    left_by_break,
    left_by_an_error,
    closed,
    closed_while_another_task_waits,
    stopped_from_a_thread,
    stopped_by_a_callback,
    closed_by_a_callback,
    dropped,
]


@pytest.mark.parametrize("leave", LEAVES)
def test_however_it_is_left_the_connection_and_the_thread_are_gone(
    leave: Leave,
    run: Run,
    session: requests.Session,
    tls: Trust | None,
) -> None:
    async def main() -> None:
        config = StreamConfig(stall_timeout=LONG)
        await leave(AsyncStream[Any](session, "get", simulator.url + PATH, config), config)
        await settled(no_thread)

    with simulated(session, tls, HANGS) as simulator:
        run(main)
        sees_the_client_leave(simulator)


def test_a_generator_that_is_left_open_ends_with_its_loop(run: Run, session: requests.Session) -> None:
    kept: list[Any] = []

    async def main() -> None:
        for stream in (
            astream_with_retry(session, "get", simulator.url + PATH, QUIET),
            aiter_of(AsyncStream(session, "get", simulator.url + PATH, QUIET)),
        ):
            kept.append(stream)
            await first(stream)

    with simulated(session, None, HANGS, HANGS) as simulator:
        run(main)
        assert no_thread()
        sees_the_client_leave(simulator, 0)
        sees_the_client_leave(simulator, 1)


def test_a_task_that_is_left_running_ends_with_its_loop(run: Run, session: requests.Session) -> None:
    async def consume(reading: asyncio.Event) -> None:
        async for _ in astream_with_retry(session, "get", simulator.url + PATH, QUIET):
            reading.set()

    tasks = []

    async def main() -> None:
        reading = asyncio.Event()
        tasks.append(asyncio.create_task(consume(reading)))
        await reading.wait()

    with simulated(session, None, HANGS) as simulator:
        run(main)
        assert no_thread()
        sees_the_client_leave(simulator)


def test_a_task_cancelled_again_and_again_leaves_nothing_open(session: requests.Session) -> None:
    async def slowly(_: object) -> None:
        await asyncio.sleep(0.05)

    async def main() -> None:
        config = StreamConfig(stall_timeout=LONG, on_disconnect=slowly)
        reading = asyncio.Event()

        async def consume() -> None:
            async for _ in astream_with_retry(session, "get", simulator.url + PATH, config):
                reading.set()

        task = asyncio.create_task(consume())
        await reading.wait()
        while not task.done():  # as anyio's cancel scopes do
            task.cancel()
            await asyncio.sleep(0)
        await settled(no_thread)

    with simulated(session, None, HANGS) as simulator:
        in_asyncio(main)
        sees_the_client_leave(simulator)


def test_a_loop_that_is_closed_over_an_open_stream_leaves_no_thread(session: requests.Session) -> None:
    loop = asyncio.new_event_loop()
    with simulated(session, None, HANGS) as simulator:
        stream = AsyncStream[Any](session, "get", simulator.url + PATH, QUIET)
        loop.run_until_complete(first(aiter_of(stream)))
        loop.close()
        del stream
        gc.collect()
        sees_the_client_leave(simulator)


def test_an_attempt_to_connect_is_broken_off(run: Run, session: requests.Session, tls: Trust | None) -> None:
    """The server has the request, and does not answer."""
    asked = threading.Event()

    async def main() -> float:
        stream = AsyncStream[Any](session, "get", url + PATH, StreamConfig(stall_timeout=LONG))
        task = asyncio.ensure_future(first(aiter_of(stream)))
        await asyncio.to_thread(asked.wait)
        started = time.monotonic()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert no_thread()
        return time.monotonic() - started

    with witness(session, tls, lambda _: asked.set()) as (url, left):
        assert run(main) < 2.0
        assert left.wait(GUARD)


def test_a_wait_between_attempts_is_broken_off(run: Run, session: requests.Session) -> None:
    async def main() -> None:
        config = StreamConfig(initial_backoff=LONG, max_backoff=LONG, jitter=False)
        async with AsyncStream[Any](session, "get", simulator.url + PATH, config) as stream:
            task = asyncio.ensure_future(first(aiter_of(stream)))
            await settled(lambda: stream.connection_state is ConnectionState.BACKOFF)
            stream.stop()
            with pytest.raises(StopAsyncIteration):
                await task

    with simulated(session, None, (Refuse(503),)) as simulator:
        run(main)


@pytest.mark.skipif(sys.version_info < (3, 11), reason="asyncio.timeout and TaskGroup came with 3.11")
class TestOn311:
    def test_a_timeout_ends_it(self, run: Run, session: requests.Session) -> None:
        async def main() -> None:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.2):  # type: ignore[attr-defined,unused-ignore]
                    async for _ in astream_with_retry(session, "get", simulator.url + PATH, QUIET):
                        pass
            await settled(no_thread)

        with simulated(session, None, HANGS) as simulator:
            run(main)
            sees_the_client_leave(simulator)

    def test_a_task_group_whose_other_task_fails_ends_it(self, run: Run, session: requests.Session) -> None:
        async def main() -> None:
            reading = asyncio.Event()

            async def consume() -> None:
                async for _ in astream_with_retry(session, "get", simulator.url + PATH, QUIET):
                    reading.set()

            async def fail() -> None:
                await reading.wait()
                raise ZeroDivisionError

            failures: BaseException | None = None
            try:
                async with asyncio.TaskGroup() as group:  # type: ignore[attr-defined,unused-ignore]
                    group.create_task(consume())
                    group.create_task(fail())
            except Exception as group_of_them:  # noqa: BLE001 - 3.10 has no name for it
                failures = group_of_them
            assert [type(each) for each in getattr(failures, "exceptions", ())] == [ZeroDivisionError]
            await settled(no_thread)

        with simulated(session, None, HANGS) as simulator:
            run(main)
            sees_the_client_leave(simulator)


PRESSED = """
import asyncio, signal, sys, threading, requests
from xdk_streaming import StreamConfig, astream_with_retry
async def main():
    with requests.Session() as session:
        session.trust_env = False
        session.headers["Authorization"] = "Bearer a-token"
        config = StreamConfig(stall_timeout=60, on_disconnect=lambda _: print("left", flush=True))
        async for item in astream_with_retry(session, "get", sys.argv[1], config):
            print("item", flush=True)
try:
    asyncio.run(main())
except KeyboardInterrupt:
    print("interrupted", threading.active_count(), flush=True)
"""


@pytest.mark.thorough
def test_ctrl_c_ends_it_with_the_program(session: requests.Session) -> None:
    with simulated(session, None, HANGS) as simulator:
        with subprocess.Popen(
            [sys.executable, "-X", "dev", "-c", PRESSED, simulator.url + PATH],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "item\n"
            assert process.stdout.readline() == "item\n"
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=GUARD)
        assert out == "left\ninterrupted 1\n"
        assert err == ""
        sees_the_client_leave(simulator)


@pytest.mark.thorough
def test_a_thousand_rounds_leave_nothing(session: requests.Session, nothing_stays_open: None) -> None:
    async def main() -> None:
        for _ in range(1_000):
            stream = astream_with_retry(session, "get", simulator.url + PATH, QUIET)
            await first(stream)
            await stream.aclose()
        assert no_thread()

    with Simulator(script=[(Serve(1),)], then=(Serve(1), Stall()), rate=0) as simulator:
        asyncio.run(main())


def test_fifty_streams_share_a_loop(run: Run, session: requests.Session) -> None:
    async def count(number: int) -> int:
        found = 0
        async for _ in astream_with_retry(session, "get", simulator.url + PATH):
            found += 1
            if found == 100:
                break
        return found

    async def main() -> None:
        assert await asyncio.gather(*(count(number) for number in range(50))) == [100] * 50
        await settled(no_thread)

    with Simulator(then=(Serve(100), Stall()), rate=0) as simulator:
        run(main)


# Recovery


def test_what_was_taken_is_what_the_checkpoint_knows(session: requests.Session, tmp_path: Path) -> None:
    async def take(number: int) -> list[Any]:
        config = StreamConfig(recovery=Recovery(parameter=None, checkpoint=tmp_path / "point"))
        items: list[Any] = []
        async with AsyncStream[Any](session, "get", simulator.url + PATH, config) as stream:
            async for item in stream:
                items.append(item)
                if len(items) == number:
                    break
        return items

    lines = tuple(Send(b'{"data":{"id":"%d"}}\n' % number) for number in range(10))
    with simulated(session, None, lines, lines) as simulator:
        assert ids(asyncio.run(take(4))) == ["0", "1", "2", "3"]
        assert ids(asyncio.run(take(3))) == ["4", "5", "6"]


def test_what_a_gap_missed_is_streamed_on_the_loop_too(session: requests.Session) -> None:
    gaps: list[Any] = []

    async def main() -> None:
        config = StreamConfig(initial_backoff=0.0, on_gap=gaps.append)
        with pytest.raises(StreamError):
            async for _ in astream_with_retry(session, "get", simulator.url + PATH, config):
                pass
        again = gaps[0].stream()
        assert isinstance(again, AsyncStream)
        await again.aclose()

    with simulated(session, None, (Serve(1), Reset()), (Serve(1), End()), (Refuse(401),)) as simulator:
        asyncio.run(main())


def test_a_buffer_of_ones_own_tells_of_lag(session: requests.Session) -> None:
    lags: list[Any] = []

    async def main() -> None:
        config = StreamConfig(buffer=Buffer(max_bytes=2_000), on_lag=lags.append)
        async with AsyncStream[Any](session, "get", simulator.url + PATH, config) as stream:
            async for _ in stream:
                if not lags:
                    await settled(lambda: bool(lags))
                if stream.state.total_items_received >= 400:
                    break

    with Simulator(script=[(Serve(500), Stall())], rate=0) as simulator:
        in_asyncio(main)
    assert lags[0].behind


def test_without_a_loop_of_asyncio_it_is_said_what_is_needed(session: requests.Session) -> None:
    """As under trio, which drives coroutines by itself."""

    async def entered() -> None:
        async with AsyncStream(session, "get", "http://127.0.0.1:9"):
            pass

    async def iterated() -> None:
        async for _ in AsyncStream(session, "get", "http://127.0.0.1:9"):
            pass

    for coroutine in (entered(), iterated()):
        with pytest.raises(RuntimeError, match="AsyncStream needs asyncio"):
            coroutine.send(None)
