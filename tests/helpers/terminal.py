"""The command line: called, as a program on pipes, and on a pseudo-terminal whose screen can be read."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pexpect
import pyte
import pytest

import xdk_streaming
from xdk_streaming.cli.app import app

GUARD = 30.0
"""Seconds after which a program that should have ended counts as hanging."""
PAUSE = 0.05
"""Seconds of silence between two pictures, which come four times a second."""
IMPATIENCE = 0.1
"""Seconds of silence after which Ctrl-C is pressed anew."""
ENVIRONMENT = {
    **{name: value for name, value in os.environ.items() if not name.startswith("XDK_STREAMING_")},
    "PYTHONPATH": os.pathsep.join(
        [str(Path(xdk_streaming.__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    ),
    "PYTHONWARNINGS": "default",
    "COLUMNS": "160",
    "X_BEARER_TOKEN": "a-token",
    "PYTHONUNBUFFERED": "1",
}
INTERRUPTIBLE = (
    "import runpy, signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
    "sys.argv[0] = 'xdk-streaming'; runpy.run_module('xdk_streaming', run_name='__main__')"
)
"""SIGINT is ignored in the children of some shells."""
COMMAND = [sys.executable, "-c", INTERRUPTIBLE]


@contextmanager
def started(*arguments: object, **more: Any) -> Iterator[subprocess.Popen[bytes]]:
    """The program, while it runs; killed afterwards."""
    more = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "env": ENVIRONMENT, **more}
    with subprocess.Popen([*COMMAND, *map(str, arguments)], **more) as program:
        try:
            yield program
        finally:
            program.kill()


def finished(*arguments: object, **more: Any) -> tuple[int, bytes, str]:
    """Its exit code, and what it wrote to stdout and stderr."""
    with started(*arguments, **more) as program:
        out, err = program.communicate(timeout=GUARD)
        return program.returncode, out or b"", (err or b"").decode()


def called(*arguments: object) -> tuple[int, bytes, str]:
    """The same of the command line called in this process, which takes a twentieth of the time."""
    with (
        tempfile.TemporaryFile("w+", encoding="utf-8") as out,
        tempfile.TemporaryFile("w+", encoding="utf-8") as err,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setattr(sys, "stdout", out)
        patch.setattr(sys, "stderr", err)
        for variable in os.environ.keys() - ENVIRONMENT.keys():
            patch.delenv(variable)
        for variable in ("COLUMNS", "X_BEARER_TOKEN"):
            patch.setenv(variable, ENVIRONMENT[variable])
        with pytest.raises(SystemExit) as ended:
            app([*map(str, arguments)], prog_name="xdk-streaming")
        code = ended.value.code
        assert code is None or isinstance(code, int)
        for file in (out, err):
            file.seek(0)
        return code or 0, bytes(out.buffer.read()), err.read()


class Terminal:
    """A program on a pseudo-terminal of so many columns and rows."""

    def __init__(self, columns: int, rows: int, *arguments: object) -> None:
        environment = {**ENVIRONMENT, "TERM": "xterm-256color", "COLORTERM": "truecolor", "TZ": "UTC"}
        del environment["COLUMNS"]
        self._program = pexpect.spawn(
            COMMAND[0],
            [*COMMAND[1:], *map(str, arguments)],
            dimensions=(rows, columns),
            env=environment,
            timeout=GUARD,
        )
        self.screen = pyte.Screen(columns, rows)
        self._stream = pyte.ByteStream(self.screen)
        self.raw = b""

    def until(self, condition: Callable[[list[str]], object]) -> list[str]:
        """The screen's lines, as soon as they are as wanted."""
        while not condition(self.lines):
            self.next_picture()
        return self.lines

    def next_picture(self) -> list[str]:
        """The screen's lines, when they have been drawn once more."""
        try:
            self._read(GUARD)
            while True:  # the rest of this picture
                self._read(PAUSE)
        except pexpect.EOF:
            raise AssertionError("\n".join(self.lines)) from None
        except pexpect.TIMEOUT:
            return self.lines

    def _read(self, seconds: float) -> None:
        data: Any = self._program.read_nonblocking(65536, seconds)
        self.raw += data
        self._stream.feed(data)

    @property
    def lines(self) -> list[str]:
        """What can be read."""
        return [line.rstrip() for line in self.screen.display]

    def send(self, number: signal.Signals) -> None:
        """A signal to the program alone."""
        self._program.kill(number)

    def press_ctrl_c(self) -> None:
        """As a person does."""
        self._program.sendintr()

    def press_ctrl_c_until_it_has_ended(self) -> None:
        """As an impatient person does: again and again, for two at once can count as one."""
        with suppress(pexpect.EOF):
            while True:
                self.press_ctrl_c()
                with suppress(pexpect.TIMEOUT):
                    while True:
                        self._read(IMPATIENCE)

    def ended(self) -> int:
        """Its exit code, or the signal it died of as a negative number; the screen is the last one."""
        with suppress(pexpect.EOF):
            while True:
                self._read(GUARD)
        self._program.close()
        if self._program.signalstatus is not None:
            return -int(self._program.signalstatus)
        return int(self._program.exitstatus or 0)

    def close(self) -> None:
        """Kill what is left of it."""
        self._program.close(force=True)


@contextmanager
def terminal(columns: int, rows: int, *arguments: object) -> Iterator[Terminal]:
    """A program on a pseudo-terminal, while it is looked at."""
    shown = Terminal(columns, rows, *arguments)
    try:
        yield shown
    finally:
        shown.close()
