"""Links that fail, between two network namespaces of the test's own. Each function is a case.

The client's namespace has no route to anywhere else, so nothing leaves the machine when the link goes down.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from helpers.namespaces import SERVER, Link, inside, ip, linked
from intermediaries.case import PATH, Seen, session, upstream, watched


@contextmanager
def far_server(**simulated: Any) -> Iterator[tuple[Link, str]]:
    """A link, and the URL of a simulator at its other end. This thread is at the near end."""
    with linked() as link:
        with inside(link.server):
            served = upstream(host=SERVER, **simulated)
            x = served.__enter__()
        try:
            with inside(link.client):
                yield link, x.url + PATH
        finally:
            served.__exit__(None, None, None)


def whole_link() -> Seen:
    """The link as it is."""
    with far_server() as (_, url):
        return watched(url, session()).prompt()


def blackhole() -> Seen:
    """After a second whatever is sent is lost, for good."""
    with far_server() as (link, url):
        threading.Timer(1, link.blackhole).start()
        seen = watched(url, session(), items=1000, max_retries=1)
    assert seen.items > 5, seen
    return seen.ended_with("timeout", "Nothing came from the server within 3 s (timeout)")


def interrupt(link: Link, seconds: float) -> None:
    """Take the link down for so long."""
    ip("-n", link.server, "link", "set", "near", "down")
    time.sleep(seconds)
    ip("-n", link.server, "link", "set", "near", "up")


def down_and_up() -> Seen:
    """The link is down for a second, and comes back."""
    with far_server() as (link, url):
        threading.Timer(1, interrupt, [link, 1]).start()
        seen = watched(url, session(), items=60, seconds=15)
    assert seen.items == 60, seen
    assert seen.final is None, seen
    return seen


def down_for_longer() -> Seen:
    """The link is down for longer than the timeout, and comes back: connected anew."""
    with far_server() as (link, url):
        threading.Timer(1, interrupt, [link, 5]).start()
        seen = watched(url, session(), items=40, seconds=30, max_retries=-1)
    assert seen.items == 40, seen
    assert seen.connects > 1, seen
    return seen.ended_with("timeout", "within 3 s")


def lossy() -> Seen:
    """Of each 0.15 s, what is sent in 0.03 s is lost."""
    with far_server() as (link, url):
        over = threading.Event()

        def lose() -> None:
            while not over.wait(0.12):
                ip("-n", link.server, "link", "set", "near", "down")
                over.wait(0.03)
                ip("-n", link.server, "link", "set", "near", "up")

        losing = threading.Thread(target=lose)
        losing.start()
        try:
            seen = watched(url, session(), items=60, seconds=20)
        finally:
            over.set()
            losing.join()
    assert seen.items == 60, seen
    return seen


def slow() -> Seen:
    """A link of 200 kbit a second, less than the stream would take: what the server keeps back comes late."""
    with far_server(rate=200) as (link, url):
        ip("netns", "exec", link.server, "tc", "qdisc", "add", "dev", "near", "root", *SLOW)
        seen = watched(url, session(), items=200, seconds=30)
    assert seen.items == 200, seen
    assert seen.connects == 1, seen
    return seen


SLOW = ("tbf", "rate", "200kbit", "burst", "4kb", "latency", "400ms")

LINKS: dict[str, Callable[[], Seen]] = {
    "a link": whole_link,
    "a link, a black hole": blackhole,
    "a link, down for a second": down_and_up,
    "a link, down for longer than the timeout": down_for_longer,
    "a link, loss": lossy,
    "a link, slow": slow,
}
