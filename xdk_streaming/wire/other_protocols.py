"""Ports that speak something else than HTTP/1.1, or than TLS: recognized by what other libraries report.

Leans on `BadStatusLine.line` of http.client and on the `reason` of ssl's errors, which is OpenSSL's own name.
Without them an attempt fails with the library's words.
"""

from __future__ import annotations

import http.client
import ssl
from collections.abc import Iterable, Mapping

NO_TLS = "The port does not speak TLS; begin the URL with http:, or take the server's port for https:"
ANOTHER_PROTOCOL = (
    "The server speaks none of the protocols that the session offers, perhaps HTTP/2 alone; "
    "a stream needs HTTP/1.1"
)
HTTP_2 = "The server speaks HTTP/2 at this port, and a stream needs HTTP/1.1; take another port"
BY_TLS_REASON: Mapping[str, str] = {
    "WRONG_VERSION_NUMBER": NO_TLS,
    "RECORD_LAYER_FAILURE": NO_TLS,
    "HTTP_REQUEST": NO_TLS,
    "TLSV1_ALERT_NO_APPLICATION_PROTOCOL": ANOTHER_PROTOCOL,
    "NO_APPLICATION_PROTOCOL": ANOTHER_PROTOCOL,
}
"""What OpenSSL's name of a failed handshake means for the user."""
BEGINNINGS_OF_HTTP_2 = ("\0\0", "PRI * HTTP/2")
"""How a server's first bytes begin that speaks HTTP/2 at once: a frame of fewer than 256 bytes."""


def another_protocol(chain: Iterable[Exception]) -> str | None:
    """The sentence for a port that speaks another protocol; None if nothing shows that."""
    for link in chain:
        if isinstance(link, http.client.BadStatusLine):
            if str(getattr(link, "line", "")).startswith(BEGINNINGS_OF_HTTP_2):
                return HTTP_2
        elif isinstance(link, ssl.SSLError):
            meaning = BY_TLS_REASON.get(str(getattr(link, "reason", None)))
            if meaning is not None:
                return meaning
    return None
