"""The content, checked against X's own SDK: its client defines the parameters, its models the items."""

from __future__ import annotations

import importlib
import inspect
import json
import unicodedata
from collections.abc import Iterator
from functools import cache
from types import SimpleNamespace
from typing import Any, Literal, get_args, get_type_hints
from unittest import mock

import orjson
import pytest

from xdk_streaming.simulator.content.items import item_id, make_item, snowflake
from xdk_streaming.x import ENDPOINTS, Endpoint, Kind

AT = 1_750_000_000.5
FILTERED = ENDPOINTS["/2/tweets/search/stream"]
SAMPLE = ENDPOINTS["/2/tweets/sample/stream"]
LIKES = ENDPOINTS["/2/likes/firehose/stream"]
ACTIVITY = ENDPOINTS["/2/activity/stream"]
POWERSTREAM = ENDPOINTS["/2/powerstream"]

# Not by an import statement: the SDK is untyped.
client: Any = importlib.import_module("xdk.stream.client")
schemas: Any = importlib.import_module("xdk.schemas")


def real_methods() -> Iterator[tuple[str, Any, dict[str, tuple[str, ...]]]]:
    """For each streaming method of xdk: the path, the response model, and the names that can be requested."""
    stream = client.StreamClient(
        SimpleNamespace(base_url="", bearer_token="t", session=SimpleNamespace(headers={}))
    )
    for _, method in inspect.getmembers(stream, inspect.ismethod):
        signature = inspect.signature(method)
        if "stream_config" not in signature.parameters:
            continue
        hints = get_type_hints(method, localns={"Literal": Literal})  # xdk writes it without importing it
        names = {
            parameter.replace("_fields", ".fields"): get_args(get_args(get_args(hints[parameter])[0])[0])
            for parameter in signature.parameters
            if parameter.endswith("_fields") or parameter == "expansions"
        }
        required = {"partition": 1} if "partition" in signature.parameters else {}
        with mock.patch.object(client, "stream_with_retry", return_value=()) as called:
            assert list(method(**required)) == []
        yield called.call_args.kwargs["url"], called.call_args.kwargs["response_model"], names


METHODS = {path: (model, names) for path, model, names in real_methods()}
PATHS = sorted(METHODS)
POST_PATHS = [path for path in PATHS if ENDPOINTS[path].kind in (Kind.POST, Kind.RULED_POST)]
NAMES = METHODS[FILTERED.path][1]
LIKE_NAMES = METHODS[LIKES.path][1]


def everything(path: str) -> dict[str, str]:
    """The parameters that request everything."""
    return {parameter: ",".join(names) for parameter, names in METHODS[path][1].items()}


def items(
    endpoint: Endpoint, params: dict[str, str] | None = None, count: int = 100, seed: int = 1
) -> list[dict[str, Any]]:
    return [make_item(endpoint, number, AT + number / 50, seed, params or {}) for number in range(count)]


@cache
def texts() -> list[str]:
    return [item["data"]["text"] for item in items(SAMPLE, count=3000)]


def test_xdk_has_a_method_for_each_endpoint_but_powerstream() -> None:
    assert set(PATHS) == set(ENDPOINTS) - {POWERSTREAM.path}


@pytest.mark.parametrize("path", PATHS)
def test_the_items_are_what_the_model_of_xdk_expects(path: str) -> None:
    model = METHODS[path][0]
    for item in items(ENDPOINTS[path]):
        assert model.model_validate(item)


@pytest.mark.parametrize("path", PATHS)
def test_the_models_accept_items_with_all_fields(path: str) -> None:
    model = METHODS[path][0]
    for item in items(ENDPOINTS[path], everything(path), count=50):
        assert model.model_validate(item)


RENAMED = {
    "edit_history_tweet_ids": "edit_history_post_ids",
    "referenced_tweets": "referenced_posts",
    "note_tweet": "note_post",
    "most_recent_tweet_id": "most_recent_post_id",
    "pinned_tweet_id": "pinned_post_id",
}


def renamed(thing: dict[str, Any]) -> dict[str, Any]:
    return {RENAMED.get(name, name): value for name, value in thing.items()}


def test_every_field_is_checked_against_the_models() -> None:
    for item in items(FILTERED, everything(FILTERED.path), count=50):
        includes = item["includes"]
        judged = [schemas.Post.model_validate(renamed(post)) for post in [item["data"], *includes["tweets"]]]
        judged += [schemas.User.model_validate(renamed(user)) for user in includes["users"]]
        judged += [schemas.Media.model_validate(medium) for medium in includes["media"]]
        judged += [schemas.Poll.model_validate(poll) for poll in includes["polls"]]
        judged += [schemas.Place.model_validate(place) for place in includes["places"]]
        assert [model.model_extra for model in judged] == [{}] * len(judged)


def test_a_post_brings_three_fields_unasked() -> None:
    for item in items(SAMPLE):
        assert set(item) == {"data"}
        assert set(item["data"]) == {"id", "text", "edit_history_tweet_ids"}
        assert item["data"]["edit_history_tweet_ids"][-1] == item["data"]["id"]


@pytest.mark.parametrize("field", NAMES["tweet.fields"])
def test_a_requested_field_brings_no_other_field(field: str) -> None:
    (item,) = items(SAMPLE, {"tweet.fields": field}, count=1)
    assert set(item["data"]) == {"id", "text", "edit_history_tweet_ids", field}
    assert item["data"][field] is not None


def test_all_thirty_four_fields_come_together() -> None:
    assert len(NAMES["tweet.fields"]) == 34
    (item,) = items(SAMPLE, {"tweet.fields": ",".join(NAMES["tweet.fields"])}, count=1)
    assert set(item["data"]) == set(NAMES["tweet.fields"])


def test_unknown_field_names_are_ignored_and_case_counts() -> None:
    params = {
        "tweet.fields": "Lang,mood,source",
        "expansions": "friends,Author_id",
        "user.fields": "shoe_size",
    }
    (item,) = items(SAMPLE, params, count=1)
    assert set(item) == {"data"}
    assert set(item["data"]) == {"id", "text", "edit_history_tweet_ids", "source"}


REFERRED: dict[str, tuple[str, Any]] = {
    "article.cover_media": ("media", lambda post: [post["article"]["cover_media"]]),
    "article.media_entities": ("media", lambda post: post["article"]["media_entities"]),
    "attachments.media_keys": ("media", lambda post: post["attachments"]["media_keys"]),
    "attachments.media_source_tweet": ("tweets", lambda post: post["attachments"]["media_source_tweet_id"]),
    "attachments.poll_ids": ("polls", lambda post: post["attachments"]["poll_ids"]),
    "author_id": ("users", lambda post: [post["author_id"]]),
    "edit_history_tweet_ids": ("tweets", lambda post: post["edit_history_tweet_ids"][:-1]),
    "entities.mentions.username": ("users", lambda post: [who["id"] for who in post["entities"]["mentions"]]),
    "geo.place_id": ("places", lambda post: [post["geo"]["place_id"]]),
    "in_reply_to_user_id": ("users", lambda post: [post["in_reply_to_user_id"]]),
    "entities.note.mentions.username": (
        "users",
        lambda post: [who["id"] for who in post["note_tweet"]["entities"]["mentions"]],
    ),
    "referenced_tweets.id": ("tweets", lambda post: [other["id"] for other in post["referenced_tweets"]]),
}


def ids(includes: dict[str, Any], name: str) -> list[str]:
    return [thing.get("id") or thing["media_key"] for thing in includes.get(name, [])]


@pytest.mark.parametrize("expansion", REFERRED)
def test_an_expansion_brings_the_reference_and_the_object(expansion: str) -> None:
    name, referred = REFERRED[expansion]
    for item in items(SAMPLE, {"expansions": expansion}):
        assert ids(item.get("includes", {}), name) == referred(item["data"])


@pytest.mark.parametrize(
    ("expansion", "name", "referred"),
    [
        ("referenced_tweets.id.author_id", "users", lambda post: [post["author_id"]]),
        (
            "referenced_tweets.id.attachments.media_keys",
            "media",
            lambda post: post["attachments"]["media_keys"],
        ),
    ],
)
def test_an_expansion_through_the_referenced_post_brings_that_post_too(
    expansion: str, name: str, referred: Any
) -> None:
    for item in items(SAMPLE, {"expansions": expansion}):
        (other,) = item["includes"]["tweets"]
        assert item["data"]["referenced_tweets"][0]["id"] == other["id"]
        assert ids(item["includes"], name) == referred(other)


def test_these_are_all_expansions_there_are() -> None:
    through = {"referenced_tweets.id.author_id", "referenced_tweets.id.attachments.media_keys"}
    assert {*REFERRED, *through} == set(NAMES["expansions"])


def test_included_objects_come_once_with_the_requested_fields() -> None:
    for item in items(SAMPLE, everything(SAMPLE.path), count=50):
        includes = item["includes"]
        for name in includes:
            assert len(ids(includes, name)) == len(set(ids(includes, name)))
        assert all(set(user) == set(NAMES["user.fields"]) for user in includes["users"])
        assert all(set(medium) == set(NAMES["media.fields"]) for medium in includes["media"])
        assert all(set(poll) == set(NAMES["poll.fields"]) for poll in includes["polls"])
        assert all(set(place) == set(NAMES["place.fields"]) for place in includes["places"])
        assert all({"author_id", "lang", "created_at"} <= set(post) for post in includes["tweets"])


def test_an_author_of_both_posts_is_included_once() -> None:
    params = {"expansions": "author_id,in_reply_to_user_id"}
    item = make_item(SAMPLE, 2442, AT, 1, params)  # the first such post with seed 1
    assert item["data"]["author_id"] == item["data"]["in_reply_to_user_id"]
    assert len(item["includes"]["users"]) == 1


def test_what_comes_along_is_bare_when_nothing_is_asked_of_it() -> None:
    bare = {
        "users": {"id", "name", "username"},
        "media": {"media_key", "type"},
        "polls": {"id", "options"},
        "places": {"id", "full_name"},
    }
    params = {"expansions": "author_id,attachments.media_keys,attachments.poll_ids,geo.place_id"}
    for item in items(SAMPLE, params, count=20):
        assert {name: set(things[0]) for name, things in item["includes"].items()} == bare


def test_the_entities_stand_where_they_say() -> None:
    signs = {"mentions": "@", "hashtags": "#", "cashtags": "$", "urls": ""}
    seen = set()
    for item in items(SAMPLE, {"tweet.fields": "entities,note_tweet"}, count=300):
        for written in (item["data"], item["data"]["note_tweet"]):
            for kind, entities in written["entities"].items():
                (entity,) = entities
                name = entity.get("username") or entity.get("tag") or entity["url"]
                assert written["text"][entity["start"] : entity["end"]] == signs[kind] + name
                seen.add(kind)
    assert seen == set(signs)


def test_an_edited_post_keeps_what_it_was_about() -> None:
    params = {"tweet.fields": "attachments,conversation_id,author_id", "expansions": "edit_history_tweet_ids"}
    edited = [item for item in items(SAMPLE, params, count=300) if "includes" in item]
    assert edited
    for item in edited:
        (first,) = item["includes"]["tweets"]
        assert int(first["id"]) < int(item["data"]["id"])
        assert {**first, "id": item["data"]["id"]} == item["data"]


def test_a_filtered_stream_says_which_rules_matched() -> None:
    for item in items(FILTERED):
        assert item["matching_rules"]
        assert all(rule["id"].isdigit() for rule in item["matching_rules"])
    assert all("matching_rules" not in item for item in items(SAMPLE))


def test_a_snowflake_holds_its_time_and_its_number() -> None:
    bits = int(snowflake(1_750_000_000.123, 77))
    assert (bits >> 22) + 1288834974657 == 1_750_000_000_123
    assert bits & 0x3FFFFF == 77


@pytest.mark.parametrize("path", POST_PATHS)
def test_the_id_of_a_post_is_the_snowflake_of_its_time_and_number(path: str) -> None:
    for number, item in enumerate(items(ENDPOINTS[path])):
        assert item["data"]["id"] == item_id(item) == snowflake(AT + number / 50, number)


@pytest.mark.parametrize("path", [SAMPLE.path, LIKES.path, ACTIVITY.path, POWERSTREAM.path])
def test_ids_rise_with_time_and_none_comes_twice(path: str) -> None:
    found = [item_id(item) or "" for item in items(ENDPOINTS[path], count=1000)]
    assert sorted(set(found)) == found


def test_posts_of_the_same_millisecond_have_ids_of_their_own() -> None:
    found = {item_id(make_item(SAMPLE, number, AT, 1, {})) for number in range(1000)}
    assert len(found) == 1000


@pytest.mark.parametrize("path", [path for path in PATHS if "compliance" in path or "label" in path])
def test_compliance_and_label_events_differ_but_have_no_id(path: str) -> None:
    found = items(ENDPOINTS[path])
    assert {item_id(item) for item in found} == {None}
    assert len({json.dumps(item) for item in found}) == len(found)


@pytest.mark.parametrize(
    "message",
    [{}, {"errors": [{"id": "1"}]}, {"data": None}, {"data": [{"id": "1"}]}, {"type": "connection_metadata"}],
)
def test_a_notice_has_no_id(message: dict[str, Any]) -> None:
    assert item_id(message) is None


KINDS_OF_EVENTS = {
    "/2/tweets/compliance/stream": {"delete", "withheld", "drop", "undrop", "tweet_edit"},
    "/2/users/compliance/stream": {
        *("user_protect", "user_unprotect", "user_delete", "user_undelete", "user_suspend", "user_unsuspend"),
        *("user_withheld", "scrub_geo", "user_profile_modification"),
    },
    "/2/likes/compliance/stream": {"delete"},
    "/2/tweets/label/stream": {"public_tweet_notice", "public_tweet_unviewable"},
}


@pytest.mark.parametrize("path", KINDS_OF_EVENTS)
def test_every_kind_of_event_comes_by_turns(path: str) -> None:
    found = [tuple(item["data"]) for item in items(ENDPOINTS[path], count=20)]
    assert all(len(keys) == 1 for keys in found)
    assert {keys[0] for keys in found} == KINDS_OF_EVENTS[path]


def test_events_are_timed_to_the_millisecond() -> None:
    item = make_item(ENDPOINTS["/2/likes/compliance/stream"], 1, 1_750_000_000.007, 1, {})
    assert item["data"]["delete"]["event_at"] == "2025-06-15T15:06:40.007Z"


def test_labels_are_applied_and_removed() -> None:
    found = items(ENDPOINTS["/2/tweets/label/stream"])
    assert {event["application"] for item in found for event in item["data"].values()} == {"apply", "remove"}


def test_an_activity_has_its_envelope_and_a_payload_of_its_type() -> None:
    payloads = {}
    for item in items(ACTIVITY, count=20):
        assert {"event_uuid", "filter", "event_type", "tag", "payload"} <= set(item["data"])
        payloads[item["data"]["event_type"]] = set(item["data"]["payload"])
    assert len(payloads) == 8
    assert payloads["follow.follow"] == {"source", "target"}
    assert payloads["profile.update.bio"] == {"before", "after"}
    assert payloads["post.delete"] == {"id", "author_id"}
    assert {"id", "text", "author_id"} <= payloads["post.create"]


def test_a_like_tells_who_was_liked_and_brings_more_when_asked() -> None:
    for item in items(LIKES, count=20):
        unasked = {"id", "created_at", "timestamp_ms", "liked_tweet_id", "tweet_author_id"}
        assert set(item) == {"data"}
        assert set(item["data"]) == unasked
    for item in items(LIKES, everything(LIKES.path), count=20):
        data, includes = item["data"], item["includes"]
        assert set(LIKE_NAMES["like_with_tweet_author.fields"]) <= set(data)
        assert [post["id"] for post in includes["tweets"]] == [data["liked_tweet_id"]]
        assert [user["id"] for user in includes["users"]] == [data["liked_tweet_author_id"]]
        assert [medium["media_key"] for medium in includes["media"]] == data["attachments_media_keys"]
        assert [post["author_id"] for post in includes["tweets"]] == [data["tweet_author_id"]]


def test_powerstream_posts_have_the_legacy_form() -> None:
    (item,) = items(POWERSTREAM, everything(FILTERED.path), count=1)
    assert item["id_str"] == str(item["id"]) == item_id(item)
    assert item["created_at"] == "Sun Jun 15 15:06:40 +0000 2025"
    assert item["user"]["id_str"] == str(item["user"]["id"])
    assert set(item["entities"]) == {"hashtags", "symbols", "user_mentions", "urls"}
    assert "data" not in item
    (mention,) = item["entities"]["user_mentions"]
    start, end = mention["indices"]
    assert item["text"][start:end] == "@" + mention["screen_name"]


@pytest.mark.parametrize("path", ENDPOINTS)
def test_an_item_depends_on_its_arguments_alone(path: str) -> None:
    endpoint = ENDPOINTS[path]
    params = everything(FILTERED.path) | everything(LIKES.path)
    first = items(endpoint, params, count=20)
    kept = json.dumps(first)
    for item in first:
        item.clear()
    assert json.dumps(items(endpoint, params, count=20)) == kept
    assert json.dumps(items(endpoint, params, count=20, seed=2)) != kept


def test_changing_an_item_changes_no_other() -> None:
    def spoil(thing: Any) -> None:
        for inner in thing.values() if isinstance(thing, dict) else thing:
            if isinstance(inner, dict | list):
                spoil(inner)
        thing.clear()

    kept = items(FILTERED, everything(FILTERED.path), count=20)
    for item in items(FILTERED, everything(FILTERED.path), count=20):
        spoil(item)
    assert items(FILTERED, everything(FILTERED.path), count=20) == kept


def test_the_time_of_a_post_is_the_one_it_was_given() -> None:
    item = make_item(SAMPLE, 5, 1_750_000_000.987, 1, {"tweet.fields": "created_at,edit_controls"})
    assert item["data"]["created_at"] == "2025-06-15T15:06:40.000Z"
    assert item["data"]["edit_controls"]["editable_until"] == "2025-06-15T16:06:40.000Z"


def test_a_text_has_30_to_280_characters() -> None:
    lengths = [len(text) for text in texts()]
    assert min(lengths) >= 30
    assert max(lengths) <= 280
    assert max(lengths) > 2 * min(lengths)


@pytest.mark.parametrize(
    "needle",
    ["\U0001f469\u200d", "🇯🇵", "𠮷", "\u2028", "\u2029", "\u0085", "\n", "\t", '"', "\\", "#", "$", "https:"],
    ids=ascii,
)
def test_some_texts_hold_what_breaks_careless_readers(needle: str) -> None:
    assert 0 < sum(needle in text for text in texts()) < len(texts())


def test_texts_come_in_many_scripts_as_their_language_says() -> None:
    scripts = {
        "ru": "CYRILLIC", "uk": "CYRILLIC", "ar": "ARABIC", "iw": "HEBREW", "hi": "DEVANAGARI", "th": "THAI",
        "ja": "HIRAGANA", "ko": "HANGUL", "zh": "CJK",
    }  # fmt: skip
    seen = set()
    for item in items(SAMPLE, {"tweet.fields": "lang"}, count=1000):
        language, text = item["data"]["lang"], item["data"]["text"]
        seen.add(language)
        letters = {unicodedata.name(letter, "").split()[0] for letter in text if letter.isalpha()}
        assert scripts.get(language, "LATIN") in letters
    assert seen == {*scripts, "en", "es", "pt", "fr", "tr"}


@pytest.mark.parametrize("path", [path for path in PATHS if ENDPOINTS[path].language])
def test_a_language_stream_is_in_its_language(path: str) -> None:
    language = ENDPOINTS[path].language
    for item in items(ENDPOINTS[path], everything(path), count=50):
        assert item["data"]["lang"] == language
        assert {post["lang"] for post in item["includes"]["tweets"]} == {language}


@pytest.mark.parametrize("path", ENDPOINTS)
def test_an_item_is_one_line_of_json_for_either_serialiser(path: str) -> None:
    for item in items(ENDPOINTS[path], everything(FILTERED.path), count=30):
        line = orjson.dumps(item)
        assert b"\n" not in line
        assert b"\r" not in line
        assert orjson.loads(line) == item == json.loads(json.dumps(item))


def test_an_item_has_the_size_of_a_real_one() -> None:
    usual = {
        "tweet.fields": "author_id,created_at,entities,lang,public_metrics,conversation_id,attachments",
        "expansions": "author_id,referenced_tweets.id,attachments.media_keys",
        "user.fields": "created_at,description,public_metrics,verified",
        "media.fields": "url,width,height",
    }
    assert all(150 <= len(orjson.dumps(item)) <= 1_000 for item in items(SAMPLE))
    assert all(1_500 <= len(orjson.dumps(item)) <= 6_000 for item in items(SAMPLE, usual))
    assert all(6_000 <= len(orjson.dumps(item)) <= 12_000 for item in items(SAMPLE, everything(SAMPLE.path)))
