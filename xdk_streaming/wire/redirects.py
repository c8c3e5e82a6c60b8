"""Redirects: which of them a stream follows. Only within the origin, or from http to https on one host.

requests would read a redirect's body to its end, however long that is, and would go to any host.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import SplitResult, urljoin, urlsplit

from requests import exceptions as rq

from xdk_streaming.errors import StreamError, StreamErrorType
from xdk_streaming.wire.secrets import NONE, Secrets

STATUSES = frozenset({301, 302, 303, 307, 308})
DEFAULT_PORTS = {"http": 80, "https": 443}


class LocationHook:
    """A hook of requests that sets a response's `Location` aside, so that requests does not follow it.

    With `allow_redirects=False` alone, requests would still read the redirect's body whole, to prepare the
    next request. One hook serves one response.
    """

    def __init__(self) -> None:
        self._location: str | None = None

    def __call__(self, response: Any, **_: Any) -> None:
        """Set the header aside. Called by requests for each response."""
        self._location = response.headers.pop("Location", None)

    def put_back(self, response: Any) -> None:
        """Give the response its header back."""
        if self._location is not None:
            response.headers["Location"] = self._location


def destination(response: Any, url: str, secrets: Secrets = NONE) -> str | None:
    """The URL that the response to a request of `url` redirects to; None if it is no redirect.

    Raises `StreamError` if the redirect leads elsewhere, or to what is no URL. Both are `intercepted`.
    """
    headers, status = getattr(response, "headers", None), getattr(response, "status_code", None)
    location = headers.get("Location") if isinstance(headers, Mapping) else None
    if status not in STATUSES or not isinstance(location, str) or not location:
        return None
    try:
        there = urljoin(url, location)
        goal = urlsplit(there)
        followed = _follows(urlsplit(url), goal)
    except ValueError:
        invalid = rq.InvalidURL("the Location of a redirect is no URL")
        raise StreamError(
            f"The server redirects ({status}) to what is no URL; check the URL, and whether a proxy or a "
            "login page answers in the server's place",
            StreamErrorType.FATAL_ERROR,
            invalid,
            status_code=status,
            intercepted=True,
        ) from invalid
    if followed:
        return there
    origin = secrets.removed_from(_origin_text(goal))
    raise StreamError(
        f"The server redirects ({status}) to {origin}, which is another origin, and the token is "
        "not sent there; check the URL, and whether a proxy or a login page answers in the server's place",
        StreamErrorType.CLIENT_ERROR,
        status_code=status,
        intercepted=True,
    )


def method_after(status: int, method: str) -> str:
    """The method of the request that follows a redirect, as browsers and requests choose it."""
    if (status == 303 and method != "HEAD") or (status in (301, 302) and method == "POST"):
        return "GET"
    return method


def _follows(source: SplitResult, goal: SplitResult) -> bool:
    if source.hostname != goal.hostname:
        return False
    return _origin(source) == _origin(goal) or (source.scheme.lower(), goal.scheme.lower()) == (
        "http",
        "https",
    )


def _origin(parts: SplitResult) -> tuple[str, int | None]:
    scheme = parts.scheme.lower()
    return scheme, parts.port or DEFAULT_PORTS.get(scheme)


def _origin_text(parts: SplitResult) -> str:
    """The origin, without the path and the login that a server may put in."""
    port = f":{parts.port}" if parts.port else ""
    return ascii(f"{parts.scheme}://{parts.hostname or ''}{port}")[1:-1]
