"""Single requests to X's other endpoints (rules, connections), and error messages for failures."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal, NoReturn
from urllib.request import getproxies

import requests
import typer

from xdk_streaming.cli.exits import ExitCode, exit_code
from xdk_streaming.cli.reply import Reply, UnusableAnswer, reply_to
from xdk_streaming.cli.session import is_loopback
from xdk_streaming.errors import StreamError
from xdk_streaming.wire import problems

MAX_PAGES = 1_000
"""Pages of a list, at most."""
MAX_LIST_SECONDS = 600.0
"""Seconds (monotonic) that a list may take, at most."""
MAX_LIST_MEMORY = 72 * 2**20
"""Bytes of memory that a list may take: room for 80,000 rules."""
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
        self._memory = 0
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
        request = requests.Request(method, self._url + below, params=params, json=body)
        try:
            reply = reply_to(self._session, request)
            content = reply.content()
        except UnusableAnswer as fault:
            self._fail(str(fault))
        except (requests.RequestException, ValueError) as failure:
            self._fail(f"could not be reached: {self._reason(failure)}")
        self._memory += reply.memory
        if content is not None and (reply.ok or "meta" in content):
            return content
        typer.echo(_sentence(reply), err=True)
        raise typer.Exit(ExitCode.REFUSED if reply.ok else exit_code(_refusal(reply)))

    def pages(self, params: Mapping[str, str]) -> Iterator[dict[str, Any]]:
        """The entries of a list, page after page. Exits with an error message if the list does not end."""
        give_up_at = time.monotonic() + MAX_LIST_SECONDS
        token: dict[str, str] = {}
        for _ in range(MAX_PAGES):
            content = self.ask("GET", params={**params, **token})
            yield from _entries(content)
            following = _object(content.get("meta")).get("next_token")
            if not following:
                return
            if token == {"pagination_token": following}:
                self._fail("sends the same page again and again")
            if self._memory > MAX_LIST_MEMORY or time.monotonic() > give_up_at:
                self._fail("sends a list that is too long to show")
            token = {"pagination_token": following}
        self._fail(f"sends a list of more than {MAX_PAGES:,} pages")

    def _fail(self, fault: str) -> NoReturn:
        typer.echo(f"{_shown(self._url)} {fault}", err=True)
        raise typer.Exit(ExitCode.FAILED)

    def _reason(self, failure: Exception) -> str:
        """The message of the innermost cause, the shortest; withheld if the message quotes a password."""
        while isinstance(failure.__cause__ or failure.__context__, Exception):
            failure = failure.__cause__ or failure.__context__  # type: ignore[assignment]  # just tested
        urls = [self._url, *map(str, self._session.proxies.values()), *getproxies().values()]
        if any(piece in str(failure) for url in urls for piece in _secrets(url)):
            return f"the {type(failure).__name__} contains a password, and is not shown"
        return str(failure) or type(failure).__name__


def _entries(content: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The entries of a page. Whatever is no object is left out."""
    entries = content.get("data")
    return [entry for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []


def _object(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _refusal(reply: Reply) -> StreamError:
    body = reply.body[: problems.MAX_BODY_BYTES]
    return problems.refusal(reply.status, reply.headers, body, time.time())


def _sentence(reply: Reply) -> str:
    """The error message for a refusal. X refuses these requests in the same words as streams."""
    if reply.ok:
        return f"{_shown(reply.url)} answered {reply.status} without a JSON object; is this URL X's?"
    return str(_refusal(reply)).replace("refused the stream", "refused the request", 1)


def _shown(url: str) -> str:
    """The URL without user name and password."""
    scheme = SCHEME.match(url)
    return url if "@" not in url else (scheme[0] if scheme else "") + url.rpartition("@")[2]


def _secrets(url: str) -> set[str]:
    """The parts of a URL before the @: an error about an unreadable URL may quote only some of them."""
    return set(filter(None, re.split(r"\W", SCHEME.sub("", url.rpartition("@")[0]))))
