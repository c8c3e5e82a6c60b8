"""Stopped and interrupted at any line of the package: what a signal can do there, done there."""

from __future__ import annotations

import linecache
import sys
from collections import Counter
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import requests
from audience import Audience, Post, interrupt, where
from peers import GUARD, Peer, head, served, until

import xdk_streaming
from xdk_streaming import ConnectionState, Stream

PACKAGE = str(Path(xdk_streaming.__file__).parent)
ITEM = b'{"data":{"id":"1"}}\r\n'
AFTER = 3
"""Items after which the consumer leaves."""

Line = tuple[str, int]
Act = Callable[[Stream[Post]], object]


def chunks(*pieces: bytes) -> bytes:
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)


CHUNKED = head("Transfer-Encoding: chunked")
ANSWERS = (
    head("Content-Length: 4", status="503 Service Unavailable") + b"busy",
    CHUNKED + chunks(ITEM, b"nonsense\n", b'{"errors":[{"title":"odd"}]}\n', ITEM) + b"0\r\n\r\n",
    CHUNKED + chunks(ITEM),
)


class Door:
    """A server that distinguishes its clients, and counts how often each has come and left.

    It gives each of them the answers in turn, and closes nothing by itself.
    """

    def __init__(self) -> None:
        self.came: Counter[bytes] = Counter()
        self.left: Counter[bytes] = Counter()

    def serve(self, peer: Peer) -> None:
        visitor = peer.request().split()[1]
        number = self.came[visitor]
        self.came[visitor] += 1
        try:
            peer.send(ANSWERS[number])
            peer.wait_until_left()
        finally:
            self.left[visitor] += 1


class Walk:
    """One stream, from the first connection until the consumer leaves, and the lines it goes through."""

    def __init__(
        self, session: requests.Session, url: str, at: int | None = None, act: Act | None = None
    ) -> None:
        self.lines: list[Line] = []
        self.items: list[Post] = []
        self.raised: BaseException | None = None
        self.audience = Audience()
        self.stream = Stream[Post](session, "get", url, self.audience.config(stall_timeout=2 * GUARD))
        self._at = at
        self._act = act
        try:
            with self._traced(), self.stream:
                self._iterate()
        except BaseException as error:  # noqa: BLE001 - kept: what hangs on it must not matter
            self.raised = error

    def _iterate(self) -> None:
        for item in self.stream:
            self.items.append(item)
            if len(self.items) == AFTER:
                sys.settrace(None)
                return

    @contextmanager
    def _traced(self) -> Any:
        before = sys.gettrace()
        sys.settrace(self._enter)
        try:
            yield
        finally:
            sys.settrace(before)

    def _enter(self, frame: FrameType, event: str, argument: object) -> Any:
        return self._step if frame.f_code.co_filename.startswith(PACKAGE) else None

    def _step(self, frame: FrameType, event: str, argument: object) -> Any:
        if event == "line":
            self.lines.append((frame.f_code.co_filename.removeprefix(PACKAGE), frame.f_lineno))
            if self._act is not None and len(self.lines) - 1 == self._at:
                sys.settrace(None)
                self._act(self.stream)
        return self._step


def steps(lines: list[Line]) -> list[int]:
    """Where each line is first reached from each line before it.

    But for a bare `try:`, which is nothing that is run: no signal is seen there, and what a tracer
    raises there goes past the `try` around it.
    """
    first: dict[tuple[Line | None, Line], int] = {}
    for place, line in enumerate(lines):
        first.setdefault((lines[place - 1] if place else None, line), place)
    return [place for place in first.values() if source_of(lines[place]) != "try:"]


def source_of(line: Line) -> str:
    return linecache.getline(PACKAGE + line[0], line[1]).strip()


@contextmanager
def walks(session: requests.Session, act: Act) -> Any:
    """A walk for every step that there is, with this done at it; and the server they go to."""
    door = Door()
    with served(door.serve) as url:
        plain = Walk(session, url + "/plain")
        assert plain.raised is None
        assert len(plain.items) == AFTER
        places = steps(plain.lines)
        assert len(places) > 300  # the tracing works
        yield [(plain.lines[place], Walk(session, f"{url}/{place}", place, act)) for place in places], door


def test_stop_at_any_line_ends_the_stream_cleanly(session: requests.Session) -> None:
    with walks(session, lambda stream: stream.stop()) as (walked, door):
        for line, walk in walked:
            assert walk.raised is None, line
            walk.audience.saw_the_end_of(walk.stream)
        until(lambda: door.left == door.came)


def test_ctrl_c_at_any_line_comes_out_and_closes_the_connection(session: requests.Session) -> None:
    with walks(session, interrupt) as (walked, door):
        for line, walk in walked:
            assert isinstance(walk.raised, KeyboardInterrupt), line
            assert where(walk.stream) is ConnectionState.DISCONNECTED, line
        until(lambda: door.left == door.came)
