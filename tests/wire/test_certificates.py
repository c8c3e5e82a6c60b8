"""Certificates of both sides: those that are taken, and what is said of those that are not."""

from __future__ import annotations

import ssl
import threading
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
import requests
import trustme
from urllib3.exceptions import InsecureRequestWarning

from helpers.servers import (
    CONNECTION_ERROR,
    FATAL_ERROR,
    PATH,
    Await,
    Trust,
    asked,
    assert_translated,
    certified,
    read_all,
    read_exactly,
    refused,
    streamed,
)
from xdk_streaming.simulator import End, Send, Simulator

versions = pytest.mark.parametrize(
    "version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["TLS 1.2", "TLS 1.3"]
)


def speaking(trust: Trust, version: ssl.TLSVersion) -> Trust:
    trust.server.minimum_version = trust.server.maximum_version = version
    return trust


# The server's


@versions
def test_a_certificate_of_the_authority_in_session_verify_is_taken(
    session: requests.Session, tmp_path: Path, version: ssl.TLSVersion
) -> None:
    trust = speaking(certified(tmp_path, "127.0.0.1"), version)
    confirmed = threading.Event()
    script = Send(b"one\n"), Await(confirmed), Send(b"two\n")
    with streamed(session, *script, trust=trust) as (answer, _):
        read_exactly(answer, b"one\n")
        confirmed.set()
        assert read_all(answer) == b"two\n"


def unfit(kind: str, folder: Path) -> Trust:
    """A server with a certificate that must be refused, and what the client trusts meanwhile."""
    if kind == "self-signed":
        own = trustme.CA()
        server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        file = folder / "own.pem"
        own.private_key_pem.write_to_path(str(file))
        own.cert_pem.write_to_path(str(file), append=True)
        server.load_cert_chain(file)
        return Trust(server, certified(folder, "127.0.0.1").authority)
    if kind == "of another authority":
        (folder / "other").mkdir()
        return Trust(
            certified(folder, "127.0.0.1").server, certified(folder / "other", "127.0.0.1").authority
        )
    dates: dict[str, Any] = {
        "expired": {"not_before": YEARS[2019], "not_after": YEARS[2020]},
        "not valid yet": {"not_before": YEARS[2099], "not_after": YEARS[2100]},
    }.get(kind, {})
    return certified(folder, "elsewhere.example" if kind == "of another host" else "127.0.0.1", **dates)


YEARS = {year: datetime(year, 1, 1, tzinfo=timezone.utc) for year in (2019, 2020, 2099, 2100)}


@versions
@pytest.mark.parametrize(
    ("kind", "word"),
    [
        ("self-signed", "self-signed"),
        ("of another authority", "unable to get local issuer|self-signed"),
        ("of another host", "127.0.0.1"),
        ("expired", "expired"),
        ("not valid yet", "not yet valid"),
    ],
)
def test_a_refused_server_certificate_is_fatal_and_the_reason_is_given(
    session: requests.Session, tmp_path: Path, version: ssl.TLSVersion, kind: str, word: str
) -> None:
    trust = speaking(unfit(kind, tmp_path), version)
    session.verify = trust.authority
    with Simulator(tls=trust.server) as simulator:
        error = refused(session, simulator.url + PATH)
    assert_translated(error, FATAL_ERROR)
    assert "session.verify" in str(error)
    assert any(reason in str(error) for reason in word.split("|"))


def test_a_certificate_that_is_not_to_be_verified_is_taken(session: requests.Session, trust: Trust) -> None:
    session.verify = False
    with (
        Simulator(script=[[Send(b"x"), End()]], tls=trust.server) as simulator,
        pytest.warns(InsecureRequestWarning),
        asked(session, simulator.url + PATH) as answer,
    ):
        assert read_all(answer) == b"x"


# The client's


class Club:
    """A server that wants certificates of its members."""

    def __init__(self, folder: Path, version: ssl.TLSVersion) -> None:
        self.trust = speaking(certified(folder, "127.0.0.1"), version)
        self._authority = trustme.CA()
        self._authority.configure_trust(self.trust.server)
        self.trust.server.verify_mode = ssl.CERT_REQUIRED
        self._folder = folder

    def member(self) -> tuple[str, str]:
        """The files of a member's certificate and key."""
        return self._files(self._authority)

    def stranger(self) -> tuple[str, str]:
        return self._files(trustme.CA())

    def _files(self, authority: trustme.CA) -> tuple[str, str]:
        issued = authority.issue_cert("client@example.com")
        chain, key = self._folder / "client.pem", self._folder / "client.key"
        for part in issued.cert_chain_pems:
            part.write_to_path(str(chain), append=True)
        issued.private_key_pem.write_to_path(str(key))
        return str(chain), str(key)


@versions
@pytest.mark.parametrize("files", ["two files", "one file"])
def test_a_clients_certificate_that_the_server_wants_is_shown(
    session: requests.Session, tmp_path: Path, version: ssl.TLSVersion, files: str
) -> None:
    club = Club(tmp_path, version)
    chain, key = club.member()
    session.cert = (chain, key)
    if files == "one file":
        both = tmp_path / "both.pem"
        both.write_bytes(Path(chain).read_bytes() + Path(key).read_bytes())
        session.cert = str(both)
    with streamed(session, Send(b"x"), End(), trust=club.trust) as (answer, _):
        assert read_all(answer) == b"x"


@versions
@pytest.mark.parametrize("shown", ["none", "a stranger's"])
def test_a_clients_certificate_that_the_server_refuses_is_a_connection_error(
    session: requests.Session, tmp_path: Path, version: ssl.TLSVersion, shown: str
) -> None:
    """The server's alert, or only its leave: under TLS 1.3 the request has been sent by then, and the
    reset that follows may overtake the alert. No class of its own tells an alert of certificates.
    """
    club = Club(tmp_path, version)
    session.verify = club.trust.authority
    session.cert = None if shown == "none" else club.stranger()
    with Simulator(tls=club.trust.server) as simulator:
        error = refused(session, simulator.url + PATH)
    assert_translated(error, CONNECTION_ERROR)


def test_a_client_certificate_refused_by_tls_1_2_is_reported_with_advice(
    session: requests.Session, tmp_path: Path
) -> None:
    club = Club(tmp_path, ssl.TLSVersion.TLSv1_2)
    session.verify = club.trust.authority
    with Simulator(tls=club.trust.server) as simulator:
        error = refused(session, simulator.url + PATH)
    assert "session.cert" in str(error)


@pytest.mark.parametrize("setting", ["verify", "cert"])
def test_a_file_of_certificates_that_is_not_there_is_fatal_and_named(
    session: requests.Session, trust: Trust, setting: str
) -> None:
    session.verify = trust.authority
    setattr(session, setting, "/nowhere/to/be.found")
    with Simulator(tls=trust.server) as simulator:
        error = refused(session, simulator.url + PATH)
    assert_translated(error, FATAL_ERROR)
    assert "/nowhere/to/be.found" in str(error)


@pytest.mark.parametrize("setting", ["verify", "cert"])
def test_a_file_without_certificates_is_reported_with_advice(
    session: requests.Session, trust: Trust, tmp_path: Path, setting: str
) -> None:
    session.verify = trust.authority
    rubbish = tmp_path / "rubbish.pem"
    rubbish.write_text("no certificate at all")
    setattr(session, setting, str(rubbish))
    with Simulator(tls=trust.server) as simulator:
        error = refused(session, simulator.url + PATH)
    assert_translated(error, CONNECTION_ERROR)  # by its class it is a handshake that failed
    assert f"session.{setting}" in str(error)


def test_a_server_without_a_common_cipher_is_reported_with_advice(
    session: requests.Session, tmp_path: Path
) -> None:
    trust = certified(tmp_path, "127.0.0.1")
    trust.server.set_ciphers("ECDHE-RSA-NULL-SHA:@SECLEVEL=0")
    trust.server.maximum_version = ssl.TLSVersion.TLSv1_2
    session.verify = trust.authority
    with Simulator(tls=trust.server) as simulator:
        error = refused(session, simulator.url + PATH)
    assert_translated(error, CONNECTION_ERROR)
    assert "TLS" in str(error)
