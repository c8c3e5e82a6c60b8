"""Exit codes of the command line, for scripts and service managers."""

from __future__ import annotations

from enum import IntEnum

from xdk_streaming.errors import RetriesExhausted, StreamError, StreamErrorType


class ExitCode(IntEnum):
    """How a command ended."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    AUTHENTICATION = 3
    RETRIES_SPENT = 4
    REFUSED = 5
    INTERRUPTED = 130
    TERMINATED = 143


MEANINGS: dict[ExitCode, str] = {
    ExitCode.DONE: "success: the limit or the time was reached, or the reader of the pipe has exited",
    ExitCode.FAILED: "a file, a disk or a port failed, or X sent no answer that could be used",
    ExitCode.USAGE: "the command line is invalid",
    ExitCode.AUTHENTICATION: "no bearer token was found, or X did not accept the token (401, 403)",
    ExitCode.RETRIES_SPENT: "the retries that --max-retries allows are used up",
    ExitCode.REFUSED: "X refused the request for a reason that no retry can cure",
    ExitCode.INTERRUPTED: "interrupted by Ctrl-C (SIGINT)",
    ExitCode.TERMINATED: "terminated by SIGTERM or SIGHUP",
}
"""The meaning of each code, for the documentation."""


def exit_code(error: StreamError) -> ExitCode:
    """The exit code for a stream that ended with this error."""
    if isinstance(error, RetriesExhausted):
        return ExitCode.RETRIES_SPENT
    if error.error_type is StreamErrorType.AUTHENTICATION_ERROR:
        return ExitCode.AUTHENTICATION
    return ExitCode.REFUSED
