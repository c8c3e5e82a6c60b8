"""Sessions: options override the environment, and the token is sent unchanged."""

from __future__ import annotations

from pathlib import Path

import pytest

from helpers.servers import Trust
from xdk_streaming.cli.session import Session, is_loopback, open_session
from xdk_streaming.simulator import Simulator
from xdk_streaming.x import ENDPOINTS

PATH = next(iter(ENDPOINTS))


@pytest.fixture(autouse=True)
def token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("X_BEARER_TOKEN", "a-token")


def opened(proxy: str | None = None, ca_file: Path | None = None) -> Session:
    session = open_session(None, proxy=proxy, ca_file=ca_file, client_cert=None)
    assert isinstance(session, Session)
    return session


def status(session: Session, url: str) -> int:
    with session, session.get(url, stream=True, timeout=10) as response:
        return response.status_code


def test_the_ca_file_option_overrides_the_environment(
    trust: Trust, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "missing"))
    with Simulator(tls=trust.server, rate=10) as simulator:
        assert status(opened(ca_file=Path(trust.authority)), simulator.url + PATH) == 200


def test_proxies_are_not_used_for_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    with Simulator(rate=10) as simulator:
        assert status(opened(), simulator.url + PATH) == 200


def test_the_proxy_option_overrides_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    with Simulator(rate=10) as simulator:  # which takes the whole URL for a path that it does not know
        assert status(opened(proxy=simulator.url), "http://x.invalid/2/nothing") == 404


def test_a_netrc_does_not_replace_the_token(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("default login somebody password else\n", encoding="utf-8")
    monkeypatch.setenv("NETRC", str(netrc))
    with Simulator(rate=10, token="a-token") as simulator:
        assert status(opened(), simulator.url + PATH) == 200


def test_the_user_agent_names_this_program() -> None:
    with opened() as session:
        assert str(session.headers["User-Agent"]).startswith("xdk-streaming/")


@pytest.mark.parametrize(
    ("url", "loopback"),
    [
        ("http://127.0.0.1:8080/2", True),
        ("http://[::1]:8080", True),
        ("http://localhost", True),
        ("https://api.x.com", False),
        ("http://127.0.0.1.x.com", False),
    ],
)
def test_loopback_is_recognised(url: str, loopback: bool) -> None:
    assert is_loopback(url) is loopback
