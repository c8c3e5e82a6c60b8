"""Runs a program from Debian with a configuration of ours, on a port of loopback that is free."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

CONFIGURATIONS = Path(__file__).parent / "configurations"
START_SECONDS = 15.0


def free_port() -> int:
    """A port on which nobody listens."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@contextmanager
def folder() -> Iterator[Path]:
    """A folder that programs of any user may write to, and that is removed afterwards."""
    with tempfile.TemporaryDirectory(prefix="intermediary-", ignore_cleanup_errors=True) as name:
        Path(name).chmod(0o777)  # squid leaves root
        yield Path(name)


@contextmanager
def running(command: Sequence[str], port: int, log: Path) -> Iterator[None]:
    """Run a program from the moment it listens on the port. It is killed in any case."""
    with log.open("wb") as output, ExitStack() as ending:
        process = subprocess.Popen(command, stdout=output, stderr=output, start_new_session=True)
        ending.callback(_kill, process)
        ends_at = time.monotonic() + START_SECONDS
        while not _listens(port):
            if process.poll() is not None or time.monotonic() > ends_at:
                raise RuntimeError(f"{command[0]} does not listen: {log.read_text(errors='replace')[-2000:]}")
            time.sleep(0.02)
        yield


def _listens(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), 0.5):
        return True
    return False


def _kill(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):  # squid's helpers are in the same group
        os.killpg(process.pid, 9)
    process.wait()


def program(name: str) -> str:
    """The path of an installed program."""
    found = shutil.which(
        name, path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/lib/squid"])
    )
    if found is None:
        raise RuntimeError(f"{name} is not installed: see `make intermediaries`")
    return found


def configured(name: str, into: Path, **values: Any) -> Path:
    """A configuration with these values in its places."""
    text = (CONFIGURATIONS / name).read_text(encoding="utf-8").format(folder=into, **values)
    path = into / name
    path.write_text(text, encoding="utf-8")
    return path
