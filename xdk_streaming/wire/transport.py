"""HTTP, through requests: an attempt, its answer, and the answer's bytes as they arrive.

The only room that imports requests. Foreign exceptions end here: they are translated by a
table, by class and never by their text. Retries nothing and interprets no body.
"""

from __future__ import annotations

import http.client
import io
import re
import socket
import ssl
import threading
import traceback
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.request import getproxies

import requests
import urllib3
from requests import exceptions as rq
from urllib3 import exceptions as u3

from xdk_streaming.errors import StreamError, StreamErrorType

READ_SIZE = 64 * 1024
LONGEST_LINE = 64 * 1024
"""Bytes of a chunk's size line, extensions included; http.client allows as many."""
CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]+)[ \t]*(;[^\n]*)?\r?\n")
FRAMING = re.compile(r"^(Transfer-Encoding|Content-Length|Content-Encoding)\s*:", re.I | re.M)
CONNECTION_FAILED = "The connection failed; check the network and any proxy"
LONGEST_QUOTE = 200
"""Characters of a foreign exception's text in a message; http.client quotes up to 64 KiB of an answer."""
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
    quotes_urls: bool = False
    """Its text may quote a URL: neither shown nor chained where it then has a piece of a password in it."""
    unless: tuple[type[Exception], ...] = ()
    """The row does not hold where one of these is among what the exception wraps."""


FAULTS: tuple[Fault, ...] = (
    Fault(
        (rq.InvalidHeader, UnicodeEncodeError),
        StreamErrorType.FATAL_ERROR,
        "A header cannot be sent as it is; look for line breaks, blanks and odd characters in the token, "
        "and in a proxy's password",
        secret=True,
        unless=(u3.InvalidHeader,),  # urllib3's is about the server's headers
    ),
    Fault(
        (ssl.SSLCertVerificationError,),
        StreamErrorType.FATAL_ERROR,
        "The certificate of the server or of a proxy was refused; check the host name, the clock and "
        "session.verify",
    ),
    Fault(
        (rq.URLRequired, rq.MissingSchema, rq.InvalidSchema, rq.InvalidURL, u3.LocationValueError),
        StreamErrorType.FATAL_ERROR,
        "The URL, a proxy's or that of a redirect cannot be used; correct it",
        quotes_urls=True,
    ),
    Fault(
        (rq.TooManyRedirects,), StreamErrorType.CLIENT_ERROR, "The server redirects in circles; check the URL"
    ),
    Fault(
        (rq.RetryError, rq.HTTPError),
        StreamErrorType.SERVER_ERROR,
        "The session itself gave up on the server's answers",
        quotes_urls=True,
    ),
    Fault(
        (rq.ReadTimeout, u3.ReadTimeoutError),
        StreamErrorType.TIMEOUT,
        "The server, or a proxy, was silent for longer than timeout or stall_timeout allow",
    ),
    Fault(
        (u3.NewConnectionError, u3.ProxyError, ConnectionRefusedError, socket.gaierror),
        StreamErrorType.CONNECTION_ERROR,
        "No connection could be made; check the network, the host name and any proxy",
    ),
    Fault(
        (rq.Timeout, u3.TimeoutError, TimeoutError),
        StreamErrorType.TIMEOUT,
        "No connection was made, or none held, for as long as timeout or stall_timeout allow",
    ),
    Fault(
        (rq.SSLError,),
        StreamErrorType.CONNECTION_ERROR,
        "TLS could not be agreed on; check the URL's scheme and port, session.verify and session.cert",
    ),
    Fault((rq.ConnectionError,), StreamErrorType.CONNECTION_ERROR, CONNECTION_FAILED),
    Fault(
        (
            rq.ChunkedEncodingError,
            rq.ContentDecodingError,
            u3.HTTPError,
            http.client.HTTPException,
            ssl.SSLError,
        ),
        StreamErrorType.STREAM_INTERRUPTED,
        "The server's answer was cut off or garbled",
    ),
    Fault((ConnectionError,), StreamErrorType.CONNECTION_ERROR, CONNECTION_FAILED),
)
"""Tried from the top, each against the exception and all that it wraps: urllib3 counts a refused
connection among its timeouts and a silent proxy among its broken ones, and requests calls a stall
in mid-stream a ConnectionError."""


def translate(exception: Exception, passwords: Collection[str] = ()) -> StreamError:
    """The exception as an error of ours. What no row knows is FATAL_ERROR.

    `passwords` are those in the URLs that the exception may quote, in pieces: of a URL that
    cannot be read, urllib3 quotes what it takes for the host.
    """
    chain = list(_wrapped(exception))
    for fault in FAULTS:
        if _among(chain, fault.exceptions) and not _among(chain, fault.unless):
            return _error(fault, chain, chain[-1], passwords)
    unknown = f"The session or its adapter raised {type(exception).__name__}, which no retry is known to cure"
    row = Fault((Exception,), StreamErrorType.FATAL_ERROR, unknown, quotes_urls=True)
    return _error(row, chain, exception, passwords)


def _among(chain: list[Exception], classes: tuple[type[Exception], ...]) -> bool:
    return any(isinstance(link, classes) for link in chain)


def _error(fault: Fault, chain: list[Exception], root: Exception, passwords: Collection[str]) -> StreamError:
    if fault.secret:
        return StreamError(fault.sentence, fault.error_type)
    texts = [_words(link) for link in chain]
    if fault.quotes_urls and any(password in text for password in passwords for text in texts):
        withheld = f"the {type(root).__name__} quotes a password, and is not shown"
        return StreamError(f"{fault.sentence} ({withheld})", fault.error_type)
    told = _quotable(_words(root)) or type(root).__name__
    return StreamError(f"{fault.sentence} ({told})", fault.error_type, chain[0])


def _words(exception: Exception) -> str:
    try:
        return str(exception)
    except Exception:  # noqa: BLE001 - foreign classes
        return ""


def _quotable(text: str) -> str:
    """The text on one line, whatever a server put into it."""
    start = text.strip()[:LONGEST_QUOTE]
    return start if start.isprintable() else start.encode("unicode_escape").decode()


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
            return self._answered(self._sent(connect_timeout, read_timeout), chunk_size)
        except StreamError:
            raise
        except Exception as exception:  # noqa: BLE001 - sessions, adapters, hooks and callables are foreign code
            error = translate(exception, _passwords(self.url, self._session))
            raise error from error.original_exception

    def _sent(self, connect_timeout: float | None, read_timeout: float | None) -> Any:
        send = getattr(self._session, self.method.lower())
        try:
            return send(
                self.url,
                params=_asked(self._params),
                headers=self._identified(_asked(self._headers)),
                stream=True,
                timeout=(connect_timeout, read_timeout),
                **self._body,
            )
        except Exception as exception:
            if isinstance(exception, rq.HTTPError) and exception.response is not None:
                return exception.response  # a hook's raise_for_status() brings the answer
            _close_abandoned(exception)
            raise

    def _answered(self, response: Any, chunk_size: int | None) -> Answer:
        if isinstance(getattr(response, "status_code", None), int):
            return Answer(response, chunk_size)
        raise StreamError(
            f"The session returned a {type(response).__name__} without a status_code; "
            "it must return responses like those of requests",
            StreamErrorType.FATAL_ERROR,
        )

    def _identified(self, headers: Fields) -> Fields:
        if self._identity is None:
            # A stream has a connection of its own; see _detach() for servers that do not listen.
            self._identity = {"Connection": "close", **_authorization(self._session)}
            if not callable(self._headers):
                self._identity.update(headers)
        return {**self._identity, **headers} if callable(self._headers) else self._identity


def _passwords(url: str, session: Any) -> set[str]:
    """User names and passwords in this URL, and in those of the proxies: in pieces, where a URL may break."""
    proxies = getattr(session, "proxies", None)
    urls = [url, *(proxies.values() if isinstance(proxies, Mapping) else ()), *getproxies().values()]
    logins = [re.sub(r"^[\w+.-]+://", "", text).rpartition("@")[0] for text in map(str, urls)]
    return {piece for login in logins for piece in re.split(r"[:/?#@]", login) if piece}


def _close_abandoned(exception: Exception) -> None:
    """Close the response whose hook raised: nobody else can, and X counts one left open against its app."""
    for frame, _ in traceback.walk_tb(exception.__traceback__):
        for held in frame.f_locals.values():
            if isinstance(held, requests.Response):
                held.close()


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
            _detach(raw)
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
        """Give up our handle, without a word to the server."""
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
    _refuse_codings(raw)
    _refuse_lost_headers(raw)
    source = _dechunked(raw)
    while data := source.read1(READ_SIZE, decode_content=True):
        yield data


def _refuse_codings(raw: urllib3.HTTPResponse) -> None:
    """urllib3 hands on as it is what it cannot decode, and its bytes would be taken for broken lines."""
    content = set(_listed(raw.headers.get("Content-Encoding"))) - {"identity", *raw.CONTENT_DECODERS}
    transfer = set(_listed(raw.headers.get("Transfer-Encoding"))) - {"identity", "chunked"}
    if unknown := sorted(content | transfer):
        raise StreamError(
            f"The server sends the body as {', '.join(unknown)}, which cannot be decoded here; leave the "
            "Accept-Encoding header to requests, or install what urllib3 needs for it",
            StreamErrorType.FATAL_ERROR,
        )


def _refuse_lost_headers(raw: urllib3.HTTPResponse) -> None:
    """http.client reads no header after a line that is none, and would take frames for data without them."""
    original = _original(raw)
    unread = original.msg.get_payload() if original else ""
    if isinstance(unread, str) and FRAMING.search(unread):
        raise StreamError(
            f"The server's answer has a line among its headers that is none ({_quotable(unread)}), and the "
            "headers are lost that tell how to read its body",
            StreamErrorType.STREAM_INTERRUPTED,
        )


def _original(raw: urllib3.HTTPResponse) -> http.client.HTTPResponse | None:
    """http.client's response under urllib3's, where it is one; urllib3 has no public name for it."""
    original = getattr(raw, "_original_response", None)
    return original if isinstance(original, http.client.HTTPResponse) else None


def _begun(raw: urllib3.HTTPResponse, original: Any) -> bool:
    """Whether a hook has read some of it: what was left of a chunk or a coding is urllib3's to go on with."""
    places = raw.tell(), raw.chunk_left, original.chunk_left, getattr(raw, "_decoder", None)
    return places != (0, None, None, None)


def _listed(header: str | None) -> list[str]:
    return [part.strip().lower() for part in (header or "").split(",") if part.strip()]


def _dechunked(raw: urllib3.HTTPResponse) -> urllib3.HTTPResponse:
    """The same body with the frames of its chunks, where it has any, taken off by us."""
    original = _original(raw)
    bodiless = raw.length_remaining is not None
    if original is None or not raw.chunked or bodiless or _begun(raw, original):
        return raw
    coding = {"Content-Encoding": raw.headers.get("Content-Encoding", "")}
    return urllib3.HTTPResponse(Chunks(original.fp), coding, preload_content=False)


class Chunks(io.RawIOBase):
    """What is in the chunks of a file.

    http.client takes "-5" for a size, whatever two bytes come after a chunk for its end, and a
    size cut short after a leading 0 for the last one: it then gives frames for data, or an end
    where there was none. Here each is a fault. The trailers after the last chunk are left where
    they are, for nobody asks for them, and the connection ends here.
    """

    def __init__(self, file: Any) -> None:
        self._file = file
        self._left: int | None = None  # None before the first chunk, 0 at the end of each

    def read1(self, limit: int) -> bytes:
        """The next bytes, as soon as there are any; empty after the last chunk, and not to be asked then."""
        if self._left == 0 and (end := self._file.readline(2)) not in (b"\r\n", b"\n"):
            raise _broken(end, cut=end in (b"", b"\r"))
        if not self._left:
            self._left = self._next_size()
        if self._left == 0:
            return b""
        data: bytes = self._file.read1(min(limit, self._left))
        if not data:
            raise http.client.IncompleteRead(b"", self._left)
        self._left -= len(data)
        return data

    def _next_size(self) -> int:
        line = self._file.readline(LONGEST_LINE)
        size = CHUNK_SIZE.fullmatch(line)
        if size is None:
            raise _broken(line, cut=len(line) < LONGEST_LINE and not line.endswith(b"\n"))
        return int(size[1], 16)


def _broken(line: bytes, *, cut: bool) -> http.client.HTTPException:
    if cut:
        return http.client.IncompleteRead(line)
    return http.client.HTTPException(f"what should frame a chunk is {line[:20]!r}")


def _portable(response: Any, chunk_size: int | None) -> Iterator[bytes]:
    for chunk in response.iter_content(chunk_size=chunk_size):
        if chunk:
            is_text = isinstance(chunk, str)
            yield chunk.encode("utf-8", "surrogatepass") if is_text else memoryview(chunk).tobytes()


def _detach(raw: urllib3.HTTPResponse) -> None:
    """Take the connection from the session, for servers that ignore our `Connection: close`.

    One given back to the session's pool at a stream's end may be on its way out, and would look
    like a refusal to whoever takes it next; and X counts one left open. The body's own file
    keeps the socket until it is closed.
    """
    connection: Any = raw.connection
    held = getattr(connection, "sock", None)
    if held is not None:  # else it is detached already, by the server's wish
        with suppress(AttributeError, OSError):  # a foreign connection, whose socket is its own
            connection.sock = None
            held.close()


def _second_handle(raw: urllib3.HTTPResponse) -> socket.socket | None:
    """A handle of our own on the connection, so that it can be shut down from anywhere at any time."""
    try:  # the family is not looked at when a socket is shut down: this serves IPv6 as well
        return socket.fromfd(raw.fileno(), socket.AF_INET, socket.SOCK_STREAM)
    except (OSError, AttributeError):  # no socket under it: a body made in memory, or one already read whole
        return None
