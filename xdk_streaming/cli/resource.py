"""A single request to one of X's endpoints that are no streams, and what to say where it fails."""

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

SECONDS = 30.0
"""How long X may take, to connect and to answer."""
SCHEME = re.compile("^[a-z]+://")

Format = Annotated[
    Literal["text", "json"],
    typer.Option("--format", "-f", help="How it is written: aligned text, or a JSON object a line."),
]


class Resource:
    """One of X's endpoints that are no streams."""

    def __init__(self, session: requests.Session, base_url: str, path: str) -> None:
        self._session = session
        self._url = base_url.rstrip("/") + path
        if base_url.startswith("http://") and not is_loopback(base_url):
            typer.echo("Warning: --base-url begins with http: others can read the bearer token.", err=True)

    def ask(
        self,
        method: str,
        *,
        below: str = "",
        params: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """What it answers: a success, or errors that belong to single entries.

        Any other answer, or none, is a sentence, and ends the program.
        """
        try:
            answer = self._session.request(
                method, self._url + below, params=params, json=body, timeout=SECONDS, allow_redirects=False
            )
        except (requests.RequestException, ValueError) as failure:
            typer.echo(f"{_shown(self._url)} cannot be asked: {self._reason(failure)}", err=True)
            raise typer.Exit(ExitCode.FAILED) from failure
        content = _object(answer)
        if content is not None and (answer.ok or "meta" in content):
            return content
        typer.echo(_sentence(answer), err=True)
        raise typer.Exit(exit_code(_refusal(answer)) if not answer.ok else ExitCode.REFUSED)

    def _reason(self, failure: Exception) -> str:
        """The innermost cause says it in the fewest words; one that quotes a password is not shown."""
        while isinstance(failure.__cause__ or failure.__context__, Exception):
            failure = failure.__cause__ or failure.__context__  # type: ignore[assignment]  # just tested
        urls = [self._url, *map(str, self._session.proxies.values()), *getproxies().values()]
        if any(piece in str(failure) for url in urls for piece in _secrets(url)):
            return f"the {type(failure).__name__} quotes a password, and is not shown"
        return str(failure) or type(failure).__name__

    def pages(self, params: Mapping[str, str]) -> Iterator[dict[str, Any]]:
        """The entries of each page of a list."""
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
    """As for a stream, for X words its refusals alike."""
    if answer.ok:
        return f"{_shown(answer.url)} answered {answer.status_code} with what is no JSON object; is it X's?"
    return str(_refusal(answer)).replace("refused the stream", "refused the request", 1)


def _shown(url: str) -> str:
    """Without a user's name and password."""
    scheme = SCHEME.match(url)
    return url if "@" not in url else (scheme[0] if scheme else "") + url.rpartition("@")[2]


def _secrets(url: str) -> set[str]:
    """What stands before the @ of a URL, in pieces: one that cannot be read is quoted in part."""
    return set(filter(None, re.split(r"\W", SCHEME.sub("", url.rpartition("@")[0]))))
