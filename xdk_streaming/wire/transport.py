"""HTTP, through requests: an attempt, its answer, and the answer's bytes as they arrive.

The only room that imports requests. Foreign exceptions end here: they are translated by a
table, by class and never by their text. Retries nothing and interprets no body.
"""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import requests
import urllib3
from requests import exceptions as rq
from urllib3 import exceptions as u3

from xdk_streaming.errors import StreamError, StreamErrorType

READ_SIZE = 64 * 1024
METHODS = frozenset({"get", "post", "put", "patch", "delete", "head", "options"})

Fields = Mapping[str, Any]
Source = Fields | Callable[[], Fields] | None
"""Params or headers: plain ones, or a callable that is asked at every attempt."""


@dataclass(frozen=True)
class Fault:
    """One row of the translation: exceptions, what they are to us, and what to say of them."""

    exceptions: tuple[type[Exception], ...]
    error_type: StreamErrorType
    sentence: str
    secret: bool = False
    """Its text quotes a header, and so perhaps the token: neither shown nor chained."""


FAULTS: tuple[Fault, ...] = (
    Fault(
        (rq.InvalidHeader, UnicodeEncodeError),
        StreamErrorType.FATAL_ERROR,
        "A header cannot be sent as it is; look for line breaks, blanks and odd characters in the token",
        secret=True,
    ),
    Fault(
        (ssl.SSLCertVerificationError,),
        StreamErrorType.FATAL_ERROR,
        "The server's certificate was refused; check the host name, the clock and session.verify",
    ),
    Fault(
        (rq.URLRequired, rq.MissingSchema, rq.InvalidSchema, rq.InvalidURL, u3.LocationValueError),
        StreamErrorType.FATAL_ERROR,
        "The URL or a proxy's URL cannot be used; correct it",
    ),
    Fault(
        (rq.TooManyRedirects,), StreamErrorType.CLIENT_ERROR, "The server redirects in circles; check the URL"
    ),
    Fault(
        (rq.RetryError, rq.HTTPError),
        StreamErrorType.SERVER_ERROR,
        "The session itself gave up on the server's answers",
    ),
    Fault(
        (u3.NewConnectionError, u3.ProxyError, ConnectionRefusedError, socket.gaierror),
        StreamErrorType.CONNECTION_ERROR,
        "No connection could be made; check the network, the host name and any proxy",
    ),
    Fault(
        (rq.Timeout, u3.TimeoutError, TimeoutError),
        StreamErrorType.TIMEOUT,
        "The server was silent for longer than timeout or stall_timeout allow",
    ),
    Fault((rq.ConnectionError,), StreamErrorType.CONNECTION_ERROR, "The connection failed"),
    Fault(
        (
            rq.ChunkedEncodingError,
            rq.ContentDecodingError,
            u3.HTTPError,
            http.client.HTTPException,
            ssl.SSLError,
        ),
        StreamErrorType.STREAM_INTERRUPTED,
        "The stream was cut off in the middle",
    ),
    Fault((ConnectionError,), StreamErrorType.CONNECTION_ERROR, "The connection failed"),
)
"""Tried from the top, each against the exception and all that it wraps: urllib3 counts a refused
connection among its timeouts, and requests calls a stall in mid-stream a ConnectionError."""


def translate(exception: Exception) -> StreamError:
    """The exception as an error of ours. What no row knows is FATAL_ERROR."""
    chain = list(_wrapped(exception))
    for fault in FAULTS:
        if any(isinstance(link, fault.exceptions) for link in chain):
            return _error(fault, exception, chain[-1])
    unknown = f"The session or its adapter raised {type(exception).__name__}, which no retry is known to cure"
    return _error(Fault((Exception,), StreamErrorType.FATAL_ERROR, unknown), exception, exception)


def _error(fault: Fault, exception: Exception, root: Exception) -> StreamError:
    if fault.secret:
        return StreamError(fault.sentence, fault.error_type)
    return StreamError(f"{fault.sentence} ({str(root) or type(root).__name__})", fault.error_type, exception)


def _wrapped(exception: Exception) -> Iterator[Exception]:
    """The exception and what it wraps, outermost first: as argument (requests), reason (urllib3), cause."""
    seen: list[BaseException] = []
    link: object = exception
    while isinstance(link, Exception) and not any(link is earlier for earlier in seen):
        seen.append(link)
        yield link
        arguments = [argument for argument in link.args if isinstance(argument, Exception)]
        link = getattr(link, "reason", None) or (arguments[0] if arguments else link.__cause__)


class Request:
    """What is asked for, anew at every attempt.

    Callable params and headers are asked each time. Plain headers, and the session's
    Authorization, stay those of the first attempt: another call on a shared session must
    not change this stream's identity at its next reconnect.
    """

    def __init__(
        self,
        session: requests.Session,
        method: str,
        url: str,
        params: Source = None,
        headers: Source = None,
        json_data: Any = None,
    ) -> None:
        if method.lower() not in METHODS:
            raise ValueError(
                f"method is {method!r}, must be one of {', '.join(sorted(METHODS))}, in any case"
            )
        self.method = method.upper()
        self.url = url
        self._session = session
        self._params = params
        self._headers = headers
        self._body = {} if json_data is None else {"json": json_data}
        self._identity: dict[str, Any] | None = None

    def send(
        self, *, connect_timeout: float | None, read_timeout: float | None, chunk_size: int | None
    ) -> Answer:
        """One attempt. Raises `StreamError`, and nothing else, where it brings no answer."""
        try:
            send = getattr(self._session, self.method.lower())
            response = send(
                self.url,
                params=_asked(self._params),
                headers=self._identified(_asked(self._headers)),
                stream=True,
                timeout=(connect_timeout, read_timeout),
                **self._body,
            )
        except StreamError:
            raise
        except Exception as exception:  # noqa: BLE001 - sessions, adapters, hooks and callables are foreign code
            response = getattr(exception, "response", None)  # a hook's raise_for_status() brings the answer
            if not isinstance(exception, rq.HTTPError) or response is None:
                error = translate(exception)
                raise error from error.original_exception
        if not isinstance(getattr(response, "status_code", None), int):
            raise StreamError(
                f"The session returned a {type(response).__name__} without a status_code; "
                "it must return responses like those of requests",
                StreamErrorType.FATAL_ERROR,
            )
        return Answer(response, chunk_size)

    def _identified(self, headers: Fields) -> Fields:
        if self._identity is None:
            # A stream has a connection of its own: one given back to the session's pool at a stream's end
            # may be on its way out, and would look like a refusal to whoever takes it next.
            self._identity = {"Connection": "close", **_authorization(self._session)}
            if not callable(self._headers):
                self._identity.update(headers)
        return {**self._identity, **headers} if callable(self._headers) else self._identity


def _asked(source: Source) -> dict[str, Any]:
    return dict((source() if callable(source) else source) or {})


def _authorization(session: Any) -> dict[str, Any]:
    headers = getattr(session, "headers", None)
    value = headers.get("Authorization") if isinstance(headers, Mapping) else None
    return {} if value is None else {"Authorization": value}


class Answer:
    """What the server answered: its status, its headers (names in lower case), and its bytes as they come."""

    def __init__(self, response: Any, chunk_size: int | None) -> None:
        self.status: int = response.status_code
        self.headers = _plain_headers(response)
        self._response = response
        raw = getattr(response, "raw", None)
        self._socket: socket.socket | None = None
        if isinstance(raw, urllib3.HTTPResponse) and not raw.closed:
            self._chunks = _arriving(raw)
            self._socket = _second_handle(raw)
        else:
            self._chunks = _portable(response, chunk_size)

    def read(self) -> bytes:
        """The next bytes, decompressed, as soon as there are any; empty at the end.

        Raises `StreamError`, and nothing else, where the body breaks off.
        """
        try:
            data = next(self._chunks, b"")
        except StreamError:
            raise
        except Exception as exception:  # noqa: BLE001 - adapters and response objects are foreign code
            error = translate(exception)
            raise error from error.original_exception
        if not data:
            self._let_go()
        return data

    def read_start(self, limit: int, seconds: float) -> bytes:
        """The first `limit` bytes at most, or what of them comes within `seconds`. Raises nothing."""
        watchdog = threading.Timer(seconds, self.wake)
        watchdog.daemon = True
        watchdog.start()
        body = b""
        try:
            while len(body) < limit and (data := self.read()):
                body += data
        except StreamError:
            return body[:limit]  # broken off or cut short: what came is still worth reading
        finally:
            watchdog.cancel()
        return body[:limit]

    def wake(self) -> None:
        """End a `read` that blocks, from any thread or signal handler: it then sees the end, or a fault.

        Nothing more comes after it; the caller knows why. The server sees the connection closed.
        """
        handle = self._socket
        if handle is not None:
            # On a second handle of the connection: under TLS the SSLSocket's own shutdown() would drop the
            # encryption, and the blocked read would return ciphertext as data.
            with suppress(OSError):  # closed already, by either side
                handle.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Close the connection, whoever else holds the response: X counts one left open against its app."""
        self.wake()
        with suppress(Exception):  # a foreign response; the connection is shut down whatever it says
            self._response.close()
        self._let_go()

    def _let_go(self) -> None:
        """Give up our handle, without a word to the server: after a body's end the connection may be in
        use already for another request of the session.
        """
        handle, self._socket = self._socket, None
        if handle is not None:
            handle.close()


def _plain_headers(response: Any) -> dict[str, str]:
    headers = getattr(response, "headers", None)
    if not isinstance(headers, Mapping):
        return {}
    return {
        name.lower(): value
        for name, value in headers.items()
        if isinstance(name, str) and isinstance(value, str)
    }


def _arriving(raw: urllib3.HTTPResponse) -> Iterator[bytes]:
    """`read1` returns what is there; `iter_content` waits for whole chunks where a body is not chunked."""
    while data := raw.read1(READ_SIZE, decode_content=True):
        yield data


def _portable(response: Any, chunk_size: int | None) -> Iterator[bytes]:
    for chunk in response.iter_content(chunk_size=chunk_size):
        if chunk:
            yield chunk.encode("utf-8", "surrogatepass") if isinstance(chunk, str) else chunk


def _second_handle(raw: urllib3.HTTPResponse) -> socket.socket | None:
    """A handle of our own on the connection, so that it can be shut down from anywhere at any time."""
    try:  # the family is not looked at when a socket is shut down: this serves IPv6 as well
        return socket.fromfd(raw.fileno(), socket.AF_INET, socket.SOCK_STREAM)
    except (OSError, AttributeError):  # no socket under it: a body made in memory, or one already read whole
        return None
