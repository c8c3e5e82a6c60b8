"""Facts that X publishes about its streams: paths, parameters, fields, limits, heartbeat, ids.

Only values and pure functions; no connections, no items, no policies. Clients decide elsewhere what to do
about these facts, and the simulator implements them.

Sources: X's OpenAPI document (the operations marked `x-twitter-streaming`, all of them GET), and the pages of
docs.x.com that are named beside each value. `/2/powerstream` is not in the OpenAPI document, only on
docs.x.com/x-api/powerstream/introduction.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType

BASE_URL = "https://api.x.com"
"""The host of X's API: `servers` in X's OpenAPI document."""

PROBLEMS = "https://api.x.com/2/problems/"
"""Start of the `type` of a problem (docs.x.com/x-api/fundamentals/response-codes-and-errors). Real responses
have another host: only the last segment counts."""

# ---------------------------------------------------------------------------------------- endpoints


class Kind(Enum):
    """The kind of items in a stream; all items of a kind have the same shape."""

    POST = "post"
    RULED_POST = "ruled post"  # the filtered stream: a post and its matching rules
    LIKE = "like"
    POST_COMPLIANCE = "post compliance"
    USER_COMPLIANCE = "user compliance"
    LIKE_COMPLIANCE = "like compliance"
    LABEL = "label"
    ACTIVITY = "activity"
    POWERSTREAM = "powerstream"


RECOVERY_PARAMETERS = (("start_time", "end_time"), ("startTime", "endTime"))
"""Names of the start and the end of a range to recover
(docs.x.com/x-api/fundamentals/recovery-and-redundancy); Powerstream uses the second pair
(docs.x.com/x-api/powerstream/recovery-and-redundancy)."""

BACKFILL_PARAMETERS = ("backfill_minutes", "backfillMinutes")
"""Names of the minutes of backfill; Powerstream uses the second one (same two pages)."""

MAX_BACKFILL_MINUTES = 5
"""docs.x.com/x-api/fundamentals/recovery-and-redundancy. X's OpenAPI document also allows 0."""

MAX_RECOVERY_AGE = 24 * 3600.0
"""Seconds that a recovery can reach back (docs.x.com/x-api/fundamentals/recovery-and-redundancy)."""

TIME_FORMAT = "%Y-%m-%dT%H:%M:%SZ"
"""Format of the start and the end of a recovery, in UTC (X's OpenAPI document)."""


@dataclass(frozen=True)
class Endpoint:
    """One streaming endpoint."""

    path: str
    kind: Kind
    partitions: int = 0
    """The highest partition number; partitions count from 1. 0 if the endpoint has no partitions."""
    language: str | None = None
    """The language of the posts, if the endpoint has only one."""
    recovers: bool = True
    """Whether a range of time can be recovered."""
    name: str = ""
    """The name of this stream in the connections endpoints."""

    @property
    def backfill_parameter(self) -> str:
        """The name of this endpoint's parameter for the minutes of backfill."""
        return BACKFILL_PARAMETERS[self.kind is Kind.POWERSTREAM]

    @property
    def recovery_parameters(self) -> tuple[str, str]:
        """The names of this endpoint's parameters for the start and the end of a range to recover."""
        return RECOVERY_PARAMETERS[self.kind is Kind.POWERSTREAM]


def _firehose(language: str, partitions: int) -> Endpoint:
    path, name = f"/2/tweets/firehose/stream/lang/{language}", f"firehose_stream_lang_{language}"
    return Endpoint(path, Kind.POST, partitions=partitions, language=language, name=name)


ENDPOINTS: Mapping[str, Endpoint] = MappingProxyType(
    {
        endpoint.path: endpoint
        for endpoint in (
            Endpoint("/2/tweets/search/stream", Kind.RULED_POST, name="filtered_stream"),
            Endpoint("/2/tweets/sample/stream", Kind.POST, recovers=False, name="sample_stream"),
            Endpoint("/2/tweets/sample10/stream", Kind.POST, 2, name="sample10_stream"),
            Endpoint("/2/tweets/firehose/stream", Kind.POST, 20, name="firehose_stream"),
            _firehose("en", 8),
            _firehose("ja", 2),
            _firehose("ko", 2),
            _firehose("pt", 2),
            Endpoint("/2/likes/firehose/stream", Kind.LIKE, 20, name="likes_firehose_stream"),
            Endpoint("/2/likes/sample10/stream", Kind.LIKE, 2, name="likes_sample10_stream"),
            Endpoint("/2/tweets/compliance/stream", Kind.POST_COMPLIANCE, 4, name="tweets_compliance_stream"),
            Endpoint("/2/users/compliance/stream", Kind.USER_COMPLIANCE, 4, name="users_compliance_stream"),
            Endpoint("/2/likes/compliance/stream", Kind.LIKE_COMPLIANCE, name="likes_compliance_stream"),
            Endpoint("/2/tweets/label/stream", Kind.LABEL, name="tweet_label_stream"),
            Endpoint("/2/activity/stream", Kind.ACTIVITY, name="activity_stream"),
            Endpoint("/2/powerstream", Kind.POWERSTREAM, name="powerstream"),
        )
    }
)
"""The endpoints of X's OpenAPI document, by path. Names are values of `endpoint_id` in `/2/connections`."""

NAMELESS = frozenset({"activity_stream", "powerstream"})
"""Names invented here: X's connections endpoints have none for these streams."""


def endpoint_at(url: str) -> Endpoint | None:
    """The endpoint at this URL or path, with any prefix before the endpoint's path; None if there is none."""
    address = re.split("[?#]", url, maxsplit=1)[0]
    _, scheme, located = address.partition("://")
    path = ("/" + located.partition("/")[2] if scheme else address).rstrip("/")
    # A proxy may serve X's paths without their version.
    found = [each for each in ENDPOINTS.values() if path.endswith(each.path.removeprefix("/2"))]
    return max(found, key=lambda endpoint: len(endpoint.path), default=None)


def recovery_parameters(url: str) -> tuple[str, str]:
    """The names of start and end at this URL: those of X's v2 API, unless the endpoint has others."""
    endpoint = endpoint_at(url)
    return RECOVERY_PARAMETERS[0] if endpoint is None else endpoint.recovery_parameters


# ------------------------------------------------------------------------------------ on the stream

HEARTBEAT_SECONDS = 20.0
"""The longest time between two heartbeats (docs.x.com/x-api/fundamentals/consuming-streaming-data)."""

HEARTBEAT_LINE = b"\r\n"
"""The bytes of a heartbeat (same page)."""

SNOWFLAKE_EPOCH = 1_288_834_974_657
"""Unix time, in milliseconds, from which X's ids count (docs.x.com/resources/fundamentals/x-ids)."""


def published(key: Hashable) -> float | None:
    """When the post with this id was published, in Unix seconds by X's clock; None if not a post id."""
    text = str(key) if isinstance(key, (str, int)) else ""
    if not text.isascii() or not text.isdigit() or len(text) < 15:
        return None
    return ((int(text) >> 22) + SNOWFLAKE_EPOCH) / 1e3


FIRST_ID = re.compile(rb'"id": ?"(\d{15,20})"')


def dated(line: object) -> float | None:
    """When the post in this line was published, in Unix seconds by X's clock; None without an id."""
    found = FIRST_ID.search(line) if isinstance(line, bytes) else None
    return None if found is None else published(found[1].decode())


RATE_LIMIT_WINDOW = 900.0
"""Seconds of the window in which X counts connection attempts
(docs.x.com/x-api/fundamentals/rate-limits)."""

CONNECTS_PER_WINDOW = 50
"""Connection attempts of an app to the filtered stream (docs.x.com/x-api/fundamentals/rate-limits)."""

CONNECTS_TO_ACTIVITIES = 450
"""The same to the activity stream (same page)."""


def connects_per_window(path: str) -> int:
    """Connection attempts of an app to this stream in a window; if X states none, those of most streams."""
    return CONNECTS_TO_ACTIVITIES if path == "/2/activity/stream" else CONNECTS_PER_WINDOW


LIMIT_HEADER = "x-rate-limit-limit"
REMAINING_HEADER = "x-rate-limit-remaining"
RESET_HEADER = "x-rate-limit-reset"
"""Attempts per window, attempts left, and the end of the window in Unix seconds by X's clock
(docs.x.com/x-api/fundamentals/rate-limits)."""

# ------------------------------------------------------------------------------------------- fields

POST_FIELDS = (
    *("id", "text", "edit_history_tweet_ids", "article", "attachments", "author_id", "card_uri"),
    *("community_id", "context_annotations", "conversation_id", "created_at", "display_text_range"),
    *("edit_controls", "entities", "geo", "in_reply_to_user_id", "lang", "matched_media_notes"),
    *("media_metadata", "non_public_metrics", "note_request_suggestions", "note_tweet", "organic_metrics"),
    *("paid_partnership", "possibly_sensitive", "promoted_metrics", "public_metrics", "referenced_tweets"),
    *("reply_settings", "scopes", "source", "suggested_source_links"),
    *("suggested_source_links_with_counts", "withheld"),
)
"""`tweet.fields` in X's OpenAPI document; likewise for the tuples below
(docs.x.com/x-api/fundamentals/fields)."""

USER_FIELDS = (
    *("id", "name", "username", "affiliation", "confirmed_email", "connection_status", "created_at"),
    *("description", "entities", "is_identity_verified", "location", "most_recent_tweet_id", "parody"),
    *("pinned_tweet_id", "profile_banner_url", "profile_image_url", "protected", "public_metrics"),
    *("receives_your_dm", "subscription", "subscription_type", "url", "verified"),
    *("verified_followers_count", "verified_type", "withheld"),
)

MEDIA_FIELDS = (
    *("media_key", "type", "alt_text", "duration_ms", "height", "width", "non_public_metrics"),
    *("organic_metrics", "preview_image_url", "promoted_metrics", "public_metrics", "url", "variants"),
)

POLL_FIELDS = ("id", "options", "duration_minutes", "end_datetime", "voting_status")

PLACE_FIELDS = (
    *("id", "full_name", "contained_within", "country", "country_code", "geo", "name", "place_type"),
)

LIKE_FIELDS = (
    *("id", "created_at", "timestamp_ms", "liked_tweet_id", "liked_tweet_author_id"),
    "attachments_media_keys",
)
"""`like_with_tweet_author.fields`."""

LIKE_AUTHOR = "tweet_author_id"
"""The name of `liked_tweet_author_id` in the schema of a like. This name cannot be requested."""

PRIVATE_FIELDS = frozenset(
    {
        *("non_public_metrics", "organic_metrics", "promoted_metrics"),
        *("confirmed_email", "connection_status", "receives_your_dm"),
    }
)
"""Fields that X shows only to the user concerned, and never to an app's token
(docs.x.com/x-api/fundamentals/metrics)."""

EXPANSIONS = (
    *("article.cover_media", "article.media_entities", "attachments.media_keys"),
    *("attachments.media_source_tweet", "attachments.poll_ids", "author_id", "edit_history_tweet_ids"),
    *("entities.mentions.username", "geo.place_id", "in_reply_to_user_id"),
    *("entities.note.mentions.username", "referenced_tweets.id"),
    *("referenced_tweets.id.attachments.media_keys", "referenced_tweets.id.author_id"),
)
"""Expansions of a post (docs.x.com/x-api/fundamentals/expansions)."""

LIKE_EXPANSIONS = ("attachments.media_keys", "liked_tweet_author_id", "liked_tweet_id")

# -------------------------------------------------------------------------- the rules and connections

RULES = "/2/tweets/search/stream/rules"
RULE_COUNTS = RULES + "/counts"
"""Paths of the filtered stream's rules (docs.x.com/x-api/stream/update-stream-rules)."""

MAX_RULES = 1_000
MAX_RULE_LENGTH = 1_024
"""Maximum rules per app, and characters per rule; Enterprise allows more
(docs.x.com/x-api/posts/filtered-stream/introduction)."""

MAX_RULES_PER_PAGE = 1_000
"""Maximum rules per response (X's OpenAPI document)."""

CONNECTIONS = "/2/connections"
"""Path of the list of an app's open streams (docs.x.com/x-api/connections/introduction)."""

CONNECTION_FIELDS = (
    *("id", "endpoint_name", "connected_at", "client_ip", "disconnected_at", "disconnect_reason"),
)
"""`connection.fields` (X's OpenAPI document)."""

CONNECTION_NAMES = frozenset(endpoint.name for endpoint in ENDPOINTS.values()) - NAMELESS
"""Names of streams that the connections endpoints accept (X's OpenAPI document)."""

CONNECTIONS_PER_PAGE = 10
MAX_CONNECTIONS_PER_PAGE = 100
"""Connections per response: by default, and at most (X's OpenAPI document)."""

MAX_KILLS = 100
"""Maximum connections that one request can end by id (X's OpenAPI document)."""
