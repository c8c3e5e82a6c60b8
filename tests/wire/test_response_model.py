"""What can be a `response_model`, by which rules it reads an item, and what is refused at once."""

from __future__ import annotations

import datetime as dt
import enum
import types
from collections.abc import Callable
from decimal import Decimal
from itertools import count
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import msgspec
import pytest
import requests
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    Strict,
    StrictBool,
    StrictFloat,
    StrictInt,
    StrictStr,
    TypeAdapter,
    field_validator,
)
from pydantic import v1 as pydantic_1

from xdk_streaming import Stream
from xdk_streaming.wire.decoder import BOM, Decoder, OnModelError
from xdk_streaming.wire.function_decoder import JSONDecoder
from xdk_streaming.wire.not_an_item import Heartbeat, Invalid, Rejected, StreamNotice, Truncated
from xdk_streaming.wire.response_model import decoder_for

POST = b'{"data":{"id":"1","created_at":"2026-11-26T10:00:00Z","reply":"everyone","range":[0,5]}}'
MADE = dt.datetime(2026, 11, 26, 10, tzinfo=dt.timezone.utc)


class Reply(enum.Enum):
    EVERYONE = "everyone"


class StrictData(BaseModel):
    model_config = ConfigDict(strict=True)

    id: str
    created_at: dt.datetime
    reply: Reply
    range: tuple[int, int]


class StrictPost(BaseModel):
    """Lax itself, with a strict model within."""

    data: StrictData


class Aged(BaseModel):
    """Strict in one field only."""

    class Data(BaseModel):
        created_at: Annotated[dt.datetime, Strict()]

    data: Data


class Lax(BaseModel):
    class Data(BaseModel):
        created_at: dt.datetime | str

    data: Data


class Default(BaseModel):
    """Lax, with a value of the user's that looks like a schema."""

    data: dict[str, Any] = Field({"type": "int", "strict": True}, json_schema_extra={"strict": True})
    made: dt.datetime | str = "2026-11-26T10:00:00Z"


class StructData(msgspec.Struct):
    id: str
    created_at: dt.datetime


class StructPost(msgspec.Struct):
    data: StructData


class Old(pydantic_1.BaseModel):
    data: dict[str, Any]


class Caller:
    def __call__(self, line: bytes) -> int:
        return len(line)


class AsyncCaller:
    async def __call__(self, line: bytes) -> int:
        return len(line)


class Anything:
    pass


async def coroutine(line: bytes) -> bytes:
    return line


# JSON's rules for strict models


@pytest.mark.parametrize(
    "model", [StrictPost, TypeAdapter(StrictPost), Aged], ids=["class", "adapter", "field"]
)
def test_a_strict_model_reads_json_by_the_rules_of_json(model: Any) -> None:
    decoder = decoder_for(model)
    for read in (decoder, decoder.quickest([POST])):
        assert read(POST).data.created_at == MADE


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (dt.date, '"2026-11-26"', dt.date(2026, 11, 26)),
        (dt.timedelta, '"PT5S"', dt.timedelta(seconds=5)),
        (set[int], "[1,2]", {1, 2}),
        (UUID, '"00000000-0000-0000-0000-000000000001"', UUID(int=1)),
        (bytes, '"x"', b"x"),
        (Decimal, '"1.5"', Decimal("1.5")),
        (dict[int, int], '{"1":2}', {1: 2}),
    ],
    ids=count(),
)
def test_what_only_json_may_say_is_taken_by_a_strict_adapter(kind: Any, text: str, value: Any) -> None:
    adapter: TypeAdapter[Any] = TypeAdapter(dict[str, Annotated[kind, Strict()]])
    assert decoder_for(adapter)(b'{"data":%b}' % text.encode()) == {"data": value}


def test_the_config_of_an_adapter_makes_it_strict() -> None:
    lax: TypeAdapter[Any] = TypeAdapter(dict[str, dict[str, dt.datetime]])
    strict: TypeAdapter[Any] = TypeAdapter(dict[str, dict[str, dt.datetime]], config=ConfigDict(strict=True))
    line = b'{"data":{"created_at":"2026-11-26T10:00:00Z"}}'
    assert decoder_for(strict)(line) == decoder_for(lax)(line) == {"data": {"created_at": MADE}}
    assert type(decoder_for(strict)) is JSONDecoder
    assert type(decoder_for(lax)) is Decoder


@pytest.mark.parametrize(
    "kind", [StrictStr, StrictInt, StrictBool, StrictFloat, SecretStr, Path, UUID, Decimal, Reply]
)
def test_what_json_and_python_have_in_common_makes_no_model_strict(kind: Any) -> None:
    assert type(decoder_for(TypeAdapter(dict[str, kind]))) is Decoder


@pytest.mark.parametrize("model", [Lax, Default])
def test_a_model_that_is_not_strict_reads_as_it_always_did(model: Any) -> None:
    """In JSON's rules the union would give a datetime, in Python's it gives the string."""
    item = decoder_for(model)(b'{"data":{"created_at":"2026-11-26T10:00:00Z"},"made":"2026-11-26T10:00:00Z"}')
    assert isinstance(item.data.created_at if model is Lax else item.made, str)


def test_a_validation_of_the_users_own_is_asked_though_the_model_is_strict() -> None:
    class Own(StrictPost):
        @classmethod
        def model_validate(cls, obj: Any, **_: Any) -> Any:
            return ["own", obj]

    assert decoder_for(Own)(b'{"data":{}}') == ["own", {"data": {}}]


@pytest.mark.parametrize("config", [ConfigDict(strict=True), ConfigDict()], ids=["strict", "lax"])
def test_a_model_is_asked_once_for_an_item_that_it_refuses(config: ConfigDict) -> None:
    asked = []

    class Counted(BaseModel):
        model_config = config
        data: dict[str, str]

        @field_validator("data")
        @classmethod
        def count(cls, value: Any) -> Any:
            asked.append(value)
            raise ValueError("never")

    assert isinstance(decoder_for(Counted).quick(POST[:17] + b"}}"), Invalid)
    assert len(asked) == 1


# The same for all that read JSON by themselves

READ_JSON = pytest.mark.parametrize("model", [StrictPost, StructPost, StrictPost.model_validate_json])


@READ_JSON
def test_lines_around_the_items_are_what_they_always_are(model: Any) -> None:
    decoder = decoder_for(model)
    assert isinstance(decoder(b""), Heartbeat)
    assert isinstance(decoder(b"{}\r"), Heartbeat)
    assert isinstance(decoder(b'{"errors":[]}'), StreamNotice)
    assert isinstance(decoder(b"[]"), Invalid)
    assert decoder(BOM + POST + b"\r") == decoder(POST)
    assert decoder.decode_tail(POST) == decoder(POST)
    assert isinstance(decoder.decode_tail(POST[:-1]), Truncated)


@READ_JSON
@pytest.mark.parametrize(
    "line", [POST[:-1], POST + b"}", POST[:-2] + b',"text":"caf\xe9"}}'], ids=["cut", "more", "latin"]
)
def test_what_is_no_json_is_no_item_and_the_reason_says_so(model: Any, line: bytes) -> None:
    decoder = decoder_for(model)
    with pytest.raises(ValueError, match=r".") as refusal:
        decoder.quick(line)
    assert type(refusal.value).__name__ == "JSONDecodeError"  # the driver then calls the decoder itself
    event = decoder(line)
    assert isinstance(event, Invalid)
    assert event.reason.startswith("not JSON")


@READ_JSON
@pytest.mark.parametrize("quick", [True, False], ids=["quick", "slow"])
def test_a_refusal_is_what_the_user_asked_for(model: Any, quick: bool) -> None:
    def refused(on_model_error: OnModelError) -> Any:
        decoder = decoder_for(model, on_model_error)
        return (decoder.quick if quick else decoder)(b'{"data":{"id":5}}')

    reported = refused("report")
    assert isinstance(reported, Invalid)
    assert reported.cause is not None
    assert refused("yield") == {"data": {"id": 5}}
    assert isinstance(refused("raise"), Rejected)


def test_a_struct_is_made_of_an_item() -> None:
    item = decoder_for(StructPost).quick(POST)
    assert item == StructPost(StructData("1", MADE))


# What cannot be a model


@pytest.mark.parametrize(
    ("model", "advice"),
    [
        (Old, r"Old is a model of pydantic\.v1\. Derive it from pydantic\.BaseModel"),
        (list[Old], r"pydantic\.v1"),
        (Old | None, r"pydantic\.v1"),
        (coroutine, "coroutine is a coroutine function"),
        (AsyncCaller(), "of type AsyncCaller is a coroutine function"),
        (lambda: None, "called with one line, as bytes, and does not accept it: too many positional"),
        (lambda line, more: None, "does not accept it: missing a required argument: 'more'"),
        (Anything, "Anything is nothing that pydantic can validate"),
        (Anything(), "of type Anything is nothing"),
        (types, "of type module is nothing"),
        (5, "of type int is nothing"),
        ("Post", "of type str is nothing"),
        ("not a name", "of type str is nothing"),
        ({"data": dict}, "of type dict is nothing"),
        (Lax(data=Lax.Data(created_at="")), "of type Lax is nothing"),
        (TypeAdapter(Anything, config=ConfigDict(arbitrary_types_allowed=True)), "only instances of a class"),
    ],
    ids=count(),
)
def test_what_cannot_be_a_model_is_refused_with_advice(model: Any, advice: str) -> None:
    with requests.Session() as session, pytest.raises(ValueError, match=advice):
        Stream(session, "get", "https://api.x.com/2/tweets/sample/stream", response_model=model)


def test_a_class_that_lacks_a_name_is_refused_until_it_is_whole() -> None:
    class Later(BaseModel):
        data: Missing  # type: ignore[name-defined]  # noqa: F821

    with pytest.raises(ValueError, match="Later is nothing that pydantic can validate"):
        decoder_for(Later)


@pytest.mark.parametrize(
    "function",
    [len, bytes.decode, Caller(), Lax.model_validate_json, msgspec.json.Decoder(StructPost).decode, print],
    ids=["built in", "method", "object", "class method", "bound", "no signature"],
)
def test_whatever_can_be_called_with_a_line_is_a_function(function: Callable[[bytes], Any]) -> None:
    assert decoder_for(function)(POST) == function(POST)
