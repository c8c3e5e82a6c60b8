"""Single requests to X's endpoints that are no streams: rules and connections. Bounded in bytes, time, pages.

Nothing is retried: who asks decides that.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from typing import Any, NoReturn
from urllib.request import getproxies

import requests

from xdk_streaming.errors import StreamError, StreamErrorType
from xdk_streaming.wire import problems
from xdk_streaming.wire.reply import Reply, UnusableAnswer, reply_to
from xdk_streaming.wire.secrets import Secrets
from xdk_streaming.wire.translation import quotable

MAX_PAGES = 1_000
"""Pages of a list, at most."""
MAX_LIST_SECONDS = 600.0
"""Seconds (monotonic) that a list may take, at most."""
MAX_LIST_MEMORY = 72 * 2**20
"""Bytes of memory that a list may take: room for 80,000 rules."""
SCHEME = re.compile("^[a-z]+://")


class NoAnswer(StreamError):
    """No answer came, or none that can be used."""


class Resource:
    """One of X's endpoints that is not a stream. Every method raises `StreamError`; for one thread."""

    def __init__(self, session: requests.Session, base_url: str, path: str) -> None:
        self._session = session
        self._url = base_url.rstrip("/") + path
        self._memory = 0
        self._secrets = Secrets()
        self._secrets.note_headers(session.headers)
        for url in (self._url, *session.proxies.values(), *getproxies().values()):
            self._secrets.note_url(url)

    def ask(
        self,
        method: str,
        *,
        below: str = "",
        params: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Send a request. Returns the body of a success, or one with errors about single entries."""
        request = requests.Request(method, self._url + below, params=params, json=body)
        try:
            reply = reply_to(self._session, request)
            content = reply.content()
        except UnusableAnswer as fault:
            self._fail(self._secrets.removed_from(str(fault)))
        except (requests.RequestException, ValueError) as failure:
            self._fail(f"could not be reached: {self._reason(failure)}")
        self._memory += reply.memory
        if content is not None and (reply.ok or "meta" in content):
            return content
        if reply.ok:
            self._fail(f"answered {reply.status} without a JSON object; is this URL X's?", reply.status)
        raise self._refusal(reply)

    def pages(self, params: Mapping[str, str]) -> Iterator[dict[str, Any]]:
        """The entries of a list, page after page."""
        give_up_at = time.monotonic() + MAX_LIST_SECONDS
        token: dict[str, str] = {}
        for _ in range(MAX_PAGES):
            content = self.ask("GET", params={**params, **token})
            yield from _entries(content)
            following = as_object(content.get("meta")).get("next_token")
            if not following:
                return
            if token == {"pagination_token": following}:
                self._fail("sends the same page again and again")
            if self._memory > MAX_LIST_MEMORY or time.monotonic() > give_up_at:
                self._fail("sends a list that is too long to show")
            token = {"pagination_token": following}
        self._fail(f"sends a list of more than {MAX_PAGES:,} pages")

    def _fail(self, fault: str, status: int | None = None) -> NoReturn:
        raise NoAnswer(
            f"{_shown(self._url)} {fault}", StreamErrorType.CONNECTION_ERROR, status_code=status
        ) from None

    def _reason(self, failure: Exception) -> str:
        """The message of the innermost cause, the shortest; withheld if the message quotes a password."""
        while isinstance(failure.__cause__ or failure.__context__, Exception):
            failure = failure.__cause__ or failure.__context__  # type: ignore[assignment]  # just tested
        urls = [self._url, *map(str, self._session.proxies.values()), *getproxies().values()]
        if any(piece in str(failure) for url in urls for piece in _pieces(url)):
            return f"the {type(failure).__name__} contains a password, and is not shown"
        return quotable(self._secrets.removed_from(str(failure))) or type(failure).__name__

    def _refusal(self, reply: Reply) -> StreamError:
        """X refuses these requests in the same words as streams; their limits are of their own."""
        body = reply.body[: problems.MAX_BODY_BYTES]
        error = problems.refusal(reply.status, reply.headers, body, time.time(), secrets=self._secrets)
        words = str(error).replace("refused the stream", "refused the request", 1)
        if error.error_type is StreamErrorType.RATE_LIMITED:
            words = words.replace(
                "too many connects in the present 15 minutes", "too many requests of this kind"
            )
            words = words.replace("wait, and connect less often", "wait, and ask less often")
        error.args = (words,)
        return error


def as_object(value: object) -> dict[str, Any]:
    """The value if it is a JSON object; otherwise an empty one."""
    return value if isinstance(value, dict) else {}


def _entries(content: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The entries of a page. Whatever is no object is left out."""
    entries = content.get("data")
    return [entry for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []


def _shown(url: str) -> str:
    """The URL without user name and password."""
    scheme = SCHEME.match(url)
    return url if "@" not in url else (scheme[0] if scheme else "") + url.rpartition("@")[2]


def _pieces(url: str) -> set[str]:
    """The parts of a URL before the @: an error about an unreadable URL may quote only some of them."""
    return set(filter(None, re.split(r"\W", SCHEME.sub("", url.rpartition("@")[0]))))
