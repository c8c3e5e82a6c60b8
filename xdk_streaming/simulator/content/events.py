"""Events about posts and users: likes, compliance and label events, account activity.

Knows the shape of each event; does not know what a client does with an event, or who may see one.

Shapes: X's OpenAPI document, the 200 schemas of the streams; docs.x.com/x-api/activity/event-payloads
for activity, docs.x.com/x-api/compliance/streams/introduction for what the compliance events mean.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from xdk_streaming.simulator.content.attachments import media_key
from xdk_streaming.simulator.content.expansions import (
    Expander,
    included,
    its_medium,
    its_parent,
    its_parents_author,
    plan,
)
from xdk_streaming.simulator.content.fields import FieldMakers, Maker, chosen, filled, listed
from xdk_streaming.simulator.content.phrases import LANGUAGES
from xdk_streaming.simulator.content.posts import POST_MAKERS, Post
from xdk_streaming.simulator.content.snowflakes import exact_moment, moment
from xdk_streaming.simulator.content.users import USER_MAKERS, User

EventMaker = Callable[[Post], dict[str, Any]]
"""Makes an event from the post at the same place in a stream of posts; mostly an event about its parent."""

# ------------------------------------------------------------------------------------------- likes

LIKE_MAKERS: Mapping[str, Maker[Post]] = {
    "id": lambda post: f"{int(post.id):016x}{post.chance:016x}",
    "created_at": lambda post: moment(post.at),
    "timestamp_ms": lambda post: round(post.at * 1000),
    "liked_tweet_id": lambda post: post.parent.id,
    # The parameter calls it liked_tweet_author_id, the OpenAPI document's own schema tweet_author_id.
    "tweet_author_id": lambda post: post.parent.author.id,
    "liked_tweet_author_id": lambda post: post.parent.author.id,
    "attachments_media_keys": lambda post: [media_key(post.parent.medium)],
}

# X does not document the default fields of a like. These are the ones in X's sample of the stream.
_LIKE_DEFAULTS = frozenset({"id", "created_at", "timestamp_ms", "liked_tweet_id", "tweet_author_id"})

LIKE_EXPANDERS: Mapping[str, tuple[str, Expander]] = {
    "attachments.media_keys": ("attachments_media_keys", its_medium),
    "liked_tweet_author_id": ("liked_tweet_author_id", its_parents_author),
    "liked_tweet_id": ("liked_tweet_id", its_parent),
}


@lru_cache(maxsize=64)
def _like_plan(fields: str | None, expansions: str | None) -> tuple[FieldMakers[Post], tuple[Expander, ...]]:
    expanded = [LIKE_EXPANDERS[name] for name in listed(expansions) if name in LIKE_EXPANDERS]
    wanted = _LIKE_DEFAULTS.union(listed(fields), (field for field, _ in expanded))
    return chosen(LIKE_MAKERS, wanted), tuple(bring for _, bring in expanded)


def like_item(post: Post, params: Mapping[str, str]) -> dict[str, Any]:
    """A like of the post's parent."""
    fields, expansions = _like_plan(params.get("like_with_tweet_author.fields"), params.get("expansions"))
    return {"data": filled(post, fields), **included(post, plan(params), expansions)}


# -------------------------------------------------------------------------- compliance and labels


def _about_parent(post: Post) -> dict[str, Any]:
    return {
        "tweet": {"id": post.parent.id, "author_id": post.parent.author.id},
        "event_at": exact_moment(post.at),
    }


def _edit(post: Post) -> dict[str, Any]:
    return {
        "tweet": {"id": post.id},
        "event_at": exact_moment(post.at),
        "initial_tweet_id": post.parent.id,
        "edit_tweet_ids": [post.parent.id, post.id],
    }


POST_COMPLIANCE: tuple[tuple[str, EventMaker], ...] = (
    ("delete", _about_parent),
    ("withheld", lambda post: {**_about_parent(post), "withheld_in_countries": ["DE", "FR"]}),
    ("drop", _about_parent),
    ("undrop", _about_parent),
    ("tweet_edit", _edit),
)


def _about_author(post: Post) -> dict[str, Any]:
    return {"user": {"id": post.author.id}, "event_at": exact_moment(post.at)}


def _new_profile(post: Post) -> dict[str, Any]:
    return {
        **_about_author(post),
        "profile_field": "description",
        "new_value": LANGUAGES[post.language].sentences[0],
    }


USER_COMPLIANCE: tuple[tuple[str, EventMaker], ...] = (
    ("user_protect", _about_author),
    ("user_unprotect", _about_author),
    ("user_delete", _about_author),
    ("user_undelete", _about_author),
    ("user_suspend", _about_author),
    ("user_unsuspend", _about_author),
    ("user_withheld", lambda post: {**_about_author(post), "withheld_in_countries": ["TR"]}),
    ("scrub_geo", lambda post: {**_about_author(post), "up_to_tweet_id": post.parent.id}),
    ("user_profile_modification", _new_profile),
)


def _unlike(post: Post) -> dict[str, Any]:
    return {
        "favorite": {"id": post.parent.id, "user_id": post.author.id},
        "event_at": exact_moment(post.at),
    }


LIKE_COMPLIANCE: tuple[tuple[str, EventMaker], ...] = (("delete", _unlike),)


def _unviewable(post: Post) -> dict[str, Any]:
    return {**_about_parent(post), "application": ("apply", "remove")[post.chance & 1]}


def _notice(post: Post) -> dict[str, Any]:
    return {
        **_unviewable(post),
        "event_type": "misleading",
        "label_title": "Misleading",
        "details": "Learn what other sources say about this.",
        "extended_details_url": "https://help.x.com/en/rules-and-policies",
    }


LABELS: tuple[tuple[str, EventMaker], ...] = (
    ("public_tweet_notice", _notice),
    ("public_tweet_unviewable", _unviewable),
)


def one_of(events: tuple[tuple[str, EventMaker], ...]) -> Callable[[Post, Mapping[str, str]], dict[str, Any]]:
    """A maker of items with these events in turn. The items have no id, and no fields can be requested."""

    def item(post: Post, params: Mapping[str, str]) -> dict[str, Any]:
        name, make = events[post.number % len(events)]
        return {"data": {name: make(post)}}

    return item


# ---------------------------------------------------------------------------------------- activity

_PROFILE = ("id", "name", "username", "created_at", "description", "profile_image_url", "protected")
_WRITTEN = ("id", "text", "author_id", "created_at", "conversation_id", "edit_history_tweet_ids", "lang")


def _user(user: User) -> dict[str, Any]:
    return filled(user, chosen(USER_MAKERS, _PROFILE))


def _new_post(post: Post) -> dict[str, Any]:
    return {
        "payload": filled(post, chosen(POST_MAKERS, _WRITTEN)),
        "includes": {"users": [_user(post.author)]},
    }


def _deleted_post(post: Post) -> dict[str, Any]:
    return {
        "payload": {"id": post.parent.id, "author_id": post.author.id},
        "includes": {"users": [_user(post.author)]},
    }


def _like(post: Post) -> dict[str, Any]:
    fields = ("id", "created_at", "timestamp_ms", "liked_tweet_id", "liked_tweet_author_id")
    return {"payload": filled(post, chosen(LIKE_MAKERS, fields))}


def _follow(post: Post) -> dict[str, Any]:
    return {"payload": {"source": _user(post.author), "target": _user(post.parent.author)}}


def _bio(post: Post) -> dict[str, Any]:
    before, after, *_ = LANGUAGES[post.language].sentences
    return {"payload": {"before": before, "after": after}}


def _picture(post: Post) -> dict[str, Any]:
    image = USER_MAKERS["profile_image_url"]
    return {"payload": {"before": image(post.parent.author), "after": image(post.author)}}


def _news(post: Post) -> dict[str, Any]:
    headline, hook, summary, *_ = LANGUAGES["en"].sentences
    # The samples call the headline `name`, the OpenAPI document `headline`.
    story = {"id": post.id, "category": "News", "name": headline, "headline": headline, "hook": hook}
    payload = {**story, "summary": summary, "updated_at": moment(post.at)}
    return {"filter": {"keyword": "news"}, "payload": payload}


ACTIVITY_EVENTS: tuple[tuple[str, EventMaker], ...] = (
    ("post.create", _new_post),
    ("post.delete", _deleted_post),
    ("like.create", _like),
    ("follow.follow", _follow),
    ("follow.unfollow", _follow),
    ("profile.update.bio", _bio),
    ("profile.update.profile_picture", _picture),
    ("news.new", _news),
)


def activity_item(post: Post, params: Mapping[str, str]) -> dict[str, Any]:
    """The next kind of account activity in turn. X's `event_uuid` is a 64-bit number, despite the name."""
    name, make = ACTIVITY_EVENTS[post.number % len(ACTIVITY_EVENTS)]
    envelope = {
        "event_uuid": post.id,
        "filter": {"user_id": post.author.id},
        "event_type": name,
        "tag": name.replace(".", " "),
    }
    return {"data": {**envelope, **make(post)}}
