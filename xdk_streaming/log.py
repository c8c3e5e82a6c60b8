"""The package's logger, behind a fence: a handler or filter that raises changes nothing in a stream."""

from __future__ import annotations

import logging
import sys
import traceback
from typing import Any

NAME = "xdk_streaming"
STACK_LEVEL = 3
"""Frames from the standard library's call to the caller of a method of `Log`."""


def calm(name: str) -> None:
    """Let another package's logger say only what is at WARNING or above, unless somebody has set a level."""
    other = logging.getLogger(name)
    parent = other.parent
    if other.level == logging.NOTSET and (parent is logging.root or parent is None or not parent.level):
        other.setLevel(logging.WARNING)


class Log:
    """Writes to the logger `xdk_streaming`, from any thread. Raises nothing but what interrupts.

    The standard library leaves it to each handler whether its exceptions come out of a log call. The first
    exception that comes out is printed to stderr, unless `logging.raiseExceptions` is false.
    """

    def __init__(self) -> None:
        self._logger = logging.getLogger(NAME)
        self._told = False

    def debug(self, message: str, *arguments: Any) -> None:
        """Log at DEBUG."""
        self._write(logging.DEBUG, message, arguments)

    def warning(self, message: str, *arguments: Any, exc_info: bool = False) -> None:
        """Log at WARNING, with the exception being handled if `exc_info` is true."""
        self._write(logging.WARNING, message, arguments, exc_info=exc_info)

    def error(self, message: str, *arguments: Any, exc_info: bool = False) -> None:
        """Log at ERROR, with the exception being handled if `exc_info` is true."""
        self._write(logging.ERROR, message, arguments, exc_info=exc_info)

    def log(self, level: int, message: str, *arguments: Any) -> None:
        """Log at this level."""
        self._write(level, message, arguments)

    def _write(self, level: int, message: str, arguments: tuple[Any, ...], *, exc_info: bool = False) -> None:
        try:
            self._logger.log(level, message, *arguments, exc_info=exc_info, stacklevel=STACK_LEVEL)
        except Exception:  # noqa: BLE001 - handlers and filters are the user's code
            if not self._told and logging.raiseExceptions and sys.stderr is not None:
                self._told = True
                print("A log handler raised; the stream goes on:", file=sys.stderr)
                traceback.print_exc()


logger = Log()
"""The logger of the whole package."""
