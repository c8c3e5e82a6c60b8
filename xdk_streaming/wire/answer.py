"""An answer to a request: status, headers, and the body's bytes as they come.

Every exception of another library is translated here. The body is not interpreted. `_detach` relies on an
attribute that is not public: the `sock` of the connection that urllib3's response keeps. If the attribute is
missing, the session keeps the connection, and X may count the connection until the response is collected.
"""

from __future__ import annotations

import select
import socket
import threading
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import urllib3

from xdk_streaming.errors import StreamError
from xdk_streaming.wire import body
from xdk_streaming.wire.translation import translate


class Answer:
    """A server's answer: its status, its headers (names in lower case), and its bytes as they arrive.

    For one thread; only `wake` may be called on any thread.
    """

    # Class attributes, so that close() finds them at any time: Ctrl-C may come at any line.
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

        Raises `StreamError`, and no other `Exception`, if the body breaks off.
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
        """At most the first `limit` bytes, and only those that arrive within `seconds`. Raises nothing."""
        watchdog = threading.Timer(seconds, self.wake)
        watchdog.daemon = True
        watchdog.start()
        body = b""
        try:
            while len(body) < limit and (data := self.read()):
                body += data
        except StreamError:
            return body[:limit]  # broken off or cut short: the bytes that arrived are still worth reading
        finally:
            watchdog.cancel()
        return body[:limit]

    @property
    def delimited(self) -> bool:
        """Whether the body's end can be distinguished from a break: it has a length, or comes in chunks."""
        return (
            "content-length" in self.headers or "chunked" in self.headers.get("transfer-encoding", "").lower()
        )

    def idle(self) -> bool:
        """Whether no bytes wait to be read. True if that cannot be determined."""
        if self._socket is None:
            return True
        return not _waits(self._socket)

    def wake(self) -> None:
        """End a `read` that blocks, from any thread or signal handler. The read then returns or raises.

        No more bytes arrive after this. The server sees the connection closed.
        """
        handle = self._socket
        if handle is not None:
            # On a second handle of the connection: under TLS the SSLSocket's own shutdown() would drop the
            # encryption, and the blocked read would return ciphertext as data.
            with suppress(OSError):  # closed already, by either side
                handle.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Close the connection, even if other code holds the response: X counts open connections."""
        self.wake()
        with suppress(Exception):  # foreign code; the connection is shut down whatever it raises
            self._response.close()
        self._let_go()

    def _let_go(self) -> None:
        """Close our handle, which sends nothing to the server."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def _waits(handle: socket.socket) -> bool:
    """Whether there is something to read; an end or a fault also counts."""
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

    A connection that returns to the session's pool at the end of a stream may be closing, and would look like
    a refusal to the next request; and X counts a connection that stays open. The body's own file keeps the
    socket until the file is closed.
    """
    connection: Any = raw.connection
    held = getattr(connection, "sock", None)
    if held is not None:  # otherwise it is detached already, because the server closes the connection
        with suppress(AttributeError, OSError):  # a foreign connection class, which owns its socket
            connection.sock = None
            held.close()


def _second_handle(raw: urllib3.HTTPResponse) -> socket.socket | None:
    """A handle of our own on the connection, so that any thread can shut the connection down at any time."""
    try:  # shutdown() ignores the address family, so this also serves IPv6
        return socket.fromfd(raw.fileno(), socket.AF_INET, socket.SOCK_STREAM)
    except (OSError, AttributeError):  # no socket: a body made in memory, or one that is already read whole
        return None
