"""Items taken for something else than they are."""

import requests
from pydantic import BaseModel

from xdk_streaming import AsyncStream, Stream, stream_with_retry

URL = "https://api.x.com/2/tweets/sample/stream"


class Post(BaseModel):
    id: int


def model_items_are_no_dicts(session: requests.Session) -> None:
    for post in Stream(session, "get", URL, response_model=Post):
        print(post["id"])  # refused: a model is no dict
        print(post.text)  # refused: the model has no such field


def plain_items_are_no_models(session: requests.Session) -> None:
    for post in stream_with_retry(session, "get", URL):
        print(post.data)  # refused: a dict has no such attribute


def lines_are_no_text(session: requests.Session) -> None:
    for line in Stream(session, "get", URL, response_model=bytes):
        print(line + "\n")  # refused: bytes and str


def a_stream_of_another_model(session: requests.Session) -> None:
    posts = Stream(session, "get", URL, response_model=Post)
    ours: Stream[int] = posts  # refused: it gives posts
    ours.close()


async def the_wrong_loop(session: requests.Session) -> None:
    stream = AsyncStream(session, "get", URL)
    for _ in stream:  # refused: it takes async for
        pass
    plain = Stream(session, "get", URL)
    async for _ in plain:  # refused: it takes for
        pass
