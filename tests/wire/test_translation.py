"""The table that makes foreign exceptions ours."""

from __future__ import annotations

import errno
import http.client
import socket
import ssl

import pytest
import requests
from requests import exceptions as rq
from urllib3 import exceptions as u3

from helpers.servers import (
    CLIENT_ERROR,
    CONNECTION_ERROR,
    FATAL_ERROR,
    SERVER_ERROR,
    STREAM_INTERRUPTED,
    TIMEOUT,
)
from xdk_streaming.errors import StreamErrorType
from xdk_streaming.wire import translation
from xdk_streaming.wire.translation import TRANSLATIONS, Translation, translate


def in_retries(reason: Exception) -> Exception:
    """As requests reports what befell urllib3 before there were headers."""
    return requests.ConnectionError(u3.MaxRetryError(None, "/", reason))  # type: ignore[arg-type]  # no pool


def new_connection(text: str = "refused") -> u3.NewConnectionError:
    return u3.NewConnectionError(None, text)  # type: ignore[arg-type]  # no connection


def read_timeout() -> u3.ReadTimeoutError:
    return u3.ReadTimeoutError(None, None, "Read timed out.")  # type: ignore[arg-type]  # no pool


def caused(exception: Exception, cause: Exception) -> Exception:
    exception.__cause__ = cause
    return exception


def of_another_library(name: str, *bases: str, under: type[Exception] = OSError, text: str = "") -> Exception:
    """An exception as another library defines it, whose bases have these names."""
    module, _, last = name.rpartition(".")
    kind = under
    for base in (*bases[::-1], last):
        kind = type(base, (kind,), {"__module__": module})
    return kind(text)


TIMED_OUT = {errno.ETIMEDOUT}
CURL = "curl_cffi.requests.exceptions."
OAUTH = "oauthlib.oauth2.rfc6749.errors."

KNOWN: list[tuple[Exception, StreamErrorType]] = [
    (rq.InvalidHeader("hush"), FATAL_ERROR),
    (UnicodeEncodeError("latin-1", "hush\u2026", 4, 5, "ordinal not in range(256)"), FATAL_ERROR),
    (ssl.SSLCertVerificationError("expired"), FATAL_ERROR),
    (rq.SSLError(u3.MaxRetryError(None, "/", u3.SSLError(ssl.SSLCertVerificationError("x")))), FATAL_ERROR),  # type: ignore[arg-type]  # no pool
    (u3.ProxyError("proxy", u3.SSLError(ssl.SSLCertVerificationError("expired"))), FATAL_ERROR),
    (rq.URLRequired(), FATAL_ERROR),
    (rq.MissingSchema(), FATAL_ERROR),
    (rq.InvalidSchema(), FATAL_ERROR),
    (rq.InvalidURL(), FATAL_ERROR),
    (rq.InvalidProxyURL(), FATAL_ERROR),
    (u3.LocationValueError(), FATAL_ERROR),
    (u3.LocationParseError("a..b"), FATAL_ERROR),
    (rq.TooManyRedirects(), CLIENT_ERROR),
    (rq.RetryError(u3.MaxRetryError(None, "/", u3.ResponseError("503"))), SERVER_ERROR),  # type: ignore[arg-type]  # no pool
    (rq.HTTPError("503"), SERVER_ERROR),
    (new_connection(), CONNECTION_ERROR),
    (in_retries(new_connection()), CONNECTION_ERROR),
    (in_retries(caused(new_connection(), ConnectionRefusedError())), CONNECTION_ERROR),
    (in_retries(u3.NameResolutionError("h", None, socket.gaierror(-2, "?"))), CONNECTION_ERROR),  # type: ignore[arg-type]  # no connection
    (rq.ProxyError(u3.MaxRetryError(None, "/", u3.ProxyError("proxy", TimeoutError()))), CONNECTION_ERROR),  # type: ignore[arg-type]  # no pool
    (u3.ProxyError("proxy", OSError()), CONNECTION_ERROR),
    (ConnectionRefusedError(), CONNECTION_ERROR),
    (socket.gaierror(-2, "?"), CONNECTION_ERROR),
    (rq.ConnectTimeout(u3.MaxRetryError(None, "/", u3.ConnectTimeoutError())), TIMEOUT),  # type: ignore[arg-type]  # no pool
    (rq.ReadTimeout(), TIMEOUT),
    (rq.Timeout(), TIMEOUT),
    (requests.ConnectionError(read_timeout()), TIMEOUT),
    (read_timeout(), TIMEOUT),
    (TimeoutError(), TIMEOUT),
    (requests.ConnectionError(u3.ProtocolError("aborted", TimeoutError())), TIMEOUT),
    (requests.ConnectionError(), CONNECTION_ERROR),
    (requests.ConnectionError(u3.ProtocolError("aborted", ConnectionResetError())), CONNECTION_ERROR),
    (rq.SSLError(ssl.SSLError("wrong version")), CONNECTION_ERROR),
    (rq.ChunkedEncodingError(u3.ProtocolError("broken", ConnectionResetError())), STREAM_INTERRUPTED),
    (rq.ChunkedEncodingError(), STREAM_INTERRUPTED),
    (rq.ContentDecodingError(u3.DecodeError("gzip")), STREAM_INTERRUPTED),
    (u3.ProtocolError("broken", ConnectionResetError()), STREAM_INTERRUPTED),
    (u3.DecodeError("gzip"), STREAM_INTERRUPTED),
    (u3.IncompleteRead(0, 1), STREAM_INTERRUPTED),
    (http.client.IncompleteRead(b""), STREAM_INTERRUPTED),
    (http.client.BadStatusLine("?"), STREAM_INTERRUPTED),
    (ssl.SSLError("bad record"), STREAM_INTERRUPTED),
    (ConnectionResetError(), CONNECTION_ERROR),
    (BrokenPipeError(), CONNECTION_ERROR),
    (ConnectionAbortedError(), CONNECTION_ERROR),
    (caused(RuntimeError("adapter"), rq.ReadTimeout()), TIMEOUT),
    (of_another_library(CURL + "ConnectionError"), CONNECTION_ERROR),
    (of_another_library(CURL + "DNSError", "ConnectionError"), CONNECTION_ERROR),
    (of_another_library(CURL + "ReadTimeout", "Timeout"), TIMEOUT),
    (of_another_library(CURL + "ConnectTimeout", "ConnectionError", "Timeout"), TIMEOUT),
    (of_another_library(CURL + "ProxyError"), CONNECTION_ERROR),
    (of_another_library(CURL + "CertificateVerifyError", "SSLError", "ConnectionError"), FATAL_ERROR),
    (of_another_library(CURL + "ChunkedEncodingError"), STREAM_INTERRUPTED),
    (of_another_library("niquests.exceptions.InvalidURL"), FATAL_ERROR),
    (of_another_library("requests_oauthlib.oauth2_session.TokenUpdated", under=Warning), CONNECTION_ERROR),
    (of_another_library(OAUTH + "MissingTokenError", under=Exception), SERVER_ERROR),
    (of_another_library(OAUTH + "TemporarilyUnavailableError", under=Exception), SERVER_ERROR),
    *((OSError(number, "?"), CONNECTION_ERROR) for number in sorted(translation.NETWORK_NUMBERS - TIMED_OUT)),
    *((OSError(number, "?"), TIMEOUT) for number in TIMED_OUT),
]
UNKNOWN = [
    RuntimeError("?"),
    OSError(5, "?"),
    UnicodeDecodeError("utf-8", b"\xff", 0, 1, "?"),
    rq.StreamConsumedError(),
    OSError(errno.EMFILE, "?"),
    of_another_library("somebody.ConnectionError", under=RuntimeError),
    of_another_library(OAUTH + "InvalidGrantError", under=Exception),
    of_another_library("somebody.TokenUpdated", under=Warning),
]


@pytest.mark.parametrize(("exception", "error_type"), KNOWN, ids=lambda value: repr(value)[:60])
def test_an_exception_is_translated_by_its_class_and_what_it_wraps(
    exception: Exception, error_type: StreamErrorType
) -> None:
    error = translate(exception)
    assert error.error_type is error_type
    sentences = {row.sentence for row in TRANSLATIONS} | {translation.CONNECTION_FAILED}
    assert str(error).startswith(tuple(sentences))
    # These hold the header's value, or the token.
    secret = isinstance(exception, (rq.InvalidHeader, UnicodeEncodeError, Warning))
    assert error.original_exception is (None if secret else exception)


@pytest.mark.parametrize("exception", UNKNOWN, ids=repr)
def test_an_exception_of_no_row_is_fatal(exception: Exception) -> None:
    error = translate(exception)
    assert error.error_type is FATAL_ERROR
    assert error.original_exception is exception
    assert type(exception).__name__ in str(error)


@pytest.mark.parametrize("row", TRANSLATIONS, ids=lambda row: row.sentence[:40])
def test_every_row_of_the_table_is_needed(monkeypatch: pytest.MonkeyPatch, row: Translation) -> None:
    before = [str(translate(exception)) for exception, _ in KNOWN]
    monkeypatch.setattr(
        translation, "TRANSLATIONS", tuple(fault for fault in TRANSLATIONS if fault is not row)
    )
    assert [str(translate(exception)) for exception, _ in KNOWN] != before


def test_every_class_that_the_table_names_is_among_the_known() -> None:
    named = {name for fault in TRANSLATIONS for name in fault.exceptions}
    wrapped = [link for exception, _ in KNOWN for link in translation._wrapped(exception)]
    assert {name for name in named if not any(isinstance(link, name) for link in wrapped)} == set()


def test_the_message_tells_the_innermost_exception() -> None:
    reset = ConnectionResetError(errno.ECONNRESET, "the root of it")
    error = translate(requests.ConnectionError(u3.ProtocolError("aborted", reset)))
    assert "the root of it" in str(error)


@pytest.mark.parametrize("wordless", [TimeoutError(), ConnectionResetError(), KeyError()], ids=repr)
def test_an_exception_with_an_empty_text_is_reported_by_its_class(wordless: Exception) -> None:
    message = str(translate(wordless))
    assert type(wordless).__name__ in message
    assert "()" not in message


def test_exceptions_that_cause_each_other_are_followed_once() -> None:
    one, other = RuntimeError("one"), RuntimeError("other")
    one.__cause__, other.__cause__ = other, one
    assert translate(one).error_type is FATAL_ERROR
    other.__cause__ = caused(rq.ReadTimeout(), one)
    assert translate(one).error_type is TIMEOUT


def test_a_reason_that_is_no_exception_is_not_followed() -> None:
    class Reasoned(Exception):
        reason = "a text, as ssl.SSLError has it"

    assert translate(Reasoned()).error_type is FATAL_ERROR
