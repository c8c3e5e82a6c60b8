"""What X publishes about its streams, each thing once: paths, parameters, fields, limits, heartbeat, ids.

Values, and pure functions of them. Knows no connection, no item and no policy: what a client does about
any of it stands where it is done, and the simulator serves what stands here.

Sources: X's OpenAPI document (the operations that it marks `x-twitter-streaming`, all of them GET) and the
pages of docs.x.com that are named beside each value. `/2/powerstream` is in no such document, only on
docs.x.com/x-api/powerstream/introduction.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType

BASE_URL = "https://api.x.com"
"""Where X serves all of it: the `servers` of X's OpenAPI document."""

PROBLEMS = "https://api.x.com/2/problems/"
"""What the `type` of a problem begins with (docs.x.com/x-api/fundamentals/response-codes-and-errors). Real
answers have another host: only the last segment counts."""

# ---------------------------------------------------------------------------------------- endpoints


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


RECOVERY_PARAMETERS = (("start_time", "end_time"), ("startTime", "endTime"))
"""The start and the end of what is to be streamed again
(docs.x.com/x-api/fundamentals/recovery-and-redundancy); Powerstream has the second pair
(docs.x.com/x-api/powerstream/recovery-and-redundancy)."""

BACKFILL_PARAMETERS = ("backfill_minutes", "backfillMinutes")
"""The minutes of backfill; Powerstream has the second name (the same two pages)."""

MAX_BACKFILL_MINUTES = 5
"""docs.x.com/x-api/fundamentals/recovery-and-redundancy. X's OpenAPI document allows 0, too."""

MAX_RECOVERY_AGE = 24 * 3600.0
"""Seconds that a recovery may reach back (docs.x.com/x-api/fundamentals/recovery-and-redundancy)."""

TIME_FORMAT = "%Y-%m-%dT%H:%M:%SZ"
"""How X wants the start and the end of a recovery, in UTC (X's OpenAPI document)."""


@dataclass(frozen=True)
class Endpoint:
    """One streaming path."""

    path: str
    kind: Kind
    partitions: int = 0
    """The highest partition number; partitions count from 1, and 0 says that the path takes none."""
    language: str | None = None
    """The one language of the posts, if the path promises one."""
    recovers: bool = True
    """Whether a range of time can be asked for again."""
    name: str = ""
    """What the connections endpoints call it."""

    @property
    def backfill_parameter(self) -> str:
        """The name this path gives to the minutes of backfill."""
        return BACKFILL_PARAMETERS[self.kind is Kind.POWERSTREAM]

    @property
    def recovery_parameters(self) -> tuple[str, str]:
        """The names this path gives to the start and the end of what is to be streamed again."""
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
"""By path, as X's OpenAPI document has them. The names are those of `endpoint_id` under `/2/connections`."""

NAMELESS = frozenset({"activity_stream", "powerstream"})
"""Names of our own: X's connections endpoints list none for these streams, and take none."""


def endpoint_at(url: str) -> Endpoint | None:
    """The endpoint at this URL or path, whatever stands before its own path; None if X has none there."""
    address = re.split("[?#]", url, maxsplit=1)[0]
    _, scheme, located = address.partition("://")
    path = ("/" + located.partition("/")[2] if scheme else address).rstrip("/")
    # A proxy may serve X's paths without their version.
    found = [each for each in ENDPOINTS.values() if path.endswith(each.path.removeprefix("/2"))]
    return max(found, key=lambda endpoint: len(endpoint.path), default=None)


def recovery_parameters(url: str) -> tuple[str, str]:
    """The names of start and end at this URL: those of X's v2 API, unless its endpoint has others."""
    endpoint = endpoint_at(url)
    return RECOVERY_PARAMETERS[0] if endpoint is None else endpoint.recovery_parameters


# ------------------------------------------------------------------------------------ on the stream

HEARTBEAT_SECONDS = 20.0
"""X sends one at least so often (docs.x.com/x-api/fundamentals/consuming-streaming-data)."""

HEARTBEAT_LINE = b"\r\n"
"""The same page."""

SNOWFLAKE_EPOCH = 1_288_834_974_657
"""Milliseconds of Unix time at which X's ids begin (docs.x.com/resources/fundamentals/x-ids)."""


def published(key: Hashable) -> float | None:
    """When the post of this id was published, in Unix seconds; None if the key is no such id."""
    text = str(key) if isinstance(key, (str, int)) else ""
    if not text.isascii() or not text.isdigit() or len(text) < 15:
        return None
    return ((int(text) >> 22) + SNOWFLAKE_EPOCH) / 1e3


FIRST_ID = re.compile(rb'"id": ?"(\d{15,20})"')


def dated(line: object) -> float | None:
    """When the post of this line was published, by the first id in it; None if the line shows none."""
    found = FIRST_ID.search(line) if isinstance(line, bytes) else None
    return None if found is None else published(found[1].decode())


RATE_LIMIT_WINDOW = 900.0
"""Seconds in which X counts attempts to connect (docs.x.com/x-api/fundamentals/rate-limits)."""

CONNECTS_PER_WINDOW = 50
"""Of an app, to the filtered stream (docs.x.com/x-api/fundamentals/rate-limits)."""

LIMIT_HEADER = "x-rate-limit-limit"
REMAINING_HEADER = "x-rate-limit-remaining"
RESET_HEADER = "x-rate-limit-reset"
"""How many attempts a window has, how many are left, and its end in Unix seconds
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
"""`tweet.fields` of X's OpenAPI document, and so on for those that follow
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
"""What the schema of a like calls `liked_tweet_author_id`. By this name it cannot be asked for."""

PRIVATE_FIELDS = frozenset(
    {
        *("non_public_metrics", "organic_metrics", "promoted_metrics"),
        *("confirmed_email", "connection_status", "receives_your_dm"),
    }
)
"""Fields that X shows to the user whom they are about, and never to an app's token
(docs.x.com/x-api/fundamentals/metrics)."""

EXPANSIONS = (
    *("article.cover_media", "article.media_entities", "attachments.media_keys"),
    *("attachments.media_source_tweet", "attachments.poll_ids", "author_id", "edit_history_tweet_ids"),
    *("entities.mentions.username", "geo.place_id", "in_reply_to_user_id"),
    *("entities.note.mentions.username", "referenced_tweets.id"),
    *("referenced_tweets.id.attachments.media_keys", "referenced_tweets.id.author_id"),
)
"""What can come along with a post (docs.x.com/x-api/fundamentals/expansions)."""

LIKE_EXPANSIONS = ("attachments.media_keys", "liked_tweet_author_id", "liked_tweet_id")

# -------------------------------------------------------------------------- the rules and connections

RULES = "/2/tweets/search/stream/rules"
RULE_COUNTS = RULES + "/counts"
"""Paths of the filtered stream's rules (docs.x.com/x-api/stream/update-stream-rules)."""

MAX_RULES = 1_000
MAX_RULE_LENGTH = 1_024
"""Rules of an app, and characters of each; Enterprise has more
(docs.x.com/x-api/posts/filtered-stream/introduction)."""

MAX_RULES_PER_PAGE = 1_000
"""Rules that one answer lists (X's OpenAPI document)."""

CONNECTIONS = "/2/connections"
"""Path of the streams that an app has open (docs.x.com/x-api/connections/introduction)."""

CONNECTION_FIELDS = (
    *("id", "endpoint_name", "connected_at", "client_ip", "disconnected_at", "disconnect_reason"),
)
"""`connection.fields` (X's OpenAPI document)."""

CONNECTION_NAMES = frozenset(endpoint.name for endpoint in ENDPOINTS.values()) - NAMELESS
"""What the connections endpoints take for a stream (X's OpenAPI document)."""

CONNECTIONS_PER_PAGE = 10
MAX_CONNECTIONS_PER_PAGE = 100
"""Connections that one answer lists: unasked, and at most (X's OpenAPI document)."""

MAX_KILLS = 100
"""Connections that one request ends by their ids (X's OpenAPI document)."""
