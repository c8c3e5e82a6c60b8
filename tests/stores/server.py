"""A PostgreSQL server in a folder of its own, which listens on a socket in that folder alone."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

BINARIES = Path("/usr/lib/postgresql")
START_SECONDS = 30.0
USER = "nobody"
"""Who runs the server if we are root, which it refuses."""


@contextmanager
def database() -> Iterator[str]:
    """The address of an empty database."""
    initdb, postgres = program("initdb"), program("postgres")
    with tempfile.TemporaryDirectory(prefix="postgresql-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        user = USER if os.getuid() == 0 else None
        if user is not None:
            os.chown(folder, pwd.getpwnam(user).pw_uid, -1)
        data = folder / "data"
        settings = ["--username=test", "--auth=trust", "--no-sync", "--encoding=UTF8", "--locale=C"]
        made = [initdb, *settings, "-D", str(data)]
        subprocess.run(made, user=user, cwd=folder, check=True, capture_output=True)
        served = [
            postgres,
            "-D",
            str(data),
            "-c",
            "listen_addresses=",
            "-c",
            f"unix_socket_directories={folder}",
        ]
        with (folder / "log").open("wb") as log:
            server = subprocess.Popen(served, user=user, cwd=folder, stdout=log, stderr=log)
        try:
            address = f"postgresql://test@/postgres?host={folder}"
            wait_for(server, address, folder / "log")
            yield address
        finally:
            server.terminate()
            server.wait(START_SECONDS)


def wait_for(server: subprocess.Popen[bytes], address: str, log: Path) -> None:
    """Return when the server answers."""
    import psycopg

    give_up_at = time.monotonic() + START_SECONDS
    while server.poll() is None and time.monotonic() < give_up_at:
        with suppress(psycopg.OperationalError), psycopg.connect(address):
            return
        time.sleep(0.05)
    raise RuntimeError(f"PostgreSQL does not start: {log.read_text(errors='replace')[-2000:]}")


def program(name: str) -> str:
    """The path of one of its programs, which Debian keeps out of PATH."""
    found = shutil.which(name) or next((str(path) for path in sorted(BINARIES.glob(f"*/bin/{name}"))), None)
    if found is None:
        raise RuntimeError(f"{name} is not installed: see `make stores`")
    return found
