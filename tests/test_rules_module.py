"""The rules of the filtered stream, through the library: the simulator's rules are those that are wanted."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import requests

from helpers.servers import Peer, head, served
from xdk_streaming import StreamError, StreamErrorType
from xdk_streaming.rules import Rule, RuleCount, Rules
from xdk_streaming.simulator import Simulator

TOKEN = "a-token-of-mine"


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    with Simulator(rules=(), rate=0, token=TOKEN, max_rules=20) as simulator:
        yield simulator


@pytest.fixture
def rules(simulator: Simulator, session: requests.Session) -> Rules:
    session.headers["Authorization"] = f"Bearer {TOKEN}"
    return Rules(session, simulator.url)


def known(simulator: Simulator) -> list[tuple[str, str | None]]:
    return [(rule.value, rule.tag) for rule in simulator.book.rules]


def test_rules_are_added_listed_counted_and_deleted(simulator: Simulator, rules: Rules) -> None:
    changes = rules.add([Rule("cat", "cats"), Rule("dog")])
    assert (
        [(rule.value, rule.tag) for rule in changes.added]
        == known(simulator)
        == [("cat", "cats"), ("dog", None)]
    )
    assert rules.list() == list(changes.added)
    assert rules.count() == RuleCount(2, 20)
    assert rules.delete([changes.added[0].id or ""]).deleted == 1
    assert known(simulator) == [("dog", None)]
    assert rules.delete_all().deleted == 1
    assert rules.list() == []


def test_a_rule_that_exists_is_refused_and_no_failure(rules: Rules) -> None:
    (cat,) = rules.add([Rule("cat")]).added
    changes = rules.add([Rule("cat"), Rule("(broken")])
    there, broken = changes.refused
    assert (there.value, there.exists_as) == ("cat", cat.id)
    assert changes.failed == (broken,)
    assert broken.reasons == ("A parenthesis is not closed (at position 1)",)


def test_synchronizing_adds_deletes_and_changes_tags_once(simulator: Simulator, rules: Rules) -> None:
    rules.add([Rule("cat", "old"), Rule("dog"), Rule("bird")])
    wanted = [Rule("cat", "new"), Rule("dog"), Rule("fish", "f")]
    plan = rules.plan(wanted)
    assert [rule.value for rule in plan.add] == ["fish"]
    assert [rule.value for rule in plan.delete] == ["bird"]
    assert [(old.tag, new.tag) for old, new in plan.retag] == [("old", "new")]
    assert [rule.value for rule in plan.keep] == ["dog"]
    changes = rules.sync(wanted)
    assert ([rule.value for rule in changes.added], changes.deleted) == (["fish", "cat"], 2)
    assert set(known(simulator)) == {("cat", "new"), ("dog", None), ("fish", "f")}
    asked = len(simulator.api_requests)
    assert rules.plan(wanted).is_empty
    assert rules.sync(wanted) == type(changes)()
    assert all(request.path.startswith("GET") for request in list(simulator.api_requests)[asked:])


def test_nothing_is_deleted_if_a_new_rule_is_refused(simulator: Simulator, rules: Rules) -> None:
    rules.add([Rule("cat")])
    changes = rules.sync([Rule("(broken")])
    assert len(changes.failed) == 1
    assert known(simulator) == [("cat", None)]


def test_more_rules_than_allowed_delete_nothing(simulator: Simulator, rules: Rules) -> None:
    rules.add(Rule(f"word{number}") for number in range(15))
    with pytest.raises(StreamError, match="RulesCapExceeded"):
        rules.sync([Rule(f"other{number}") for number in range(10)])
    assert len(simulator.book.rules) == 15


def test_one_value_with_two_tags_cannot_be_wanted(rules: Rules) -> None:
    with pytest.raises(ValueError, match="'cat' is wanted with two different tags"):
        rules.sync([Rule("cat", "a"), Rule("cat", "b")])


def test_nothing_to_do_asks_nothing(simulator: Simulator, rules: Rules) -> None:
    assert not rules.add([]).added
    assert not rules.delete([]).deleted
    assert not simulator.api_requests


def test_a_refused_token_is_an_error_that_does_not_show_it(
    simulator: Simulator, session: requests.Session
) -> None:
    session.headers["Authorization"] = "Bearer another-token"
    with pytest.raises(StreamError, match="refused the request with 401") as caught:
        Rules(session, simulator.url).list()
    assert caught.value.error_type is StreamErrorType.AUTHENTICATION_ERROR
    assert "another" not in str(caught.value)


def test_an_answer_that_echoes_the_token_does_not_show_it(session: requests.Session) -> None:
    def serve(peer: Peer) -> None:
        peer.request()
        body = f'{{"title":"{TOKEN}","type":"about:blank"}}'.encode()
        peer.send(head(f"Content-Length: {len(body)}", status="429 Too Many") + body)

    session.headers["Authorization"] = f"Bearer {TOKEN}"
    with served(serve) as url, pytest.raises(StreamError, match="ask less often") as caught:
        Rules(session, url).count()
    assert TOKEN not in str(caught.value)
    assert TOKEN not in (caught.value.response_body or "")


def test_a_server_that_is_not_x_is_an_error(session: requests.Session) -> None:
    def serve(peer: Peer) -> None:
        peer.request()
        peer.send(head("Content-Length: 2") + b"hi")

    with served(serve) as url, pytest.raises(StreamError, match="without a JSON object"):
        Rules(session, url).list()


def answering(content: str) -> Iterator[str]:
    """A server with this answer to everything; its URL."""

    def serve(peer: Peer) -> None:
        peer.request()
        peer.send(head(f"Content-Length: {len(content)}") + content.encode())

    with served(serve) as url:
        yield url


@pytest.mark.parametrize(
    ("content", "counted"),
    [
        ('{"data": 7}', RuleCount(None, None)),
        ('{"data": {"client_app_rules_count": [], "cap_per_client_app": "many"}}', RuleCount(None, None)),
        (
            '{"data": {"client_app_rules_count": {"rule_count": "3"}, "cap_per_client_app": 9}}',
            RuleCount(3, 9),
        ),
    ],
)
def test_a_count_that_makes_no_sense_is_unknown(
    session: requests.Session, content: str, counted: RuleCount
) -> None:
    for url in answering(content):
        assert Rules(session, url).count() == counted


def test_refusals_that_say_nothing_are_counted(session: requests.Session) -> None:
    content = '{"meta": {"summary": {"deleted": 1, "not_deleted": 2}}, "errors": [{"errors": [7]}, 8]}'
    for url in answering(content):
        changes = Rules(session, url).delete(["1", "2", "3"])
    assert (changes.deleted, len(changes.refused)) == (1, 2)
    assert changes.refused[0].reasons == ("X gives no reason",)
