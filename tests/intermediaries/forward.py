"""Proxies that the client asks: squid, tinyproxy, SOCKS. Each function is a case."""

from __future__ import annotations

import ssl
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from intermediaries.case import PATH, Seen, certificate, session, upstream, watched
from intermediaries.programs import configured, folder, free_port, program, running

LOGIN = "user:secret-word@"


@contextmanager
def squid(login: bool = False) -> Iterator[str]:
    """The address of a squid, which may want a login."""
    with folder() as into:
        port = free_port()
        passwords = into / "passwords"
        hashed = subprocess.run(
            [program("openssl"), "passwd", "-apr1", "secret-word"], capture_output=True, text=True, check=True
        ).stdout
        passwords.write_text(f"user:{hashed}", encoding="utf-8")
        passwords.chmod(0o644)
        asking = f"auth_param basic program {program('basic_ncsa_auth')} {passwords}"
        auth = f"{asking}\nacl known proxy_auth REQUIRED"
        values = {"login": auth if login else "", "allowed": "known" if login else "localhost"}
        file = configured("squid.conf", into, port=port, **values)
        with running([program("squid"), "-N", "-f", str(file)], port, into / "log"):
            yield f"127.0.0.1:{port}"


@contextmanager
def tinyproxy(login: bool = False) -> Iterator[str]:
    """The address of a tinyproxy, which may want a login."""
    with folder() as into:
        port = free_port()
        file = configured(
            "tinyproxy.conf", into, port=port, login="BasicAuth user secret-word" if login else ""
        )
        with running([program("tinyproxy"), "-d", "-c", str(file)], port, into / "log"):
            yield f"127.0.0.1:{port}"


@contextmanager
def socks(login: bool = False) -> Iterator[str]:
    """The address of a SOCKS5 server, which may want a login."""
    with folder() as into:
        port = free_port()
        wanted = ["-u", "user", "-P", "secret-word"] if login else []
        command = [program("microsocks"), "-i", "127.0.0.1", "-p", str(port), *wanted]
        with running(command, port, into / "log"):
            yield f"127.0.0.1:{port}"


@contextmanager
def secure_upstream() -> Iterator[tuple[str, str]]:
    """The URL of a simulator with TLS, and the file of its authority."""
    with folder() as into:
        chain, key, authority = certificate(into)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(chain, key)
        with upstream(tls=context) as x:
            yield x.url, str(authority)


def tunnelled(proxy: str, scheme: str = "http", host: str | None = None, **settings: Any) -> Seen:
    """A stream over TLS through a tunnel of this proxy."""
    with secure_upstream() as (url, authority):
        url = url if host is None else f"https://{host}"
        proxies = {"https": f"{scheme}://{proxy}", "http": f"{scheme}://{proxy}"}
        return watched(url + PATH, session(proxies=proxies, verify=authority), **settings)


def secret(seen: Seen) -> Seen:
    """Itself, if no error shows the password."""
    assert not any("secret-word" in f"{error!r} {error}" for error in seen.errors), seen.errors
    return seen


def squid_tunnel() -> Seen:
    """A tunnel of squid's."""
    with squid() as proxy:
        return tunnelled(proxy).prompt()


def squid_login() -> Seen:
    """With the right login."""
    with squid(login=True) as proxy:
        return secret(tunnelled(LOGIN + proxy)).prompt()


def squid_without_login() -> Seen:
    """Squid wants a login, and none is given."""
    with squid(login=True) as proxy:
        return tunnelled(proxy).ended_with("client_error", "407")


def squid_wrong_login() -> Seen:
    """Squid refuses the login."""
    with squid(login=True) as proxy:
        return tunnelled("user:wrong@" + proxy).ended_with("client_error", "407")


def squid_forbids() -> Seen:
    """Squid forbids the host."""
    with squid() as proxy:
        return tunnelled(proxy, host="forbidden.invalid").ended_with("client_error", "403")


def squid_plain() -> Seen:
    """A plain request that squid forwards."""
    with squid() as proxy, upstream() as x:
        return watched(x.url + PATH, session(proxies={"http": f"http://{proxy}"})).prompt()


def tinyproxy_tunnel() -> Seen:
    """A tunnel of tinyproxy's."""
    with tinyproxy() as proxy:
        return tunnelled(proxy).prompt()


def tinyproxy_login() -> Seen:
    """With the right login."""
    with tinyproxy(login=True) as proxy:
        return secret(tunnelled(LOGIN + proxy)).prompt()


def tinyproxy_without_login() -> Seen:
    """Tinyproxy wants a login, and none is given."""
    with tinyproxy(login=True) as proxy:
        return tunnelled(proxy, max_retries=1).ended_with("client_error", "407")


def socks_tunnel() -> Seen:
    """A SOCKS server without a login."""
    with socks() as proxy:
        return tunnelled(proxy, "socks5h").prompt()


def socks_login() -> Seen:
    """With the right login."""
    with socks(login=True) as proxy:
        return secret(tunnelled(LOGIN + proxy, "socks5h")).prompt()


def socks_wrong_login() -> Seen:
    """The SOCKS server refuses the login."""
    with socks(login=True) as proxy:
        return secret(tunnelled("user:wrong@" + proxy, "socks5h", max_retries=1)).ended_with(
            "client_error", "SOCKS"
        )


def proxy_is_down() -> Seen:
    """Nobody listens where the proxy should be."""
    proxy = f"127.0.0.1:{free_port()}"
    return tunnelled(proxy, max_retries=1).ended_with("connection_error", "proxy")


FORWARD: dict[str, Callable[[], Seen]] = {
    "squid, CONNECT": squid_tunnel,
    "squid, CONNECT with a login": squid_login,
    "squid, CONNECT without the login": squid_without_login,
    "squid, CONNECT with a wrong login": squid_wrong_login,
    "squid, a forbidden host": squid_forbids,
    "squid, plain": squid_plain,
    "tinyproxy, CONNECT": tinyproxy_tunnel,
    "tinyproxy, CONNECT with a login": tinyproxy_login,
    "tinyproxy, CONNECT without the login": tinyproxy_without_login,
    "SOCKS5": socks_tunnel,
    "SOCKS5 with a login": socks_login,
    "SOCKS5 with a wrong login": socks_wrong_login,
    "a proxy that is down": proxy_is_down,
}
