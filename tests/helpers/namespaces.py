"""Network namespaces of a test's own: two machines with a link that can be taken away. Linux, as root."""

from __future__ import annotations

import ctypes
import itertools
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

CLIENT, SERVER = "10.99.0.1", "10.99.0.2"
"""The addresses, the same in each pair of namespaces."""

numbers = itertools.count()

needs_namespaces = pytest.mark.skipif(
    os.name != "posix" or os.geteuid() != 0 or shutil.which("ip") is None,
    reason="network namespaces want Linux, root and iproute2",
)


class Link:
    """A client's and a server's namespace, by name, and the link between them."""

    def __init__(self) -> None:
        ours = f"xdk{os.getpid()}x{next(numbers)}"
        self.client, self.server = f"{ours}c", f"{ours}s"

    def set_up(self) -> None:
        for name in (self.client, self.server):
            ip("netns", "add", name)
            ip("-n", name, "link", "set", "lo", "up")
        inside = "name", "near", "netns", self.client
        ip("link", "add", *inside, "type", "veth", "peer", "name", "near", "netns", self.server)
        for name, address in ((self.client, CLIENT), (self.server, SERVER)):
            ip("-n", name, "address", "add", f"{address}/24", "dev", "near")
            ip("-n", name, "link", "set", "near", "up")
        # Nothing leaves the machine, whatever address is asked for.
        ip("-n", self.client, "route", "add", "unreachable", "default")

    def take_down(self) -> None:
        """Remove the namespaces, and with them the link."""
        for name in (self.client, self.server):
            subprocess.run(["ip", "netns", "delete", name], check=False, capture_output=True)

    def blackhole(self) -> None:
        """Whatever either side sends is lost from now on, and nobody is told."""
        ip("-n", self.server, "link", "set", "near", "down")


@contextmanager
def linked() -> Iterator[Link]:
    link = Link()
    try:
        link.set_up()
        yield link
    finally:
        link.take_down()


@contextmanager
def inside(name: str) -> Iterator[None]:
    """This thread, and the threads that it starts, are in the namespace of this name."""
    libc = ctypes.CDLL(None, use_errno=True)
    with Path("/proc/thread-self/ns/net").open("rb") as here, Path(f"/run/netns/{name}").open("rb") as there:
        _enter(libc, there.fileno())
        try:
            yield
        finally:
            _enter(libc, here.fileno())


def _enter(libc: ctypes.CDLL, descriptor: int) -> None:
    if libc.setns(descriptor, 0):
        raise OSError(ctypes.get_errno(), "setns")


def ip(*arguments: str) -> None:
    tool("ip", *arguments)


def tool(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"
