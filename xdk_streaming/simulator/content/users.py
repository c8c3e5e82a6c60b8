# ruff: noqa: RUF001 - letters of many scripts look alike, and here they are meant
"""Generated users, and every field that a client can request.

Knows users and the names of `user.fields`; does not know posts.

Shapes: X's OpenAPI document, schema User, and docs.x.com/x-api/activity/event-payloads.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from xdk_streaming.simulator.content.fields import FieldMakers, Maker, chosen
from xdk_streaming.simulator.content.phrases import LANGUAGES, SPOKEN, short_link
from xdk_streaming.simulator.content.snowflakes import chance, moment, snowflake

POPULATION = 20_000
"""The number of users: small enough for the same users to appear again."""

_HANDLES = (
    "neko", "marta_", "dev_ops", "Kwame", "sunny", "o_poeta", "Zeynep", "northwind",
    "tea4two", "Oksana_", "pixel", "el_tigre", "miriam", "raju", "BookWorm", "somchai",
)  # fmt: skip
_NAMES = (
    "ねこ🐈‍⬛", "Marta Ferreira", "not a robot", "Kwame A. 🇬🇭", "☀️ sunny ☀️", 'João "o poeta"', "Zeynep Ş.",
    "north\\wind", "tea for two", "Оксана 🌻", "𝓹𝓲𝔁𝓮𝓵", "El Tigre", "מרים", "राजू", "Book Worm 📚", "สมชาย",
)  # fmt: skip
_PLACES = ("", "東京", "São Paulo", "İzmir", "Kraków, Polska", "القاهرة", "127.0.0.1", "the sofa")
_BADGES = ("blue", "none", "none", "none", "business", "none", "none", "government")


class User:
    """The user with this number, from 0 to POPULATION - 1: the same for every seed."""

    __slots__ = ("born", "chance", "id", "number", "username")

    def __init__(self, number: int) -> None:
        self.number = number
        self.chance = chance(0, ~number)
        self.born = 1_300_000_000 + number * 11_000
        # Older accounts have sequential ids, newer ones snowflakes.
        self.id = snowflake(self.born, number) if number & 1 else str(12_000_000 + number * 7919)
        self.username = f"{_HANDLES[self.chance & 15]}{number}"


def _metrics(user: User) -> dict[str, int]:
    posts = user.chance >> 20 & 0xFFFF
    # The OpenAPI document has post_count, X's samples have tweet_count: clients may need either.
    return {
        "followers_count": user.chance >> 8 & 0xFFFFF,
        "following_count": user.chance >> 30 & 0xFFF,
        "tweet_count": posts,
        "post_count": posts,
        "listed_count": user.chance >> 40 & 0xFF,
        "like_count": user.chance >> 44 & 0x1FFFF,
        "media_count": user.chance >> 50 & 0x3FF,
    }


def _entities(user: User) -> dict[str, Any]:
    page = f"example.com/~{user.number}"
    link = {"url": short_link(user.chance), "expanded_url": f"https://{page}", "display_url": page}
    return {"url": {"urls": [{"start": 0, "end": 23, **link}]}}


def _affiliation(user: User) -> dict[str, Any]:
    return {
        "badge_url": f"https://pbs.twimg.com/semantic_core_img/{user.number}",
        "description": "Automated",
        "user_id": ["783214"],
    }


def _bio(user: User) -> str:
    sentences = LANGUAGES[SPOKEN[user.chance >> 4 & 15]].sentences
    return sentences[user.chance % len(sentences)]


USER_MAKERS: Mapping[str, Maker[User]] = {
    "id": lambda user: user.id,
    "name": lambda user: _NAMES[user.chance & 15],
    "username": lambda user: user.username,
    "affiliation": _affiliation,
    "confirmed_email": lambda user: f"{user.username}@example.com",
    "connection_status": lambda user: ["following"] if user.chance >> 9 & 1 else ["followed_by", "muting"],
    "created_at": lambda user: moment(user.born),
    "description": _bio,
    "entities": _entities,
    "is_identity_verified": lambda user: not user.chance >> 12 & 7,
    "location": lambda user: _PLACES[user.chance >> 15 & 7],
    "most_recent_tweet_id": lambda user: snowflake(user.born + 90_000_000, user.number),
    "parody": lambda user: not user.chance >> 18 & 31,
    "pinned_tweet_id": lambda user: snowflake(user.born + 9_000_000, user.number),
    "profile_banner_url": lambda user: f"https://pbs.twimg.com/profile_banners/{user.id}/{user.born}",
    "profile_image_url": lambda user: f"https://pbs.twimg.com/profile_images/{user.id}/me_normal.jpg",
    "protected": lambda user: False,  # posts of protected users are in no stream
    "public_metrics": _metrics,
    "receives_your_dm": lambda user: bool(user.chance >> 23 & 1),
    "subscription": lambda user: {"subscribes_to_you": bool(user.chance >> 24 & 1)},
    "subscription_type": lambda user: ("None", "Basic", "Premium", "PremiumPlus")[user.chance >> 25 & 3],
    "url": lambda user: short_link(user.chance),
    "verified": lambda user: _BADGES[user.chance >> 5 & 7] != "none",
    "verified_followers_count": lambda user: user.chance >> 33 & 0xFFF,
    "verified_type": lambda user: _BADGES[user.chance >> 5 & 7],
    "withheld": lambda user: {"country_codes": ["DE"], "scope": "user"},
}


def user_fields(asked: tuple[str, ...]) -> FieldMakers[User]:
    """The default fields of a user, and the requested ones."""
    return chosen(USER_MAKERS, {"id", "name", "username", *asked})
