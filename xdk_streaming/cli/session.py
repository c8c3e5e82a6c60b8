"""Token and session of the verbs that connect to X. The token never appears on the command line."""

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
"""Environment variables for the token, if no file is given; the first that is set is used."""
SENDABLE_TOKEN = re.compile(r"[!-~]+")

TokenFile = Annotated[
    Path | None,
    typer.Option(
        "--bearer-token-file",
        envvar="XDK_STREAMING_BEARER_TOKEN_FILE",
        metavar="FILE",
        help="Read the bearer token from FILE; default: from "
        f"{', '.join(TOKEN_VARIABLES[:-1])} or {TOKEN_VARIABLES[-1]}.",
    ),
]
BaseUrl = Annotated[
    str,
    typer.Option(
        "--base-url",
        envvar="XDK_STREAMING_BASE_URL",
        help="Connect to this URL; for a simulator, the one that it prints.",
    ),
]
Proxy = Annotated[
    str | None,
    typer.Option(
        "--proxy",
        envvar="XDK_STREAMING_PROXY",
        help="Connect through the proxy at this URL, instead of those in HTTPS_PROXY and similar variables. "
        "Pass a URL with a password through the environment, where other users cannot see it.",
    ),
]
CaFile = Annotated[
    Path | None,
    typer.Option(
        "--ca-file",
        envvar="XDK_STREAMING_CA_FILE",
        exists=True,
        help="Trust the CA certificates in this PEM file, instead of the default ones.",
    ),
]
ClientCert = Annotated[
    Path | None,
    typer.Option(
        "--client-cert",
        envvar="XDK_STREAMING_CLIENT_CERT",
        exists=True,
        dir_okay=False,
        help="Use the client certificate and key in this PEM file.",
    ),
]


class Session(requests.Session):
    """A session whose own settings take precedence over the environment.

    In requests it is the other way round: REQUESTS_CA_BUNDLE and HTTPS_PROXY override a session's settings.
    """

    def merge_environment_settings(self, url: Any, *settings: Any, **named: Any) -> Any:
        """The settings of the session; where the session has none, those of the environment."""
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
    """A session with the user's token. Exits with an error message if there is no token."""
    token = _token(token_file, os.environ)
    session = Session()
    session.headers["Authorization"] = f"Bearer {token}"
    session.headers["User-Agent"] = f"xdk-streaming/{__version__} {session.headers['User-Agent']!s}"
    session.auth = _as_it_is  # otherwise ~/.netrc would replace the token
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
        "or read it from a file: --bearer-token-file FILE"
    )


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as refusal:
        raise _no_token(f"The bearer token could not be read from {path}: {refusal.strerror}") from refusal
    except UnicodeError as refusal:
        raise _no_token(
            f"{path} does not contain a bearer token; expected the token and nothing else"
        ) from refusal


def _checked(text: str, source: str) -> str:
    """The token in a text. A text that is refused is not quoted, because it may contain the token."""
    token = text.strip()
    if not SENDABLE_TOKEN.fullmatch(token):
        raise _no_token(
            f"{source} does not contain a bearer token; expected the token alone, with no word before it"
        )
    return token


def _no_token(sentence: str) -> typer.Exit:
    typer.echo(sentence, err=True)
    return typer.Exit(ExitCode.AUTHENTICATION)


def is_loopback(url: Any) -> bool:
    """Whether this URL points to the local machine."""
    try:
        host = urlsplit(str(url)).hostname or ""
    except ValueError:  # no URL at all
        return False
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
