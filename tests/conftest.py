from __future__ import annotations

from collections.abc import Iterator

import pytest
import requests
from fakes import FakeClock
from hypothesis import settings
from peers import Trust, certified

# Examples are drawn afresh in every run; a slow machine is no failure.
settings.register_profile("suite", deadline=None, max_examples=60)
settings.load_profile("suite")


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


@pytest.fixture(scope="session")
def trust(tmp_path_factory: pytest.TempPathFactory) -> Trust:
    return certified(tmp_path_factory.mktemp("tls"), "127.0.0.1")
