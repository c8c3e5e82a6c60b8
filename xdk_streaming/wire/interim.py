"""Reads on past interim answers (1xx, such as 102 Processing and 103 Early Hints) to the final one.

http.client skips 100 alone and takes any other interim answer for the final one; RFC 9110 section 15.2 has a
client skip them all. This relies on what is not public: that http.client's response reads the next answer
from the same file once its `headers` are None, and on urllib3's `_original_response`, `_connection` and
`_pool`. If a response is of another kind, it is returned as it is, and its status is named in the error.
"""

from __future__ import annotations

import http.client
from typing import Any

import urllib3
from requests import exceptions as rq
from requests.structures import CaseInsensitiveDict

from xdk_streaming.wire.bulk import original

SWITCHING = 101
"""The one interim status after which no HTTP answer follows."""
MAX_INTERIM = 100
"""Interim answers that are skipped, at most; a server that sends more has no answer."""


def final(response: Any) -> Any:
    """The response, or the final one behind it, in the same object. Raises what requests raises."""
    raw = getattr(response, "raw", None)
    if not _is_interim(getattr(response, "status_code", None)) or not isinstance(raw, urllib3.HTTPResponse):
        return response
    under = original(raw)
    if under is None or under.fp is None:
        return response
    sock = getattr(getattr(under.fp, "raw", None), "_sock", None)  # noqa: F841 - see `interrupt`
    try:
        for _ in range(MAX_INTERIM):
            under.headers = None  # type: ignore[assignment]  # begin() reads an answer if there are none yet
            under.begin()
            if not _is_interim(under.status):
                return _renewed(response, raw, under)
    except http.client.HTTPException as garbled:
        raise rq.ConnectionError(garbled) from garbled
    return response


def _is_interim(status: object) -> bool:
    return isinstance(status, int) and 100 <= status < 200 and status != SWITCHING


def _renewed(response: Any, raw: urllib3.HTTPResponse, under: http.client.HTTPResponse) -> Any:
    renewed = urllib3.HTTPResponse(
        body=under,
        headers=urllib3.HTTPHeaderDict(under.headers.items()),
        status=under.status,
        version=under.version,
        reason=under.reason,
        preload_content=False,
        decode_content=False,
        original_response=under,
        pool=getattr(raw, "_pool", None),
        connection=getattr(raw, "_connection", None),
        request_method=getattr(response.request, "method", None),
        request_url=getattr(response.request, "path_url", None),
    )
    renewed.interim = raw  # type: ignore[attr-defined]  # kept: it would close the file when it is collected
    response.raw = renewed
    response.status_code, response.reason = under.status, under.reason
    response.headers = CaseInsensitiveDict(renewed.headers)
    return response
