"""Workloads: posts of several sizes, chunked and encoded in several ways. Knows no reader and no socket."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

import msgspec
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
"""About a megabyte of posts of each size; then they repeat."""
LARGE = 10_000
SMALL = range(150, 260)
LEAST_ITEMS = 1_200
LEAST_BYTES = 4_000_000
RAW_TIMES = 4
"""Without decoding, the usual number of bytes would be read too fast to measure."""
GZIP_HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"


class Lenient(BaseModel):
    """A part of a post; unknown fields are kept."""

    model_config = ConfigDict(extra="allow")


class PostData(Lenient):
    """The fields of a post that most programs use."""

    id: str
    text: str
    author_id: str | None = None
    lang: str | None = None


class Post(Lenient):
    """An item as a user would declare it; everything else is kept as received."""

    data: PostData


class Metrics(Lenient):
    """The metrics of a post."""

    retweet_count: int = 0
    reply_count: int = 0
    like_count: int = 0
    quote_count: int = 0


class DeepData(PostData):
    """The post, with nested models."""

    conversation_id: str | None = None
    public_metrics: Metrics | None = None


class User(Lenient):
    """The author."""

    id: str
    name: str
    username: str
    verified: bool = False


class Includes(Lenient):
    """The objects that the post refers to."""

    users: list[User] = []
    tweets: list[DeepData] = []


class DeepPost(Lenient):
    """An item in which every object is a model: as much work again as parsing."""

    data: DeepData
    includes: Includes | None = None


class DictPost(BaseModel):
    """An item of dicts: nothing in it is taken apart."""

    data: dict[str, Any]
    includes: dict[str, list[dict[str, Any]]] | None = None


class StructData(msgspec.Struct):
    """The fields of a post that most programs use; a Struct drops the others."""

    id: str
    text: str
    author_id: str | None = None
    lang: str | None = None


class StructPost(msgspec.Struct):
    """The same item for msgspec."""

    data: StructData


@dataclass(frozen=True)
class Workload:
    """One row of the table."""

    name: str
    title: str
    size: Size = "typical"
    chunk: int | None = None
    """Bytes in each HTTP chunk; None for one post in each."""
    items: Any = None
    """The type of the items: dicts, a pydantic model, a Struct, or bytes for the lines themselves."""
    by_json: bool = False
    """Whether the user chose `model_validate_json`: given to this package, and called in the loops."""
    gzip: bool = False
    stdlib_inflate: bool = False
    """Whether this package must also inflate with the standard library."""
    tls: bool = False
    chunk_size: int | None = None
    """The read size given to each client; None for its default."""

    def lines(self) -> list[bytes]:
        """The posts as sent, with line ends."""
        return posts(self.size)

    @property
    def response_model(self) -> Any:
        """What this package is given."""
        return self.items.model_validate_json if self.by_json else self.items

    def block(self) -> int:
        """Items that a reader takes in a turn: more than any reader reads at a time."""
        lines = self.lines()
        wanted = LEAST_BYTES * (RAW_TIMES if self.items is bytes else 1)
        return max(LEAST_ITEMS, wanted * len(lines) // sum(map(len, lines)))

    def flood(self) -> Flood:
        """The endless body."""
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
    Workload("dict-model", "pydantic model of dicts", items=DictPost),
    Workload("json-model", "Model.model_validate_json", items=Post, by_json=True),
    Workload("struct", "msgspec Struct", items=StructPost),
    Workload("raw", "raw lines", items=bytes),
    Workload("chunk-size", "chunk_size=64 KiB", chunk_size=64 * 1024),
)


def gzipped(pieces: list[bytes]) -> Flood:
    """Each piece, flushed so that posts arrive immediately, as a chunk."""
    compressor = zlib.compressobj(wbits=-zlib.MAX_WBITS)  # nothing in it refers to what was before its start
    coded = [compressor.compress(piece) + compressor.flush(zlib.Z_SYNC_FLUSH) for piece in pieces]
    return Flood(framed([GZIP_HEADER]), framed(coded), "gzip")


@cache
def posts(size: Size) -> list[bytes]:
    """The simulator's posts, as lines.

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
    """A post with only the default fields."""
    for item in typical():
        yield {"data": {name: item["data"][name] for name in ("id", "text")}}


def large() -> Iterator[dict[str, Any]]:
    """A post with all objects that a long thread refers to."""
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
