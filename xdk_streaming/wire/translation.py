"""Translates exceptions of other code into `StreamError`s: by a table, by class, never by text.

Other HTTP libraries name their exceptions as requests does, so an OSError of theirs is translated as the
exception of requests with the name of its class or of a base. An OSError that no row knows is one of the
network if its number is.

Quotes an exception's text only if the text contains no secret, and only as much of it as fits on a line.
"""

from __future__ import annotations

import errno
import http.client
import socket
import ssl
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from requests import exceptions as rq
from urllib3 import exceptions as u3

from xdk_streaming.errors import StreamError, StreamErrorType
from xdk_streaming.wire import proxies
from xdk_streaming.wire.other_protocols import another_protocol
from xdk_streaming.wire.scrubbed import raised_at, scrubbed
from xdk_streaming.wire.secrets import NONE, Secrets

CONNECTION_FAILED = "The connection failed; check the network and any proxy"
MAX_EXCEPTION_QUOTE = 200
"""Characters of an exception's text in a message, at most; http.client quotes up to 64 KiB of an answer."""

NETWORK_NUMBERS = frozenset(
    getattr(errno, prefix + name)
    for name in (
        *("EHOSTUNREACH", "EHOSTDOWN", "ENETUNREACH", "ENETDOWN", "ENETRESET", "ECONNRESET", "ECONNABORTED"),
        *("ECONNREFUSED", "ENOTCONN", "ESHUTDOWN", "EADDRNOTAVAIL", "ENOBUFS", "ETIMEDOUT"),
    )
    for prefix in ("", "WSA")  # the numbers of Windows' sockets have names of their own
    if hasattr(errno, prefix + name)
)
"""Numbers of an OSError that is about the network."""


@dataclass(frozen=True)
class Translation:
    """One row of the translation: classes of exceptions, the type of our error, and its message."""

    exceptions: tuple[type[Exception], ...]
    error_type: StreamErrorType
    sentence: str
    secret: bool = False
    """Whether the text quotes a header, and so perhaps the token: the exception is not shown or chained."""
    quotes_urls: bool = False
    """Whether the exception's text may quote a URL. If the text contains part of a password, the exception is
    neither shown nor chained."""
    unless: tuple[type[Exception], ...] = ()
    """The row does not apply if the exception wraps one of these."""
    within: tuple[type[Exception], ...] = (Exception,)
    """The row applies only if the exception also wraps one of these."""
    intercepted: bool = False
    """Whether something between X and this client may have answered in X's place."""
    named: tuple[str, ...] = ()
    """Full names of more classes, of libraries that are not imported here."""


OAUTH_ERRORS = "oauthlib.oauth2.rfc6749.errors"
PROXY_ERRORS = (rq.ProxyError, u3.ProxyError)

TRANSLATIONS: tuple[Translation, ...] = (
    Translation(
        (rq.InvalidHeader, UnicodeEncodeError),
        StreamErrorType.FATAL_ERROR,
        "A header cannot be sent as it is; look for line breaks, blanks and odd characters in the token, "
        "and in a proxy's password",
        secret=True,
        unless=(u3.InvalidHeader,),  # urllib3 raises this one for the server's headers
    ),
    Translation(
        (ssl.SSLCertVerificationError,),
        StreamErrorType.FATAL_ERROR,
        "The certificate of the proxy was refused; check the proxy's host name, the clock and session.verify",
        within=PROXY_ERRORS,
        intercepted=True,
    ),
    Translation(
        (ssl.SSLCertVerificationError,),
        StreamErrorType.FATAL_ERROR,
        "The certificate of the server was refused; check the host name, the clock and session.verify",
        intercepted=True,
        named=("curl_cffi.requests.exceptions.CertificateVerifyError",),
    ),
    Translation(
        (),
        StreamErrorType.CONNECTION_ERROR,
        "The session has renewed its token, and the next attempt shows the new one; give OAuth2Session a "
        "token_updater to keep it",
        secret=True,
        named=("requests_oauthlib.oauth2_session.TokenUpdated",),
    ),
    Translation(
        (),
        StreamErrorType.SERVER_ERROR,
        "The token endpoint gave no token; it is asked again at the next attempt",
        named=tuple(
            f"{OAUTH_ERRORS}.{name}"
            for name in ("MissingTokenError", "ServerError", "TemporarilyUnavailableError")
        ),
    ),
    Translation(
        (rq.URLRequired, rq.MissingSchema, rq.InvalidSchema, rq.InvalidURL, u3.LocationValueError),
        StreamErrorType.FATAL_ERROR,
        "A URL cannot be used: the stream's, a proxy's or that of a redirect; correct this URL",
        quotes_urls=True,
    ),
    Translation(
        (rq.TooManyRedirects,),
        StreamErrorType.CLIENT_ERROR,
        "The server redirects in circles; check the URL",
        intercepted=True,
    ),
    Translation(
        (rq.RetryError, rq.HTTPError),
        StreamErrorType.SERVER_ERROR,
        "The session itself gave up on the server's answers",
        quotes_urls=True,
    ),
    Translation(
        (rq.ReadTimeout, u3.ReadTimeoutError),
        StreamErrorType.TIMEOUT,
        "The server, or a proxy, was silent for longer than timeout or stall_timeout allow",
    ),
    Translation(
        PROXY_ERRORS,
        StreamErrorType.CONNECTION_ERROR,
        "No connection could be made through the proxy; check the proxy's URL, and that the proxy is up",
    ),
    Translation(
        (u3.NewConnectionError, ConnectionRefusedError, socket.gaierror),
        StreamErrorType.CONNECTION_ERROR,
        "No connection could be made; check the network, the host name and any proxy",
    ),
    Translation(
        (rq.Timeout, u3.TimeoutError, TimeoutError),
        StreamErrorType.TIMEOUT,
        "No connection was made, or none held, for as long as timeout or stall_timeout allow",
    ),
    Translation(
        (rq.SSLError,),
        StreamErrorType.CONNECTION_ERROR,
        "TLS could not be agreed on; check the URL's scheme and port, session.verify and session.cert",
    ),
    Translation((rq.ConnectionError,), StreamErrorType.CONNECTION_ERROR, CONNECTION_FAILED),
    Translation(
        (
            rq.ChunkedEncodingError,
            rq.ContentDecodingError,
            u3.HTTPError,
            http.client.HTTPException,
            ssl.SSLError,
        ),
        StreamErrorType.STREAM_INTERRUPTED,
        "The server's answer was cut off or garbled",
    ),
    Translation((ConnectionError,), StreamErrorType.CONNECTION_ERROR, CONNECTION_FAILED),
)
"""The rows are tried from the top, each against the exception and all that it wraps. The order matters:
urllib3 makes a refused connection a timeout and a silent proxy a broken connection, and requests makes a
stall within a stream a ConnectionError."""


def translate(exception: Exception, secrets: Secrets = NONE, passwords: Collection[str] = ()) -> StreamError:
    """The exception as a `StreamError`. If no row applies, the type is FATAL_ERROR.

    The exception becomes the error's `original_exception`, without the frames that it came through and what
    else it holds, and without any of the request's `secrets`. `passwords` are the passwords, in pieces, of
    the URLs that the exception may quote: urllib3 quotes a part of an unreadable URL that it takes for the
    host.
    """
    chain = list(_wrapped(exception))
    refused_by_proxy = proxies.proxy_refusal(exception)
    if refused_by_proxy is not None:
        refused_by_proxy.original_exception = scrubbed(exception, secrets)
        return refused_by_proxy
    other = another_protocol(chain)
    if other is not None:
        return StreamError(other, StreamErrorType.CONNECTION_ERROR, scrubbed(chain[0], secrets))
    for row in TRANSLATIONS:
        applies = _among(chain, row.exceptions, row.named) and _among(chain, row.within)
        if applies and not _among(chain, row.unless):
            return _error(row, chain, chain[-1], secrets, passwords)
    if any(isinstance(link, OSError) and link.errno in NETWORK_NUMBERS for link in chain):
        row = Translation((OSError,), StreamErrorType.CONNECTION_ERROR, CONNECTION_FAILED, quotes_urls=True)
        return _error(row, chain, chain[-1], secrets, passwords)
    place = raised_at(exception)
    unknown = (
        f"The session or its adapter raised {type(exception).__name__}{place and f' at {place}'}, "
        "which no retry is known to cure"
    )
    row = Translation((Exception,), StreamErrorType.FATAL_ERROR, unknown, quotes_urls=True)
    return _error(row, chain, exception, secrets, passwords)


def _among(chain: list[Exception], classes: tuple[type[Exception], ...], named: tuple[str, ...] = ()) -> bool:
    """Whether a link is of one of these classes, or of a class that is named so or as one of requests' is."""
    if any(isinstance(link, classes) for link in chain):
        return True
    names = {each.__name__ for each in classes if each.__module__ == rq.__name__}
    return any(
        f"{base.__module__}.{base.__name__}" in named
        or (isinstance(link, OSError) and base.__name__ in names and _is_foreign(base))
        for link in chain
        for base in type(link).__mro__
    )


def _is_foreign(kind: type) -> bool:
    """Whether this class is of a library that the table does not name."""
    return kind.__module__.partition(".")[0] not in ("builtins", "ssl", "socket", "requests", "urllib3")


def _error(
    row: Translation, chain: list[Exception], root: Exception, secrets: Secrets, passwords: Collection[str]
) -> StreamError:
    if row.secret:
        return StreamError(row.sentence, row.error_type)
    texts = [_words(link) for link in chain]
    if row.quotes_urls and any(password in text for password in passwords for text in texts):
        withheld = f"the {type(root).__name__} quotes a password, and is not shown"
        return StreamError(f"{row.sentence} ({withheld})", row.error_type)
    quoted = quotable(secrets.removed_from(_words(root))) or type(root).__name__
    original = scrubbed(chain[0], secrets)
    return StreamError(f"{row.sentence} ({quoted})", row.error_type, original, intercepted=row.intercepted)


def _words(exception: Exception) -> str:
    try:
        return str(exception)
    except Exception:  # noqa: BLE001 - foreign classes
        return ""


def quotable(text: str) -> str:
    """The start of a text on one line, with unprintable characters escaped."""
    start = text.strip()[:MAX_EXCEPTION_QUOTE]
    return start if start.isprintable() else start.encode("unicode_escape").decode()


def _wrapped(exception: Exception) -> Iterator[Exception]:
    """The exception and all that it wraps, by argument (requests), reason (urllib3) or cause."""
    seen: list[BaseException] = []
    link: object = exception
    while isinstance(link, Exception) and not any(link is earlier for earlier in seen):
        seen.append(link)
        yield link
        arguments = [argument for argument in link.args if isinstance(argument, Exception)]
        link = getattr(link, "reason", None) or (arguments[0] if arguments else link.__cause__)
