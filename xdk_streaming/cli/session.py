"""How a verb that talks to X gets its token and its session: never from the command line in clear."""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import requests
import typer

from xdk_streaming import __version__
from xdk_streaming.cli.exits import ExitCode

TOKEN_VARIABLES = ("X_BEARER_TOKEN", "BEARER_TOKEN", "TWITTER_BEARER_TOKEN")
"""Where a token is looked for without a file: the first that is set counts."""
TOKEN = re.compile(r"[!-~]+")

TokenFile = Annotated[
    Path | None,
    typer.Option(
        "--bearer-token-file",
        envvar="XDK_STREAMING_BEARER_TOKEN_FILE",
        help=f"The file that holds the bearer token; without it {', '.join(TOKEN_VARIABLES)} are looked at.",
    ),
]
BaseUrl = Annotated[
    str,
    typer.Option(
        "--base-url",
        envvar="XDK_STREAMING_BASE_URL",
        help="Where X is; for a simulator, the URL that it prints.",
    ),
]
Proxy = Annotated[
    str | None,
    typer.Option(
        "--proxy",
        envvar="XDK_STREAMING_PROXY",
        help="The URL of a proxy, in place of those that HTTPS_PROXY and its like name. One with a "
        "password belongs into the environment, where other users do not see it.",
    ),
]
CaFile = Annotated[
    Path | None,
    typer.Option(
        "--ca-file",
        envvar="XDK_STREAMING_CA_FILE",
        exists=True,
        help="Certificates to trust, as PEM, in place of the usual ones.",
    ),
]
ClientCert = Annotated[
    Path | None,
    typer.Option(
        "--client-cert",
        envvar="XDK_STREAMING_CLIENT_CERT",
        exists=True,
        dir_okay=False,
        help="A client certificate and its key, in one PEM file.",
    ),
]


class Session(requests.Session):
    """A session in which what the user asked for outweighs the environment.

    requests has it the other way round: REQUESTS_CA_BUNDLE and HTTPS_PROXY win over a session's own.
    """

    def merge_environment_settings(self, url: Any, *settings: Any, **named: Any) -> Any:
        """What the environment says, where the session says nothing."""
        merged = super().merge_environment_settings(url, *settings, **named)
        if self.verify is not True:
            merged["verify"] = self.verify
        if self.proxies:
            merged["proxies"] = dict(self.proxies)
        elif is_loopback(url):
            merged["proxies"] = {}  # no proxy reaches a simulator on this machine
        return merged


def open_session(
    token_file: Path | None, *, proxy: str | None, ca_file: Path | None, client_cert: Path | None
) -> requests.Session:
    """A session with the user's token. Ends the program with a sentence where there is none."""
    token = _token(token_file, os.environ)
    session = Session()
    session.headers["Authorization"] = f"Bearer {token}"
    session.headers["User-Agent"] = f"xdk-streaming/{__version__} {session.headers['User-Agent']!s}"
    session.auth = _as_it_is  # else a ~/.netrc would replace the token
    if proxy is not None:
        session.proxies = {"http": proxy, "https": proxy}
    if ca_file is not None:
        session.verify = str(ca_file)
    if client_cert is not None:
        session.cert = str(client_cert)
    return session


def _as_it_is(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


def _token(path: Path | None, environment: Mapping[str, str]) -> str:
    if path is not None:
        return _checked(_read(path), str(path))
    for name in TOKEN_VARIABLES:
        if environment.get(name, "").strip():
            return _checked(environment[name], name)
    raise _no_token(
        f"No bearer token was found. Set {TOKEN_VARIABLES[0]} (or {' or '.join(TOKEN_VARIABLES[1:])}), "
        "or name a file that holds it: --bearer-token-file FILE"
    )


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as refusal:
        raise _no_token(f"The bearer token could not be read from {path}: {refusal.strerror}") from refusal
    except UnicodeError as refusal:
        raise _no_token(f"{path} holds no bearer token; expected one, and nothing else") from refusal


def _checked(text: str, source: str) -> str:
    """The token in it. What is refused is not quoted: it may be the token, and something more."""
    token = text.strip()
    if not TOKEN.fullmatch(token):
        raise _no_token(f"{source} holds no bearer token; expected one, and nothing else: no word before it")
    return token


def _no_token(sentence: str) -> typer.Exit:
    typer.echo(sentence, err=True)
    return typer.Exit(ExitCode.AUTHENTICATION)


def is_loopback(url: Any) -> bool:
    """Whether this URL leads to this machine alone."""
    host = urlsplit(str(url)).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
