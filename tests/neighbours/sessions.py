"""Sessions of other libraries. Each function is a case, and returns what was seen."""

from __future__ import annotations

import importlib
import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import requests

from neighbours.case import PATH, authorized, error_of, simulator, stopped, take
from xdk_streaming import Stream, StreamConfig, StreamError, StreamErrorType
from xdk_streaming.simulator import Reset, Serve, Stall

NOBODY = "http://127.0.0.1:9/"


def streams(session: Any) -> str:
    """Items, and a stop while the server is silent."""
    with simulator() as x:
        stream = Stream(session, "get", x.url + PATH)
        count = len(take(stream, 5))
        busy = stopped(stream)
    with simulator(rate=0.001) as x:
        silent = stopped(Stream(session, "get", x.url + PATH))
    return f"{count} items, stop() in {busy:.3f} s, in silence {silent:.3f} s"


def cached_session() -> str:
    """A session of requests-cache."""
    cache = importlib.import_module("requests_cache")
    return streams(authorized(cache.CachedSession("streams", backend="memory")))


def installed_cache() -> str:
    """requests-cache in the place of every session."""
    importlib.import_module("requests_cache").install_cache("streams", backend="memory")
    return streams(authorized(requests.Session()))


def plain_requests() -> str:
    """requests' own session, in whatever environment."""
    urllib3 = importlib.import_module("urllib3")
    return f"{streams(authorized(requests.Session()))}; urllib3 {urllib3.__version__}"


def niquests_session() -> str:
    """A session of niquests."""
    niquests = importlib.import_module("niquests")
    error = error_of(niquests.Session(), NOBODY)
    assert "No connection could be made" in str(error), error
    return f"{streams(authorized(niquests.Session()))}; refused: {last_error(error)}"


def niquests_asynchronous() -> str:
    """An asynchronous session of niquests is refused."""
    return refused(importlib.import_module("niquests").AsyncSession())


def httpx_client() -> str:
    """A client of httpx is refused."""
    return refused(importlib.import_module("httpx").Client())


def refused(session: Any) -> str:
    """The words with which a session is refused."""
    said = "nothing: it was accepted"
    try:
        Stream(session, "get", "https://api.x.com" + PATH)
    except ValueError as refusal:
        said = str(refusal)
    assert "requests.Session" in said, said
    return said


def curl_session() -> str:
    """A session of curl_cffi."""
    return streams(authorized(importlib.import_module("curl_cffi.requests").Session()))


def curl_errors() -> str:
    """curl's errors are OSErrors with a code of curl's, and each has the type of requests' error."""
    curl = importlib.import_module("curl_cffi.requests")
    refusal = error_of(curl.Session(), NOBODY)
    unknown = error_of(curl.Session(), "https://unknown.invalid/")
    with simulator(script=[(Serve(2), Reset())], then="fail") as x:
        reset = error_of(authorized(curl.Session()), x.url + PATH)
    with simulator(script=[(Serve(2), Stall())], then="fail") as x:
        silent = error_of(authorized(curl.Session()), x.url + PATH, timeout=0.5)
    seen = {
        "refused": last_error(refusal),
        "unknown host": last_error(unknown),
        "reset": last_error(reset),
        "silent": last_error(silent),
    }
    assert seen["refused"] == seen["unknown host"] == StreamErrorType.CONNECTION_ERROR.value, seen
    assert seen["reset"] in ("connection_error", "stream_interrupted", "server_error"), seen
    assert seen["silent"] == StreamErrorType.TIMEOUT.value, seen
    return ", ".join(f"{name}: {kind}" for name, kind in seen.items())


def last_error(error: StreamError) -> str:
    """The type of an error, or of the one behind a spent budget."""
    return str(getattr(error.__cause__, "error_type", error.error_type).value)


def oauth1_session() -> str:
    """A session that signs each request. The simulator wants a bearer token, so another server is asked."""
    oauth = importlib.import_module("requests_oauthlib")
    with signed_stream() as (url, signatures):
        session = oauth.OAuth1Session("key", "secret", "owner", "owner-secret")
        count = len(take(Stream(session, "get", url, StreamConfig(initial_backoff=0.05)), 6))
    assert all("oauth_signature=" in each for each in signatures), signatures
    assert len(set(signatures)) == len(signatures) == 2, "an attempt showed the signature of another"
    return f"{count} items over {len(signatures)} connections, each with a signature of its own"


@contextmanager
def signed_stream() -> Iterator[tuple[str, list[str]]]:
    """A server that sends three items on each connection, and keeps the Authorization of each request."""
    seen: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append(self.headers["Authorization"])
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            for number in range(3):
                self.wfile.write(b'{"data":{"id":"%d"}}\r\n' % (3 * len(seen) + number))

        def log_message(self, *_: Any) -> None:
            pass

    with served(Handler) as base:
        yield base, seen


def oauth2_endpoint_fails_once() -> str:
    """The token has expired, and the token endpoint answers 503 once."""
    with token_endpoint([(503, b"busy"), (200, TOKEN)]) as (url, asked):
        session = oauth2(url, token_updater=lambda token: None)
        return f"{count_through(session)} items; the endpoint was asked {len(asked)} times"


def oauth2_token_updated() -> str:
    """Without a token_updater the session renews its token and raises TokenUpdated."""
    with token_endpoint([(200, TOKEN)]) as (url, asked):
        return f"{count_through(oauth2(url))} items; the endpoint was asked {len(asked)} times"


TOKEN = json.dumps({"access_token": "any-token", "token_type": "bearer", "expires_in": 7200}).encode()


def count_through(session: Any) -> int:
    """The items of a stream that begins with an expired token."""
    with simulator() as x, Stream(session, "get", x.url + PATH, StreamConfig(initial_backoff=0.1)) as stream:
        return len(take(stream, 5))


def oauth2(url: str, **settings: Any) -> Any:
    """A session whose token has expired."""
    os.environ["OAUTHLIB_INSECURE_TRANSPORT"] = "1"  # the endpoint is on loopback, without TLS
    oauth = importlib.import_module("requests_oauthlib")
    old = {"access_token": "old", "refresh_token": "again", "token_type": "bearer", "expires_in": -30}
    return oauth.OAuth2Session("client", token=old, auto_refresh_url=url, **settings)


@contextmanager
def token_endpoint(answers: list[tuple[int, bytes]]) -> Iterator[tuple[str, list[float]]]:
    """A server that gives these answers, one after the other."""
    asked: list[float] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            status, body = answers[min(len(asked), len(answers) - 1)]
            asked.append(time.monotonic())
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    with served(Handler) as base:
        yield f"{base}token", asked


@contextmanager
def served(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    """The URL of a server with this handler, with a slash at its end."""
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def unreachable_host() -> str:
    """An adapter that raises a bare OSError about the network."""

    class Adapter(requests.adapters.HTTPAdapter):
        def send(self, *_: Any, **__: Any) -> Any:
            raise OSError(113, "No route to host")

    session = requests.Session()
    session.mount("http://", Adapter())
    kind = last_error(error_of(session, NOBODY))
    assert kind == StreamErrorType.CONNECTION_ERROR.value, kind
    return kind


SESSIONS: dict[str, Callable[[], str]] = {
    "requests-cache, its session": cached_session,
    "requests-cache, installed": installed_cache,
    "curl_cffi": curl_session,
    "curl_cffi, errors": curl_errors,
    "requests-oauthlib, OAuth 1": oauth1_session,
    "requests-oauthlib, OAuth 2, its endpoint fails once": oauth2_endpoint_fails_once,
    "requests-oauthlib, OAuth 2, TokenUpdated": oauth2_token_updated,
    "httpx": httpx_client,
    "an adapter without a route": unreachable_host,
}
NIQUESTS: dict[str, Callable[[], str]] = {
    "niquests is installed, requests is used": plain_requests,
    "niquests, its session": niquests_session,
    "niquests, its asynchronous session": niquests_asynchronous,
}
