"""The credential that a stream shows, and whether there is another one after X has refused it.

The credential itself is not kept: a digest of it is compared. Nothing is sent from here, though an auth
object or a callable may ask its own server for a token.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import requests

from xdk_streaming.config import NamedValues, NamedValuesSource
from xdk_streaming.errors import StreamError, StreamErrorType
from xdk_streaming.wire.translation import translate

REFUSED = 401
"""The status with which X refuses a credential as such; a 403 refuses the app behind it."""


class Credential:
    """The headers of each attempt, and the credential that goes with them. For the driver's thread."""

    def __init__(self, session: Any, method: str, url: str, headers: NamedValuesSource) -> None:
        self._session = session
        self._request = method, url
        self._headers = headers
        self._ahead: NamedValues | None = None
        self._shown: bytes | None = None

    def headers(self) -> dict[str, Any]:
        """The headers for an attempt. A callable is asked once for each attempt."""
        asked, self._ahead = self._ahead, None
        return dict(self._asked() if asked is None else asked)

    def note(self, response: Any, headers: NamedValues) -> None:
        """Remember, as a digest, what was sent: with the response's own request, else with these headers."""
        sent = None
        with suppress(Exception):  # the response may be of any class
            sent = response.request.headers
        self._shown = _digest(sent) or _digest(headers)

    def renewed(self, error: StreamError) -> bool:
        """Whether X refused the credential, and a callable or an auth object now gives another one.

        If they raise what may pass, such as an error of the network, this is True: the next attempt asks them
        again, and reports what they raise then.
        """
        refused = error.error_type is StreamErrorType.AUTHENTICATION_ERROR and error.status_code == REFUSED
        if not refused or self._shown is None:
            return False
        try:
            offered = self._offered()
        except Exception as exception:  # noqa: BLE001 - callables and auth objects are foreign code
            return translate(exception).is_retryable
        return offered is not None and offered != self._shown

    def _offered(self) -> bytes | None:
        """The digest of the credential that an attempt would show now; None if it is not asked for anew."""
        auth = getattr(self._session, "auth", None)
        if callable(auth):
            prepared = requests.Request(*self._request).prepare()
            shown = _digest(getattr(auth(prepared), "headers", None))
            if shown is not None:
                return shown
        if not callable(self._headers):
            return None
        self._ahead = self._asked()
        return _digest(self._ahead)

    def _asked(self) -> NamedValues:
        return dict((self._headers() if callable(self._headers) else self._headers) or {})


def _digest(headers: object) -> bytes | None:
    """The digest of the Authorization among these headers; None if there is none."""
    if not isinstance(headers, Mapping):
        return None
    for name, value in headers.items():
        if str(name).lower() == "authorization":
            text = value if isinstance(value, bytes) else str(value).encode(errors="replace")
            return hashlib.sha256(text).digest()
    return None
