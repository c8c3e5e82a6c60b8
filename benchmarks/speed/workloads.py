"""What is read: posts of several sizes, cut and coded in several ways. Knows no reader and no socket."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

import orjson
from pydantic import BaseModel, ConfigDict

from benchmarks.speed.server import Flood, framed
from xdk_streaming.simulator.content.items import make_item
from xdk_streaming.x import ENDPOINTS

Size = Literal["small", "typical", "large"]

FIELDS = {
    "tweet.fields": "author_id,created_at,lang,public_metrics,entities,conversation_id,context_annotations",
    "expansions": "author_id,referenced_tweets.id",
    "user.fields": "created_at,description,public_metrics,profile_image_url,verified",
}
POSTS = {"small": 2_000, "typical": 500, "large": 120}
"""About a megabyte of each size; then they come again."""
LARGE = 10_000
SMALL = range(150, 260)
LEAST_ITEMS = 1_200
LEAST_BYTES = 4_000_000
RAW_TIMES = 4
"""Where nothing is decoded, the same bytes would be over before the clock can tell."""
GZIP_HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"


class Lenient(BaseModel):
    """A part of a post; fields that X adds later are kept as they come."""

    model_config = ConfigDict(extra="allow")


class PostData(Lenient):
    """What most look at of the post itself."""

    id: str
    text: str
    author_id: str | None = None
    lang: str | None = None


class Post(Lenient):
    """One item of a stream, as a user would declare it; what else there is stays as it came."""

    data: PostData


class Metrics(Lenient):
    """How often a post was repeated, answered and liked."""

    retweet_count: int = 0
    reply_count: int = 0
    like_count: int = 0
    quote_count: int = 0


class DeepData(PostData):
    """The post itself, with models below it."""

    conversation_id: str | None = None
    public_metrics: Metrics | None = None


class User(Lenient):
    """Who wrote it."""

    id: str
    name: str
    username: str
    verified: bool = False


class Includes(Lenient):
    """What the post refers to."""

    users: list[User] = []
    tweets: list[DeepData] = []


class DeepPost(Lenient):
    """One item with all that it refers to, each thing a model: as much work again as the parsing."""

    data: DeepData
    includes: Includes | None = None


@dataclass(frozen=True)
class Workload:
    """One row of the table."""

    name: str
    title: str
    size: Size = "typical"
    chunk: int | None = None
    """Bytes in each HTTP chunk; None for one post in each."""
    items: Any = None
    """What the lines are to become: dicts, a pydantic model, or bytes for the lines themselves."""
    gzip: bool = False
    stdlib_inflate: bool = False
    """Whether this package, too, has to inflate with the standard library."""
    tls: bool = False
    chunk_size: int | None = None
    """What each client is told to read at a time; None for its own default."""

    def lines(self) -> list[bytes]:
        """The posts as they are sent, line ends included."""
        return posts(self.size)

    def block(self) -> int:
        """Items that a reader takes at a turn: more than any of them reads at once."""
        lines = self.lines()
        wanted = LEAST_BYTES * (RAW_TIMES if self.items is bytes else 1)
        return max(LEAST_ITEMS, wanted * len(lines) // sum(map(len, lines)))

    def flood(self) -> Flood:
        """The body, to be sent without end."""
        pieces = self.lines()
        if self.chunk is not None:
            body = b"".join(pieces)
            pieces = [body[start : start + self.chunk] for start in range(0, len(body), self.chunk)]
        return gzipped(pieces) if self.gzip else Flood(b"", framed(pieces))


WORKLOADS = (
    Workload("post-chunks", "one post a chunk"),
    Workload("16k-chunks", "16 KiB chunks", chunk=16 * 1024),
    Workload("gzip", "gzip, stdlib inflate", gzip=True, stdlib_inflate=True),
    Workload("gzip-fast", "gzip with [fast]", gzip=True),
    Workload("tls", "TLS", tls=True),
    Workload("small", "posts of 200 B", size="small"),
    Workload("large", "posts of 10 kB", size="large"),
    Workload("model", "pydantic model", items=Post),
    Workload("deep-model", "deep pydantic model", items=DeepPost),
    Workload("raw", "raw lines", items=bytes),
    Workload("chunk-size", "chunk_size=64 KiB", chunk_size=64 * 1024),
)


def gzipped(pieces: list[bytes]) -> Flood:
    """Each piece flushed, as a server does whose posts are to arrive, and a chunk."""
    compressor = zlib.compressobj(wbits=-zlib.MAX_WBITS)  # nothing in it refers to what was before its start
    coded = [compressor.compress(piece) + compressor.flush(zlib.Z_SYNC_FLUSH) for piece in pieces]
    return Flood(framed([GZIP_HEADER]), framed(coded), "gzip")


@cache
def posts(size: Size) -> list[bytes]:
    """Posts of the simulator's world, as lines.

    Those with a U+2028 or another mark at which httpx's `iter_lines` breaks a line are left out:
    it would deliver halves of them.
    """
    made = MAKERS[size]()
    lines = (orjson.dumps(next(made)) + b"\r\n" for _ in iter(int, 1))
    kept: list[bytes] = []
    for line in lines:
        fits = size != "small" or len(line) in SMALL
        if fits and len(line.decode().splitlines()) == 1:
            kept.append(line)
        if len(kept) == POSTS[size]:
            break
    return kept


def typical() -> Iterator[dict[str, Any]]:
    """A post with its author and what it refers to: 2.4 kB."""
    endpoint = ENDPOINTS["/2/tweets/sample/stream"]
    number = 0
    while True:
        yield make_item(endpoint, number, 1.7e9 + number, 0, FIELDS)
        number += 1


def small() -> Iterator[dict[str, Any]]:
    """A post that nothing but its text was asked of."""
    for item in typical():
        yield {"data": {name: item["data"][name] for name in ("id", "text")}}


def large() -> Iterator[dict[str, Any]]:
    """A post with all that a long thread refers to."""
    world = typical()
    for item in world:
        includes = item["includes"]
        while len(orjson.dumps(item)) < LARGE:
            other = next(world)
            includes.setdefault("tweets", []).append(other["data"])
            includes.setdefault("users", []).extend(other["includes"].get("users", []))
        yield item


MAKERS: dict[Size, Callable[[], Iterator[dict[str, Any]]]] = {
    "small": small,
    "typical": typical,
    "large": large,
}
