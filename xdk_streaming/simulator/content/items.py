"""Generated items: the item with a given number of an endpoint, made on demand.

Pure and deterministic: the same arguments make the same item. So a test can make the items that a client
should have received, and a backfill sends the same items again. Knows which kind of item belongs to which
kind of endpoint; does not know clocks, connections or serialisation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from xdk_streaming.simulator.content import events
from xdk_streaming.simulator.content.expansions import post_item
from xdk_streaming.simulator.content.posts import Post
from xdk_streaming.simulator.content.powerstream import powerstream_item
from xdk_streaming.simulator.content.snowflakes import snowflake
from xdk_streaming.x import Endpoint, Kind

__all__ = ["item_id", "make_item", "snowflake"]

_RULES = (
    ("1494263421347647488", "cats with media"),
    ("1494263421347647489", "“quoted” \\ tagged"),
    ("1494263421347647490", "погода"),
    ("1494263421347647491", "🐈‍⬛"),
)


def _ruled_post_item(post: Post, params: Mapping[str, str]) -> dict[str, Any]:
    """A post is sent once, with all rules that it matches: here one, sometimes two."""
    first = post.chance >> 6 & 3
    matched = (_RULES[first], _RULES[first - 1])[: 1 + (not post.chance >> 9 & 7)]
    return {**post_item(post, params), "matching_rules": [{"id": rule, "tag": tag} for rule, tag in matched]}


_MAKERS: Mapping[Kind, Callable[[Post, Mapping[str, str]], dict[str, Any]]] = MappingProxyType(
    {
        Kind.POST: post_item,
        Kind.RULED_POST: _ruled_post_item,
        Kind.LIKE: events.like_item,
        Kind.POST_COMPLIANCE: events.one_of(events.POST_COMPLIANCE),
        Kind.USER_COMPLIANCE: events.one_of(events.USER_COMPLIANCE),
        Kind.LIKE_COMPLIANCE: events.one_of(events.LIKE_COMPLIANCE),
        Kind.LABEL: events.one_of(events.LABELS),
        Kind.ACTIVITY: events.activity_item,
        Kind.POWERSTREAM: powerstream_item,
    }
)


def make_item(
    endpoint: Endpoint, number: int, at: float, seed: int, params: Mapping[str, str]
) -> dict[str, Any]:
    """The item with this number, generated from `seed`, published at Unix time `at`, ready to serialise.

    `params` are the query parameters; only those for fields and expansions are used here. The caller may
    modify the item.
    """
    return _MAKERS[endpoint.kind](Post(seed, number, at, endpoint.language), params)


def ruled_item(
    endpoint: Endpoint,
    number: int,
    at: float,
    seed: int,
    params: Mapping[str, str],
    matching: Callable[[str], Sequence[Mapping[str, str]]],
) -> dict[str, Any] | None:
    """A post as made by `make_item`, with the rules that it matches; None if it matches no rule."""
    post = Post(seed, number, at, endpoint.language)
    matched = matching(post.composition.text)
    return {**post_item(post, params), "matching_rules": list(matched)} if matched else None


def item_id(item: Mapping[str, Any]) -> str | None:
    """The id of an item; None if X gives none, as for compliance events, label events and errors."""
    data = item.get("data")
    if not isinstance(data, Mapping):
        data = item
    for name in ("id_str", "event_uuid", "id"):
        if isinstance(data.get(name), str):
            return str(data[name])
    return None
