"""Finds what a proxy said when it refused a way to the host: the status of a CONNECT, or the word of SOCKS.

http.client gives the status of a refused CONNECT only in the text of an OSError, and PySocks gives a SOCKS5
reply only in the text of its errors. This is the one place of the package that reads a meaning from the text
of an exception. If a text is not as expected, nothing is found here, and the exception's class decides, as
for any other exception: the attempt is then retried.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from xdk_streaming.errors import StreamError
from xdk_streaming.wire import verdicts
from xdk_streaming.wire.verdicts import Verdict

TUNNEL_REFUSED = re.compile(r"Tunnel connection failed: ([1-5]\d\d)\b")
"""http.client's text, in all versions of Python from 3.10 on."""
SOCKS_FORBIDS = re.compile(r"0x02: ")
"""PySocks' text for the reply "connection not allowed by ruleset" (RFC 1928, section 6)."""
BY_CLASS_OF_SOCKS = {"SOCKS5AuthError": verdicts.PROXY_LOGIN, "ProxyConnectionError": verdicts.PROXY_AWAY}
"""Verdicts by the names of PySocks' classes."""
MAX_LINKS = 20
"""Links of a chain of exceptions that are looked at."""


def proxy_refusal(exception: BaseException) -> StreamError | None:
    """The error of a proxy that refused a way to the host; None if the exception is about something else."""
    for link in _behind(exception):
        text = str(link) if isinstance(link, OSError) else ""
        tunnel = TUNNEL_REFUSED.match(text)
        if tunnel is not None:
            status = int(tunnel[1])
            return _error(
                f"The proxy refused a tunnel with {status}", verdicts.of_proxy(status), exception, status
            )
        word = _word_of_socks(link, text)
        if word is not None:
            return _error("No way through the SOCKS proxy", word, exception)
    return None


def _word_of_socks(link: BaseException, text: str) -> Verdict | None:
    """By the name of PySocks' class: PySocks is optional, and is not imported for this."""
    kind = type(link)
    name = kind.__name__ if kind.__module__ == "socks" else ""
    if name == "SOCKS5Error":
        return verdicts.BY_STATUS_OF_A_PROXY[403] if SOCKS_FORBIDS.match(text) else None
    return BY_CLASS_OF_SOCKS.get(name)


def _error(
    happened: str, verdict: Verdict, exception: BaseException, status: int | None = None
) -> StreamError:
    return StreamError(
        "; ".join(part for part in (happened, verdict.meaning, verdict.advice) if part),
        verdict.error_type,
        exception if isinstance(exception, Exception) else None,
        status_code=status,
    )


def _behind(exception: BaseException) -> Iterator[BaseException]:
    """The exception and all that led to it; urllib3 raises some of its errors without naming their cause."""
    waiting: list[BaseException] = [exception]
    seen: list[BaseException] = []
    while waiting and len(seen) < MAX_LINKS:
        link = waiting.pop()
        seen.append(link)
        yield link
        near = (*link.args, getattr(link, "reason", None), link.__cause__, link.__context__)
        waiting += [each for each in near if isinstance(each, BaseException) and each not in seen]
