"""How long a stream waits for its server, computed from the user's settings."""

from __future__ import annotations

from dataclasses import dataclass

from xdk_streaming import x
from xdk_streaming.clock import monotonic
from xdk_streaming.config import StreamConfig
from xdk_streaming.errors import StreamError, StreamErrorType
from xdk_streaming.log import logger
from xdk_streaming.wire.wait import Due, Wait

LINE_FACTOR = 4
"""Bytes that complete no line keep a connection alive for this many times `stall_timeout`."""


@dataclass(frozen=True)
class Limit:
    """Seconds, and the settings that they come from."""

    seconds: float
    setting: str

    def passed(self, what: str) -> StreamError:
        """The error to raise when the limit has passed. `what` says what did not happen."""
        message = f"{what} within {self.seconds:.3g} s ({self.setting})"
        error = StreamError(message, StreamErrorType.TIMEOUT, TimeoutError(message))
        error.__cause__ = error.original_exception
        return error


@dataclass(frozen=True)
class Timeouts:
    """The limits of one stream; None stands for no limit."""

    connect: Limit | None = None
    """For each connection that an attempt makes: to the server, or to a proxy."""
    read: Limit | None = None
    """For each wait for bytes."""
    line: Limit | None = None
    """For a whole line, while bytes come that complete none."""

    @classmethod
    def of(cls, config: StreamConfig) -> Timeouts:
        """The limits that these settings ask for."""
        timeout, stall = config.timeout, config.stall_timeout
        connect, each_read = timeout if isinstance(timeout, tuple) else (timeout, timeout)
        line = None if stall is None else Limit(LINE_FACTOR * stall, f"{LINE_FACTOR} x stall_timeout")
        return cls(_shorter(connect, stall), _shorter(each_read, stall), line)

    def pair(self, addresses: int = 1) -> tuple[float | None, float | None]:
        """Seconds to connect and to wait for bytes, as requests takes them; None for no limit.

        `addresses` that are tried one after the other share the time to connect.
        """
        connect, each_read = self.connect, self.read
        return (
            None if connect is None else connect.seconds / addresses,
            None if each_read is None else each_read.seconds,
        )

    @property
    def attempt(self) -> Limit | None:
        """For a whole attempt, from the name lookup to the last header, redirects included."""
        if self.connect is None or self.read is None:
            return None
        return Limit(
            self.connect.seconds + self.read.seconds, f"{self.connect.setting} + {self.read.setting}"
        )


class Deadlines:
    """The moments (monotonic) at which the read in progress has to end. For one thread."""

    def __init__(self, timeouts: Timeouts, wait: Wait | None = None) -> None:
        self._wait = wait
        self._read = timeouts.read
        self._line = timeouts.line
        self._line_at: float | None = None
        self._silent_until = 0.0
        self._left_at: float | None = None
        """When `Due` was raised, until the read goes on: the time between the two counts for nothing."""
        self.end_at: float | None = None
        """A moment at which the whole reading has to end; None for no such moment."""

    def expect_line(self) -> None:
        """A whole line was received: the time for the next one begins now."""
        self._line_at = None if self._line is None else monotonic() + self._line.seconds

    def first(self) -> float | None:
        """When a wait for bytes that begins now has to end; None if it may last."""
        goes_on, at = self._go_on(), None
        if self._read is not None:
            at = self._silent_until if goes_on else monotonic() + self._read.seconds
            self._silent_until = at
        line_at, end_at = self._line_at, self.end_at
        if self._wait is not None and self._wait.due_at is not None and end_at is None:
            end_at = self._wait.due_at
        if line_at is not None and (at is None or line_at < at):
            at = line_at
        return end_at if end_at is not None and (at is None or end_at < at) else at

    def _go_on(self) -> bool:
        """Whether a read that was left goes on. Its moments are then as far away as they were."""
        if self._left_at is None:
            return False
        away, self._left_at = monotonic() - self._left_at, None
        self._silent_until += away
        if self._line_at is not None:
            self._line_at += away
        return True

    def check(self) -> None:
        """Raise the error of a moment that has passed, although bytes keep coming."""
        if self._line_at is None and self.end_at is None:
            return
        now = monotonic()
        if self._left_at is not None:  # the read goes on where it was left
            now = self._left_at
        for at in (self._line_at, self.end_at):
            if at is not None and at <= now:
                raise self.passed(at)

    def passed(self, at: float) -> Exception:
        """What to raise when the moment `at`, which `first` gave, has passed: an error, or `Due`."""
        if self.end_at is None and self._wait is not None and at == self._wait.due_at:
            self._left_at = at
            return Due()
        if at == self._line_at and self._line is not None:
            return self._line.passed("Bytes came, but no whole line")
        if at == self.end_at or self._read is None:
            return StreamError("The time for this answer has passed", StreamErrorType.TIMEOUT)
        return self._read.passed("Nothing came from the server")


def warn_of_short_timeout(config: StreamConfig) -> None:
    """Warn if silence counts as a fault sooner than X's next heartbeat can end the silence."""
    silence = Timeouts.of(config).read
    if silence is not None and silence.seconds < x.HEARTBEAT_SECONDS:
        logger.warning(
            "%.3g s of silence will count as a fault, but X's heartbeat comes only every %.0f s; "
            "raise timeout or stall_timeout above that",
            silence.seconds,
            x.HEARTBEAT_SECONDS,
        )


def _shorter(timeout: float | None, stall: float | None) -> Limit | None:
    if timeout is None or (stall is not None and stall < timeout):
        return None if stall is None else Limit(stall, "stall_timeout")
    return Limit(timeout, "timeout")
