"""Single requests to X's other endpoints (rules, connections), and error messages for failures."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal
from urllib.request import getproxies

import requests
import typer

from xdk_streaming.cli.exits import ExitCode, exit_code
from xdk_streaming.cli.session import is_loopback
from xdk_streaming.wire import problems

REQUEST_TIMEOUT = 30.0
"""Seconds that X may take to accept the connection, and again to answer."""
SCHEME = re.compile("^[a-z]+://")

ListFormat = Annotated[
    Literal["text", "json"],
    typer.Option("--format", "-f", help="Write aligned text, or one JSON object per line."),
]


class Resource:
    """One of X's endpoints that is not a stream."""

    def __init__(self, session: requests.Session, base_url: str, path: str) -> None:
        self._session = session
        self._url = base_url.rstrip("/") + path
        if base_url.startswith("http://") and not is_loopback(base_url):
            typer.echo(
                "Warning: --base-url begins with http: the bearer token is sent unencrypted.", err=True
            )

    def ask(
        self,
        method: str,
        *,
        below: str = "",
        params: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Send a request; returns the body of a success, or one with errors about single entries.

        Exits with an error message after any other answer, or without one.
        """
        try:
            answer = self._session.request(
                method,
                self._url + below,
                params=params,
                json=body,
                timeout=REQUEST_TIMEOUT,
                allow_redirects=False,
            )
        except (requests.RequestException, ValueError) as failure:
            typer.echo(f"{_shown(self._url)} could not be reached: {self._reason(failure)}", err=True)
            raise typer.Exit(ExitCode.FAILED) from failure
        content = _object(answer)
        if content is not None and (answer.ok or "meta" in content):
            return content
        typer.echo(_sentence(answer), err=True)
        raise typer.Exit(exit_code(_refusal(answer)) if not answer.ok else ExitCode.REFUSED)

    def _reason(self, failure: Exception) -> str:
        """The message of the innermost cause, the shortest; withheld if the message quotes a password."""
        while isinstance(failure.__cause__ or failure.__context__, Exception):
            failure = failure.__cause__ or failure.__context__  # type: ignore[assignment]  # just tested
        urls = [self._url, *map(str, self._session.proxies.values()), *getproxies().values()]
        if any(piece in str(failure) for url in urls for piece in _secrets(url)):
            return f"the {type(failure).__name__} contains a password, and is not shown"
        return str(failure) or type(failure).__name__

    def pages(self, params: Mapping[str, str]) -> Iterator[dict[str, Any]]:
        """The entries of a list, page after page."""
        token: dict[str, str] = {}
        while True:
            content = self.ask("GET", params={**params, **token})
            yield from content.get("data", [])
            following = content.get("meta", {}).get("next_token")
            if not following:
                return
            token = {"pagination_token": following}


def _object(answer: requests.Response) -> dict[str, Any] | None:
    try:
        content = answer.json()
    except requests.JSONDecodeError:
        return None
    return content if isinstance(content, dict) else None


def _refusal(answer: requests.Response) -> Any:
    headers = {name.lower(): value for name, value in answer.headers.items()}
    return problems.refusal(answer.status_code, headers, answer.content, time.time())


def _sentence(answer: requests.Response) -> str:
    """The error message for a refusal. X refuses these requests in the same words as streams."""
    if answer.ok:
        return f"{_shown(answer.url)} answered {answer.status_code} without a JSON object; is this URL X's?"
    return str(_refusal(answer)).replace("refused the stream", "refused the request", 1)


def _shown(url: str) -> str:
    """The URL without user name and password."""
    scheme = SCHEME.match(url)
    return url if "@" not in url else (scheme[0] if scheme else "") + url.rpartition("@")[2]


def _secrets(url: str) -> set[str]:
    """The parts of a URL before the @: an error about an unreadable URL may quote only some of them."""
    return set(filter(None, re.split(r"\W", SCHEME.sub("", url.rpartition("@")[0]))))
