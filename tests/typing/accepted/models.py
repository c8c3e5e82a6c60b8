"""Items are what the response model makes of a line: a class, a TypeAdapter, bytes, a function."""

from itertools import islice

import msgspec
from pydantic import BaseModel, TypeAdapter
from typing_extensions import TypedDict, assert_type

from xdk_streaming import Stream, StreamConfig, stream_with_retry
from xdk_streaming.simulator import Serve
from xdk_streaming.testing import ScriptedSession

URL = "https://api.x.com/2/tweets/sample/stream"


class Data(BaseModel):
    id: int


class Post(BaseModel):
    data: Data


class Plain(TypedDict):
    data: dict[str, str]


class Struct(msgspec.Struct):
    data: dict[str, str]


def length(line: bytes) -> int:
    return len(line)


def session() -> ScriptedSession:
    return ScriptedSession([(Serve(1),)])


with Stream(session(), "get", URL, response_model=Post) as posts:
    assert_type(posts, Stream[Post])
    for post in islice(posts, 1):
        assert_type(post, Post)
        assert post.data.id == 1

with Stream(session(), "get", URL, response_model=TypeAdapter(Plain)) as plains:
    for plain in islice(plains, 1):
        assert_type(plain, Plain)
        assert plain["data"]["id"] == "1"

with Stream(session(), "get", URL, response_model=bytes) as lines:
    for line in islice(lines, 1):
        assert_type(line, bytes)
        assert line.startswith(b"{")

with Stream(session(), "get", URL, response_model=length) as lengths:
    for size in islice(lengths, 1):
        assert_type(size, int)
        assert size > 10

with Stream(session(), "get", URL, response_model=Struct) as structs:
    for struct in islice(structs, 1):
        assert_type(struct, Struct)
        assert struct.data["id"] == "1"

with Stream(session(), "get", URL, response_model=Post.model_validate_json) as by_json:
    for post in islice(by_json, 1):
        assert_type(post, Post)

with Stream(session(), "get", URL, response_model=TypeAdapter(Post).validate_json) as by_adapter:
    for post in islice(by_adapter, 1):
        assert post.data.id == 1

annotated: Stream[Post] = Stream(session(), "get", URL, StreamConfig.for_x(), None, None, None, Post)
annotated.close()

for item in islice(stream_with_retry(session(), "get", URL, response_model=Post), 1):
    assert_type(item, Post)
for text in islice(stream_with_retry(session(), "get", URL, response_model=lambda line: line.decode()), 1):
    assert_type(text, str)
