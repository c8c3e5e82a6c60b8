"""The simulator held against X's OpenAPI document, whose contract was typed here by hand."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from helpers.clients import get
from xdk_streaming.parameters import names_of, parameters_of
from xdk_streaming.simulator import End, Serve, Simulator
from xdk_streaming.x import ENDPOINTS

POSTS = {"tweet.fields", "expansions", "media.fields", "poll.fields", "user.fields", "place.fields"}
LIKES = {"like_with_tweet_author.fields", "expansions", "user.fields", "tweet.fields", "media.fields"}
RANGE = {"start_time", "end_time"}

CONTRACT: dict[str, tuple[int, set[str]]] = {
    "/2/tweets/search/stream": (0, POSTS | RANGE),
    "/2/tweets/sample/stream": (0, POSTS),
    "/2/tweets/sample10/stream": (2, POSTS | RANGE),
    "/2/tweets/firehose/stream": (20, POSTS | RANGE),
    "/2/tweets/firehose/stream/lang/en": (8, POSTS | RANGE),
    "/2/tweets/firehose/stream/lang/ja": (2, POSTS | RANGE),
    "/2/tweets/firehose/stream/lang/ko": (2, POSTS | RANGE),
    "/2/tweets/firehose/stream/lang/pt": (2, POSTS | RANGE),
    "/2/likes/firehose/stream": (20, LIKES | RANGE),
    "/2/likes/sample10/stream": (2, LIKES | RANGE),
    "/2/tweets/compliance/stream": (4, RANGE),
    "/2/users/compliance/stream": (4, RANGE),
    "/2/likes/compliance/stream": (0, RANGE),
    "/2/tweets/label/stream": (0, RANGE),
    "/2/activity/stream": (0, RANGE),
}
"""Of each stream: its partitions, and its parameters beside `partition` and `backfill_minutes`."""
COUNTS = {
    "tweet.fields": 34,
    "expansions": 14,
    "media.fields": 13,
    "poll.fields": 5,
    "user.fields": 26,
    "place.fields": 8,
}
"""How many names each of these parameters takes."""


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with Simulator(then=(Serve(1), End()), rate=0, rules=("the OR a OR la OR は",)) as simulator:
        yield simulator


def asked(simulator: Simulator, path: str, **params: str) -> tuple[int, dict[str, str], bytes]:
    partition = {"partition": "1"} if CONTRACT[path][0] else {}
    with get(simulator, path, **{**partition, **params}) as response:
        return response.status_code, dict(response.headers), response.content


def test_the_streams_are_those_of_the_document_and_powerstream() -> None:
    assert set(CONTRACT) | {"/2/powerstream"} == set(ENDPOINTS)


@pytest.mark.parametrize("path", CONTRACT)
def test_a_stream_takes_exactly_the_parameters_of_the_document(path: str) -> None:
    partitions, own = CONTRACT[path]
    partition = {"partition"} if partitions else set()
    assert parameters_of(ENDPOINTS[path]) == own | partition | {"backfill_minutes"}
    assert ENDPOINTS[path].partitions == partitions


@pytest.mark.parametrize("path", CONTRACT)
def test_a_stream_answers_with_200_and_json_lines(simulator: Simulator, path: str) -> None:
    status, headers, body = asked(simulator, path)
    assert status == 200
    assert headers["Content-Type"].startswith("application/json")
    assert {"x-rate-limit-limit", "x-rate-limit-remaining", "x-rate-limit-reset"} <= set(headers)
    assert all(isinstance(json.loads(line), dict) for line in body.split(b"\r\n") if line)


@pytest.mark.parametrize("path", CONTRACT)
@pytest.mark.parametrize("params", [{"unknown": "1"}, {"backfill_minutes": "6"}, {"partition": "21"}])
def test_what_the_document_does_not_allow_is_a_400_with_a_problem(
    simulator: Simulator, path: str, params: dict[str, str]
) -> None:
    status, headers, body = asked(simulator, path, **params)
    assert status == 400
    assert headers["Content-Type"] == "application/problem+json"
    problem = json.loads(body)
    assert problem["type"].endswith("/2/problems/invalid-request")
    ((name, value),) = params.items()
    assert problem["errors"][0]["parameters"] == {name: [value]}


@pytest.mark.parametrize("path", [path for path, (partitions, _) in CONTRACT.items() if partitions])
def test_a_partition_is_required(simulator: Simulator, path: str) -> None:
    with get(simulator, path) as response:
        assert response.status_code == 400
        assert response.json()["errors"][0]["parameters"] == {"partition": []}


def test_the_fields_are_as_many_as_in_the_document() -> None:
    names = names_of(ENDPOINTS["/2/tweets/search/stream"])
    assert {name: len(known) for name, known in names.items()} == COUNTS
