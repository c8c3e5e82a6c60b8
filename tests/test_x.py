"""What X publishes, as x.py has it; and the simulator serves all of it, and nothing else."""

from __future__ import annotations

from collections.abc import Collection

import pytest
import requests

from xdk_streaming import x
from xdk_streaming.simulator import Simulator
from xdk_streaming.simulator.content import attachments, events, expansions, posts, users

SAMPLE = x.ENDPOINTS["/2/tweets/sample/stream"]
POWERSTREAM = x.ENDPOINTS["/2/powerstream"]


@pytest.mark.parametrize("endpoint", x.ENDPOINTS.values(), ids=lambda endpoint: endpoint.path)
def test_an_endpoint_is_found_at_its_path_and_at_any_url_of_it(endpoint: x.Endpoint) -> None:
    for before in ("", x.BASE_URL, "http://127.0.0.1:8080", "https://proxy.example/to/x"):
        for after in ("", "?partition=1&url=/2/tweets/sample/stream", "#/2/powerstream"):
            assert x.endpoint_at(before + endpoint.path + after) is endpoint


@pytest.mark.parametrize(
    "url",
    [
        "",
        "https://api.x.com",
        "https://api.x.com/2/tweets/search/stream/rules",
        "https://api.x.com/?next=/2/powerstream",
        "https://[/2/tweets",
    ],
)
def test_elsewhere_there_is_none(url: str) -> None:
    assert x.endpoint_at(url) is None
    assert x.recovery_parameters(url) == ("start_time", "end_time")


def test_powerstream_has_its_own_names_for_recovery_and_backfill() -> None:
    assert x.recovery_parameters(x.BASE_URL + POWERSTREAM.path) == ("startTime", "endTime")
    assert x.recovery_parameters(x.BASE_URL + SAMPLE.path) == ("start_time", "end_time")
    assert (SAMPLE.backfill_parameter, POWERSTREAM.backfill_parameter) == x.BACKFILL_PARAMETERS


def test_an_id_tells_when_its_post_was_published() -> None:
    at = 1_750_000_000.25
    key = (int(at * 1000) - x.SNOWFLAKE_EPOCH) << 22 | 5
    assert x.published(key) == x.published(str(key)) == at


@pytest.mark.parametrize("key", [None, "", "1" * 14, 12_000_000, "a" * 18, "\u0661" * 18, ("1" * 18,)])
def test_what_is_no_such_id_tells_nothing(key: object) -> None:
    assert x.published(key) is None


@pytest.mark.parametrize(
    ("published", "made"),
    [
        (x.POST_FIELDS, posts.POST_MAKERS),
        (x.USER_FIELDS, users.USER_MAKERS),
        (x.MEDIA_FIELDS, attachments.MEDIA_MAKERS),
        (x.POLL_FIELDS, attachments.POLL_MAKERS),
        (x.PLACE_FIELDS, attachments.PLACE_MAKERS),
        ((*x.LIKE_FIELDS, x.LIKE_AUTHOR), events.LIKE_MAKERS),
        (x.EXPANSIONS, expansions.EXPANDERS),
        (x.LIKE_EXPANSIONS, events.LIKE_EXPANDERS),
    ],
)
def test_the_simulator_makes_the_fields_that_x_has_and_no_others(
    published: Collection[str], made: Collection[str]
) -> None:
    assert len(set(published)) == len(published)
    assert set(made) == set(published)


def test_private_fields_are_fields() -> None:
    assert {*x.POST_FIELDS, *x.USER_FIELDS, *x.MEDIA_FIELDS} >= x.PRIVATE_FIELDS


@pytest.mark.parametrize("endpoint", x.ENDPOINTS.values(), ids=lambda endpoint: endpoint.path)
def test_the_simulator_serves_each_endpoint_and_each_of_its_partitions(endpoint: x.Endpoint) -> None:
    with Simulator(rate=1_000) as simulator, requests.Session() as session:
        session.headers["Authorization"] = "Bearer any"
        slices = [{"partition": str(number + 1)} for number in range(endpoint.partitions)] or [{}]
        for params in slices:
            with session.get(simulator.url + endpoint.path, params=params, stream=True) as answer:
                assert answer.status_code == 200
                assert next(answer.iter_lines())
        beyond = {"partition": str(endpoint.partitions + 1)}
        if endpoint.partitions:
            assert session.get(simulator.url + endpoint.path, params=beyond).status_code == 400


def test_the_simulator_serves_rules_and_connections() -> None:
    with Simulator() as simulator, requests.Session() as session:
        session.headers["Authorization"] = "Bearer any"
        for path in (x.RULES, x.RULE_COUNTS, x.CONNECTIONS):
            assert session.get(simulator.url + path).status_code == 200
        for name in x.CONNECTION_NAMES:
            assert session.delete(f"{simulator.url}{x.CONNECTIONS}/{name}").status_code == 200
        for name in x.NAMELESS:
            assert session.delete(f"{simulator.url}{x.CONNECTIONS}/{name}").status_code == 400


@pytest.mark.parametrize(
    ("url", "names"),
    [
        ("https://api.x.com/2/powerstream", ("startTime", "endTime")),
        ("https://api.x.com/2/powerstream/", ("startTime", "endTime")),
        ("https://proxy.example/powerstream?x=1", ("startTime", "endTime")),
        ("https://api.x.com/2/tweets/sample10/stream", ("start_time", "end_time")),
        ("https://proxy.example/tweets/sample10/stream/", ("start_time", "end_time")),
        ("https://elsewhere.example/stream", ("start_time", "end_time")),
    ],
)
def test_start_and_end_are_called_as_the_endpoint_calls_them(url: str, names: tuple[str, str]) -> None:
    assert x.recovery_parameters(url) == names
