"""Fields and expansions to request, as query parameters."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import typer

from xdk_streaming.cli.endpoints import Items, Target
from xdk_streaming.cli.options import FieldOptions
from xdk_streaming.cli.suggestions import did_you_mean
from xdk_streaming.parameters import names_of
from xdk_streaming.x import (
    EXPANSIONS,
    LIKE_EXPANSIONS,
    LIKE_FIELDS,
    MEDIA_FIELDS,
    PLACE_FIELDS,
    POLL_FIELDS,
    POST_FIELDS,
    PRIVATE_FIELDS,
    USER_FIELDS,
    endpoint_at,
)

Query = Mapping[str, str]


def _public(names: Iterable[str]) -> str:
    return ",".join(name for name in names if name not in PRIVATE_FIELDS)


ALL: Mapping[Items, Query] = {
    "posts": {
        "tweet.fields": _public(POST_FIELDS),
        "expansions": _public(EXPANSIONS),
        "user.fields": _public(USER_FIELDS),
        "media.fields": _public(MEDIA_FIELDS),
        "poll.fields": _public(POLL_FIELDS),
        "place.fields": _public(PLACE_FIELDS),
    },
    "likes": {
        "like_with_tweet_author.fields": _public(LIKE_FIELDS),
        "expansions": _public(LIKE_EXPANSIONS),
        "tweet.fields": _public(POST_FIELDS),
        "user.fields": _public(USER_FIELDS),
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
"""Enough to understand an item; all fields would make each item ten times as long."""


def query(target: Target, fields: FieldOptions) -> dict[str, str]:
    """All query parameters. A parameter that the user sets replaces only the default of the same name."""
    given = {
        "tweet.fields": fields.tweet_fields,
        "expansions": fields.expansions,
        "user.fields": fields.user_fields,
        "media.fields": fields.media_fields,
        "poll.fields": fields.poll_fields,
        "place.fields": fields.place_fields,
    }
    chosen = {**target.params, **(ALL if fields.all_fields else USUAL)[target.items]}
    _check_names(target, given)
    chosen |= {name: value for name, value in given.items() if value is not None}
    chosen |= dict(_pair(text) for text in fields.param or ())
    return {name: value for name, value in chosen.items() if value}


def _check_names(target: Target, given: Mapping[str, str | None]) -> None:
    """Refuse names that X does not know, before it is asked. Of other servers' streams nothing is known."""
    endpoint = endpoint_at(target.path)
    if endpoint is None:
        return
    known = names_of(endpoint)
    for parameter, value in given.items():
        if not value:
            continue
        hint = "--" + parameter.replace(".", "-")
        if parameter not in known:
            raise typer.BadParameter(f"{target.path} does not take {parameter}", param_hint=hint)
        for name in value.split(","):
            if name not in known[parameter]:
                near = (
                    did_you_mean(name, known[parameter])
                    or f"; expected some of {', '.join(known[parameter])}"
                )
                raise typer.BadParameter(f"X knows no {name!r} among {parameter}{near}", param_hint=hint)


def _pair(text: str) -> tuple[str, str]:
    name, found, value = text.partition("=")
    if not (name and found):
        raise typer.BadParameter(f"{text!r}: expected NAME=VALUE", param_hint="--param")
    return name, value
