"""A whole post beside X's errors about what belongs to it: the post comes, and the refusal is reported."""

from __future__ import annotations

import json
from typing import Any, Literal

import msgspec
import pytest
import requests
from pydantic import BaseModel, ConfigDict

from helpers.consumers import PATH, consumed, simulated
from helpers.streams import STREAM_TYPES, StreamType, take_all
from xdk_streaming import Buffer, Recovery, StreamConfig, StreamError
from xdk_streaming.simulator import End, Refuse, Send
from xdk_streaming.wire.not_an_item import Invalid, Partial, Rejected
from xdk_streaming.wire.response_model import decoder_for

OLD_HOST = "https://api.twitter.com/2/problems/resource-not-found"
ERRORS = [{"title": "Not Found Error", "type": OLD_HOST, "parameter": "author_id", "resource_id": "5"}]


class Problem(BaseModel):
    type: Literal["https://api.x.com/2/problems/resource-not-found"]


class Post(BaseModel):
    data: dict[str, Any]
    errors: list[Problem] = []


class StrictPost(Post):
    model_config = ConfigDict(strict=True)


class StructProblem(msgspec.Struct):
    type: Literal["https://api.x.com/2/problems/resource-not-found"]


class StructPost(msgspec.Struct):
    data: dict[str, Any]
    errors: list[StructProblem] = []


def post(number: int, **more: Any) -> bytes:
    return json.dumps({"data": {"id": str(number), "text": "whole"}, **more}).encode() + b"\n"


@pytest.fixture(params=STREAM_TYPES)
def stream_type(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.mark.parametrize("buffer", [None, Buffer()])
@pytest.mark.parametrize("recovery", [None, Recovery()])
@pytest.mark.parametrize("model", [Post, StrictPost, StructPost, Post.model_validate_json])
def test_a_post_whose_errors_are_refused_comes_without_them(
    session: requests.Session,
    stream_type: StreamType,
    model: Any,
    recovery: Recovery | None,
    buffer: Buffer | None,
) -> None:
    reported: list[tuple[bytes, str]] = []
    lines = b"".join(post(n, **({"errors": ERRORS} if n % 3 == 2 else {})) for n in range(12))
    with simulated(session, None, (Send(post(0)), Send(lines), End()), then=(Refuse(401),)) as simulator:
        config = StreamConfig(
            initial_backoff=0.0,
            on_invalid=lambda *invalid: reported.append(invalid),
            recovery=recovery,
            buffer=buffer,
        )
        stream = stream_type(session, "get", simulator.url + PATH, config, response_model=model)
        items: list[Any] = []
        with pytest.raises(StreamError):
            take_all(stream, items)
    expected = [str(n) for n in range(12)]
    assert [item.data["id"] for item in items] == (expected if recovery else ["0", *expected])
    assert all(not item.errors for item in items)
    assert stream.state.total_items_received == len(items)
    assert stream.state.invalid_items == len(reported) == 4
    assert {json.loads(line)["data"]["id"] for line, _ in reported} == {"2", "5", "8", "11"}
    assert all("errors" in reason for _, reason in reported)


def test_a_post_that_ends_the_stream_without_a_line_end_comes_too(session: requests.Session) -> None:
    with simulated(
        session, None, (Send(post(1, errors=ERRORS)[:-1]), End()), then=(Refuse(401),)
    ) as simulator:
        stream = STREAM_TYPES[0](
            session, "get", simulator.url + PATH, StreamConfig(initial_backoff=0.0), response_model=Post
        )
        items, _ = consumed(stream)  # type: ignore[arg-type]  # the synchronous one
    assert [item.data["id"] for item in items] == ["1"]
    assert stream.state.invalid_items == 1


def test_a_stop_in_the_report_loses_no_item(session: requests.Session) -> None:
    with simulated(session, None, (Send(post(1, errors=ERRORS) + post(2)), End())) as simulator:
        stream: Any = STREAM_TYPES[0](
            session,
            "get",
            simulator.url + PATH,
            StreamConfig(on_invalid=lambda *_: stream.stop()),
            response_model=Post,
        )
        assert len(list(stream)) + stream.state.undelivered_items == 2


def test_what_else_the_model_refuses_is_invalid_as_before() -> None:
    decode = decoder_for(Post)
    both = b'{"data":7,"errors":[{"type":"about:blank"}]}'
    assert isinstance(decode(both), Invalid)
    assert isinstance(decode(post(1, errors=ERRORS)), Partial)
    assert isinstance(decoder_for(Post, "raise")(post(1, errors=ERRORS)), Rejected)
    assert decoder_for(Post, "yield")(post(1, errors=ERRORS))["errors"] == ERRORS


def test_a_model_that_wants_errors_gets_none_made_up() -> None:
    class Wanting(BaseModel):
        data: dict[str, Any]
        errors: list[Problem]

    assert isinstance(decoder_for(Wanting)(post(1, errors=ERRORS)), Invalid)


def test_a_function_decides_about_the_whole_line() -> None:
    calls: list[bytes] = []

    def refuse(line: bytes) -> Any:
        calls.append(line)
        raise ValueError("no")

    assert isinstance(decoder_for(refuse)(post(1, errors=ERRORS)), Invalid)
    assert len(calls) == 1


def test_a_post_with_refused_errors_counts_as_an_item() -> None:
    assert decoder_for(Post).is_item(post(1, errors=ERRORS))
