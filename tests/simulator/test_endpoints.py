from __future__ import annotations

from typing import Any

import pytest

from xdk_streaming.parameters import names_of
from xdk_streaming.simulator.parameters import refuse_parameters
from xdk_streaming.x import ENDPOINTS, Endpoint, Kind

PARTITIONED = [endpoint for endpoint in ENDPOINTS.values() if endpoint.partitions]
POSTS = ENDPOINTS["/2/tweets/search/stream"]
SAMPLE10 = ENDPOINTS["/2/tweets/sample10/stream"]
POWERSTREAM = ENDPOINTS["/2/powerstream"]


def by_path(endpoint: Endpoint) -> str:
    return endpoint.path


def complaint(endpoint: Endpoint, **params: str) -> Any:
    """The only error in the body."""
    body = refuse_parameters(endpoint, params)
    assert body is not None
    (fault,) = body["errors"]
    return fault


def test_the_table_has_the_sixteen_streams_each_under_its_path() -> None:
    assert len(ENDPOINTS) == 16
    assert all(path == endpoint.path for path, endpoint in ENDPOINTS.items())
    assert {endpoint.kind for endpoint in ENDPOINTS.values()} == set(Kind)


def test_the_partitions_are_those_of_the_openapi_document() -> None:
    assert {endpoint.path: endpoint.partitions for endpoint in PARTITIONED} == {
        "/2/tweets/sample10/stream": 2,
        "/2/tweets/firehose/stream": 20,
        "/2/tweets/firehose/stream/lang/en": 8,
        "/2/tweets/firehose/stream/lang/ja": 2,
        "/2/tweets/firehose/stream/lang/ko": 2,
        "/2/tweets/firehose/stream/lang/pt": 2,
        "/2/likes/firehose/stream": 20,
        "/2/likes/sample10/stream": 2,
        "/2/tweets/compliance/stream": 4,
        "/2/users/compliance/stream": 4,
    }


def test_a_path_promises_a_language_exactly_where_it_names_one() -> None:
    for path, endpoint in ENDPOINTS.items():
        assert endpoint.language == (path.rpartition("/lang/")[2] if "/lang/" in path else None)


@pytest.mark.parametrize("endpoint", ENDPOINTS.values(), ids=by_path)
def test_every_partition_is_served_and_nothing_else_is_required(endpoint: Endpoint) -> None:
    for partition in range(1, endpoint.partitions + 1):
        assert refuse_parameters(endpoint, {"partition": str(partition)}) is None
    if not endpoint.partitions:
        assert refuse_parameters(endpoint, {}) is None


def test_a_missing_partition_is_refused_as_by_xs_emulator() -> None:
    assert refuse_parameters(SAMPLE10, {}) == {
        "errors": [
            {"parameters": {"partition": []}, "message": "The `partition` query parameter can not be empty"}
        ],
        "title": "Invalid Request",
        "detail": "One or more parameters to your request was invalid.",
        "type": "https://api.x.com/2/problems/invalid-request",
    }


@pytest.mark.parametrize("endpoint", PARTITIONED, ids=by_path)
def test_an_invalid_partition_is_refused_by_name_and_value(endpoint: Endpoint) -> None:
    beyond = str(endpoint.partitions + 1)
    fault = complaint(endpoint, partition=beyond)
    assert fault["parameters"] == {"partition": [beyond]}
    assert f"[{beyond}] is not between 1 and {endpoint.partitions}" in fault["message"]


@pytest.mark.parametrize("value", ["0", "-1", "1.0", "one", " 1", "1_0", "+1", "١", "9" * 5000])  # noqa: RUF001
def test_what_is_no_partition_number_is_refused(value: str) -> None:
    assert complaint(SAMPLE10, partition=value)["parameters"] == {"partition": [value]}


def test_an_empty_partition_counts_as_a_missing_one() -> None:
    assert complaint(SAMPLE10, partition="") == complaint(SAMPLE10)


def test_a_stream_without_partitions_does_not_know_one() -> None:
    assert complaint(POSTS, partition="1")["message"].startswith(
        "The query parameter [partition] is not one of"
    )


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"expnsions": "x"}, "The query parameter [expnsions] is not one of [backfill_minutes,"),
        (
            {"tweet.fields": "id,authorid"},
            "The `tweet.fields` query parameter value [authorid] is not",
        ),
        ({"expansions": "author"}, "The `expansions` query parameter value [author] is not one of"),
        ({"user.fields": ""}, "The `user.fields` query parameter can not be empty"),
    ],
)
def test_what_x_does_not_know_is_refused_by_name(params: dict[str, str], message: str) -> None:
    assert complaint(POSTS, **params)["message"].startswith(message)


@pytest.mark.parametrize("endpoint", ENDPOINTS.values(), ids=lambda endpoint: endpoint.path)
def test_all_that_x_documents_is_accepted(endpoint: Endpoint) -> None:
    params = {name: ",".join(names) for name, names in names_of(endpoint).items()}
    params[endpoint.backfill_parameter] = "1"
    if endpoint.partitions:
        params["partition"] = str(endpoint.partitions)
    assert refuse_parameters(endpoint, params) is None


@pytest.mark.parametrize("minutes", range(6))
def test_a_backfill_of_up_to_five_minutes_is_served(minutes: int) -> None:
    assert refuse_parameters(POSTS, {"backfill_minutes": str(minutes)}) is None


@pytest.mark.parametrize("value", ["6", "-1", "2.5", "5m", "five"])
def test_any_other_backfill_is_refused(value: str) -> None:
    fault = complaint(POSTS, backfill_minutes=value)
    assert fault["parameters"] == {"backfill_minutes": [value]}
    assert "is not between 0 and 5" in fault["message"]


def test_powerstream_has_its_own_name_for_the_backfill() -> None:
    assert complaint(POWERSTREAM, backfillMinutes="6")["parameters"] == {"backfillMinutes": ["6"]}
    assert refuse_parameters(POWERSTREAM, {"backfillMinutes": "5"}) is None


def test_all_invalid_parameters_are_reported_together() -> None:
    body = refuse_parameters(SAMPLE10, {"partition": "3", "backfill_minutes": "9"})
    assert body is not None
    assert [list(fault["parameters"]) for fault in body["errors"]] == [["partition"], ["backfill_minutes"]]
