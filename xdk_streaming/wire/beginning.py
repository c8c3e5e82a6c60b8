"""How a body began, and whether a stream begins so: for answers that pass for a stream and are none.

A login page, a proxy's error or a list may come with 200 and any type. X's streams are lines, and each line
is a JSON object or blank.
"""

from __future__ import annotations

import re
from typing import Any

from xdk_streaming.errors import StreamError
from xdk_streaming.wire import verdicts
from xdk_streaming.wire.decoder import BOM
from xdk_streaming.wire.problems import clean, title_or_start
from xdk_streaming.wire.secrets import NONE, Secrets

KEPT_BYTES = 4096
"""Bytes of the beginning that are kept, from the first that is not blank."""
PATIENCE_BYTES = 64 * 1024
"""Bytes after which a body without any JSON object is given up, if it did not begin like a stream."""
QUOTED_CHARACTERS = 60
"""Characters of the beginning in a message, at most."""
AN_OBJECT = re.compile(rb"\{[ \t]*(?:[\"}]|\Z)")
"""How a JSON object begins that is whole on its line; a document over several lines has its brace alone."""


class Beginning:
    """The first bytes of one body. For the driver's thread."""

    def __init__(self) -> None:
        self._start = b""
        self._length = 0

    def take(self, data: bytes) -> None:
        """Take the next bytes of the body, from its first on."""
        self._length += len(data)
        if len(self._start) < KEPT_BYTES:
            self._start = (self._start + data[:KEPT_BYTES]).lstrip().removeprefix(BOM).lstrip()[:KEPT_BYTES]

    def allows(self, line: Any) -> bool:
        """Whether a line with a JSON object shows the body to be a stream.

        The scripts of a web page may have such lines. After markup, only an object with data counts.
        """
        return not self._is_markup or b'"data"' in line

    @property
    def is_hopeless(self) -> bool:
        """Whether so much of what is no stream has come that no stream will."""
        return self._length > PATIENCE_BYTES and self._is_no_stream

    def objection(
        self, status: int, cause: StreamError | None, secrets: Secrets = NONE
    ) -> StreamError | None:
        """The error for a body that has ended without any JSON object; None if it began like a stream.

        `cause` is the error with which the body broke off, if it did. `secrets` are hidden.
        """
        if not self._is_no_stream:
            return None
        verdict, text = (
            verdicts.NO_STREAM,
            secrets.removed_from(self._start.decode(errors="backslashreplace")),
        )
        title = title_or_start(text) if self._is_markup else ""
        named = f' (its title is "{title}")' if title else ""
        return StreamError(
            f"The server answered with {status}, but {verdict.meaning}: it begins `{_quote(text)}`{named}; "
            f"a login page or a proxy may stand in the way, and {verdict.advice}",
            verdict.error_type,
            cause and cause.original_exception,
            status_code=status,
            response_body=secrets.removed_from(self._start.decode(errors="replace")),
            intercepted=True,
        )

    @property
    def _is_markup(self) -> bool:
        return self._start.startswith(b"<")

    @property
    def _is_no_stream(self) -> bool:
        return bool(self._start) and not AN_OBJECT.match(self._start)


def _quote(text: str) -> str:
    """The text on one line, its control characters escaped: they show what compression was not declared."""
    begun = text[: 4 * QUOTED_CHARACTERS]
    text = "".join(each if each.isprintable() or each in "\t\r\n" else _escaped(each) for each in begun)
    return clean(text)[:QUOTED_CHARACTERS].strip()


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode()
