"""A server that sends the request's secrets back, wherever a server can put them: they come out nowhere."""

from __future__ import annotations

import json
import logging
import pickle
import re
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
import requests
from pydantic import BaseModel
from rich.console import Console

from helpers.servers import Peer, head, served
from xdk_streaming import Recovery, Stream, StreamConfig, StreamError
from xdk_streaming.cli.meter import Meter
from xdk_streaming.cli.panel import Facts, picture
from xdk_streaming.cli.recording.pipe import Pipe
from xdk_streaming.cli.reporting import as_json, as_text, event_of

TOKEN = "AAAAAAAAAA-bearer-token/of+mine=="
LOGIN = "login-of-proxy:pass-of-proxy"
PARAMETER = "secret-of-a-parameter"
SHORT = "t0ken"


class Signed(requests.auth.AuthBase):
    """Signs each request anew, as OAuth 1.0a does."""

    count = 0

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        self.count += 1
        signature = f"c2lnbmF0dXJl{self.count}%2Fof%2Bmine%3D"
        request.headers["Authorization"] = f'OAuth oauth_version="1.0", oauth_signature="{signature}"'
        return request


def sent(request: bytes, kind: str) -> str:
    """The secret in a request, as the server reads it."""
    patterns = {
        "token": r"Bearer (\S+)",
        "short token": r"Bearer (\S+)",
        "login of a proxy": r"Proxy-Authorization: Basic (\S+)",
        "signature": r'oauth_signature="([^"]+)"',
        "parameter": r"[?&]key=([^& ]+)",
    }
    found = re.search(patterns[kind], request.decode("latin-1"))
    assert found, request
    return found[1]


def answer(
    body: str, *headers: str, status: str = "400 Bad Request", kind: str = "application/json"
) -> bytes:
    data = body.encode()
    return head(f"Content-Type: {kind}", f"Content-Length: {len(data)}", *headers, status=status) + data


def streamed(lines: str) -> bytes:
    return answer(lines, status="200 OK")


def problem(secret: str, **more: Any) -> str:
    content = {"title": f"No {secret} here", "detail": secret, "type": "about:blank", **more}
    return json.dumps(content)


def escaped(secret: str) -> str:
    return "".join(f"\\u{ord(each):04x}" for each in secret)


ITEM = '{"data":{"id":"1"}}\r\n'
DISCONNECT = "https://api.x.com/2/problems/operational-disconnect"
PLACES: Mapping[str, Callable[[str], bytes]] = {
    "reason of the status": lambda s: answer("", status=f"401 {s}"),
    "status line": lambda s: f"HTTP/1.1 {s}\r\n\r\n".encode(),
    "no HTTP at all": lambda s: f"{s} {s}\r\n\r\n".encode(),
    "name of a header": lambda s: answer("", f"X-{s}: 1"),
    "line that is no header": lambda s: answer("", s, "Transfer-Encoding: chunked", status="200 OK"),
    "host of a redirect": lambda s: head(f"Location: https://{s}.example/", status="302 Found"),
    "path of a redirect": lambda s: head(f"Location: https://x.example/{s}", status="302 Found"),
    "redirect that is no URL": lambda s: head(f"Location: http://[{s}", status="302 Found"),
    "content type": lambda s: answer("no", kind=s),
    "content coding": lambda s: answer("{}", f"Content-Encoding: {s}", status="200 OK"),
    "transfer coding": lambda s: head(f"Transfer-Encoding: {s}"),
    "length": lambda s: head(f"Content-Length: {s}"),
    "wait": lambda s: answer("", f"Retry-After: {s}", f"x-rate-limit-reset: {s}", status="429 Too Many"),
    "cookie": lambda s: answer("", f"Set-Cookie: a={s}", status="503 Unavailable"),
    "problem": lambda s: answer(problem(s)),
    "escaped problem": lambda s: answer(problem("?").replace("?", escaped(s))),
    "telling field of a problem": lambda s: answer(problem("?", parameter=s, value=[s])),
    "name of a field": lambda s: answer(json.dumps({"title": "No", "type": "about:blank", s: {s: s}})),
    "web page": lambda s: answer(f"<html><title>{s}</title>{s}", status="403 Forbidden", kind="text/html"),
    "text": lambda s: answer(s, status="500 Error", kind="text/plain"),
    "text that is long": lambda s: answer("x" * 480 + " " + s, status="500 Error", kind="text/plain"),
    "page in place of a stream": lambda s: streamed(f"<html><title>{s}</title>"),
    "text in place of a stream": lambda s: streamed(f"hello {s}"),
    "notice that ends the stream": lambda s: streamed(
        ITEM + json.dumps({"errors": [{"title": s, "disconnect_type": s, "type": DISCONNECT}]}) + "\r\n"
    ),
    "notice": lambda s: streamed(ITEM + json.dumps({"errors": [{"title": s, "type": s}]}) + "\r\n" + ITEM),
    "escaped notice": lambda s: streamed(ITEM + f'{{"warning":{{"code":"{escaped(s)}"}}}}\r\n' + ITEM),
    "line that is no item": lambda s: streamed(ITEM + f"[{json.dumps(s)}]\r\n" + ITEM),
    "item that the model refuses": lambda s: streamed(ITEM + json.dumps({"data": {"id": [s]}}) + "\r\n"),
    "half a line": lambda s: streamed(ITEM + '{"data":{"id":"2","text":"' + s),
    "size of a chunk": lambda s: head("Transfer-Encoding: chunked") + f"{s}\r\n".encode(),
}
KINDS = ("token", "short token", "login of a proxy", "signature", "parameter")


class Data(BaseModel):
    id: str


class Post(BaseModel):
    data: Data


def request_of(kind: str, url: str, session: requests.Session) -> tuple[str, dict[str, Any]]:
    """The URL and the arguments of a stream that sends such a secret."""
    match kind:
        case "token":
            return url, {"headers": {"Authorization": f"Bearer {TOKEN}"}}
        case "short token":
            session.headers["Authorization"] = f"Bearer {SHORT}"
        case "login of a proxy":
            session.proxies = {"http": url.replace("://", f"://{LOGIN}@")}
            return "http://x.example/2/stream", {}
        case "signature":
            session.auth = Signed()
        case _:
            return url, {"params": {"key": PARAMETER}}
    return url, {}


def played(kind: str, url: str, checkpoint: Path, told: list[object]) -> Iterator[object]:
    """Everything that comes out of a stream, and of its error."""
    with requests.Session() as session:
        session.trust_env = False
        url, arguments = request_of(kind, url, session)
        config = StreamConfig(
            max_retries=1,
            initial_backoff=0.0,
            stall_timeout=2.0,
            on_error=told.append,
            on_disconnect=told.append,
            on_notice=told.append,
            on_invalid=lambda line, reason: told.extend((line, reason)),
            observers=(told.append,),
            recovery=Recovery(checkpoint=checkpoint),
        )
        stream = Stream[Any](session, "get", url, config, response_model=Post, **arguments)
        arguments.clear()
        error = consumed(stream)
    yield from (repr(stream), repr(stream.state), repr(config), stream.history, told)
    yield from shown(stream, url, told)
    kept = [error, *(each.error for each in stream.history), *(each for each in told if is_error(each))]
    for each in kept:
        if isinstance(each, Exception):
            yield from (str(each), repr(each), vars(each), pickle.dumps(each))
            yield from traceback.TracebackException.from_exception(each, capture_locals=True).format()
    yield from (path.read_bytes() for path in checkpoint.parent.iterdir())


def is_error(told: object) -> bool:
    return isinstance(told, Exception)


def consumed(stream: Stream[Any]) -> StreamError | None:
    try:
        for _ in stream:
            pass
    except StreamError as error:
        return error
    return None


def shown(stream: Stream[Any], url: str, told: list[object]) -> Iterator[str]:
    """Log lines and the live view."""
    events = []
    for record in told:
        with suppress(AttributeError, UnboundLocalError):  # what is no record
            if (event := event_of(record)) is not None:  # type: ignore[arg-type]
                events.append(event)
    yield from map(as_json, events)
    yield from map(as_text, events)
    last = stream.history[-1]
    meter = Meter(stream.state, 1.0)
    facts = Facts("", 1.0, stream.connection_state, last, stream.state, meter, Pipe(1), events)
    console = Console(width=400, record=True, quiet=True)
    console.print(picture(facts, 400, 60))
    yield console.export_text()


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("kind", KINDS)
def test_a_secret_that_is_sent_back_comes_out_nowhere(
    kind: str, place: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    secrets: set[str] = set()
    told: list[object] = []
    requests_seen: list[str] = []

    def serve(peer: Peer) -> None:
        secret = sent(peer.request(), kind)
        secrets.update((secret, unquote(secret)))
        requests_seen.append(secret)
        peer.send(PLACES[place](secret) if len(requests_seen) < 3 else answer("{}"))

    with caplog.at_level(logging.DEBUG), served(serve) as url:
        out = [
            *(
                each if isinstance(each, bytes) else str(each).encode()
                for each in played(kind, url, tmp_path / "point", told)
            ),
            *(record.getMessage().encode() for record in caplog.records),
            *(str(record.__dict__).encode() for record in caplog.records),
        ]
    assert secrets
    if kind == "login of a proxy":
        secrets.update(LOGIN.split(":"))
    for secret in secrets:
        found = [text for text in out if secret.encode() in text]
        assert not found, (secret, found[0][:600])
