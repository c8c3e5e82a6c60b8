"""X's streams, by the names of their verbs. A path that is missing from `x.ENDPOINTS` fails at import."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Literal

import typer

from xdk_streaming.x import BACKFILL_PARAMETERS, ENDPOINTS, Endpoint, Kind, endpoint_at

FILTERED = ENDPOINTS["/2/tweets/search/stream"]
SAMPLE = ENDPOINTS["/2/tweets/sample/stream"]
SAMPLE10 = ENDPOINTS["/2/tweets/sample10/stream"]
FIREHOSE = ENDPOINTS["/2/tweets/firehose/stream"]
LIKES = ENDPOINTS["/2/likes/firehose/stream"]
LIKES10 = ENDPOINTS["/2/likes/sample10/stream"]
ACTIVITY = ENDPOINTS["/2/activity/stream"]


class Language(str, Enum):
    """The languages with their own firehose."""

    EN = "en"
    JA = "ja"
    KO = "ko"
    PT = "pt"


class Compliance(str, Enum):
    """The subjects of the compliance streams."""

    POSTS = "posts"
    USERS = "users"
    LIKES = "likes"
    LABELS = "labels"


BY_LANGUAGE: Mapping[Language, Endpoint] = {
    language: next(endpoint for endpoint in ENDPOINTS.values() if endpoint.language == language.value)
    for language in Language
}
COMPLIANCE: Mapping[Compliance, Endpoint] = {
    Compliance.POSTS: ENDPOINTS["/2/tweets/compliance/stream"],
    Compliance.USERS: ENDPOINTS["/2/users/compliance/stream"],
    Compliance.LIKES: ENDPOINTS["/2/likes/compliance/stream"],
    Compliance.LABELS: ENDPOINTS["/2/tweets/label/stream"],
}

Items = Literal["posts", "likes", "other"]
ITEMS: Mapping[Kind, Items] = {Kind.POST: "posts", Kind.RULED_POST: "posts", Kind.LIKE: "likes"}


@dataclass(frozen=True)
class Target:
    """What to stream: a path below the base URL, or a complete URL."""

    path: str
    items: Items = "other"
    """Whose default fields are requested; for "other", only fields named by options are."""
    backfill_parameter: str = BACKFILL_PARAMETERS[0]
    params: Mapping[str, str] = field(default_factory=dict)

    def url(self, base: str) -> str:
        """The URL of this target on the server at `base`."""
        return self.path if "://" in self.path else base.rstrip("/") + self.path


def target(endpoint: Endpoint, partition: int | None = None) -> Target:
    """The target for an endpoint and a partition. Checked here, because X's own error message says less."""
    most = endpoint.partitions
    if most and partition is None:
        raise _bad_partition(f"required: {endpoint.path} is split into partitions 1 to {most}")
    if partition is not None and not 1 <= partition <= most:
        said = f"is not between 1 and {most}" if most else "was given, but this stream has no partitions"
        raise _bad_partition(f"{partition} {said}")
    params = {} if partition is None else {"partition": str(partition)}
    kind = ITEMS.get(endpoint.kind, "other")
    return Target(endpoint.path, kind, endpoint.backfill_parameter, params)


def any_target(address: str) -> Target:
    """The target for a path or URL as typed. If it is one of X's endpoints, the endpoint's settings apply."""
    if not address.startswith(("/", "http://", "https://")):
        raise typer.BadParameter(
            f"{address!r} is neither a URL nor a path; expected one like /2/tweets/sample/stream",
            param_hint="ADDRESS",
        )
    known = endpoint_at(address)
    if known is None:
        return Target(address)
    return Target(address, ITEMS.get(known.kind, "other"), known.backfill_parameter)


def _bad_partition(sentence: str) -> typer.BadParameter:
    return typer.BadParameter(sentence, param_hint="--partition")
