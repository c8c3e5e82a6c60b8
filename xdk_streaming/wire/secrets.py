"""The secrets of a stream's request, known exactly because the request sends them, and removed from texts.

A server may send anything back: in its status line, headers, bodies, notices. Exceptions of other libraries
quote URLs and headers. What the request sent is therefore looked for in each text that is kept or shown, in
the forms that such texts have: as it is, percent-encoded, in base64, and escaped as in JSON or HTML.
"""

from __future__ import annotations

import base64
import html
import json
import logging
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar
from urllib.parse import parse_qsl, quote, quote_plus, unquote, urlsplit
from weakref import WeakSet

from xdk_streaming.parameters import DOCUMENTED

T = TypeVar("T")

HIDDEN = "[hidden]"
MIN_SECRET = 3
"""Characters that a secret has, at least: shorter ones are in every text."""
LONG_SECRET = 8
"""Characters from which a secret is found within words, and in base64; a shorter one only as a word."""
MAX_END = 4096
"""Bytes at the end of a text in which the beginning of a secret is looked for."""
MAX_SECRETS = 64
"""Secrets that are remembered, at most, the youngest; a callable may give a new token for every attempt."""
PUBLIC_HEADERS = frozenset(
    {
        *("accept", "accept-charset", "accept-encoding", "accept-language", "cache-control", "connection"),
        *("content-encoding", "content-length", "content-type", "date", "expect", "host"),
        *("if-modified-since", "keep-alive", "pragma", "range", "te", "transfer-encoding", "upgrade"),
        *("user-agent", "via"),
    }
)
"""Headers whose values are no secrets, in lower case. Those of all others are taken for secrets."""
PAIR = re.compile(r'([\w-]+)="?([^",;\s]*)"?')
PUBLIC_PAIRS = frozenset(
    {
        *("realm", "uri", "algorithm", "qop", "nc"),
        *("oauth_version", "oauth_signature_method", "oauth_timestamp"),
    }
)
"""Parts of an Authorization of Digest or OAuth 1.0a that are no secrets."""

_all: WeakSet[Secrets] = WeakSet()


class Secrets:
    """The secrets of one request. Remembers them on the driver's thread; removes them on any thread."""

    def __init__(self) -> None:
        self._known: dict[str, None] = {}
        self._pattern: re.Pattern[str] | None = None
        self._bytes_pattern: re.Pattern[bytes] | None = None
        _all.add(self)

    def note_headers(self, headers: object) -> None:
        """Remember the secrets among headers that are or were sent."""
        if isinstance(headers, Mapping):
            self._note(
                secret
                for name, value in headers.items()
                if _text(name).lower() not in PUBLIC_HEADERS
                for secret in _in_header(_text(value))
            )

    def note_params(self, params: Mapping[str, Any]) -> None:
        """Remember the values of query parameters that X does not document: it has no secret ones."""
        self._note(
            _text(each)
            for name, value in params.items()
            if str(name) not in DOCUMENTED
            for each in (value if isinstance(value, (list, tuple)) else [value])
        )

    def note_url(self, url: object) -> None:
        """Remember the login in a URL, and the secrets in its query."""
        text = _text(url)
        try:
            query = urlsplit(text).query
        except ValueError:
            query = text.partition("?")[2]
        self.note_params(dict(parse_qsl(query)))
        login = re.sub(r"^[\w+.-]+://", "", text).rpartition("@")[0]
        pieces = re.split(r"[:/?#@]", login)
        joined = ":".join(map(unquote, pieces))
        encoded = base64.b64encode(joined.encode()).decode() if len(joined) >= LONG_SECRET else ""
        self._note([*pieces, *map(unquote, pieces), encoded])

    def is_in(self, text: str) -> bool:
        """Whether a secret is in the text, in any form."""
        return self._pattern is not None and self.removed_from(text) != text

    def removed_from(self, text: str) -> str:
        """The text with `[hidden]` in the place of each secret."""
        if self._pattern is None:
            return text
        return self._without_a_begun_one(self._pattern.sub(HIDDEN, text))

    def removed_from_bytes(self, data: bytes) -> bytes:
        """The same for bytes of any encoding that has ASCII in it, without decoding them."""
        if self._bytes_pattern is None:
            return data
        data = self._bytes_pattern.sub(HIDDEN.encode(), data)
        end = data[-MAX_END:].decode("latin-1")
        cleaned = self._without_a_begun_one(end)
        return data if cleaned == end else data[: -len(end)] + cleaned.encode("latin-1")

    def may_be_in(self, data: bytes) -> bool:
        """Whether JSON in bytes may have a secret: as it is, or spelled with escapes."""
        return self._bytes_pattern is not None and (
            b"\\" in data or self._bytes_pattern.search(data) is not None
        )

    def removed_from_json(self, value: T) -> T:
        """The same for each text in a JSON value: a copy, or the value itself if no secret is known."""
        cleaned: T = value if self._pattern is None else _mapped(value, self.removed_from)
        return cleaned

    def _note(self, secrets: Iterator[str] | list[str]) -> None:
        before = list(self._known)
        for secret in secrets:
            if len(secret) >= MIN_SECRET:
                self._known.pop(secret, None)
                self._known[secret] = None
        while len(self._known) > MAX_SECRETS:
            self._known.pop(next(iter(self._known)))
        if set(before) != set(self._known):
            found = _found_in_texts(list(self._known))
            self._pattern = re.compile(found)
            self._bytes_pattern = re.compile(found.encode("utf-8", "surrogatepass"))

    def _without_a_begun_one(self, text: str) -> str:
        """The text without the beginning of a secret at its end: it may have been cut there."""
        for secret in self._known:
            for length in range(min(len(secret) - 1, len(text)), LONG_SECRET - 1, -1):
                if text.endswith(secret[:length]):
                    return text[:-length] + HIDDEN
        return text


def shown_url(url: object) -> str:
    """The URL without its login and its query, either of which may hold a secret."""
    address = re.split("[?#]", _text(url), maxsplit=1)[0]
    scheme, found, rest = address.rpartition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}{found}{host.rpartition('@')[2]}{slash}{path}"


NONE = Secrets()
"""For texts that no request has to do with."""


class HidingFilter(logging.Filter):
    """A filter for a logger of another library: it hides the secrets of all requests of this process."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Hide secrets in a record's text, and drop its exception if that has one. Every record is logged."""
        if isinstance(record.args, tuple) and any(isinstance(each, Exception) for each in record.args):
            # It quotes the server, who may quote a signature that is not known here yet.
            record.args = tuple(
                type(each).__name__ if isinstance(each, Exception) else each for each in record.args
            )
            record.exc_info = record.exc_text = None
        text = f"{record.getMessage()} {record.exc_info}"
        for secrets in list(_all):
            if secrets.is_in(text):
                record.msg, record.args = secrets.removed_from(record.getMessage()), ()
                record.exc_info = record.exc_text = None
        return True


for _logger in ("urllib3.connection", "urllib3.connectionpool", "urllib3.util.retry", "urllib3.poolmanager"):
    logging.getLogger(_logger).addFilter(HidingFilter())  # at DEBUG they log paths with their queries


def _found_in_texts(known: list[str]) -> str:
    """A pattern for all forms of all secrets, the longest first."""
    forms = {form for secret in known for form in _forms(secret) if len(form) >= MIN_SECRET}
    return "|".join(_found(form) for form in sorted(forms, key=len, reverse=True))


def _found(form: str) -> str:
    escaped = re.escape(form)
    return escaped if len(form) >= LONG_SECRET else rf"(?:(?<!\w)|(?<=\\[nrt])){escaped}(?!\w)"


def _forms(secret: str) -> Iterator[str]:
    yield from (secret, quote(secret, safe=""), quote(secret), quote_plus(secret), unquote(secret))
    yield re.sub("%[0-9A-F]{2}", lambda code: code[0].lower(), quote(secret, safe=""))
    yield json.dumps(secret)[1:-1]
    yield secret.replace("/", "\\/")
    yield html.escape(secret)
    if len(secret) >= LONG_SECRET:
        for encoded in _in_base64(secret.encode("utf-8", "surrogateescape")):
            yield encoded
            yield encoded.replace("+", "-").replace("/", "_")


def _in_base64(data: bytes) -> Iterator[str]:
    """The characters that the data always has in base64, wherever it begins in what is encoded."""
    for offset, partial in enumerate((0, 2, 3)):
        encoded = base64.b64encode(bytes(offset) + data).decode()
        complete = encoded if (offset + len(data)) % 3 == 0 else encoded.rstrip("=")[:-1]
        yield complete[partial:]


def _in_header(value: str) -> Iterator[str]:
    """The secrets in the value of a header: all of it, its parts, or what follows the scheme."""
    scheme, _, rest = value.strip().partition(" ")
    rest = rest.strip()
    if not rest:
        yield scheme
        pairs = PAIR.findall(value) if ";" in value or "=" in value.rstrip("=") else []
    elif scheme.lower() == "basic":
        yield rest
        with_colon = _decoded(rest)
        yield from (with_colon, *with_colon.split(":", 1))
        return
    else:
        pairs = PAIR.findall(value) if scheme.lower() in ("oauth", "digest") or ";" in value else []
        if not pairs:
            yield rest
            yield value.strip()
    for name, part in pairs:
        if name.lower() not in PUBLIC_PAIRS and len(part) >= LONG_SECRET:
            yield from (part, unquote(part))


def _decoded(encoded: str) -> str:
    try:
        return base64.b64decode(encoded, validate=True).decode("utf-8", "replace")
    except ValueError:
        return ""


def _text(value: object) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _mapped(value: Any, change: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, dict):
        return {_mapped(name, change): _mapped(each, change) for name, each in value.items()}
    if isinstance(value, list):
        return [_mapped(each, change) for each in value]
    return value
