"""Inspects the frames of other code, to interrupt a call that was left and to clean up after it.

requests gives access neither to the socket of an attempt in progress, nor to a response whose hook raised.
Both are found in the local variables of the frames that hold them. This relies on CPython's
`sys._current_frames`, and on `http.client` and `socket` objects in those variables. If none is found, the
attempt ends by its timeouts, and the garbage collector closes what the attempt had opened.
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
    """Shut down the sockets that a thread uses within a certain call. `inside` recognizes the call's frame.

    Does nothing if the thread is not within that call, because its sockets are then not ours.
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
    """Close the objects of these kinds that an attempt had opened before a hook or Ctrl-C ended it.

    Only the exception refers to these objects, so no other code can close them, and they stay open as long as
    the exception is kept.
    """
    for frame, _ in traceback.walk_tb(exception.__traceback__):
        for held in frame.f_locals.values():
            if isinstance(held, kinds):
                with suppress(Exception):  # cleaning up never replaces the exception that is under way
                    held.close()


def quotes_a_header(exception: BaseException) -> bool:
    """Whether http.client refused a header. It then raises a plain ValueError that quotes the header's value.

    requests checks headers before, but not those that a session's auth adds.
    """
    *_, (frame, _) = traceback.walk_tb(exception.__traceback__)
    return frame.f_code is http.client.HTTPConnection.putheader.__code__


def _sockets_in(frame: FrameType) -> list[socket.socket]:
    """The sockets in a frame that are connecting, or waiting for an answer or its body."""
    held = list(frame.f_locals.values())
    held += (sock for each in held if type(each) is dict for sock in each)  # those that race
    connections = (each.sock for each in held if isinstance(each, http.client.HTTPConnection))
    files = (getattr(each, "_sock", None) for each in held if isinstance(each, socket.SocketIO))
    return [each for each in (*held, *connections, *files) if isinstance(each, socket.socket)]


def _shut_down(handle: socket.socket) -> None:
    # Not SSLSocket's own shutdown(), which would drop the encryption.
    with suppress(OSError):  # closed already, by either side
        socket.socket.shutdown(handle, socket.SHUT_RDWR)
