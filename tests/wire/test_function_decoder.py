"""Which functions are given a line that was parsed before, and which parse it themselves."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import BaseModel

from xdk_streaming.wire import function_decoder
from xdk_streaming.wire.decoder import Decoder
from xdk_streaming.wire.response_model import decoder_for

POST = b'{"data":{"id":"1"}}'


class Post(BaseModel):
    data: dict[str, str]


class Own(Post):
    @classmethod
    def model_validate_json(cls, json_data: Any, **_: Any) -> Any:
        return b"own", json_data


def parsed_besides(decoder: Decoder, monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The lines that are parsed before the function gets them."""
    parsed = []

    def parse(line: bytes) -> Any:
        parsed.append(line)
        return json.loads(line)

    monkeypatch.setattr(function_decoder, "loads", parse)
    decoder.quick(POST)
    return parsed


def test_pydantics_own_validation_of_json_reads_a_line_once(monkeypatch: pytest.MonkeyPatch) -> None:
    decoder = decoder_for(Post.model_validate_json)
    assert decoder.quick(POST) == decoder(POST) == Post(data={"id": "1"})
    assert parsed_besides(decoder, monkeypatch) == []


@pytest.mark.parametrize(
    "function", [Own.model_validate_json, lambda line: Post.model_validate_json(line)], ids=["own", "lambda"]
)
def test_any_other_function_is_given_what_is_known_to_be_json(
    function: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoder = decoder_for(function)
    assert decoder.quick(POST) == decoder(POST) == function(POST)
    assert parsed_besides(decoder, monkeypatch) == [POST]


@pytest.mark.parametrize("model", [Post, Own])
def test_what_validates_json_is_refused_where_there_is_no_json(model: type[BaseModel]) -> None:
    with pytest.raises(ValueError, match=r"."):
        decoder_for(model.model_validate_json).quick(b"half a li")


def test_an_item_is_known_by_the_id_in_its_line_whatever_a_function_makes_of_it() -> None:
    assert decoder_for(Post.model_validate_json).keyed_by_line
    assert decoder_for(Own.model_validate_json).keyed_by_line
