"""What walks other code's frames, all of it in this file: to wake a dial, and to clean up after one.

requests hands out neither the socket that an attempt stands at nor the response that a hook has broken off.
Both are found where they are known: in the local variables of the frames that hold them. This leans on
CPython's `sys._current_frames` and on `http.client` and `socket` objects standing in those variables. If
none is found, an attempt ends by its timeouts, and what was broken off is closed by the garbage collector.
"""

from __future__ import annotations

import http.client
import socket
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import Any


def shut_down_sockets(thread: int, inside: Callable[[FrameType], bool]) -> None:
    """Shut down the sockets that a thread stands at, within a call whose frame `inside` knows.

    Does nothing if the thread is not within that call: the sockets are then not ours.
    """
    frame = sys._current_frames().get(thread)
    held: list[socket.socket] = []
    while frame is not None and not inside(frame):
        held += _sockets_in(frame)
        frame = frame.f_back
    if frame is not None:
        for handle in held:
            _shut_down(handle)


def close_abandoned(exception: BaseException, kinds: tuple[type[Any], ...]) -> None:
    """Close what an attempt had opened when it was broken off, by a hook or by Ctrl-C.

    Nobody else can: it hangs on the exception alone, and stays open as long as the exception is kept.
    """
    for frame, _ in traceback.walk_tb(exception.__traceback__):
        for held in frame.f_locals.values():
            if isinstance(held, kinds):
                held.close()


def quotes_a_header(exception: BaseException) -> bool:
    """Whether http.client refused a header, which it does with a plain ValueError that quotes the value.

    requests looks at headers first, but not at those that a session's auth adds.
    """
    *_, (frame, _) = traceback.walk_tb(exception.__traceback__)
    return frame.f_code is http.client.HTTPConnection.putheader.__code__


def _sockets_in(frame: FrameType) -> list[socket.socket]:
    """Those that a connection is being made with, or an answer waited for on."""
    held = list(frame.f_locals.values())
    connections = (each.sock for each in held if isinstance(each, http.client.HTTPConnection))
    return [each for each in (*held, *connections) if isinstance(each, socket.socket)]


def _shut_down(handle: socket.socket) -> None:
    # Not by SSLSocket's own shutdown(), which would drop the encryption.
    with suppress(OSError):  # closed already, by either side
        socket.socket.shutdown(handle, socket.SHUT_RDWR)
