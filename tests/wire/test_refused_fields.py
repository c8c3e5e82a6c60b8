"""A refused item names its fields, and none of its values."""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import Any

import msgspec
import pytest
from pydantic import BaseModel

from xdk_streaming import Stream, StreamConfig, StreamError
from xdk_streaming.simulator import Send, Serve
from xdk_streaming.testing import ScriptedSession
from xdk_streaming.wire.not_an_item import Invalid
from xdk_streaming.wire.refused_fields import MAX_FIELDS, MAX_PATH, refused_fields
from xdk_streaming.wire.response_model import decoder_for

SECRET = "what nobody may log"


class Post(BaseModel):
    class Data(BaseModel):
        id: int
        author: str

    data: Data


class Struct(msgspec.Struct):
    class Data(msgspec.Struct):
        id: int
        author: str

    data: Data


class Counts(BaseModel):
    data: dict[str, int]


def refusal(model: Any, line: bytes) -> Exception:
    event = decoder_for(model)(line)
    assert isinstance(event, Invalid)
    assert event.cause is not None
    return event.cause


@pytest.mark.parametrize(
    ("model", "line", "named"),
    [
        (Post, b'{"data":{"id":"%b"}}' % SECRET.encode(), "data.id (int_parsing), data.author (missing)"),
        (Post, b'{"id":1}', "data (missing)"),
        (Struct, b'{"data":{"id":1,"author":5}}', "data.author (ValidationError)"),
        (Struct, b'{"data":{"id":1}}', "data (ValidationError)"),
        (Counts, b'{"data":{"\\u001b[31m":"x"}}', r"data.\x1b[31m (int_parsing)"),
        (list[int], b'{"data":1}', "the item (list_type)"),
    ],
    ids=["values", "whole", "struct", "struct lacks", "control", "no path"],
)
def test_the_fields_are_named_with_what_is_wrong(model: Any, line: bytes, named: str) -> None:
    assert refused_fields(refusal(model, line)) == named


def test_a_long_list_and_a_long_path_are_cut() -> None:
    data = ",".join(f'"{"k" * (200 if number == 0 else 1)}{number}":"x"' for number in range(1000))
    named = refused_fields(refusal(Counts, b'{"data":{%b}}' % data.encode()))
    assert named.endswith(f", and {1000 - MAX_FIELDS} more")
    assert len(named) < MAX_FIELDS * (MAX_PATH + 30)


def test_what_a_function_raises_is_only_named() -> None:
    def fail(line: bytes) -> None:
        raise KeyError(SECRET)

    assert refused_fields(refusal(fail, b'{"data":{}}')) == "KeyError"


def scripted(on_model_error: Any) -> Stream[Post]:
    line = b'{"data":{"id":"%b"}}\r\n' % SECRET.encode()
    session = ScriptedSession([(Send(line), Serve(1))])
    config = StreamConfig(on_model_error=on_model_error, max_retries=0)
    return Stream(session, "get", "https://api.x.com/2/tweets/sample/stream", config, response_model=Post)


def test_the_log_names_the_fields_of_a_refused_item(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with suppress(StreamError), scripted("report") as stream:
        list(stream)
    assert "refused by the response model: data.id (int_parsing), data.author (missing)" in caplog.text
    assert SECRET not in caplog.text


def test_the_error_of_a_refused_item_names_its_fields(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with scripted("raise") as stream, pytest.raises(StreamError, match=r"data\.id \(int_parsing\)") as error:
        list(stream)
    assert SECRET not in str(error.value)
    assert SECRET not in caplog.text
