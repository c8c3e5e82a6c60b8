"""Runs a stream: writes its items to the sink, and passes its events to the reporter.

The main thread reads and writes items. A second thread does, four times a second, what is due even if no item
comes: it redraws the view or writes the summary, completes old frames, and ends the run after `--for`.
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

from xdk_streaming.cli.advice import for_command_line
from xdk_streaming.cli.exits import ExitCode, exit_code
from xdk_streaming.cli.live import show_cursor
from xdk_streaming.cli.meter import Meter
from xdk_streaming.cli.recording.sink import Sink
from xdk_streaming.cli.reporting import Reporter, message_event, summary_event
from xdk_streaming.clock import monotonic
from xdk_streaming.errors import StreamError
from xdk_streaming.streams.sync import Stream

TICK = 0.25
SIGNALS = {
    signal.SIGINT: ExitCode.INTERRUPTED,
    signal.SIGTERM: ExitCode.TERMINATED,
    # A terminal that is closed, and a service manager that reloads.
    **({signal.SIGHUP: ExitCode.TERMINATED} if hasattr(signal, "SIGHUP") else {}),
    # What Windows sends for Ctrl-Break, and for the end of a service.
    **({signal.SIGBREAK: ExitCode.TERMINATED} if hasattr(signal, "SIGBREAK") else {}),
}


@dataclass
class Run:
    """One stream with its sink, its reporter, and the limits at which to stop."""

    stream: Stream[bytes]
    sink: Sink
    reporter: Reporter
    meter: Meter
    written: Callable[[bytes], bytes]
    """Formats an item for the sink, including the line end."""
    limit: int | None = None
    seconds: float | None = None

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._signal: int | None = None
        self._failure: OSError | None = None
        self._error: StreamError | None = None
        self._until = None if self.seconds is None else monotonic() + self.seconds

    def run(self) -> ExitCode:
        """Run the stream to its end. Returns the exit code, and reports why the stream ended."""
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
        """Write each item before asking for the next, which tells the stream that the item is delivered."""
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
        """Do what is due now."""
        self.meter.tick(monotonic())
        self.reporter.tick(time.time())
        if self._until is not None and monotonic() >= self._until:
            self.stream.stop()
        try:
            if self._lock.acquire(blocking=False):  # otherwise a write is in progress, and may take long
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
        self.meter.tick(monotonic())
        summary = summary_event(self.stream.state, self.meter, self.sink, time.time(), final=True)
        self.reporter.close(summary)

    def _interrupted(self, number: int, frame: FrameType | None) -> None:
        """At the first signal, finish the current item and stop; at the second, exit at once."""
        if self._signal is not None:
            _exit_at_once(number, frame)
        self._signal = number
        self.stream.stop()

    def _ended(self) -> ExitCode:
        if isinstance(self._failure, BrokenPipeError):
            self._conclude("INFO", "The reader of standard output has exited.")
            return ExitCode.DONE
        if self._failure is not None:
            self._conclude("ERROR", unwritable(self.sink.name, self._failure))
            return ExitCode.FAILED
        if self._error is not None:
            self._conclude("ERROR", f"{self._error.error_type.name}: {for_command_line(str(self._error))}")
            return exit_code(self._error)
        return ExitCode.DONE if self._signal is None else SIGNALS[signal.Signals(self._signal)]

    def _conclude(self, level: str, words: str) -> None:
        self.reporter.conclude(message_event(level, words, time.time()))


def unwritable(name: str, failure: OSError) -> str:
    """The error message for a file that cannot be written."""
    if isinstance(failure, BlockingIOError):
        return (
            f"{name} could not be written: another process is writing to it; give each process its own file"
        )
    return f"{name} could not be written: {failure.strerror}"


def _exit_at_once(number: int, frame: FrameType | None) -> None:
    """Show the cursor, and die of the signal."""
    show_cursor()
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)  # on Windows this ends the process, whatever the number


@contextmanager
def _on_signals(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """Handle the signals so. Afterwards a signal ends the program at once, if its handling was the default.

    Ctrl-C makes the kernel discard output that the terminal has not read yet. Pressed while the program
    exits, Ctrl-C discards the sequence that showed the cursor: the cursor has to be shown anew.
    """
    before = {number: signal.signal(number, handler) for number in SIGNALS if not _is_ignored(number)}
    try:
        yield
    finally:
        for number, handled in before.items():
            by_default = handled in (signal.SIG_DFL, signal.default_int_handler)
            signal.signal(number, _exit_at_once if by_default else handled)


def _is_ignored(number: int) -> bool:
    """Whether whoever started the program wants it to outlive this signal, as nohup does with SIGHUP."""
    return number == getattr(signal, "SIGHUP", None) and signal.getsignal(number) is signal.SIG_IGN
