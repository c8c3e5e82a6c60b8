"""What the command line's exit codes mean: scripts and service managers decide by them."""

from __future__ import annotations

from enum import IntEnum

from xdk_streaming.errors import RetriesExhausted, StreamError, StreamErrorType


class ExitCode(IntEnum):
    """How a verb ended."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    AUTHENTICATION = 3
    RETRIES_SPENT = 4
    REFUSED = 5
    INTERRUPTED = 130
    TERMINATED = 143


MEANINGS: dict[ExitCode, str] = {
    ExitCode.DONE: "done: the limit or the time was reached, or the reader of a pipe has gone",
    ExitCode.FAILED: "a file, a disk or a port failed",
    ExitCode.USAGE: "the command line is wrong",
    ExitCode.AUTHENTICATION: "no bearer token was found, or X does not accept it (401, 403)",
    ExitCode.RETRIES_SPENT: "the retries of --max-retries are spent",
    ExitCode.REFUSED: "X refused in a way that no retry can cure",
    ExitCode.INTERRUPTED: "interrupted by Ctrl-C (SIGINT)",
    ExitCode.TERMINATED: "ended by SIGTERM",
}
"""Each in words, for the documentation."""


def exit_code(error: StreamError) -> ExitCode:
    """What a stream that ended with this error ends the program with."""
    if isinstance(error, RetriesExhausted):
        return ExitCode.RETRIES_SPENT
    if error.error_type is StreamErrorType.AUTHENTICATION_ERROR:
        return ExitCode.AUTHENTICATION
    return ExitCode.REFUSED
