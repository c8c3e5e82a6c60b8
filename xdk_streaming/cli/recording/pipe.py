"""A sink for what is not a regular file: standard output, a pipe, a device."""

from __future__ import annotations

import errno
import os
import select
from pathlib import Path
from typing import Any

from xdk_streaming import files


class Pipe:
    """An open descriptor, to which lines are written at once. `close` leaves it open."""

    files = 0

    def __init__(self, descriptor: int, name: str = "standard output") -> None:
        self.name = name
        self.size = 0
        self._descriptor = descriptor
        poll = getattr(select, "poll", None)
        self._poll: Any = poll and poll()
        if self._poll is not None:
            self._poll.register(descriptor, 0)  # poll() always reports errors

    def write(self, line: bytes) -> None:
        """Write a line, even if the pipe accepts it in pieces."""
        written = 0
        try:
            while written < len(line):
                written += os.write(self._descriptor, line[written:])
        except OSError as failure:
            if failure.errno == errno.EINVAL:  # what Windows says if the reader of a pipe has exited
                raise BrokenPipeError from failure
            raise
        self.size += len(line)

    def tick(self) -> None:
        """Raise `BrokenPipeError` if the reader has exited, even if there is nothing to write.

        On Windows only the next line can show that.
        """
        if self._poll is not None and any(events & select.POLLERR for _, events in self._poll.poll(0)):
            raise BrokenPipeError

    def close(self) -> None:
        """Do nothing: standard output stays open."""


class NamedPipe(Pipe):
    """A pipe or device that has a path. Opening a pipe waits for its reader, as in other programs."""

    def __init__(self, path: Path) -> None:
        super().__init__(os.open(path, os.O_WRONLY | os.O_APPEND | files.BINARY), path.name)

    def close(self) -> None:
        """Close it."""
        os.close(self._descriptor)
