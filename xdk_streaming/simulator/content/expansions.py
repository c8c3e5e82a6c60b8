"""Expansions of a post: the objects that go into `includes`.

Knows the names of `expansions`, and determines once per set of query parameters which fields a post and its
included objects have. Does not know how fields are made.

Shapes: X's OpenAPI document, schema Expansions; docs.x.com/x-api/fundamentals/expansions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from xdk_streaming.simulator.content.attachments import (
    Attachment,
    Place,
    media_fields,
    media_key,
    place_fields,
    poll_fields,
)
from xdk_streaming.simulator.content.fields import FieldMakers, chosen, filled, listed
from xdk_streaming.simulator.content.posts import DEFAULTS, POST_MAKERS, Post
from xdk_streaming.simulator.content.users import User, user_fields

# Included posts lack fields that X shows only to the author (docs.x.com/x-api/fundamentals/metrics) or to
# writers of Community Notes, and fields that few posts have. Only the main post has them: an item with all
# fields stays near 8 kB.
_RARE = frozenset(
    {"non_public_metrics", "organic_metrics", "promoted_metrics", "paid_partnership", "scopes", "withheld"}
    | {"matched_media_notes", "note_request_suggestions", "article", "card_uri", "community_id"}
    | {"suggested_source_links", "suggested_source_links_with_counts", "media_metadata", "note_tweet"}
)


class Plan(NamedTuple):
    """The requested fields and expansions, determined once and used for each post."""

    post: FieldMakers[Post]
    companion: FieldMakers[Post]
    user: FieldMakers[User]
    media: FieldMakers[Attachment]
    poll: FieldMakers[Attachment]
    place: FieldMakers[Place]
    expansions: tuple[Expander, ...]


Companion = tuple[str, str, dict[str, Any]]
"""An object for `includes`: the name of its list, its id, and the object."""

Expander = Callable[[Post, Plan], "Companion | None"]


def its_author(post: Post, plan: Plan) -> Companion:
    """The author of the post."""
    return "users", post.author.id, filled(post.author, plan.user)


def its_parent(post: Post, plan: Plan) -> Companion:
    """The post that this one answers or quotes."""
    return "tweets", post.parent.id, filled(post.parent, plan.companion)


def its_parents_author(post: Post, plan: Plan) -> Companion:
    """The author of the parent, who is also mentioned."""
    return its_author(post.parent, plan)


def its_medium(post: Post, plan: Plan) -> Companion:
    """The medium of the post, which the parent shows as well."""
    return "media", media_key(post.medium), filled(post.medium, plan.media)


def _its_poll(post: Post, plan: Plan) -> Companion:
    return "polls", post.poll.id, filled(post.poll, plan.poll)


def _its_place(post: Post, plan: Plan) -> Companion:
    return "places", post.place.id, filled(post.place, plan.place)


def _its_first_edition(post: Post, plan: Plan) -> Companion | None:
    """The original version of an edited post; None for a post that was never edited."""
    if post.id == post.editions[0]:
        return None
    return "tweets", post.editions[0], filled(post.first_edition(), plan.companion)


EXPANDERS: Mapping[str, tuple[str, tuple[Expander, ...]]] = {
    "article.cover_media": ("article", (its_medium,)),
    "article.media_entities": ("article", (its_medium,)),
    "attachments.media_keys": ("attachments", (its_medium,)),
    "attachments.media_source_tweet": ("attachments", (its_parent,)),
    "attachments.poll_ids": ("attachments", (_its_poll,)),
    "author_id": ("author_id", (its_author,)),
    "edit_history_tweet_ids": ("edit_history_tweet_ids", (_its_first_edition,)),
    "entities.mentions.username": ("entities", (its_parents_author,)),
    "geo.place_id": ("geo", (_its_place,)),
    "in_reply_to_user_id": ("in_reply_to_user_id", (its_parents_author,)),
    "entities.note.mentions.username": ("note_tweet", (its_parents_author,)),
    "referenced_tweets.id": ("referenced_tweets", (its_parent,)),
    "referenced_tweets.id.attachments.media_keys": ("referenced_tweets", (its_parent, its_medium)),
    "referenced_tweets.id.author_id": ("referenced_tweets", (its_parent, its_parents_author)),
}
"""Expansion -> the field of the post that refers to the objects, and the functions that make them."""

# The field of the parent that refers to the expanded objects.
_REFERRING = {
    "referenced_tweets.id.author_id": "author_id",
    "referenced_tweets.id.attachments.media_keys": "attachments",
}


def plan(params: Mapping[str, str]) -> Plan:
    """The plan for the posts that these query parameters request."""
    return _plan(
        params.get("tweet.fields"),
        params.get("expansions"),
        params.get("user.fields"),
        params.get("media.fields"),
        params.get("poll.fields"),
        params.get("place.fields"),
    )


@lru_cache(maxsize=64)
def _plan(
    posts: str | None,
    expansions: str | None,
    users: str | None,
    media: str | None,
    polls: str | None,
    places: str | None,
) -> Plan:
    expanded = [name for name in listed(expansions) if name in EXPANDERS]
    asked = DEFAULTS.union(listed(posts))
    further = [_REFERRING[name] for name in expanded if name in _REFERRING]
    return Plan(
        post=chosen(POST_MAKERS, asked.union(EXPANDERS[name][0] for name in expanded)),
        companion=chosen(POST_MAKERS, (asked - _RARE).union(further)),
        user=user_fields(listed(users)),
        media=media_fields(listed(media)),
        poll=poll_fields(listed(polls)),
        place=place_fields(listed(places)),
        expansions=tuple(dict.fromkeys(bring for name in expanded for bring in EXPANDERS[name][1])),
    )


def post_item(post: Post, params: Mapping[str, str]) -> dict[str, Any]:
    """The item for this post in a stream of posts."""
    asked = plan(params)
    return {"data": filled(post, asked.post), **included(post, asked, asked.expansions)}


def included(post: Post, asked: Plan, expansions: tuple[Expander, ...]) -> dict[str, Any]:
    """`includes` with each object once, grouped by type; empty if there are no objects."""
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for bring in expansions:
        if companion := bring(post, asked):
            name, key, thing = companion
            found.setdefault(name, {})[key] = thing
    if not found:
        return {}
    return {"includes": {name: list(things.values()) for name, things in found.items()}}
