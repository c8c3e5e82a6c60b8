"""Reverse proxies in front of the server: nginx, HAProxy, stunnel. Each function is a case."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from intermediaries.case import PATH, Seen, address_of, certificate, session, upstream, watched
from intermediaries.programs import configured, folder, free_port, program, running
from xdk_streaming.simulator import Refuse, Serve, Stall

PROMPTLY = "proxy_buffering off; "


@contextmanager
def nginx(
    settings: str = "", there: str = "", behind: str = "", **simulated: Any
) -> Iterator[tuple[str, str]]:
    """The URL of an nginx, and the file of its authority. Behind it is a simulator, or `behind`."""
    with upstream(**simulated) as x, folder() as into:
        chain, key, authority = certificate(into)
        port, tls_port = free_port(), free_port()
        plain, tls = f"http://127.0.0.1:{port}", f"https://127.0.0.1:{tls_port}"
        values = {
            "port": port,
            "tls_port": tls_port,
            "upstream": behind or x.url,
            "certificate": chain,
            "key": key,
        }
        file = configured("nginx.conf", into, settings=settings, there=there or tls, **values)
        with running([program("nginx"), "-c", str(file), "-e", str(into / "start.log")], port, into / "log"):
            yield plain, str(authority)


def unbuffered() -> Seen:
    """proxy_buffering off: every item at once."""
    with nginx(PROMPTLY) as (url, _):
        return watched(url + PATH, session()).prompt()


def buffered() -> Seen:
    """proxy_buffering on, as is nginx's default: what comes is passed on, here too."""
    with nginx() as (url, _):
        return watched(url + PATH, session()).prompt()


def zipped() -> Seen:
    """gzip by nginx, which holds items back until a block is full."""
    settings = PROMPTLY + "gzip on; gzip_types application/json; gzip_proxied any; gzip_min_length 1;"
    with nginx(settings) as (url, _):
        seen = watched(url + PATH, session())
    assert seen.items == 30, seen
    return seen


def zipped_by_the_server() -> Seen:
    """gzip by the server, which flushes each item, through nginx."""
    with nginx(PROMPTLY, encoding="gzip") as (url, _):
        return watched(url + PATH, session()).prompt()


def read_timeout() -> Seen:
    """proxy_read_timeout shorter than the server's silence: cut, and connected anew."""
    script = [(Serve(5), Stall()), (Serve(5), Stall()), (Serve(5), Stall())]
    with nginx(PROMPTLY + "proxy_read_timeout 1s;", script=script) as (url, _):
        seen = watched(url + PATH, session(), items=15)
    assert seen.items == 15, seen
    assert seen.connects == 3, seen
    return seen.ended_with("stream_interrupted")


def read_timeout_before_the_answer() -> Seen:
    """The server says nothing at all: nginx answers 504, and that is retried."""
    with socket.create_server(("127.0.0.1", 0)) as mute:
        behind = f"http://127.0.0.1:{mute.getsockname()[1]}"
        with nginx(PROMPTLY + "proxy_read_timeout 1s;", behind=behind) as (url, _):
            return watched(url + PATH, session(), max_retries=1).ended_with("server_error", "504")


def nobody_behind() -> Seen:
    """Nobody is behind nginx: 502, with a page of HTML."""
    with nginx(PROMPTLY, behind=f"http://127.0.0.1:{free_port()}") as (url, _):
        return watched(url + PATH, session(), max_retries=1).ended_with("server_error", "502")


def moved_to_tls() -> Seen:
    """301 from http to https on the same host: followed."""
    with nginx(PROMPTLY) as (url, authority):
        return watched(url + "/moved/", session(verify=authority)).prompt()


def moved_elsewhere() -> Seen:
    """301 to another host: refused, and named."""
    with nginx(PROMPTLY, there="https://elsewhere.invalid") as (url, _):
        seen = watched(url + "/moved/", session())
    return seen.ended_with("client_error", "elsewhere.invalid")


@contextmanager
def haproxy(idle: str = "30s", **simulated: Any) -> Iterator[str]:
    """The URL of a HAProxy in front of a simulator."""
    with upstream(**simulated) as x, folder() as into:
        port = free_port()
        values = {"port": port, "idle": idle, "upstream_address": address_of(x.url)}
        file = configured("haproxy.cfg", into, **values)
        with running([program("haproxy"), "-db", "-f", str(file)], port, into / "log"):
            yield f"http://127.0.0.1:{port}"


def through_haproxy() -> Seen:
    """HAProxy with its defaults."""
    with haproxy() as url:
        return watched(url + PATH, session()).prompt()


def idle_timeout() -> Seen:
    """HAProxy cuts a connection on which nothing came for a second."""
    script = [(Serve(5), Stall()), (Serve(5), Stall()), (Serve(5), Stall())]
    with haproxy("1s", script=script) as url:
        seen = watched(url + PATH, session(), items=15)
    assert seen.items == 15, seen
    assert seen.connects == 3, seen
    return seen


def rate_limited() -> Seen:
    """HAProxy's own 429 with Retry-After."""
    with haproxy() as url:
        began = time.monotonic()
        seen = watched(url + "/busy", session(), max_retries=1)
    assert time.monotonic() - began >= 1, "the wait that the answer asks for was not kept"
    return seen.ended_with("rate_limited", "429")


def refused_by_the_server() -> Seen:
    """A refusal of the server comes through as it is."""
    with haproxy(script=[(Refuse(503, b"busy"),), (Serve(5),)]) as url:
        seen = watched(url + PATH, session(), items=5)
    assert seen.items == 5, seen
    return seen.ended_with("server_error", "503")


@contextmanager
def stunnel(idle: int = 43200, **simulated: Any) -> Iterator[tuple[str, str]]:
    """The URL of a stunnel that adds TLS to a simulator, and the file of its authority."""
    with upstream(**simulated) as x, folder() as into:
        chain, key, authority = certificate(into)
        port = free_port()
        values = {"port": port, "certificate": chain, "key": key, "idle": idle}
        file = configured("stunnel.conf", into, upstream_address=address_of(x.url), **values)
        with running([program("stunnel4"), str(file)], port, into / "log"):
            yield f"https://127.0.0.1:{port}", str(authority)


def through_stunnel() -> Seen:
    """TLS by stunnel."""
    with stunnel() as (url, authority):
        return watched(url + PATH, session(verify=authority)).prompt()


def stunnel_idle() -> Seen:
    """stunnel's TIMEOUTidle cuts a silent connection."""
    script = [(Serve(5), Stall()), (Serve(5), Stall()), (Serve(5), Stall())]
    with stunnel(1, script=script) as (url, authority):
        seen = watched(url + PATH, session(verify=authority), items=10)
    assert seen.items == 10, seen
    assert seen.connects == 2, seen
    return seen


def unknown_authority() -> Seen:
    """A certificate that nobody vouches for."""
    with stunnel() as (url, _):
        seen = watched(url + PATH, session())
    return seen.ended_with("fatal_error", "certificate")


REVERSE: dict[str, Callable[[], Seen]] = {
    "nginx, proxy_buffering off": unbuffered,
    "nginx, proxy_buffering on": buffered,
    "nginx, gzip on": zipped,
    "nginx, gzip of the server": zipped_by_the_server,
    "nginx, proxy_read_timeout in a stream": read_timeout,
    "nginx, proxy_read_timeout before the answer": read_timeout_before_the_answer,
    "nginx, nobody behind it": nobody_behind,
    "nginx, 301 to https on the same host": moved_to_tls,
    "nginx, 301 to another host": moved_elsewhere,
    "HAProxy": through_haproxy,
    "HAProxy, idle timeout": idle_timeout,
    "HAProxy, 429 with Retry-After": rate_limited,
    "HAProxy, 503 of the server": refused_by_the_server,
    "stunnel": through_stunnel,
    "stunnel, idle timeout": stunnel_idle,
    "stunnel, an unknown authority": unknown_authority,
}
