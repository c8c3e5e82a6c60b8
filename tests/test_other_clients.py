"""The simulator is an X for others, too: tweepy, the official SDK and curl, as they are."""

from __future__ import annotations

import importlib
import json
import subprocess
import threading
from collections.abc import Iterator
from contextlib import closing
from itertools import islice
from typing import Any

import pytest
import requests
from requests.adapters import HTTPAdapter

from helpers.clients import GUARD, wait_for
from xdk_streaming.simulator import Simulator

pytestmark = [pytest.mark.thorough, pytest.mark.usefixtures("nothing_is_left")]


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    with Simulator(rules=(), rate=200, token="a-token") as simulator:
        yield simulator


# tweepy


class Elsewhere(HTTPAdapter):
    """Takes requests to the simulator: tweepy has X's address built in, and no setting for it."""

    HOST = "https://api.twitter.com"

    def __init__(self, url: str) -> None:
        self._url = url
        super().__init__()

    def send(self, request: requests.PreparedRequest, *rest: Any, **more: Any) -> requests.Response:
        assert request.url is not None
        request.url = request.url.replace(self.HOST, self._url)
        return super().send(request, *rest, **more)


@pytest.fixture
def tweepy() -> Any:
    return importlib.import_module("tweepy")  # it has no types


@pytest.fixture
def streaming(tweepy: Any, simulator: Simulator) -> Iterator[Any]:
    """A `tweepy.StreamingClient` that disconnects after three responses."""

    class Client(tweepy.StreamingClient):  # type: ignore[misc]  # it has no types
        seen: list[Any]

        def on_response(self, response: Any) -> None:
            self.seen.append(response)
            if len(self.seen) == 3:
                self.disconnect()

    client = Client("a-token", max_retries=0)
    client.seen = []
    client.session.trust_env = False
    client.session.mount(Elsewhere.HOST, Elsewhere(simulator.url))
    with client.session:
        yield client


def test_tweepy_adds_lists_tries_and_deletes_rules(tweepy: Any, streaming: Any) -> None:
    added = streaming.add_rules([tweepy.StreamRule("the", tag="T"), tweepy.StreamRule("la")])
    assert [(rule.value, rule.tag) for rule in added.data] == [("the", "T"), ("la", None)]
    assert added.meta["summary"]["created"] == 2
    tried = streaming.add_rules(tweepy.StreamRule("other"), dry_run=True)
    assert tried.meta["summary"]["valid"] == 1
    assert [rule.value for rule in streaming.get_rules().data] == ["the", "la"]
    assert streaming.add_rules(tweepy.StreamRule("the")).errors[0]["title"] == "DuplicateRule"
    deleted = streaming.delete_rules([rule.id for rule in added.data])
    assert deleted.meta["summary"]["deleted"] == 2
    assert streaming.get_rules().data is None


def test_a_rule_that_is_none_is_a_bad_request_to_tweepy(tweepy: Any, streaming: Any) -> None:
    with pytest.raises(tweepy.BadRequest):
        streaming.add_rules(tweepy.StreamRule("(the"))


def test_tweepy_streams_what_its_rules_match(tweepy: Any, streaming: Any) -> None:
    streaming.add_rules(tweepy.StreamRule("the", tag="T"))
    streaming.filter(tweet_fields=["lang"], expansions=["author_id"])
    assert len(streaming.seen) == 3
    for response in streaming.seen:
        assert "the" in response.data.text.lower().split()
        assert response.data.lang == "en"
        assert [rule.tag for rule in response.matching_rules] == ["T"]
        assert response.includes["users"]


def test_tweepy_samples_on_a_thread_of_its_own(streaming: Any) -> None:
    thread = streaming.sample(threaded=True)
    thread.join(GUARD)
    assert len({response.data.id for response in streaming.seen}) == 3


# xdk


@pytest.fixture
def client(simulator: Simulator) -> Iterator[Any]:
    client = importlib.import_module("xdk").Client(base_url=simulator.url, bearer_token="a-token")
    client.session.trust_env = False
    with client.session:
        yield client


def update(client: Any, body: dict[str, Any], **more: Any) -> Any:
    stream = importlib.import_module("xdk.stream.models")
    return client.stream.update_rules(stream.UpdateRulesRequest.model_validate(body), **more)


def test_xdk_changes_lists_and_counts_rules(client: Any) -> None:
    rules = [{"value": f"word{number}", "tag": "T"} for number in range(5)]
    assert update(client, {"add": rules}, dry_run=True).meta.summary["created"] == 5
    added = update(client, {"add": rules}).data
    assert [rule.value for rule in added] == [rule["value"] for rule in rules]
    pages = [page.data for page in client.stream.get_rules(max_results=2)]
    assert [len(page) for page in pages] == [2, 2, 1]
    assert [rule.id for page in pages for rule in page] == [rule.id for rule in added]
    assert client.stream.get_rule_counts().data.project_rules_count == "5"
    assert update(client, {"delete": {"ids": [added[0].id]}}).meta.summary["deleted"] == 1
    assert update(client, {}, delete_all=True).meta.summary["deleted"] == 4


def test_xdk_streams_what_its_rules_match(client: Any) -> None:
    update(client, {"add": [{"value": "the", "tag": "T"}]})
    with closing(client.stream.posts()) as posts:
        for post in islice(posts, 3):
            assert "the" in post.data.text.lower().split()
            assert [rule.tag for rule in post.matching_rules] == ["T"]


def test_xdk_lists_connections_and_ends_them(client: Any, simulator: Simulator) -> None:
    with closing(client.stream.posts_sample()) as posts:
        next(posts)
        (page,) = client.connections.get_connection_history()
        ((one,), meta) = page.data, page.meta
        assert (one.endpoint_name, meta.result_count) == ("sample_stream", 1)
        models = importlib.import_module("xdk.connections.models")
        body = models.DeleteByUuidsRequest(uuids=[one.id])
        assert client.connections.delete_by_uuids(body).data.successful_kills == 1
    assert client.connections.delete_by_endpoint("sample_stream").data.results == []
    assert client.connections.delete_all().data.failed_kills == 0
    wait_for(lambda: not simulator.slots.holders())


# curl


def curl(simulator: Simulator, path: str, *more: str) -> Any:
    command = ["curl", "-sS", "--noproxy", "*", "-H", "Authorization: Bearer a-token", simulator.url + path]
    done = subprocess.run([*command, *more], capture_output=True, text=True, timeout=GUARD, check=True)
    return json.loads(done.stdout)


def test_curl_posts_a_rule_and_streams_what_it_matches(simulator: Simulator) -> None:
    path = "/2/tweets/search/stream"
    assert curl(simulator, path)["connection_issue"] == "RuleConfigurationIssue"
    body = json.dumps({"add": [{"value": '"the last train"', "tag": "T"}]})
    added = curl(simulator, path + "/rules", "-H", "Content-Type: application/json", "-d", body)
    command = ["curl", "-sSN", "--noproxy", "*", "--oauth2-bearer", "a-token", simulator.url + path]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, encoding="utf-8") as program:
        assert program.stdout is not None
        guard = threading.Timer(GUARD, program.kill)
        guard.start()
        posts = [json.loads(line) for line in islice(program.stdout, 3)]
        guard.cancel()
        guard.join()
        program.kill()
    assert all("the last train" in " ".join(post["data"]["text"].lower().split()) for post in posts)
    assert [post["matching_rules"] for post in posts] == [[{"id": added["data"][0]["id"], "tag": "T"}]] * 3


def test_curl_lists_a_connection_and_ends_it(simulator: Simulator) -> None:
    command = ["curl", "-sSN", "--noproxy", "*", "--oauth2-bearer", "a-token"]
    with subprocess.Popen(
        [*command, simulator.url + "/2/tweets/sample/stream"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as program:
        assert program.stdout is not None
        assert program.stdout.readline()
        (one,) = curl(simulator, "/2/connections")["data"]
        assert curl(simulator, "/2/connections/all", "-X", "DELETE")["data"]["results"] == [
            {"uuid": one["id"], "success": True}
        ]
        program.stdout.read()
        assert program.wait(GUARD) == 0  # the body ended cleanly
