"""A stream from the command line to its summary: the items to the sink, what happens to the teller.

The main thread reads and writes. A second one does four times a second what is due though nothing
comes: the picture or the summary, frames that have been open for long, the end of `--for`.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

import typer

from xdk_streaming.cli.exits import ExitCode, exit_code
from xdk_streaming.cli.journal import Teller, summary_event
from xdk_streaming.cli.live import show_cursor
from xdk_streaming.cli.meter import Meter
from xdk_streaming.cli.sinks import Sink
from xdk_streaming.errors import StreamError
from xdk_streaming.streams.sync import Stream

TICK = 0.25
SIGNALS = {signal.SIGINT: ExitCode.INTERRUPTED, signal.SIGTERM: ExitCode.TERMINATED}


@dataclass
class Run:
    """One stream, one sink, one teller; and when it is to end."""

    stream: Stream[bytes]
    sink: Sink
    teller: Teller
    meter: Meter
    written: Callable[[bytes], bytes]
    """How an item is written, its end included."""
    limit: int | None = None
    seconds: float | None = None

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._signal: int | None = None
        self._failure: OSError | None = None
        self._error: StreamError | None = None
        self._until = None if self.seconds is None else time.monotonic() + self.seconds

    def run(self) -> ExitCode:
        """All of it, and what to end the program with. Why it ended is said on standard error."""
        with _on_signals(self._interrupted):
            ticker = threading.Thread(target=self._tick, name="xdk-streaming-ticker", daemon=True)
            ticker.start()
            try:
                self._copy()
            except StreamError as error:
                self._error = error
            finally:
                self._over.set()
                ticker.join()
                self._close()
        return self._ended()

    def _copy(self) -> None:
        """An item counts as delivered when the next is asked for: not before it is written."""
        left = self.limit
        with self.stream:
            for line in self.stream:
                if not self._write(line):
                    return
                if left is not None:
                    left -= 1
                    if left <= 0:
                        self.stream.stop()

    def _write(self, line: bytes) -> bool:
        try:
            with self._lock:
                self.sink.write(self.written(line))
        except OSError as failure:
            self._failure = failure
        else:
            self.meter.written += 1
        return self._failure is None

    def _tick(self) -> None:
        while not self._over.wait(TICK):
            self._look()

    def _look(self) -> None:
        """What is due now."""
        now = time.time()
        self.meter.tick(now)
        self.teller.tick(now)
        if self._until is not None and time.monotonic() >= self._until:
            self.stream.stop()
        try:
            if self._lock.acquire(blocking=False):  # else it is being written to, and may be for long
                try:
                    self.sink.tick()
                finally:
                    self._lock.release()
        except OSError as failure:
            self._failure = failure
            self.stream.stop()

    def _close(self) -> None:
        try:
            self.sink.close()
        except OSError as failure:
            self._failure = self._failure or failure
        now = time.time()
        self.meter.tick(now)
        self.teller.close(summary_event(self.stream.state, self.meter, self.sink, now))

    def _interrupted(self, number: int, frame: FrameType | None) -> None:
        """The first time, finish the item in hand; the second, end at once."""
        if self._signal is not None:
            _exit_at_once(number, frame)
        self._signal = number
        self.stream.stop()

    def _ended(self) -> ExitCode:
        if isinstance(self._failure, BrokenPipeError):
            typer.echo("The reader of standard output has gone.", err=True)
            return ExitCode.DONE
        if self._failure is not None:
            typer.echo(unwritable(self.sink.name, self._failure), err=True)
            return ExitCode.FAILED
        if self._error is not None:
            typer.echo(f"{self._error.error_type.name}: {self._error}", err=True)
            return exit_code(self._error)
        return ExitCode.DONE if self._signal is None else SIGNALS[signal.Signals(self._signal)]


def unwritable(name: str, failure: OSError) -> str:
    """Why, in a sentence."""
    if isinstance(failure, BlockingIOError):
        return f"{name} could not be written: another process is writing it; give each its own"
    return f"{name} could not be written: {failure.strerror}"


def _exit_at_once(number: int, frame: FrameType | None) -> None:
    """Show the cursor, and die of the signal."""
    show_cursor()
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)


@contextmanager
def _on_signals(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """Handle the signals so. Afterwards a signal ends the program at once, if its handling was the default.

    Ctrl-C makes the kernel discard output that the terminal has not read yet. Pressed while the program
    exits, Ctrl-C discards the sequence that showed the cursor: the cursor has to be shown anew.
    """
    before = {number: signal.signal(number, handler) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handled in before.items():
            by_default = handled in (signal.SIG_DFL, signal.default_int_handler)
            signal.signal(number, _exit_at_once if by_default else handled)
