"""HTTP, through requests: an attempt, and its answer.

Foreign exceptions end here. Retries nothing and interprets no body.
"""

from __future__ import annotations

import http.client
import re
import select
import socket
import sys
import threading
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from types import FrameType, MappingProxyType
from typing import Any
from urllib.request import getproxies

import requests
import urllib3
from requests import exceptions as rq

from xdk_streaming.errors import StreamError, StreamErrorType
from xdk_streaming.wire import body
from xdk_streaming.wire.translation import translate

METHODS = frozenset({"get", "post", "put", "patch", "delete", "head", "options"})

Fields = Mapping[str, Any]
NOTHING_MORE: Fields = MappingProxyType({})
Source = Fields | Callable[[], Fields] | None
"""Params or headers: plain ones, or a callable that is asked at every attempt."""


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
        self._verb = method.lower()
        self.url = url
        self._session = session
        self._params = params
        self._headers = headers
        self._body = {} if json_data is None else {"json": json_data}
        self._identity: dict[str, Any] | None = None
        self.params: dict[str, Any] = {}
        """What the last attempt asked with."""
        self._sender = 0

    def send(
        self,
        *,
        connect_timeout: float | None,
        read_timeout: float | None,
        chunk_size: int | None,
        more: Fields = NOTHING_MORE,
    ) -> Answer:
        """One attempt. Raises `StreamError`, and nothing else, where it brings no answer.

        `more` are params of this attempt alone; they go before the others.
        """
        self._sender = threading.get_ident()
        try:
            return self._answered(self._sent(connect_timeout, read_timeout, more), chunk_size)
        except StreamError:
            raise
        except Exception as exception:  # noqa: BLE001 - sessions, adapters, hooks and callables are foreign code
            _close_abandoned(exception, (Answer, requests.Response))
            error = translate(exception, _passwords(self.url, self._session))
            raise error from error.original_exception
        except BaseException as interrupt:
            _close_abandoned(interrupt, (Answer, requests.Response, socket.socket))
            raise

    def wake(self) -> None:
        """Break off a `send` in progress, from any thread: the sockets that it is at are shut down.

        It may stand before its first socket or between two, so call this until it has returned. A name
        lookup cannot be broken off.
        """
        frame = sys._current_frames().get(self._sender)
        held: list[socket.socket] = []
        while frame is not None and not self._is_sent_in(frame):
            held += _sockets_in(frame)
            frame = frame.f_back
        if frame is not None:  # else that thread does something else, and these are not ours
            for handle in held:
                _shut_down(handle)

    def _is_sent_in(self, frame: FrameType) -> bool:
        return frame.f_code is Request.send.__code__ and frame.f_locals.get("self") is self

    def _sent(self, connect_timeout: float | None, read_timeout: float | None, more: Fields) -> Any:
        send = getattr(self._session, self._verb)
        try:
            self.params = {**_asked(self._params), **more}
            return send(
                self.url,
                params=self.params,
                headers=self._identified(_asked(self._headers)),
                stream=True,
                timeout=(connect_timeout, read_timeout),
                **self._body,
            )
        except Exception as exception:
            if isinstance(exception, rq.HTTPError) and exception.response is not None:
                return exception.response  # a hook's raise_for_status() brings the answer
            if _quotes_a_header(exception):
                raise rq.InvalidHeader from None
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


def _close_abandoned(exception: BaseException, kinds: tuple[type[Any], ...]) -> None:
    """Close what an attempt had opened when it was broken off, by a hook or by Ctrl-C.

    Nobody else can: it hangs on the exception alone, and stays open as long as that is kept.
    """
    for frame, _ in traceback.walk_tb(exception.__traceback__):
        for held in frame.f_locals.values():
            if isinstance(held, kinds):
                held.close()


def _sockets_in(frame: FrameType) -> list[socket.socket]:
    """Those that a connection is being made with, or an answer waited for on."""
    held = list(frame.f_locals.values())
    connections = (each.sock for each in held if isinstance(each, http.client.HTTPConnection))
    return [each for each in (*held, *connections) if isinstance(each, socket.socket)]


def _shut_down(handle: socket.socket) -> None:
    # Not by SSLSocket's own shutdown(), which would drop the encryption.
    with suppress(OSError):  # closed already, by either side
        socket.socket.shutdown(handle, socket.SHUT_RDWR)


def _quotes_a_header(exception: Exception) -> bool:
    """Whether http.client refused a header, which it does with a plain ValueError that quotes the value.

    requests looks at headers first, but not at those that a session's auth adds.
    """
    *_, (frame, _) = traceback.walk_tb(exception.__traceback__)
    return frame.f_code is http.client.HTTPConnection.putheader.__code__


def _asked(source: Source) -> dict[str, Any]:
    return dict((source() if callable(source) else source) or {})


def _authorization(session: Any) -> dict[str, Any]:
    headers = getattr(session, "headers", None)
    value = headers.get("Authorization") if isinstance(headers, Mapping) else None
    return {} if value is None else {"Authorization": value}


class Answer:
    """What the server answered: its status, its headers (names in lower case), and its bytes as they come."""

    # What close() needs is there before anything else is: Ctrl-C may come at any line.
    _response: Any = None
    _socket: socket.socket | None = None

    def __init__(self, response: Any, chunk_size: int | None) -> None:
        self._response = response
        self.status: int = response.status_code
        self.headers = _plain_headers(response)
        raw = getattr(response, "raw", None)
        if isinstance(raw, urllib3.HTTPResponse) and not raw.closed:
            self._socket = _second_handle(raw)
            self._chunks = body.arriving(raw, self._socket)
            _detach(raw)
        else:
            self._chunks = body.portable(response, chunk_size)

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

    @property
    def delimited(self) -> bool:
        """Whether the body's end can be told from a break: it tells its length, or comes in chunks."""
        return (
            "content-length" in self.headers or "chunked" in self.headers.get("transfer-encoding", "").lower()
        )

    def idle(self) -> bool:
        """Whether nothing waits to be read: all that has come is read. True where that cannot be told."""
        if self._socket is None:
            return True
        return not _waits(self._socket)

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
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def _waits(handle: socket.socket) -> bool:
    """Whether there is something to read, an end or a fault included."""
    poll = select.poll()
    poll.register(handle, select.POLLIN)
    return bool(poll.poll(0))


def _plain_headers(response: Any) -> dict[str, str]:
    headers = getattr(response, "headers", None)
    if not isinstance(headers, Mapping):
        return {}
    return {
        name.lower(): value
        for name, value in headers.items()
        if isinstance(name, str) and isinstance(value, str)
    }


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
