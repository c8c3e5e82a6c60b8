"""The query parameters that X documents for its streams, and the names that each of them takes.

From X's OpenAPI document, whose paths and fields are in `x`.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from xdk_streaming import x
from xdk_streaming.x import Endpoint, Kind

Names = Mapping[str, tuple[str, ...]]
"""Parameters that take a list of names, with the names that X knows."""

_OF_POSTS = {
    "tweet.fields": x.POST_FIELDS,
    "expansions": x.EXPANSIONS,
    "media.fields": x.MEDIA_FIELDS,
    "poll.fields": x.POLL_FIELDS,
    "user.fields": x.USER_FIELDS,
    "place.fields": x.PLACE_FIELDS,
}
_OF_LIKES = {
    "like_with_tweet_author.fields": x.LIKE_FIELDS,
    "expansions": x.LIKE_EXPANSIONS,
    "user.fields": x.USER_FIELDS,
    "tweet.fields": x.POST_FIELDS,
    "media.fields": x.MEDIA_FIELDS,
}
_BY_KIND: Mapping[Kind, Names] = {Kind.POST: _OF_POSTS, Kind.RULED_POST: _OF_POSTS, Kind.LIKE: _OF_LIKES}


def names_of(endpoint: Endpoint) -> Names:
    """The endpoint's parameters that take a list of names; empty if it has none."""
    return MappingProxyType(dict(_BY_KIND.get(endpoint.kind, {})))


def parameters_of(endpoint: Endpoint) -> frozenset[str]:
    """The names of all parameters of this endpoint."""
    others = {endpoint.backfill_parameter}
    if endpoint.partitions:
        others.add("partition")
    if endpoint.recovers:
        others.update(endpoint.recovery_parameters)
    if endpoint.kind is Kind.POWERSTREAM:
        others.add("localDcOnly")
    return frozenset({*names_of(endpoint), *others})


DOCUMENTED = frozenset().union(*map(parameters_of, x.ENDPOINTS.values()))
"""The names of all parameters of all endpoints. None of them takes a secret."""
