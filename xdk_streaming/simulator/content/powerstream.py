"""A post as Powerstream sends it: the format of the legacy PowerTrack API, not that of v2.

Knows the names of that format, in which a missing value is null, never omitted. Does not know fields and
expansions, which Powerstream does not have.

Shape: docs.x.com/x-api/powerstream/introduction, its sample response.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from xdk_streaming.simulator.content.posts import POST_MAKERS, Post
from xdk_streaming.simulator.content.users import USER_MAKERS, User

# Spelled out, because the names of strftime() depend on the locale of the process.
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


@lru_cache(maxsize=4096)
def _legacy_moment(at: int) -> str:
    t = time.gmtime(at)
    clock = f"{t.tm_hour:02}:{t.tm_min:02}:{t.tm_sec:02}"
    return f"{_DAYS[t.tm_wday]} {_MONTHS[t.tm_mon - 1]} {t.tm_mday:02} {clock} +0000 {t.tm_year}"


def _legacy_user(user: User) -> dict[str, Any]:
    metrics = USER_MAKERS["public_metrics"](user)
    image = USER_MAKERS["profile_image_url"](user)
    return {
        "id": int(user.id),
        "id_str": user.id,
        "name": USER_MAKERS["name"](user),
        "screen_name": user.username,
        "location": USER_MAKERS["location"](user),
        "description": USER_MAKERS["description"](user),
        "url": None,
        "protected": False,
        "verified": USER_MAKERS["verified"](user),
        "followers_count": metrics["followers_count"],
        "friends_count": metrics["following_count"],
        "listed_count": metrics["listed_count"],
        "favourites_count": metrics["like_count"],
        "statuses_count": metrics["tweet_count"],
        "created_at": _legacy_moment(user.born),
        "utc_offset": None,
        "time_zone": None,
        "geo_enabled": True,
        "lang": None,
        "contributors_enabled": False,
        "is_translator": False,
        "profile_background_color": "EBEBEB",
        "profile_background_tile": False,
        "profile_image_url": image.replace("https:", "http:"),
        "profile_image_url_https": image,
        "profile_banner_url": USER_MAKERS["profile_banner_url"](user),
        "profile_link_color": "990000",
        "profile_use_background_image": True,
        "default_profile": False,
        "default_profile_image": False,
        "following": None,
        "follow_request_sent": None,
        "notifications": None,
        "translator_type": "regular",
        "withheld_in_countries": [],
    }


def _legacy_entities(post: Post) -> dict[str, Any]:
    found = POST_MAKERS["entities"](post)
    return {
        "hashtags": [{"text": tag["tag"], "indices": _indices(tag)} for tag in found.get("hashtags", ())],
        "symbols": [{"text": tag["tag"], "indices": _indices(tag)} for tag in found.get("cashtags", ())],
        "user_mentions": [
            {
                "screen_name": mention["username"],
                "name": USER_MAKERS["name"](post.parent.author),
                "id": int(mention["id"]),
                "id_str": mention["id"],
                "indices": _indices(mention),
            }
            for mention in found["mentions"]
        ],
        "urls": [
            {key: link[key] for key in ("url", "expanded_url", "display_url")} | {"indices": _indices(link)}
            for link in found.get("urls", ())
        ],
    }


def _indices(entity: Mapping[str, Any]) -> list[int]:
    return [entity["start"], entity["end"]]


def powerstream_item(post: Post, params: Mapping[str, str]) -> dict[str, Any]:
    """The post, without an envelope."""
    metrics = POST_MAKERS["public_metrics"](post)
    answered = post.parent.author
    return {
        "created_at": _legacy_moment(int(post.at)),
        "id": int(post.id),
        "id_str": post.id,
        "text": post.composition.text,
        "truncated": False,
        "entities": _legacy_entities(post),
        "source": '<a href="https://x.com" rel="nofollow">X Web Client</a>',
        "in_reply_to_status_id": int(post.parent.id),
        "in_reply_to_status_id_str": post.parent.id,
        "in_reply_to_user_id": int(answered.id),
        "in_reply_to_user_id_str": answered.id,
        "in_reply_to_screen_name": answered.username,
        "user": _legacy_user(post.author),
        "geo": None,
        "coordinates": None,
        "place": None,
        "contributors": None,
        "is_quote_status": False,
        "retweet_count": metrics["retweet_count"],
        "favorite_count": metrics["like_count"],
        "favorited": False,
        "retweeted": False,
        "lang": post.language,
    }
