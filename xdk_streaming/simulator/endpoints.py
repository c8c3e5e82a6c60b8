"""The streaming paths of X's API as one table: what each carries, and how it is divided.

Knows paths, partitions and which parameters X turns down. Refuses to know who may connect,
how often, and what an item looks like (`items`).

Source: X's OpenAPI document, the operations it marks `x-twitter-streaming`, all of them GET;
`/2/powerstream` is in no such document, only on docs.x.com/x-api/powerstream/introduction.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType
from typing import Any

from xdk_streaming.simulator.recovery import recovery_faults


class Kind(Enum):
    """What a stream carries; the items of one kind have one shape."""

    POST = "post"
    RULED_POST = "ruled post"  # the filtered stream: a post and the rules it matched
    LIKE = "like"
    POST_COMPLIANCE = "post compliance"
    USER_COMPLIANCE = "user compliance"
    LIKE_COMPLIANCE = "like compliance"
    LABEL = "label"
    ACTIVITY = "activity"
    POWERSTREAM = "powerstream"


@dataclass(frozen=True)
class Endpoint:
    """One streaming path."""

    path: str
    kind: Kind
    partitions: int = 0
    """The highest partition number; partitions count from 1, and 0 says that the path takes none."""
    language: str | None = None
    """The one language of the posts, where the path promises one."""
    recovers: bool = True
    """Whether a range of time can be asked for again."""
    name: str = ""
    """What the connections endpoints call it."""

    @property
    def backfill_parameter(self) -> str:
        """The name this path gives to the minutes of backfill."""
        return "backfillMinutes" if self.kind is Kind.POWERSTREAM else "backfill_minutes"

    @property
    def recovery_parameters(self) -> tuple[str, str]:
        """The names this path gives to the start and the end of what is to be streamed again."""
        return ("startTime", "endTime") if self.kind is Kind.POWERSTREAM else ("start_time", "end_time")


ENDPOINTS: Mapping[str, Endpoint] = MappingProxyType(
    {
        endpoint.path: endpoint
        for endpoint in (
            Endpoint("/2/tweets/search/stream", Kind.RULED_POST, name="filtered_stream"),
            Endpoint("/2/tweets/sample/stream", Kind.POST, recovers=False, name="sample_stream"),
            Endpoint("/2/tweets/sample10/stream", Kind.POST, partitions=2, name="sample10_stream"),
            Endpoint("/2/tweets/firehose/stream", Kind.POST, partitions=20, name="firehose_stream"),
            Endpoint(
                "/2/tweets/firehose/stream/lang/en",
                Kind.POST,
                partitions=8,
                language="en",
                name="firehose_stream_lang_en",
            ),
            Endpoint(
                "/2/tweets/firehose/stream/lang/ja",
                Kind.POST,
                partitions=2,
                language="ja",
                name="firehose_stream_lang_ja",
            ),
            Endpoint(
                "/2/tweets/firehose/stream/lang/ko",
                Kind.POST,
                partitions=2,
                language="ko",
                name="firehose_stream_lang_ko",
            ),
            Endpoint(
                "/2/tweets/firehose/stream/lang/pt",
                Kind.POST,
                partitions=2,
                language="pt",
                name="firehose_stream_lang_pt",
            ),
            Endpoint("/2/likes/firehose/stream", Kind.LIKE, partitions=20, name="likes_firehose_stream"),
            Endpoint("/2/likes/sample10/stream", Kind.LIKE, partitions=2, name="likes_sample10_stream"),
            Endpoint(
                "/2/tweets/compliance/stream",
                Kind.POST_COMPLIANCE,
                partitions=4,
                name="tweets_compliance_stream",
            ),
            Endpoint(
                "/2/users/compliance/stream",
                Kind.USER_COMPLIANCE,
                partitions=4,
                name="users_compliance_stream",
            ),
            Endpoint("/2/likes/compliance/stream", Kind.LIKE_COMPLIANCE, name="likes_compliance_stream"),
            Endpoint("/2/tweets/label/stream", Kind.LABEL, name="tweet_label_stream"),
            Endpoint("/2/activity/stream", Kind.ACTIVITY, name="activity_stream"),
            Endpoint("/2/powerstream", Kind.POWERSTREAM, name="powerstream"),
        )
    }
)

NAMELESS = frozenset({"activity_stream", "powerstream"})
"""Names of our own: X's connections endpoints list none for these streams, and take none."""

MOST_BACKFILL = 5
"""Minutes (docs.x.com/x-api/fundamentals/recovery-and-redundancy). X's OpenAPI document allows 0, too."""


def refuse_parameters(endpoint: Endpoint, params: Mapping[str, str]) -> dict[str, Any] | None:
    """The body of X's 400 where a partition, a backfill or a recovery cannot be served, else None.

    The shape is that of X's own emulator (xdevplatform/playground). The message for a number out
    of range is the one the service gives for other whole-number parameters.
    """
    faults = []
    if endpoint.partitions:
        faults += _faults("partition", params.get("partition", ""), 1, endpoint.partitions)
    name = endpoint.backfill_parameter
    if name in params:
        faults += _faults(name, params[name], 0, MOST_BACKFILL)
    faults += recovery_faults(endpoint.recovery_parameters, endpoint.recovers, params, time.time())
    return invalid_request(faults) if faults else None


def invalid_request(faults: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The body of X's 400: what is wrong with which parameter."""
    return {
        "errors": list(faults),
        "title": "Invalid Request",
        "detail": "One or more parameters to your request was invalid.",
        "type": "https://api.x.com/2/problems/invalid-request",
    }


def forbid_parameters(endpoint: Endpoint, params: Mapping[str, str]) -> dict[str, Any] | None:
    """The body of X's 403 to an app that may not have of the past what it asks for; None where it asks not.

    To ask for no minute of backfill is to ask for nothing.
    """
    past = (endpoint.backfill_parameter, *endpoint.recovery_parameters)
    name = next((name for name in past if params.get(name, "0") != "0"), None)
    if name is None:
        return None
    return {
        "title": "Client Forbidden",
        "detail": f"The `{name}` query parameter needs a level of access that this app does not have.",
        "type": "https://api.x.com/2/problems/client-forbidden",
        "status": 403,
        "parameters": {name: [params[name]]},
    }


def _faults(name: str, value: str, lowest: int, highest: int) -> list[dict[str, Any]]:
    if not value:
        message = f"The `{name}` query parameter can not be empty"
        return [{"parameters": {name: []}, "message": message}]
    # Compared as text: int() would also take "1_0", " 1" and the digits of other scripts.
    if value not in map(str, range(lowest, highest + 1)):
        message = f"The `{name}` query parameter value [{value}] is not between {lowest} and {highest}"
        return [{"parameters": {name: [value]}, "message": message}]
    return []
