from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests
from hypothesis import settings

from helpers.clients import RECORDED, wait_for
from helpers.servers import Trust, certified
from helpers.systems import open_sockets
from xdk_streaming.testing import FakeClock
from xdk_streaming.wire.bulk import PORTABLE_VARIABLE

# Examples are drawn afresh in every run; a slow machine is no failure.
settings.register_profile("suite", deadline=None, max_examples=60)
settings.load_profile("suite")


def pytest_configure() -> None:
    """Have Ctrl-C end the programs that tests start, even if a shell runs pytest in the background.

    Such a shell ignores SIGINT, and a program ignores what its parent ignored.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def signals_are_handled_as_before() -> Iterator[None]:
    """The command line keeps its handlers until the process exits, and here that process is pytest's."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        if signal.getsignal(number) is not handler:
            signal.signal(number, handler)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def session() -> Iterator[requests.Session]:
    """A real session with a token; the environment's proxies and certificates do not count."""
    with requests.Session() as session:
        session.trust_env = False
        session.headers["Authorization"] = "Bearer a-token"
        yield session


@pytest.fixture(params=["fast", "portable"])
def route(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The way that bodies are read: one after the other."""
    chosen: str = request.param
    if chosen == "portable":
        monkeypatch.setenv(PORTABLE_VARIABLE, "1")
    return chosen


@pytest.fixture(scope="session")
def trust(tmp_path_factory: pytest.TempPathFactory) -> Trust:
    return certified(tmp_path_factory.mktemp("tls"), "127.0.0.1")


@pytest.fixture(params=["plain", "tls"])
def tls(request: pytest.FixtureRequest, trust: Trust) -> Trust | None:
    """Without TLS, and with it."""
    return trust if request.param == "tls" else None


@pytest.fixture
def nothing_stays_open(session: requests.Session) -> Iterator[None]:
    """No socket, not even in the session's pool, though the session still stands."""
    before = open_sockets()
    yield
    wait_for(lambda: open_sockets() <= before)


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> Callable[[], list[tuple[int, str]]]:
    """The level and text of the package's own log lines."""
    caplog.set_level(logging.DEBUG)
    return lambda: [
        (record.levelno, record.getMessage()) for record in caplog.records if record.name == "xdk_streaming"
    ]


@pytest.fixture
def nothing_is_left() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    wait_for(lambda: set(threading.enumerate()) <= before)  # a simulator that is shared may take a moment


@pytest.fixture
def no_thread_complains(capfd: pytest.CaptureFixture[str]) -> Iterator[None]:
    """The server's threads write what surprises them to stderr."""
    yield
    assert capfd.readouterr().err == ""


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    path = tmp_path / "recorded.ndjson"
    path.write_bytes(b"\n\r\n".join(RECORDED))
    return path
