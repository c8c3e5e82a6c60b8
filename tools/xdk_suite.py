"""Run xdk's own tests of its stream client, with this package in place of `xdk.streaming`.

    python tools/xdk_suite.py

Fetches the sdist of the xdk that is installed, for a wheel holds no tests, and runs its
tests/stream with pytest in a process of its own. Nothing of it stays behind. Exits as pytest
does, and with 1 where tests are fewer than known or did not run through this package.

The file is its own pytest plugin: the second half is what that other process loads.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pytest

KNOWN_TESTS = 105
"""In tests/stream of xdk 0.10.6."""
STREAMING_METHODS = 15
"""Each is called by some test."""
SECONDS = 300
"""What a download, or the tests, may take at most."""


def main() -> int:
    """Fetch, unpack, run."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--sdist", type=Path, help="xdk's sdist, where it need not be fetched")
    sdist: Path | None = parser.parse_args().sdist
    try:
        xdk_version = version("xdk")
    except PackageNotFoundError:
        parser.error("xdk is not installed; pip install xdk==0.10.6")
    with TemporaryDirectory(prefix="xdk-suite-") as folder:
        tests = unpack(sdist or fetch(xdk_version, Path(folder)), Path(folder))
        return run(tests)


def fetch(xdk_version: str, folder: Path) -> Path:
    """Have pip download the sdist of this version."""
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", "xdk"]
    subprocess.run([*pip, "--dest", str(folder), f"xdk=={xdk_version}"], check=True, timeout=SECONDS)
    (sdist,) = folder.glob("xdk-*.tar.gz")
    return sdist


def unpack(sdist: Path, folder: Path) -> Path:
    """Unpack the tests of the stream client, and no more: the xdk to be tested is the installed one."""
    with tarfile.open(sdist) as archive:
        wanted = [member for member in archive if "/tests/stream/" in member.name]
        if not wanted:
            sys.exit(f"{sdist.name} holds no tests/stream")
        archive.extractall(folder, wanted, filter="data")
        return folder / PurePosixPath(wanted[0].name).parts[0] / "tests" / "stream"


def run(tests: Path) -> int:
    """Run them in the folder they came in, under no configuration and no plugin but this file."""
    path = [str(Path(__file__).resolve().parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(path),
        "PYTEST_ADDOPTS": "",
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
    }
    pytest_command = [sys.executable, "-m", "pytest", "-q", "-c", os.devnull, "--rootdir", str(tests)]
    options = ["-p", Path(__file__).stem, "-p", "no:cacheprovider"]
    return subprocess.run(
        [*pytest_command, *options, str(tests)], cwd=tests, env=environment, check=False, timeout=SECONDS
    ).returncode


def pytest_configure(config: pytest.Config) -> None:
    """Put this package in xdk's place, before any test is collected."""
    config.pluginmanager.register(Substitution())


class Substitution:
    """Patches xdk, and counts what runs through the patch."""

    def __init__(self) -> None:
        import xdk.stream.client  # type: ignore[import-untyped]

        from xdk_streaming import patch_xdk, stream_with_retry

        patch_xdk()
        self.ran = 0
        self.calls = 0
        self.client = xdk.stream.client
        self.streaming = xdk.streaming
        self.ours = stream_with_retry
        if self.client.stream_with_retry is not stream_with_retry:
            raise RuntimeError("patch_xdk() left xdk's client as it was")
        self.client.stream_with_retry = self.counted

    def counted(self, *arguments: Any, **named: Any) -> Iterator[Any]:
        """`stream_with_retry`, counted."""
        self.calls += 1
        return self.ours(*arguments, **named)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count the tests that ran."""
        self.ran += report.when == "call" and not report.skipped

    def objections(self) -> list[str]:
        """Why a green run would prove nothing."""
        objections = []
        if self.ran < KNOWN_TESTS:
            objections.append(f"{self.ran} tests ran; xdk 0.10.6 has {KNOWN_TESTS}")
        if self.calls < STREAMING_METHODS:
            objections.append(f"only {self.calls} streams ran; xdk has {STREAMING_METHODS} streaming methods")
        if self.client.stream_with_retry != self.counted or self.streaming.stream_with_retry is not self.ours:
            objections.append("the patch was gone before the end")
        return objections

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Turn a green run that proves nothing into a red one."""
        if self.objections() and not session.exitstatus:
            session.exitstatus = 1

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say what ran, and through what."""
        ran, ours = f"{self.ran} tests of xdk {version('xdk')} ran", f"{self.calls} streams"
        terminalreporter.write_line(f"{ran}; {ours} through {self.ours.__module__}.stream_with_retry")
        for objection in self.objections():
            terminalreporter.write_line(f"FAILED: {objection}", red=True)


if __name__ == "__main__":
    sys.exit(main())
