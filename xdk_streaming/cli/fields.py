"""What an item is asked to hold: fields and expansions, as query parameters.

The names are those of the simulator's tables, which are X's OpenAPI document's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import typer

from xdk_streaming.cli.endpoints import Items, Target
from xdk_streaming.cli.options import Asked
from xdk_streaming.simulator.world import attachments, posts, users
from xdk_streaming.simulator.world.events import LIKE_EXPANSIONS, LIKE_FIELDS
from xdk_streaming.simulator.world.expansions import EXPANSIONS

PRIVATE = frozenset(
    {
        *("non_public_metrics", "organic_metrics", "promoted_metrics"),
        *("confirmed_email", "connection_status", "receives_your_dm"),
    }
)
"""Fields that X shows to the user whom they are about, and never to an app's token."""

Query = Mapping[str, str]


def _public(names: Iterable[str]) -> str:
    return ",".join(name for name in names if name not in PRIVATE)


ALL: Mapping[Items, Query] = {
    "posts": {
        "tweet.fields": _public(posts.FIELDS),
        "expansions": _public(EXPANSIONS),
        "user.fields": _public(users.FIELDS),
        "media.fields": _public(attachments.MEDIA_FIELDS),
        "poll.fields": _public(attachments.POLL_FIELDS),
        "place.fields": _public(attachments.PLACE_FIELDS),
    },
    "likes": {
        "like_with_tweet_author.fields": _public(LIKE_FIELDS),
        "expansions": _public(LIKE_EXPANSIONS),
        "tweet.fields": _public(posts.FIELDS),
        "user.fields": _public(users.FIELDS),
    },
    "other": {},
}
USUAL: Mapping[Items, Query] = {
    "posts": {
        "tweet.fields": "created_at,author_id,lang,conversation_id,referenced_tweets,entities,public_metrics",
        "expansions": "author_id",
        "user.fields": "username,name",
    },
    "likes": {"like_with_tweet_author.fields": "created_at,liked_tweet_id"},
    "other": {},
}
"""Enough to read an item by, without making each of them ten times as long."""


def query(target: Target, asked: Asked) -> dict[str, str]:
    """All query parameters. What the user names replaces the default of that name, and no other."""
    given = {
        "tweet.fields": asked.tweet_fields,
        "expansions": asked.expansions,
        "user.fields": asked.user_fields,
        "media.fields": asked.media_fields,
        "poll.fields": asked.poll_fields,
        "place.fields": asked.place_fields,
    }
    chosen = {**target.params, **(ALL if asked.all_fields else USUAL)[target.items]}
    chosen |= {name: value for name, value in given.items() if value is not None}
    chosen |= dict(_pair(text) for text in asked.param or ())
    return {name: value for name, value in chosen.items() if value}


def _pair(text: str) -> tuple[str, str]:
    name, found, value = text.partition("=")
    if not (name and found):
        raise typer.BadParameter(f"{text!r}: expected NAME=VALUE", param_hint="--param")
    return name, value
