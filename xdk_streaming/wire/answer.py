"""An answer to a request: status, headers, and the body's bytes as they come.

Every exception of another library is translated here. The body is not interpreted. `_detach` relies on an
attribute that is not public: the `sock` of the connection that urllib3's response keeps. If the attribute is
missing, the session keeps the connection, and X may count the connection until the response is collected.
"""

from __future__ import annotations

import io
import os
import socket
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

import urllib3

from xdk_streaming.clock import monotonic
from xdk_streaming.errors import StreamError
from xdk_streaming.wire import body, bulk
from xdk_streaming.wire.caller import Caller
from xdk_streaming.wire.secrets import NONE, Secrets
from xdk_streaming.wire.timeouts import Deadlines, Timeouts
from xdk_streaming.wire.translation import translate
from xdk_streaming.wire.wait import Due, Wait
from xdk_streaming.wire.waiting_socket import WaitingSocket


@dataclass(frozen=True)
class Reading:
    """How an answer's body is read: with which wait and limits, and on whose thread if the read may block."""

    wait: Wait
    timeouts: Timeouts
    caller: Caller
    secrets: Secrets = NONE
    """What the request has sent, and nothing that is kept or shown may have."""


class Answer:
    """A server's answer: its status, its headers (names in lower case), and its bytes as they arrive.

    For one thread; only `wake` may be called on any thread.
    """

    # Class attributes, so that close() finds them at any time: Ctrl-C may come at any line.
    _response: Any = None
    _socket: socket.socket | None = None
    _caller: Caller | None = None
    _waiting: WaitingSocket | None = None
    _apart: Wait | None = None
    """The wait of a socket that another thread may have to read; None if no other thread reads one."""
    _pid = 0

    def __init__(self, response: Any, chunk_size: int | None, reading: Reading) -> None:
        self._response = response
        self._caller = reading.caller
        self._pid = os.getpid()
        self.status: int = response.status_code
        self.headers = _plain_headers(response)
        self._deadlines = Deadlines(reading.timeouts)
        self._secrets = reading.secrets
        self.line_came = True
        """Whether a whole line was read: with the next read, the time for the next line then begins."""
        raw = getattr(response, "raw", None)
        if isinstance(raw, urllib3.HTTPResponse) and bulk.original(raw) is not None and not raw.closed:
            if body.is_fast(raw):
                self._deadlines = Deadlines(reading.timeouts, reading.wait)
            else:
                self._apart = reading.wait.for_another_thread()
            self._socket = _second_handle(raw)
            shut = self._socket is not None
            wait = self._apart or reading.wait
            self._waiting = bulk.waiting_socket(raw, wait, self._deadlines, shut_by_waker=shut)
            self._chunks = body.arriving(raw, self._waiting, reading.secrets)
            _detach(raw)
        else:
            self._chunks = body.portable(response, chunk_size)
        self._blocks = self._waiting is None and _may_block(raw)
        self._wait = reading.wait
        if not self._blocks:
            self._caller.end()
            self._caller = Caller(reading.wait)  # whose thread starts when a read has to be left

    def read(self) -> bytes:
        """The next bytes, decompressed, as soon as there are any; empty at the end.

        Raises `Due` if `Wait.due_at` came first: the next call goes on.

        Raises `StreamError`, and no other `Exception`, if the body breaks off.
        """
        if self.line_came:
            self.line_came = False
            self._deadlines.expect_line()
        try:
            data = self._read_elsewhere() if self._has_to_be_left() else next(self._chunks, b"")
        except Due:
            raise
        except StreamError as broken:
            error: StreamError | None = broken
        except Exception as exception:  # noqa: BLE001 - adapters and response objects are foreign code
            error = translate(exception, self._secrets)
        else:
            error = None
        if error is not None:  # raised here, where no exception of other code becomes its context
            raise error.with_traceback(None) from error.__cause__ or error.original_exception
        if data is None:
            raise Due
        if not data:
            self._let_go()
        return data

    def read_start(self, limit: int, seconds: float) -> bytes:
        """At most the first `limit` bytes, and only those that arrive within `seconds`. Raises nothing.

        Secrets of the request are hidden in them.
        """
        self._deadlines.end_at = monotonic() + seconds
        body = b""
        with suppress(StreamError):  # broken off or cut short: the bytes that arrived are still worth reading
            while len(body) < limit and (data := self.read()):
                body += data
        self._deadlines.end_at = None
        return self._secrets.removed_from_bytes(body[:limit])

    @property
    def delimited(self) -> bool:
        """Whether the body's end can be distinguished from a break: it has a length, or comes in chunks."""
        return (
            "content-length" in self.headers or "chunked" in self.headers.get("transfer-encoding", "").lower()
        )

    def idle(self) -> bool:
        """Whether no bytes wait to be read. True if that cannot be determined."""
        return self._waiting is None or not self._waiting.readable()

    def wake(self) -> None:
        """Shut the connection down, from any thread or signal handler. The server sees the client leave.

        A `read` in progress ends soon. No more bytes arrive after this.
        """
        handle = self._socket
        # A forked child closes only its copy of the connection, which stays the parent's.
        if handle is not None and os.getpid() == self._pid:
            # On a second handle of the connection: under TLS the SSLSocket's own shutdown() would drop the
            # encryption, and the blocked read would return ciphertext as data.
            with suppress(OSError):  # closed already, by either side
                handle.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Close the connection, even if other code holds the response: X counts open connections."""
        self.wake()
        if self._caller is not None:
            self._caller.leave()
            self._caller.end()
        if self._apart is not None:
            self._apart.close()
        if self._waiting is not None:
            self._waiting.give_place_back()
        with suppress(Exception):  # foreign code; the connection is shut down whatever it raises
            self._response.close()
        self._let_go()

    def _has_to_be_left(self) -> bool:
        """Whether a read may block so that nothing but its end could end it in time."""
        if self._blocks or self._apart is None:
            return self._blocks
        assert self._caller is not None  # set by the constructor
        return self._wait.due_at is not None or self._caller.goes_on

    def _read_elsewhere(self) -> Any:
        """Read on another thread, which can be left."""
        assert self._caller is not None  # set by the constructor
        if self._caller.goes_on:
            return self._caller.resume()
        ends_at = self._deadlines.first() if self._blocks else None  # any other read ends by itself
        return self._caller.call(
            partial(next, self._chunks, b""),
            ends_at,
            partial(self._deadlines.passed, ends_at or 0.0),
            self.wake,
            heeds_due=self._deadlines.end_at is None,
        )

    def _let_go(self) -> None:
        """Close our handle, which sends nothing to the server."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def _may_block(raw: Any) -> bool:
    """Whether a read may wait for the network; not if the body is in memory, or closed."""
    try:
        return raw is None or raw.fileno() is not None
    except io.UnsupportedOperation:  # of a BytesIO
        return False
    except OSError:  # of a file that has no descriptor to show, as under urllib3-future
        return True
    except (AttributeError, ValueError):
        return False


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
