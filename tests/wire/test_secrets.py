"""Secrets of a request: known because it sends them, and found in no text that comes out."""

from __future__ import annotations

import base64
import json
from urllib.parse import quote, quote_plus

import pytest

from xdk_streaming.wire.secrets import HIDDEN, Secrets, shown_url

TOKEN = "AAAAtoken/with+signs="
LOGIN = "proxy-user:proxy-pass"


def knowing(*secrets: str) -> Secrets:
    known = Secrets()
    for secret in secrets:
        known.note_headers({"Authorization": f"Bearer {secret}"})
    return known


@pytest.mark.parametrize(
    "form",
    [
        TOKEN,
        quote(TOKEN, safe=""),
        quote(TOKEN),
        quote_plus(TOKEN),
        "AAAAtoken%2fwith%2bsigns%3d",
        json.dumps(TOKEN)[1:-1],
        TOKEN.replace("/", "\\/"),
        base64.b64encode(TOKEN.encode()).decode(),
        base64.urlsafe_b64encode(TOKEN.encode()).decode(),
        base64.b64encode(b"x" + TOKEN.encode() + b"y").decode()[2:-3],
        base64.b64encode(b"xy" + TOKEN.encode() + b"z").decode()[3:-2],
    ],
)
def test_a_secret_is_found_in_every_form(form: str) -> None:
    cleaned = knowing(TOKEN).removed_from(f"before {form} after")
    assert HIDDEN in cleaned
    assert TOKEN not in cleaned
    assert form not in cleaned
    assert cleaned.startswith("before ")


def test_a_short_secret_is_hidden_as_a_word_and_not_within_one() -> None:
    secrets = knowing("any1")
    assert secrets.removed_from("any1, many1s and any1!") == f"{HIDDEN}, many1s and {HIDDEN}!"


def test_a_secret_that_was_cut_at_the_end_is_hidden() -> None:
    assert knowing("s3cr3t-and-long").removed_from("it is s3cr3t-and") == f"it is {HIDDEN}"


@pytest.mark.parametrize(
    ("headers", "secrets"),
    [
        ({"Authorization": "Bearer abc-token"}, ["abc-token"]),
        ({b"authorization": b"Bearer abc-token"}, ["abc-token"]),
        ({"X-Api-Key": "key-of-mine"}, ["key-of-mine"]),
        ({"Cookie": "session=of-mine-only; theme=dark"}, ["of-mine-only"]),
        (
            {"Authorization": "Basic " + base64.b64encode(LOGIN.encode()).decode()},
            ["proxy-pass", LOGIN, base64.b64encode(LOGIN.encode()).decode()],
        ),
        (
            {
                "Authorization": 'OAuth oauth_nonce="123456789012", oauth_timestamp="1700000000", '
                'oauth_signature="aBcD%2FefGh%3D", oauth_token="user-token"'
            },
            ["aBcD%2FefGh%3D", "aBcD/efGh=", "user-token", "123456789012"],
        ),
    ],
)
def test_the_secrets_among_headers_are_known(headers: dict[str, str], secrets: list[str]) -> None:
    known = Secrets()
    known.note_headers(headers)
    for secret in secrets:
        assert known.removed_from(f"({secret})") == f"({HIDDEN})", secret


def test_what_is_no_secret_stays() -> None:
    known = Secrets()
    known.note_headers({"Accept": "application/json", "User-Agent": "mine/1.0", "Content-Type": "text/plain"})
    known.note_params({"tweet.fields": "author_id", "partition": 17, "backfill_minutes": "5"})
    text = "application/json mine/1.0 text/plain author_id 17 5"
    assert known.removed_from(text) == text


def test_parameters_that_x_does_not_document_and_logins_of_urls_are_secrets() -> None:
    known = Secrets()
    known.note_params({"api_key": "of-mine", "list": ["one-of-two", "two-of-two"]})
    known.note_url(f"http://{LOGIN}@proxy:3128")
    known.note_url("https://api.x.com/2/stream?key=in-the-url&partition=1234")
    for secret in ("of-mine", "two-of-two", "proxy-pass", "proxy-user", "in-the-url"):
        assert known.removed_from(secret) == HIDDEN
    assert known.removed_from(base64.b64encode(LOGIN.encode()).decode()) == HIDDEN
    assert known.removed_from("1234") == "1234"


def test_json_keeps_its_shape() -> None:
    content = {"errors": [{"title": "abc-token", "n": 1}], "abc-token": None}
    assert knowing("abc-token").removed_from_json(content) == {
        "errors": [{"title": HIDDEN, "n": 1}],
        HIDDEN: None,
    }


def test_bytes_that_are_no_text_stay_as_they_are() -> None:
    assert knowing("abc-token").removed_from_bytes(b"\xff\xfe abc-token") == b"\xff\xfe " + HIDDEN.encode()
    assert knowing("abc-token").removed_from_bytes(b"\xff\xfe\x00") == b"\xff\xfe\x00"


def test_only_the_youngest_of_many_secrets_are_remembered() -> None:
    known = knowing(*(f"token-number-{number:03}" for number in range(100)))
    assert known.removed_from("token-number-099") == HIDDEN
    assert known.removed_from("token-number-000") == "token-number-000"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://user:pass@x.com/2/stream?key=1", "https://x.com/2/stream"),
        ("https://x.com/2/a@b#part", "https://x.com/2/a@b"),
        ("/2/stream", "/2/stream"),
    ],
)
def test_a_url_is_shown_without_login_and_query(url: str, shown: str) -> None:
    assert shown_url(url) == shown


def test_what_only_looks_like_a_login_is_a_secret_as_a_whole() -> None:
    known = Secrets()
    known.note_headers({"Authorization": "Basic of-mine, not base64"})
    assert known.removed_from("of-mine, not base64") == HIDDEN
