"""Stopped and interrupted at any line of the package: what a signal can do there, done there."""

from __future__ import annotations

import linecache
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
import requests

import xdk_streaming
from helpers.consumers import Post, Recorder, interrupt, where
from helpers.servers import GUARD, Peer, head, served, until
from xdk_streaming import ConnectionState, Stream

pytestmark = pytest.mark.thorough

PACKAGE = str(Path(xdk_streaming.__file__).parent)
ITEM = b'{"data":{"id":"1"}}\r\n'
AFTER = 3
"""Items after which the consumer leaves."""

TRIES = 50
"""Walks before a step that the first one took counts as one that is never taken again."""

Line = tuple[str, int]
Step = tuple[Line | None, Line]
"""A line, and the one before it."""
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
        self._lock = threading.Lock()

    def serve(self, peer: Peer) -> None:
        request = peer.request()
        if not request:
            return  # stopped between connecting and asking
        visitor = request.split()[1]
        with self._lock:
            number = self.came[visitor]
            self.came[visitor] += 1
        try:
            peer.send(ANSWERS[number])
            peer.wait_until_left()
        finally:
            with self._lock:
                self.left[visitor] += 1


class Walk:
    """One stream, from the first connection until the consumer leaves, and the lines it goes through."""

    def __init__(
        self,
        session: requests.Session,
        url: str,
        at: Step | None = None,
        act: Act | None = None,
        *,
        in_batches: bool = False,
    ) -> None:
        self._in_batches = in_batches
        self.steps: list[Step] = []
        self.items: list[Post] = []
        self.raised: BaseException | None = None
        self.recorder = Recorder()
        self.stream = Stream[Post](session, "get", url, self.recorder.config(stall_timeout=2 * GUARD))
        self.acted = False
        self._at = at
        self._act = act
        self._line: Line | None = None
        try:
            with self._traced(), self.stream:
                self._iterate()
        except BaseException as error:  # noqa: BLE001 - kept: what hangs on it must not matter
            self.raised = error

    def _iterate(self) -> None:
        items: Any = self.stream.batches(1) if self._in_batches else self.stream
        for item in items:
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
            line = (frame.f_code.co_filename.removeprefix(PACKAGE), frame.f_lineno)
            step, self._line = (self._line, line), line
            self.steps.append(step)
            if self._act is not None and step == self._at:
                sys.settrace(None)
                self.acted = True
                self._act(self.stream)
        return self._step


def places(steps: list[Step]) -> list[Step]:
    """Each step once.

    But for those to a bare `try:`, which is nothing that is run: no signal is seen there, and what a
    tracer raises there goes past the `try` around it.
    """
    return [step for step in dict.fromkeys(steps) if source_of(step[1]) != "try:"]


def source_of(line: Line) -> str:
    return linecache.getline(PACKAGE + line[0], line[1]).strip()


@contextmanager
def walks(session: requests.Session, act: Act, *, in_batches: bool) -> Any:
    """A walk for every step that there is, with this done at it; and the server they go to."""
    door = Door()
    with served(door.serve) as url:
        plain = Walk(session, url + "/plain", in_batches=in_batches)
        assert plain.raised is None
        assert len(plain.items) == AFTER
        steps = places(plain.steps)
        assert len(steps) > 300  # the tracing works

        def walked() -> Iterator[tuple[Step, Walk]]:
            for number, step in enumerate(steps):
                yield step, walk_to(step, session, f"{url}/{number}", act, in_batches=in_batches)

        yield walked(), door


def walk_to(step: Step, session: requests.Session, url: str, act: Act, *, in_batches: bool) -> Walk:
    """A walk in which this was done at this step.

    Not every walk takes every step: whether an answer comes in one read or two, and whether a thread
    is waited for, differs from one to the next.
    """
    for number in range(TRIES):
        walk = Walk(session, f"{url}-{number}", step, act, in_batches=in_batches)
        if walk.acted:
            return walk
        assert walk.raised is None
    raise AssertionError(f"{step} was taken once, and never again")


each_way = pytest.mark.parametrize("in_batches", [False, True], ids=["items", "batches"])


@each_way
def test_stop_at_any_line_ends_the_stream_cleanly(session: requests.Session, in_batches: bool) -> None:
    with walks(session, lambda stream: stream.stop(), in_batches=in_batches) as (walked, door):
        for step, walk in walked:
            assert walk.raised is None, step
            walk.recorder.ended_with(walk.stream)
        until(lambda: door.left == door.came)


@each_way
def test_ctrl_c_at_any_line_comes_out_and_closes_the_connection(
    session: requests.Session, in_batches: bool
) -> None:
    with walks(session, interrupt, in_batches=in_batches) as (walked, door):
        for step, walk in walked:
            assert isinstance(walk.raised, KeyboardInterrupt), step
            assert where(walk.stream) is ConnectionState.DISCONNECTED, step
        until(lambda: door.left == door.came)
