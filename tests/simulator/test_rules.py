"""The rules of the simulated filtered stream: matching, refusals, and changes."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from urllib3.exceptions import ProtocolError

from helpers.clients import ask, asking, get, items, lines, read_to_the_end, wait_for
from xdk_streaming.simulator import Cut, End, Live, Script, Serve, Simulator
from xdk_streaming.simulator.account import account
from xdk_streaming.simulator.content.posts import Post
from xdk_streaming.simulator.rules.book import RuleBook
from xdk_streaming.simulator.rules.syntax import DEEPEST, RuleError, read
from xdk_streaming.simulator.rules.terms import Text
from xdk_streaming.x import MAX_RULE_LENGTH

pytestmark = pytest.mark.usefixtures("nothing_is_left", "no_thread_complains")

SEARCH = "/2/tweets/search/stream"
RULES = SEARCH + "/rules"
EVERYTHING = "from:anyone"
"""An operator that is not simulated, and so matches every post."""


def matches(rule: str, text: str) -> bool:
    return read(rule).matches(Text(text))


# What a rule means.


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        ("cat", "A CAT, asleep"),
        ("CAT", "a cat"),
        ("cat dog", "dogs? no: a dog and a cat"),
        ("cola", "I like coca-cola"),
        ("coca-cola", "Coca Cola!"),
        ('"last train"', "the last train, again"),
        ('"last train"', "the last\u2028train"),
        ("cat OR dog", "a dog"),
        ("cat dog OR bird", "a bird"),
        ("bird OR cat dog", "a bird"),
        ("(cat OR dog) asleep", "a dog asleep"),
        ("cat -dog", "a cat"),
        ("cat -(dog OR bird)", "a cat"),
        ("cat -(dog bird)", "a cat and a dog"),
        ('cat -"last train"', "cat, train, last"),
        ("#RainyDay", "wet #rainyday"),
        ("rainyday", "wet #rainyday"),
        ("@someone", "hello @SomeOne!"),
        ("$TSLA", "up: $tsla"),
        ("猫", "今日は猫がいる"),
        ("さくら", "これはさくらです"),
        ("ñandú", "un N\u0303andu\u0301"),
        ("İstanbul", "İSTANBUL"),
        ("चाय", "आज सुबह की चाय के साथ"),
        ('"or"', "this or that"),
        ("cat lang:en", "un cat"),
        ("cat -is:retweet", "a cat"),
        ("from:someone", "anything"),
        ('entity:"San Francisco"', "anything"),
    ],
)
def test_a_post_that_has_what_a_rule_seeks_matches(rule: str, text: str) -> None:
    assert matches(rule, text)


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        ("cat", "concatenate, cats"),
        ("cat dog", "a cat"),
        ('"last train"', "the train comes last"),
        ('"last train"', "at last trains"),
        ("(cat OR dog) asleep", "a dog"),
        ("cat OR dog asleep", "a dog"),
        ("cat -dog", "a cat, a dog"),
        ("cat -(dog OR bird)", "a cat, a bird"),
        ("#cat", "a cat"),
        ("@cat", "a #cat"),
        ("cafe", "un café"),
        ("cat lang:en", "a dog"),
    ],
)
def test_a_post_without_the_term_does_not_match(rule: str, text: str) -> None:
    assert not matches(rule, text)


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ("", "must not be empty"),
        (" \t ", "must not be empty"),
        ("(cat", "A parenthesis is not closed (at position 1)"),
        ("cat)", "closed that was not opened (at position 4)"),
        ("cat ()", "missing (at position 6)"),
        ('cat "last', "A quotation mark is not closed (at position 5)"),
        ('""', "'' has no letter and no digit"),
        ("!!!", "'!!!' has no letter and no digit"),
        ("#", "'#' has no letter and no digit"),
        ("cat OR", "missing (at position 7)"),
        ("OR cat", "missing (at position 1)"),
        ("cat OR OR dog", "missing (at position 8)"),
        ("cat AND dog", "Ambiguous use of AND as a keyword"),
        ("cat or dog", "Ambiguous use of or as a keyword"),
        ("-cat", "Rules must contain a non-negation term"),
        ("-cat -dog", "Rules must contain a non-negation term"),
        ("-(cat OR dog)", "Rules must contain a non-negation term"),
        ("--cat", "A negation has nothing to negate (at position 1)"),
        ("cat -)", "A negation has nothing to negate (at position 5)"),
        ("cat from:", "The operator from: has no value (at position 5)"),
        ('cat from:""', "The operator from: has no value (at position 5)"),
        ("has:media", "at least one positive clause that can stand alone"),
        ("has:links OR is:retweet", "at least one positive clause that can stand alone"),
        ("(" * 500 + "cat" + ")" * 500, f"More than {DEEPEST} parentheses are open"),
    ],
)
def test_an_invalid_rule_is_refused_with_the_reason(rule: str, said: str) -> None:
    with pytest.raises(RuleError) as refusal:
        read(rule)
    assert said in str(refusal.value)


@given(st.text('ab "()-OR:#@_あ\n', max_size=30) | st.text(max_size=30))
def test_any_text_is_a_rule_or_refused(rule: str) -> None:
    with suppress(RuleError):
        assert read(rule).matches(Text(rule.upper())) in {True, False}


def test_a_hundred_rules_keep_up_with_five_hundred_posts_a_second() -> None:
    book = RuleBook()
    book.add({"value": f'word{n} OR "some phrase{n}" -dog{n}'} for n in range(100))
    texts = [Post(0, number, 1.7e9).composition.text for number in range(500)]
    began = time.thread_time()
    assert not any(book.matching(text) for text in texts)
    assert time.thread_time() - began < 1.0  # some 0.05 where it was measured, and five times with 500 rules


# The book.


def test_each_rule_of_a_list_is_judged_by_itself() -> None:
    book = RuleBook()
    _, before = book.add([{"value": "cat"}])
    status, answer = book.add([{"value": "cat"}, {"value": "(dog"}, {"value": " bird ", "tag": "b"}])
    assert status == 201
    ((added,), (duplicate, invalid)) = answer["data"], answer["errors"]
    assert (added["value"], added["tag"]) == ("bird", "b")
    assert (duplicate["title"], duplicate["id"]) == ("DuplicateRule", before["data"][0]["id"])
    assert (invalid["title"], invalid["value"]) == ("UnprocessableEntity", "(dog")
    assert answer["meta"]["summary"] == {"created": 1, "not_created": 2, "valid": 1, "invalid": 2}
    assert [rule.value for rule in book.rules] == ["cat", "bird"]


def test_a_rule_may_have_so_many_characters_and_no_more() -> None:
    assert RuleBook().add([{"value": "a" * MAX_RULE_LENGTH}])[0] == 201
    status, answer = RuleBook().add([{"value": "a" * (MAX_RULE_LENGTH + 1)}])
    assert status == 400
    assert "1025" in answer["errors"][0]["details"][0]


def test_more_rules_than_there_may_be_are_refused_together() -> None:
    book = RuleBook(most=2)
    book.add([{"value": "one"}])
    status, answer = book.add([{"value": "two"}, {"value": "three"}])
    assert (status, answer["title"]) == (422, "RulesCapExceeded")
    assert [rule.value for rule in book.rules] == ["one"]


# Over HTTP.


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    with Simulator(rules=(), rate=200, heartbeat=0.05) as simulator:
        yield simulator


def add(simulator: Simulator, *values: str, **params: str) -> list[str]:
    """Add the rules. Returns their ids."""
    body = {"add": [{"value": value, "tag": f"tag of {value}"} for value in values]}
    status, answer = ask(simulator, "POST", RULES, body, **params)
    assert status == 201, answer
    return [rule["id"] for rule in answer["data"]]


def test_without_a_rule_the_filtered_stream_is_refused_as_x_does(simulator: Simulator) -> None:
    with get(simulator, SEARCH) as response:
        assert response.status_code == 409
        assert response.json()["connection_issue"] == "RuleConfigurationIssue"
    with get(simulator) as response:
        assert response.status_code == 200  # the sample has no rules


def test_only_matching_posts_are_sent_with_their_rules(simulator: Simulator) -> None:
    the, train = add(simulator, "the", '"last train"')
    with get(simulator, SEARCH) as response:
        posts = list(islice(items(response), 30))
    seen = set()
    for post in posts:
        text = post["data"]["text"].lower()
        expected = [("the", the, "the"), ("last train", train, '"last train"')]
        assert post["matching_rules"] == [
            {"id": id, "tag": f"tag of {value}"} for phrase, id, value in expected if phrase in text
        ]
        seen |= {rule["id"] for rule in post["matching_rules"]}
    assert seen == {the, train}


def test_rule_changes_apply_immediately(
    simulator: Simulator,
) -> None:
    (first,) = add(simulator, EVERYTHING)
    with get(simulator, SEARCH) as response:
        received = lines(response)
        next(line for line in received if line.strip())
        (second,) = add(simulator, "from:another")
        both = next(line for line in received if second.encode() in line)
        assert [rule["id"] for rule in json.loads(both)["matching_rules"]] == [first, second]
        assert ask(simulator, "POST", RULES, {}, delete_all="true")[0] == 200
        quiet = 0
        for line in received:
            quiet = 0 if line.strip() else quiet + 1
            if quiet == 3:
                break


def test_a_dry_run_says_what_would_be_and_changes_nothing(simulator: Simulator) -> None:
    add(simulator, "cat", dry_run="true")
    assert ask(simulator, "GET", RULES)[1]["meta"]["result_count"] == 0
    (cat,) = add(simulator, "cat")
    status, answer = ask(simulator, "POST", RULES, {"delete": {"ids": [cat]}}, dry_run="True")
    assert (status, answer["meta"]["summary"]) == (200, {"deleted": 1, "not_deleted": 0})
    assert [rule["id"] for rule in ask(simulator, "GET", RULES)[1]["data"]] == [cat]


def test_rules_are_listed_a_page_at_a_time_or_by_their_ids(simulator: Simulator) -> None:
    ids = add(simulator, *(f"word{number}" for number in range(5)))
    status, page = ask(simulator, "GET", RULES, max_results="3")
    assert (status, [rule["id"] for rule in page["data"]]) == (200, ids[:3])
    _, rest = ask(simulator, "GET", RULES, max_results="3", pagination_token=page["meta"]["next_token"])
    assert [rule["value"] for rule in rest["data"]] == ["word3", "word4"]
    assert "next_token" not in rest["meta"]
    assert [rule["id"] for rule in ask(simulator, "GET", RULES, ids=f"{ids[4]},{ids[1]}")[1]["data"]] == [
        ids[1],
        ids[4],
    ]
    assert ask(simulator, "GET", RULES + "/counts")[1]["data"]["project_rules_count"] == "5"


def test_rules_are_deleted_by_id_by_value_or_all(simulator: Simulator) -> None:
    one, *_ = add(simulator, "one", "two", "three", "four")
    for body in ({"ids": [one]}, {"values": ["two"]}):
        status, answer = ask(simulator, "POST", RULES, {"delete": body})
        assert (status, answer["meta"]["summary"]) == (200, {"deleted": 1, "not_deleted": 0})
    status, answer = ask(simulator, "POST", RULES, {"delete": {"ids": [one]}})
    assert (status, answer["meta"]["summary"]) == (400, {"deleted": 0, "not_deleted": 1})
    assert answer["errors"][0]["errors"][0]["message"] == "Rule does not exist"
    status, answer = ask(simulator, "POST", RULES, {}, delete_all="true")
    assert (status, answer["meta"]["summary"]["deleted"]) == (200, 2)


@pytest.mark.parametrize(
    ("params", "body"),
    [
        ({}, {}),
        ({}, []),
        ({}, {"add": []}),
        ({}, {"add": "cat"}),
        ({}, {"add": ["cat"]}),
        ({}, {"add": [{"tag": "no value"}]}),
        ({}, {"add": [{"value": 1}]}),
        ({}, {"add": [{"value": "cat", "colour": "red"}]}),
        ({}, {"add": [{"value": "cat"}], "delete": {"ids": ["1"]}}),
        ({}, {"delete": {}}),
        ({}, {"delete": {"ids": []}}),
        ({}, {"delete": {"ids": [1]}}),
        ({"delete_all": "true"}, {"add": [{"value": "cat"}]}),
        ({"dry_run": "perhaps"}, {"add": [{"value": "cat"}]}),
    ],
)
def test_a_request_that_x_could_not_understand_is_a_400(
    simulator: Simulator, params: dict[str, str], body: Any
) -> None:
    status, answer = ask(simulator, "POST", RULES, body, **params)
    assert (status, answer["title"]) == (400, "Invalid Request")
    assert answer["errors"][0]["message"]
    assert not simulator.book.rules


@pytest.mark.parametrize("params", [{"max_results": "0"}, {"max_results": "many"}, {"pagination_token": "x"}])
def test_a_page_that_cannot_be_is_a_400(simulator: Simulator, params: dict[str, str]) -> None:
    status, answer = ask(simulator, "GET", RULES, **params)
    assert (status, list(answer["errors"][0]["parameters"])) == (400, list(params))


def test_the_rules_want_a_token_and_other_paths_are_not_there() -> None:
    with Simulator(token="right") as simulator:
        assert ask(simulator, "GET", RULES)[0] == 401
        assert not simulator.requests  # only requests for streams are listed here
        assert [call.path for call in simulator.api_requests] == [f"GET {RULES}"]
    with Simulator() as simulator:
        assert ask(simulator, "POST", "/2/tweets", {})[0] == 404
        assert ask(simulator, "DELETE", RULES)[0] == 404


# As a library.


def test_without_a_rules_argument_every_post_is_sent() -> None:
    with Simulator(rate=200) as simulator:
        with get(simulator, SEARCH) as response:
            for post in islice(items(response), 20):
                assert post["matching_rules"]
            assert not simulator.unmatched
            (the,) = add(simulator, "the")
            ruled = (post for post in items(response) if post["matching_rules"][0]["id"] == the)
            assert " the " in f" {next(ruled)['data']['text'].lower()} "
        wait_for(lambda: len(simulator.unmatched) > 0)


def test_first_rules_can_be_given_and_invalid_ones_are_refused() -> None:
    with Simulator(rules=["the", ("from:x", "everything")], then=(Serve(3), End())) as simulator:
        with get(simulator, SEARCH) as response:
            tags = [rule.get("tag") for post in items(response) for rule in post["matching_rules"]]
        assert tags.count("everything") == 3
    with pytest.raises(ValueError, match=r"rules has '\(the': A parenthesis is not closed"):
        Simulator(rules=["(the"])
    with pytest.raises(ValueError, match="exceed its maximum number of rules"):
        Simulator(rules=["one", "two"], max_rules=1)
    with pytest.raises(ValueError, match="most_rules is 0"):
        Simulator(max_rules=0)


def test_what_matched_no_rule_is_accounted_for() -> None:
    script: list[Script] = [(Live(0.4), Cut()), (Live(0.4), End())]
    with Simulator(script=script, rules=["the OR la"], rate=300) as simulator:
        received = []
        for _ in script:
            with get(simulator, SEARCH) as response, suppress(ProtocolError):
                for item in items(response):
                    received.append(item["data"]["id"])
        result = account(simulator, received, time.time())
    assert result.objections == []
    assert result.missing["matched no rule"] > 100
    assert received


def test_random_faults_hit_only_matching_posts() -> None:
    with Simulator(script=[(Cut(),)], rules=["the"], random_faults=1.0, rate=500) as simulator:
        with asking(simulator, SEARCH) as connection:
            read_to_the_end(connection)
        for _ in range(3):
            with get(simulator, SEARCH) as response:
                assert next(items(response))["matching_rules"]
    assert simulator.unmatched
    assert [entry.whole for entry in simulator.log if not entry.request] == [False]
    for request in range(1, 4):
        assert sum(entry.request == request and entry.whole for entry in simulator.log) == 1
