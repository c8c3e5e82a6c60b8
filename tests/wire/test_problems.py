from __future__ import annotations

import json
import logging
import re
import time
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from xdk_streaming.errors import StreamError, StreamErrorType
from xdk_streaming.wire import problems
from xdk_streaming.wire.decoder import BOM, Decoder
from xdk_streaming.wire.not_an_item import StreamNotice

AUTHENTICATION_ERROR = StreamErrorType.AUTHENTICATION_ERROR
CLIENT_ERROR = StreamErrorType.CLIENT_ERROR
RATE_LIMITED = StreamErrorType.RATE_LIMITED
SERVER_ERROR = StreamErrorType.SERVER_ERROR
STREAM_INTERRUPTED = StreamErrorType.STREAM_INTERRUPTED
TIMEOUT = StreamErrorType.TIMEOUT

NOW = 1_700_000_000.0  # Tue, 14 Nov 2023 22:13:20 GMT

BY_STATUS = {
    100: SERVER_ERROR,
    200: SERVER_ERROR,
    204: SERVER_ERROR,
    205: SERVER_ERROR,
    301: CLIENT_ERROR,
    302: CLIENT_ERROR,
    304: CLIENT_ERROR,
    307: CLIENT_ERROR,
    400: CLIENT_ERROR,
    401: AUTHENTICATION_ERROR,
    402: CLIENT_ERROR,
    403: AUTHENTICATION_ERROR,
    404: CLIENT_ERROR,
    405: CLIENT_ERROR,
    406: CLIENT_ERROR,
    408: TIMEOUT,
    409: CLIENT_ERROR,
    410: CLIENT_ERROR,
    413: CLIENT_ERROR,
    416: CLIENT_ERROR,
    418: CLIENT_ERROR,
    420: RATE_LIMITED,
    422: CLIENT_ERROR,
    425: SERVER_ERROR,
    429: RATE_LIMITED,
    451: CLIENT_ERROR,
    499: CLIENT_ERROR,
    500: SERVER_ERROR,
    501: SERVER_ERROR,
    502: SERVER_ERROR,
    503: SERVER_ERROR,
    504: SERVER_ERROR,
    520: SERVER_ERROR,
    599: SERVER_ERROR,
}

HOSTS = ["https://api.x.com", "https://api.twitter.com", "https://api.X.com", "http://elsewhere.example", ""]

TOO_MANY = {
    "title": "ConnectionException",
    "detail": "This stream is currently at the maximum allowed connection limit.",
    "connection_issue": "TooManyConnections",
    "type": "https://api.twitter.com/2/problems/streaming-connection",
}
USAGE_CAPPED = {
    "account_id": 7,
    "product_name": "standard-basic",
    "title": "UsageCapExceeded",
    "period": "Monthly",
    "scope": "Product",
    "detail": "Usage cap exceeded: Monthly product cap",
    "type": "https://api.twitter.com/2/problems/usage-capped",
}
LEGACY = {"errors": [{"code": 88, "message": "Rate limit exceeded"}]}


def refuse(
    status: int, body: Any = b"", headers: Mapping[str, str] | None = None, now: float = NOW
) -> StreamError:
    """The refusal; a body that is not bytes goes out as JSON."""
    sent = body if isinstance(body, bytes) else json.dumps(body).encode()
    return problems.refusal(status, headers or {}, sent, now)


def notice(content: Mapping[str, Any]) -> StreamNotice:
    """The notice, as the decoder makes it of its line."""
    event = Decoder()(json.dumps(content).encode() + b"\r")
    assert isinstance(event, StreamNotice)
    return event


def problem(kind: str, host: str = HOSTS[0], **fields: str) -> dict[str, str]:
    return {"title": "A title", "detail": "A detail.", "type": f"{host}/2/problems/{kind}", **fields}


# What is a stream


@pytest.mark.parametrize(
    ("status", "content_type", "expected"),
    [
        (200, "application/json; charset=utf-8", True),
        (200, "application/json", True),
        (200, "text/event-stream", True),  # X's own emulator
        (200, "application/octet-stream", True),
        (200, "text/plain", True),
        (200, "", True),
        (206, "application/json", True),
        (200, "text/html", False),
        (200, "text/html; charset=utf-8", False),
        (200, "Text/HTML", False),  # media types know no case, RFC 9110 section 8.3.1
        (204, "application/json", False),
        (205, "", False),
        (199, "application/json", False),
        (300, "application/json", False),
        *((status, "application/json", False) for status in BY_STATUS if status != 200),
    ],
)
def test_a_success_with_a_body_that_is_no_web_page_is_a_stream(
    status: int, content_type: str, expected: bool
) -> None:
    assert problems.is_stream(status, content_type) is expected


# Refusals: the real ones, as they are documented and as they were seen

PROBLEM = "https://api.twitter.com/2/problems/"
TOO_MANY_REQUESTS = {
    "title": "Too Many Requests",
    "detail": "Too Many Requests",
    "type": "about:blank",
    "status": 429,
}
INVALID_REQUEST = {
    "errors": [
        {"parameters": {"partition": []}, "message": "The `partition` query parameter can not be empty"}
    ],
    "title": "Invalid Request",
    "detail": "One or more parameters to your request was invalid.",
    "type": PROBLEM + "invalid-request",
}
USER_CONTEXT = (
    "Authenticating with OAuth 1.0a User Context is forbidden for this endpoint.  "
    "Supported authentication types are [OAuth 2.0 Application-Only]."
)

REAL: list[tuple[str, int, Any, StreamErrorType, str | None, tuple[str, ...]]] = [
    # name, status, body, class, kind of problem, what the message must say
    (
        "400 with errors beside the problem",
        400,
        INVALID_REQUEST,
        CLIENT_ERROR,
        "invalid-request",
        ("Invalid Request", "`partition` query parameter can not be empty", "request itself has to change"),
    ),
    (
        "400 that names the parameter",
        400,
        {
            "title": "Invalid Request",
            "detail": "Wrong.",
            "type": PROBLEM + "invalid-request",
            "parameter": "backfill_minutes",
            "value": "9",
        },
        CLIENT_ERROR,
        "invalid-request",
        ("parameter backfill_minutes", "value 9", "sending it again cannot help"),
    ),
    (
        "401",
        401,
        {"title": "Unauthorized", "detail": "Unauthorized", "type": "about:blank", "status": 401},
        AUTHENTICATION_ERROR,
        "about:blank",
        ("with 401: Unauthorized; check the bearer token",),
    ),
    (
        "403 of an app that is not enrolled",
        403,
        {
            "client_id": "1",
            "required_enrollment": "Appropriate Level of API Access",
            "registration_url": "https://developer.x.com/en/docs/projects",
            "title": "Client Forbidden",
            "detail": "Use keys from an app that is attached to a project.",
            "reason": "client-not-enrolled",
            "type": PROBLEM + "client-forbidden",
        },
        AUTHENTICATION_ERROR,
        "client-forbidden",
        (
            "reason client-not-enrolled",
            "required enrollment Appropriate Level of API Access",
            "registration url https://developer.x.com/en/docs/projects",
            "developer console",
        ),
    ),
    (
        "403 for a user's token",
        403,
        {
            "title": "Unsupported Authentication",
            "detail": USER_CONTEXT,
            "type": PROBLEM + "unsupported-authentication",
            "status": 403,
        },
        AUTHENTICATION_ERROR,
        "unsupported-authentication",
        ("OAuth 1.0a User Context is forbidden", "takes no user's token", "send the app's bearer token"),
    ),
    ("404", 404, {"title": "Not Found", "type": "about:blank"}, CLIENT_ERROR, "about:blank", ("URL",)),
    ("406", 406, b"", CLIENT_ERROR, None, ("with 406; ", "Accept-Encoding: gzip")),
    (
        "409 without rules",
        409,
        {
            "title": "ConnectionException",
            "detail": "Rules must be configured before connecting.",
            "connection_issue": "RuleConfigurationIssue",
            "type": PROBLEM + "streaming-connection",
        },
        CLIENT_ERROR,
        "streaming-connection",
        ("RuleConfigurationIssue", "needs a rule", "POST /2/tweets/search/stream/rules"),
    ),
    (
        "409 that does not name its issue",
        409,
        {"title": "Connection Exception", "type": PROBLEM + "streaming-connection"},
        CLIENT_ERROR,
        "streaming-connection",
        ("Connection Exception", "needs a rule", "POST /2/tweets/search/stream/rules"),
    ),
    (
        "409 for bad rules",
        409,
        {
            "title": "ConnectionException",
            "detail": "No.",
            "connection_issue": "RulesInvalidIssue",
            "type": PROBLEM + "streaming-connection",
        },
        CLIENT_ERROR,
        "streaming-connection",
        ("RulesInvalidIssue", "delete the bad ones"),
    ),
    ("410", 410, b"", CLIENT_ERROR, None, ("switched off", "look up what replaces it")),
    ("420", 420, b"Exceeded connection limit for user", RATE_LIMITED, None, ("Exceeded connection", "wait")),
    (
        "429 for the rate",
        429,
        TOO_MANY_REQUESTS,
        RATE_LIMITED,
        "about:blank",
        ("with 429: Too Many Requests; too many connects in the present 15 minutes; wait",),
    ),
    (
        "429 with a kind of its own",
        429,
        {"title": "Rate limited", "detail": "Later.", "type": PROBLEM + "rate-limit-exceeded"},
        RATE_LIMITED,
        "rate-limit-exceeded",
        ("Rate limited, Later; too many connects",),
    ),
    (
        "429 legacy, wrapped",
        429,
        LEGACY,
        RATE_LIMITED,
        "",
        ("with 429: Rate limit exceeded; too many connects",),
    ),
    (
        "429 legacy, bare",
        429,
        {"code": 88, "message": "Rate limit exceeded"},
        RATE_LIMITED,
        "",
        ("with 429: Rate limit exceeded; too many connects",),
    ),
    (
        "429 for one connection too many",
        429,
        TOO_MANY,
        RATE_LIMITED,
        "streaming-connection",
        (
            "ConnectionException, TooManyConnections, This stream is currently at the maximum allowed",
            "X refuses one more connection for this app",
            "close another connection of this app",
        ),
    ),
    (
        "429 for the usage cap",
        429,
        USAGE_CAPPED,
        CLIENT_ERROR,
        "usage-capped",
        (
            "Usage cap exceeded: Monthly product cap",
            "period Monthly",
            "scope Product",
            "product name standard-basic",
            "all the posts that its plan allows",
            "no attempt before that can help",
        ),
    ),
    (
        "500",
        500,
        {"title": "Internal Server Error", "detail": "Oops.", "type": "about:blank", "status": 500},
        SERVER_ERROR,
        "about:blank",
        ("Internal Server Error, Oops; the fault is the server's; another attempt can help",),
    ),
    (
        "500 with a kind of its own",
        500,
        {"title": "Internal error", "detail": "Oops.", "type": PROBLEM + "internal-error"},
        SERVER_ERROR,
        "internal-error",
        ("Internal error, Oops",),
    ),
    (
        "503 legacy",
        503,
        {"errors": [{"code": 130, "message": "Over capacity"}]},
        SERVER_ERROR,
        "",
        ("with 503: Over capacity; the fault is the server's",),
    ),
    (
        "503 while the app's stream is set up",
        503,
        {
            "title": "ConnectionException",
            "detail": "Soon.",
            "connection_issue": "ProvisioningSubscription",
            "type": PROBLEM + "streaming-connection",
        },
        SERVER_ERROR,
        "streaming-connection",
        ("ProvisioningSubscription", "still setting this app's stream up", "another attempt can help"),
    ),
]


@pytest.mark.parametrize(
    ("status", "body", "error_type", "kind", "words"),
    [case[1:] for case in REAL],
    ids=[case[0] for case in REAL],
)
def test_a_real_refusal_is_of_its_class_and_says_what_x_said_what_it_means_and_what_to_do(
    status: int, body: Any, error_type: StreamErrorType, kind: str | None, words: tuple[str, ...]
) -> None:
    error = refuse(status, body)
    assert error.error_type is error_type
    assert error.status_code == status
    assert error.problem_kind == kind
    assert error.response_body == (body.decode() if isinstance(body, bytes) else json.dumps(body))
    assert str(error).startswith(f"The server refused the stream with {status}")
    for word in words:
        assert word in str(error)


# Refusals: status


def test_of_an_error_body_64_kib_are_read_and_it_is_waited_for_5_seconds() -> None:
    assert (problems.MAX_BODY_BYTES, problems.BODY_SECONDS) == (65_536, 5)


@pytest.mark.parametrize(("status", "error_type"), BY_STATUS.items())
def test_a_refusal_has_the_type_of_its_status(status: int, error_type: StreamErrorType) -> None:
    error = refuse(status)
    assert error.error_type is error_type
    assert error.status_code == status


@pytest.mark.parametrize("status", BY_STATUS)
def test_a_refusal_says_the_status_what_the_server_said_and_what_to_do(status: int) -> None:
    said = {"title": "The title", "detail": "The detail", "type": "about:blank"}
    happened, *known = str(refuse(status, said)).split("; ")
    assert happened == f"The server refused the stream with {status}: The title, The detail"
    assert known == str(refuse(status)).split("; ")[1:]
    assert known


@pytest.mark.parametrize("status", [200, 502, 503, 504])
def test_a_proxys_page_is_a_server_error_with_its_title_quoted(status: int) -> None:
    page = b"<!doctype html><html><head><title>Maintenance</title></head><body>Sorry</body></html>"
    error = refuse(status, page, {"content-type": "text/html"})
    assert error.error_type is SERVER_ERROR
    assert error.response_body == page.decode()
    assert error.problem is None
    assert str(error).startswith(f"The server refused the stream with {status}: Maintenance; ")
    assert str(error).endswith("another attempt can help")


# Refusals: body


def test_a_problem_is_read_whole() -> None:
    error = refuse(429, TOO_MANY)
    assert error.problem is not None
    assert error.problem.kind == error.problem_kind == "streaming-connection"
    assert error.problem.title == "ConnectionException"
    assert error.problem.detail == TOO_MANY["detail"]
    assert error.problem.issue == "TooManyConnections"
    assert error.problem.fields == TOO_MANY
    assert error.response_body == json.dumps(TOO_MANY)


@pytest.mark.parametrize("before", [b"", BOM, b"\r\n \t", BOM + b"\n"], ids=repr)
@pytest.mark.parametrize("after", [b"", b"\r\n", b" "], ids=repr)
def test_neither_a_byte_order_mark_nor_blanks_hide_a_problem(before: bytes, after: bytes) -> None:
    error = refuse(429, before + json.dumps(TOO_MANY).encode() + after)
    assert error.problem == refuse(429, TOO_MANY).problem
    assert str(error) == str(refuse(429, TOO_MANY))


def test_a_problem_inside_errors_is_read_like_a_bare_one() -> None:
    wrapped = refuse(429, {"errors": [TOO_MANY]})
    assert wrapped.problem == refuse(429, TOO_MANY).problem
    assert str(wrapped) == str(refuse(429, TOO_MANY))


def test_a_problem_beside_errors_outweighs_them_and_both_are_quoted() -> None:
    error = refuse(400, INVALID_REQUEST)
    assert error.problem is not None
    assert error.problem.fields == INVALID_REQUEST
    assert error.problem.title == "Invalid Request"


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("slash", ["", "/"])
def test_the_host_before_a_problems_kind_does_not_matter(host: str, slash: str) -> None:
    error = refuse(403, problem("unsupported-authentication" + slash, host))
    assert error.problem_kind == "unsupported-authentication"
    assert "takes no user's token" in str(error)


def test_a_kind_without_a_path_is_the_kind() -> None:
    assert refuse(401, {"title": "Unauthorized", "type": "about:blank"}).problem_kind == "about:blank"


def test_of_several_problems_the_first_that_tells_more_than_the_status_decides() -> None:
    passing, telling = problem("something-new", title="A hint"), {**TOO_MANY, "title": "The cause"}
    error = refuse(503, {"errors": [passing, telling, USAGE_CAPPED]})
    assert error.error_type is RATE_LIMITED
    assert error.problem is not None
    assert error.problem.title == "The cause"
    assert "A hint, A detail., The cause, TooManyConnections" in str(error)


def test_of_several_problems_that_tell_nothing_the_first_is_the_problem() -> None:
    first, second = problem("one-thing"), problem("another")
    error = refuse(400, {"errors": [first, second]})
    assert error.problem_kind == "one-thing"


@pytest.mark.parametrize("status", [400, 429, 503])
@pytest.mark.parametrize(
    "fields",
    [
        {"type": PROBLEM + "something-new"},
        {"type": PROBLEM + "something-new", "connection_issue": "SomethingNewToo"},
        {"type": PROBLEM + "streaming-connection", "connection_issue": "SomethingNew"},
        {"type": PROBLEM + "streaming-connection"},
        {"type": PROBLEM + "operational-disconnect", "disconnect_type": "SomethingNew"},
        {"type": PROBLEM + "operational-disconnect", "disconnect_type": "SlowReader"},
        {"type": PROBLEM + "client-disconnected"},
    ],
    ids=lambda fields: " ".join(str(value).removeprefix(PROBLEM) for value in fields.values()),
)
def test_the_status_decides_if_the_problem_is_unknown_or_no_refusal(
    status: int, fields: dict[str, str]
) -> None:
    error = refuse(status, {"title": "A title", **fields})
    plain = refuse(status)
    assert error.error_type is plain.error_type
    assert str(error).split("; ")[1:] == str(plain).split("; ")[1:]
    assert error.problem is not None
    assert error.problem.title == "A title"
    assert "A title" in str(error)


@pytest.mark.parametrize("kind", ["duplicate-rules", "noncompliant-rules", "rule-cap", "rule-length"])
def test_rules_that_x_does_not_accept_are_named_with_the_way_to_mend_them(kind: str) -> None:
    error = refuse(400, problem(kind))
    assert error.error_type is CLIENT_ERROR
    assert "does not accept the stream's rules" in str(error)
    assert "GET /2/tweets/search/stream/rules" in str(error)


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("wrapped", [False, True], ids=["bare", "wrapped"])
@pytest.mark.parametrize("remaining", ["0", "39999"])
def test_a_429_for_the_usage_cap_is_not_retried(host: str, wrapped: bool, remaining: str) -> None:
    fields = {**USAGE_CAPPED, "type": f"{host}/2/problems/usage-capped", "period": "Daily"}
    headers = {"x-rate-limit-remaining": remaining, "x-rate-limit-reset": str(NOW + 9)}
    error = refuse(429, {"errors": [fields]} if wrapped else fields, headers)
    assert error.error_type is CLIENT_ERROR
    assert not error.is_retryable
    assert error.retry_after is None
    assert "Usage cap exceeded: Monthly product cap" in str(error)
    assert "period Daily" in str(error)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" \r\n",
        BOM,
        b"{}",
        b"[]",
        b"[{}]",
        b'[{"title":"in a list"}]',
        b"<html>busy</html>",
        b"<html><title></title></html>",
        b"<html><title>caf\xe9</title></html>",
        b"<?xml version='1.0'?><error/>",
        b'{"errors":null}',
        b'{"errors":{"title":"no list"}}',
        b'{"errors":["text",null,5,[]]}',
        b'{"errors":[]}',
        b'{"errors":[{}]}',
        b'{"type":5,"title":null}',
        b'{"type":"","title":"","message":""}',
        b'{"detail":"without a title"}',
        b'{"limits":5}',
        b"{'title':'no JSON'}",
        b"{",
        b'{"tit',
        b"\x1f\x8b\x08garbage",
        b"caf\xe9 closed",
        b"[" * 100_000,
        b'{"errors":[' * 20_000,
    ],
    ids=lambda body: repr(body[:35]),
)
def test_a_body_without_a_problem_leaves_the_status_to_speak(body: bytes) -> None:
    error = refuse(503, body)
    assert error.error_type is SERVER_ERROR
    assert error.problem is None
    assert error.problem_kind is None
    assert (
        str(error)
        == "The server refused the stream with 503; the fault is the server's; another attempt can help"
    )


@pytest.mark.parametrize(
    ("body", "quoted"),
    [
        (b"Bad gateway", "Bad gateway"),
        (b"Bad gateway.\r\n", "Bad gateway"),
        (b"upstream connect error\n\n  or disconnect", "upstream connect error or disconnect"),
        (BOM + b"busy", "busy"),
        (b'"busy"', '"busy"'),
        (b"503", "503"),
        ("geschlossen, Grüße".encode(), "geschlossen, Grüße"),
        (b"<TITLE>ERROR: Access Denied</TITLE>", "ERROR: Access Denied"),
        (b"<html>\n<head><title lang='en'>\n Bad\n gateway \n</title>", "Bad gateway"),
        (b"<title>Cut sho", "Cut sho"),
        (b"<title>Fish &amp; Chips &#8211; closed</title>", "Fish & Chips \N{EN DASH} closed"),
        (b"<title>First</title><title>Second</title>", "First"),
        (b"<html><title>Closed</title>caf\xe9", "Closed"),
        (b"Sorry: <title>Closed</title>", "Closed"),
    ],
    ids=lambda value: repr(value[:40]) if isinstance(value, bytes) else "",
)
def test_of_a_body_that_is_no_json_the_page_title_or_the_text_is_quoted(body: bytes, quoted: str) -> None:
    error = refuse(502, body)
    assert error.problem is None
    assert str(error).startswith(f"The server refused the stream with 502: {quoted}; the fault is")


@pytest.mark.parametrize(
    ("body", "title", "detail"),
    [
        (b'{"title":"Over capa', "Over capa", ""),
        (b'{"title":"Over capacity","detail":"Come back la', "Over capacity", "Come back la"),
        (b'{"title":"Over capacity","detail":', "Over capacity", ""),
        (b'{"title":"Over capacity","det', "Over capacity", ""),
        (b'{"errors":[{"title":"Over capacity"', "Over capacity", ""),
        (b'{"errors":[{"title":"Over capacity"},{"title":"an', "Over capacity", ""),
        (b'{"title":"Over capacity","status":50', "Over capacity", ""),
        (b'{"title":"caf\xe9","detail":"closed"}', "caf\ufffd", "closed"),
        (b'{"title":"Over capacity","status":NaN}', "Over capacity", ""),
        (b'{"title":"a","title":"Over capacity"}', "Over capacity", ""),
    ],
    ids=repr,
)
def test_of_a_problem_that_is_cut_off_or_not_quite_utf_8_what_came_is_read(
    body: bytes, title: str, detail: str
) -> None:
    error = refuse(503, body)
    assert error.problem is not None
    assert (error.problem.title, error.problem.detail) == (title, detail)
    assert f"with 503: {title}" in str(error)
    assert detail in str(error)


def test_the_kind_of_a_problem_that_was_cut_off_decides_all_the_same() -> None:
    body = json.dumps(TOO_MANY).encode()
    for length in range(body.index(b"TooManyConnections") + len(b"TooManyConnections"), len(body)):
        error = refuse(503, body[:length])
        assert error.error_type is RATE_LIMITED
        assert "TooManyConnections" in str(error)


def test_bytes_of_a_body_that_are_no_utf_8_are_marked_and_the_rest_is_kept() -> None:
    assert refuse(500, b"caf\xe9 closed").response_body == "caf\ufffd closed"
    assert refuse(500, BOM + b"closed").response_body == "\ufeffclosed"


@pytest.mark.parametrize(
    ("fields", "kind", "said"),
    [
        ({"title": "Only a title"}, "", "Only a title"),
        ({"type": ".../only-a-type"}, "only-a-type", "only-a-type"),
        ({"message": "Only a message"}, "", "Only a message"),
        ({"title": "A title", "message": "A message"}, "", "A title"),
        ({"title": "A title", "reason": "A reason"}, "", "A title, A reason"),
        ({"title": "A title", "detail": "A detail", "reason": "why"}, "", "A title, A detail, reason why"),
        ({"title": "A title", "detail": "A title", "type": "t"}, "t", "A title"),
        ({"title": "A title", "detail": None, "type": None}, "", "A title"),
        ({"title": ["A title"], "detail": {}, "type": "t"}, "t", "t"),
        ({"title": "A title", "parameter": "", "value": 9, "period": None, "scope": ["all"]}, "", "A title"),
        ({"title": "A title", "account_id": "7", "client_id": "8"}, "", "A title"),
    ],
    ids=str,
)
def test_of_a_problem_what_is_there_is_said_once(fields: dict[str, Any], kind: str, said: str) -> None:
    error = refuse(404, fields)
    assert error.problem_kind == kind
    assert str(error) == f"The server refused the stream with 404: {said}; correct the URL"


@pytest.mark.parametrize(
    "name",
    ["reason", "required_enrollment", "registration_url", "parameter", "value", "period", "scope"],
)
def test_every_field_that_names_what_was_refused_is_quoted_with_its_name(name: str) -> None:
    message = str(refuse(403, {"title": "A title", "detail": "A detail", name: "so-and-so"}))
    assert f"A detail, {name.replace('_', ' ')} so-and-so; " in message


# Messages: bounded, one line, and without a secret

TOKEN = "AAAAAAAAAAAAAAAAAAAAAMLheAAAAAAA0%2BuSeid%2BULvsea4JtiGRiSDSJSI%3DEUifiRBkKG5E2XzMDjRfl76ZC9Ub0wnz"

ECHOES = [
    "Authorization: Bearer {}",
    "authorization: bearer {}",
    "BEARER\t{}",
    "Bearer\n{}",
    "Bearer\u200b{}",
    "Bearer\u00a0{}",
    "Bearer: {}",
    "Bearer={}",
    '{{"Authorization":"Bearer {}"}}',
    "Invalid bearer token {}",
    "Invalid bearer token: {}.",
    "the bearer tokens {} and {} are unknown",
    "bearer_token={}&x=1",
    "access_token={}",
    "{} is no token",
    "x" * 20 + " ({})",
    "word " * 92 + "Bearer {}",  # the message's limit falls into the token
    "word " * 97 + "Bearer {}",
    "word " * 95 + "{}",
]


@pytest.mark.parametrize("echo", ECHOES, ids=lambda echo: ascii(echo[-30:]))
@pytest.mark.parametrize(
    "shape",
    [
        lambda text: {"title": "No", "detail": text},
        lambda text: {"title": text},
        lambda text: {"errors": [{"code": 89, "message": text}]},
        lambda text: {"title": "No", "type": f"x/{text}", "value": text},
        lambda text: text.encode(),
        lambda text: f"<title>{text}</title>".encode(),
    ],
    ids=["detail", "title", "legacy", "value", "text", "page"],
)
def test_a_token_that_the_server_sends_back_is_not_repeated(echo: str, shape: Callable[[str], Any]) -> None:
    message = str(refuse(401, shape(echo.replace("{}", TOKEN).replace("{{", "{").replace("}}", "}"))))
    assert all(TOKEN[start : start + 12] not in message for start in range(0, len(TOKEN) - 12))


@pytest.mark.parametrize("echo", ["Bearer s3cret", "bearer: s3cret", "Invalid bearer token s3cret"])
def test_a_short_token_is_not_repeated_either(echo: str) -> None:
    message = str(refuse(401, {"title": echo}))
    assert "s3cret" not in message
    assert "[hidden]" in message


def test_a_token_in_a_notice_is_not_repeated_either() -> None:
    content = notice({"errors": [problem("operational-disconnect", detail=f"For Bearer {TOKEN} only.")]})
    for error in (problems.ending(content), problems.parting(content)):
        assert TOKEN not in str(error)
        assert "For Bearer [hidden] only" in str(error)


@pytest.mark.parametrize(
    "text",
    [
        "Invalid or expired bearer token",
        "The bearer token is not valid for this app",
        "Two bearer tokens were sent",
        "Use https://developer.x.com/en/docs/authentication/oauth-2-0/application-only-please to get one",
    ],
)
def test_what_only_speaks_of_tokens_is_quoted_as_it_is(text: str) -> None:
    assert f": {text}; " in str(refuse(401, {"title": text}))


@pytest.mark.parametrize(
    "body",
    [
        {"title": "A title", "detail": "so it goes " * 6000},
        {"title": "long title " * 6000},
        {"errors": [{"message": f"error {place}"} for place in range(5000)]},
        b"so it goes " * 6000,
        b"<title>" + b"so it goes " * 6000,
        b"x" * 65536,
        b" " * 65535 + b"x",
        b"<title" * 11_000,
    ],
    ids=["detail", "title", "errors", "text", "page", "one word", "blanks", "tags"],
)
def test_a_message_stays_short_however_long_the_body(body: Any) -> None:
    began = time.process_time()
    message = str(refuse(503, body))
    assert time.process_time() - began < 2
    assert len(message) < 700
    assert message.endswith("; the fault is the server's; another attempt can help")


def test_a_quote_ends_after_500_characters() -> None:
    words = "a word, " * 100
    said = str(refuse(404, {"title": words})).partition(": ")[2].removesuffix("; correct the URL")
    assert said == words[:500].strip()


def test_of_many_problems_the_first_dozen_words_are_quoted() -> None:
    message = str(refuse(503, {"errors": [{"message": f"no {place}"} for place in range(1, 20)]}))
    assert "no 11, no 12; the fault is the server's" in message


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=60))
@example("two\nlines\r\nor\u2028three\u0085four\x00\x1b[31m")
def test_a_message_is_one_line_whatever_the_server_says(text: str) -> None:
    for body in ({"title": "t", "detail": text}, text.encode(), f"<title>{text}</title>".encode()):
        message = str(refuse(503, body))
        assert message.isprintable()
        assert len(message.splitlines()) == 1


# Refusals: how long to stay away


def window(reset: float | str, remaining: str | None = None) -> dict[str, str]:
    known = {"x-rate-limit-limit": "50", "x-rate-limit-reset": str(reset)}
    return known if remaining is None else {**known, "x-rate-limit-remaining": remaining}


def skews(log: Callable[[], list[tuple[int, str]]]) -> int:
    return sum(level == logging.WARNING and "clock" in line for level, line in log())


@pytest.mark.parametrize("value", ["120", "Tue, 14 Nov 2023 22:15:20 GMT"], ids=["seconds", "date"])
@pytest.mark.parametrize("status", [301, 401, 408, 420, 429, 500, 503])
def test_retry_after_is_taken_from_any_refusal_in_either_form(status: int, value: str) -> None:
    error = refuse(status, headers={"retry-after": value})
    assert error.retry_after == 120
    assert "the server asks for a wait of 120 s" in str(error)


@pytest.mark.parametrize("headers", [{}, {"retry-after": "soon"}], ids=["none", "nonsense"])
def test_if_the_server_names_no_time_the_error_has_none(headers: dict[str, str]) -> None:
    error = refuse(429, headers=headers)
    assert error.retry_after is None
    assert "asks for a wait" not in str(error)


@pytest.mark.parametrize("value", ["soon", "-1", "0", "inf", "1e999", ""])
def test_nonsense_in_retry_after_leaves_the_rate_limits_reset_its_say(value: str) -> None:
    assert refuse(429, headers={"retry-after": value, **window(NOW + 90)}).retry_after == 90.0


@pytest.mark.parametrize("remaining", [None, "0", " 0 ", "-1", "0.5", "all", "nan"])
@pytest.mark.parametrize("status", [420, 429])
@pytest.mark.parametrize("seconds", [1, 90, 900])
def test_a_spent_window_is_waited_out(status: int, remaining: str | None, seconds: float) -> None:
    error = refuse(status, TOO_MANY_REQUESTS, window(NOW + seconds, remaining))
    assert error.retry_after == seconds
    assert f"the server asks for a wait of {seconds} s" in str(error)


@pytest.mark.parametrize("body", [TOO_MANY_REQUESTS, LEGACY, b""], ids=["problem", "legacy", "empty"])
@pytest.mark.parametrize("remaining", ["1", "48"])
def test_a_window_that_is_not_spent_is_not_waited_out(body: Any, remaining: str) -> None:
    assert refuse(429, body, window(NOW + 900, remaining)).retry_after is None


@pytest.mark.parametrize("remaining", [None, "1", "48", "all"])
@pytest.mark.parametrize("wrapped", [False, True], ids=["bare", "wrapped"])
def test_too_many_connections_is_no_matter_of_the_window(
    remaining: str | None, wrapped: bool, log: Callable[[], list[tuple[int, str]]]
) -> None:
    body = {"errors": [TOO_MANY]} if wrapped else TOO_MANY
    for reset in (NOW + 900, NOW - 5):
        assert refuse(429, body, window(reset, remaining)).retry_after is None
    assert skews(log) == 0


def test_too_many_connections_waits_for_the_window_if_that_is_spent_as_well() -> None:
    assert refuse(429, TOO_MANY, window(NOW + 900, "0")).retry_after == 900


@pytest.mark.parametrize("status", [status for status in BY_STATUS if status not in (420, 429)])
def test_the_windows_reset_counts_only_if_the_rate_is_limited(
    status: int, log: Callable[[], list[tuple[int, str]]]
) -> None:
    assert refuse(status, headers=window(NOW + 900, "0")).retry_after is None
    assert refuse(status, headers=window(NOW - 900, "0")).retry_after is None
    assert skews(log) == 0


@pytest.mark.parametrize("reset", [NOW, NOW - 1, 0, -5, NOW + 901, NOW + 86_400, NOW * 1000])
def test_a_reset_that_cannot_be_true_is_ignored_with_one_warning(
    reset: float, log: Callable[[], list[tuple[int, str]]]
) -> None:
    assert refuse(429, headers=window(reset, "0")).retry_after is None
    assert skews(log) == 1


@pytest.mark.parametrize("reset", ["soon", "", "nan", "inf", "1e999", "0x10"])
def test_a_senseless_reset_is_ignored_without_a_word(
    reset: str, log: Callable[[], list[tuple[int, str]]]
) -> None:
    assert refuse(429, headers=window(reset, "0")).retry_after is None
    assert skews(log) == 0


@pytest.mark.parametrize("value", ["5", "Tue, 14 Nov 2023 22:13:25 GMT"], ids=["seconds", "date"])
@pytest.mark.parametrize("body", [TOO_MANY_REQUESTS, TOO_MANY], ids=["rate", "connections"])
@pytest.mark.parametrize("reset", [NOW + 900, NOW - 900], ids=["window spent", "clock wrong"])
def test_retry_after_outweighs_the_windows_reset(
    value: str, body: Any, reset: float, log: Callable[[], list[tuple[int, str]]]
) -> None:
    assert refuse(429, body, {"retry-after": value, **window(reset, "0")}).retry_after == 5.0
    assert skews(log) == 0


header_values = st.text(max_size=20) | st.lists(
    st.sampled_from(
        ["Tue,", "14", "Nov", "2023", "22:14:20", "GMT", "-", ":", "+0100", "99999999999999999999", "é"]
    ),
    max_size=8,
).map(" ".join)

json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda values: st.lists(values, max_size=3) | st.dictionaries(st.text(max_size=5), values, max_size=3),
    max_leaves=6,
)
odd_problems = st.dictionaries(
    st.sampled_from(
        [
            "type",
            "title",
            "detail",
            "message",
            "errors",
            "connection_issue",
            "disconnect_type",
            "value",
            "limit",
        ]
    ),
    json_values
    | st.sampled_from(["x/usage-capped", "TooManyConnections", "SlowReader", "x/streaming-connection"])
    | st.lists(st.fixed_dictionaries({"title": json_values, "type": json_values}), max_size=2),
).map(lambda fields: json.dumps(fields).encode())


@given(
    status=st.integers(100, 599),
    retry_after=header_values,
    reset=header_values,
    remaining=header_values,
    body=st.binary() | odd_problems | st.sampled_from([b"{", b'{"errors":[', b'{"title":"\\ud800"}']),
    length=st.none() | st.integers(0, 60),
)
@example(status=429, retry_after="1 Jan 9999 00:00:00 -2359", reset="", remaining="", body=b"", length=None)
def test_no_answer_however_odd_makes_reading_it_fail(
    status: int, retry_after: str, reset: str, remaining: str, body: bytes, length: int | None
) -> None:
    headers = {"retry-after": retry_after, "x-rate-limit-reset": reset, "x-rate-limit-remaining": remaining}
    error = refuse(status, body[:length], headers)
    assert error.status_code == status
    assert error.retry_after is None or error.retry_after > 0
    assert str(error).startswith(f"The server refused the stream with {status}")
    assert len(str(error)) < 1500


# Notices that end the stream

DISCONNECTS: list[tuple[str, StreamErrorType, str, str]] = [
    # disconnect_type, class, what the message must say it means, and to do
    ("OperationalDisconnect", STREAM_INTERRUPTED, "X closed the connection", "connect again"),
    ("UpstreamOperationalDisconnect", STREAM_INTERRUPTED, "X closed the connection", "connect again"),
    ("ForceDisconnect", STREAM_INTERRUPTED, "X closed the connection", "connect again"),
    ("UpstreamUncleanDisconnect", STREAM_INTERRUPTED, "broke inside X", "connect again"),
    ("SlowReader", STREAM_INTERRUPTED, "posts were lost", "read faster"),
    ("InternalError", STREAM_INTERRUPTED, "failed inside X", "connect again"),
    ("PackageUpgraded", STREAM_INTERRUPTED, "access level was raised", "connect again"),
    ("PackageDowngraded", STREAM_INTERRUPTED, "access level was lowered", "connect again"),
    ("SomethingNew", STREAM_INTERRUPTED, "X closed the connection", "connect again"),
    ("ClientApplicationStateDegraded", CLIENT_ERROR, "X has restricted this app", "developer console"),
    ("InvalidRules", CLIENT_ERROR, "does not accept the stream's rules", "delete the bad ones"),
    # a connection_issue in the place of one
    ("TooManyConnections", RATE_LIMITED, "refuses one more connection", "close another connection"),
]
CONNECTIONS: list[tuple[str, StreamErrorType, str, str]] = [
    ("TooManyConnections", RATE_LIMITED, "refuses one more connection", "close another connection"),
    ("ProvisioningSubscription", SERVER_ERROR, "still setting this app's stream up", "another attempt"),
    ("RuleConfigurationIssue", CLIENT_ERROR, "needs a rule", "add one with POST"),
    ("RulesInvalidIssue", CLIENT_ERROR, "does not accept the stream's rules", "delete the bad ones"),
    ("SomethingNew", CLIENT_ERROR, "the request itself has to change", "sending it again cannot help"),
]
Ending = tuple[str, dict[str, str], StreamErrorType, str, str]
ENDINGS: list[Ending] = [
    ("operational-disconnect", {}, STREAM_INTERRUPTED, "X closed the connection", "connect again"),
    *(
        ("operational-disconnect", {"disconnect_type": name}, error_type, meaning, advice)
        for name, error_type, meaning, advice in DISCONNECTS
    ),
    ("client-disconnected", {}, STREAM_INTERRUPTED, "takes this client to have left", "connect again"),
    *(
        ("streaming-connection", {"connection_issue": name}, error_type, meaning, advice)
        for name, error_type, meaning, advice in CONNECTIONS
    ),
    ("streaming-connection", {}, CLIENT_ERROR, "has to change", "sending it again cannot help"),
    ("invalid-rules", {}, CLIENT_ERROR, "does not accept the stream's rules", "delete the bad ones"),
    (
        "usage-capped",
        {"period": "Daily", "scope": "Account"},
        CLIENT_ERROR,
        "all the posts that its plan allows",
        "wait for the period to end",
    ),
]
endings = pytest.mark.parametrize(
    ("kind", "more", "error_type", "meaning", "advice"),
    ENDINGS,
    ids=[f"{ending[0]} {' '.join(ending[1].values())}" for ending in ENDINGS],
)
shapes = pytest.mark.parametrize("wrapped", [True, False], ids=["wrapped", "bare"])


@endings
@shapes
@pytest.mark.parametrize("host", HOSTS)
def test_a_notice_of_an_end_is_an_error_of_its_class_that_says_what_was_said_what_it_means_and_what_to_do(
    kind: str,
    more: dict[str, str],
    error_type: StreamErrorType,
    meaning: str,
    advice: str,
    wrapped: bool,
    host: str,
) -> None:
    fields = problem(kind, host, **more)
    error = problems.ending(notice({"errors": [fields]} if wrapped else fields))
    assert error is not None
    assert error.error_type is error_type
    assert error.problem_kind == kind
    assert error.problem is not None
    assert error.problem.fields == fields
    assert error.status_code is None
    assert error.retry_after is None
    for words in ("The server ended the stream: A title, ", "A detail.", *more.values(), meaning, advice):
        assert words.rstrip(".") in str(error)


def test_a_slow_readers_error_says_that_posts_were_lost_and_what_to_do() -> None:
    error = problems.ending(
        notice({"errors": [problem("operational-disconnect", disconnect_type="SlowReader")]})
    )
    assert error is not None
    assert error.is_retryable
    said, meaning, why, advice, *_ = re.split(r"[;:] ", str(error).partition(": ")[2])
    assert "SlowReader" in said
    assert meaning == "posts were lost"
    assert "read more slowly than they came" in why
    assert "read faster" in advice


@pytest.mark.parametrize(
    ("title", "detail", "disconnect_type"),
    [
        (
            "operational-disconnect",
            "This stream has been disconnected upstream for operational reasons.",
            "UpstreamOperationalDisconnect",
        ),
        (
            "operational-disconnect",
            "This stream has been disconnected for operational reasons.",
            "OperationalDisconnect",
        ),
    ],
    ids=["upstream", "plain"],
)
@shapes
def test_the_operational_disconnect_as_x_sends_it(
    title: str, detail: str, disconnect_type: str, wrapped: bool
) -> None:
    fields = {
        "title": title,
        "disconnect_type": disconnect_type,
        "detail": detail,
        "type": "https://api.x.com/2/problems/operational-disconnect",
    }
    error = problems.ending(notice({"errors": [fields]} if wrapped else fields))
    assert str(error) == (
        f"The server ended the stream: operational-disconnect, {disconnect_type}, {detail.rstrip('.')}; "
        "X closed the connection; connect again"
    )


def test_the_error_of_an_end_carries_the_line_as_it_came() -> None:
    line = '{"errors":[{"title":"caf\u00e9","type":"x/operational-disconnect"}]}\r'
    event = Decoder()(line.encode())
    assert isinstance(event, StreamNotice)
    ending, parting = problems.ending(event), problems.parting(event)
    assert ending is not None
    assert ending.response_body == parting.response_body == line


def test_bytes_of_a_notice_that_are_no_utf_8_are_marked_and_the_rest_is_kept() -> None:
    assert problems.parting(StreamNotice({}, b"caf\xe9")).response_body == "caf\ufffd"


def test_the_end_need_not_be_the_first_of_several_errors() -> None:
    passing, end = problem("resource-not-found"), problem("operational-disconnect")
    error = problems.ending(notice({"errors": [passing, end]}))
    assert error is not None
    assert error.problem_kind == "operational-disconnect"


DISCONNECT_1_1 = {"disconnect": {"code": 4, "stream_name": "s", "reason": "The client was too slow."}}
CONTROL: list[tuple[dict[str, Any], str, str]] = [
    # the older APIs' own words, the kind they count as, what is quoted
    ({"limit": {"track": 1234}}, "limit", "limit"),
    (DISCONNECT_1_1, "disconnect", "disconnect, The client was too slow"),
    ({"disconnect": {"code": 7, "reason": "admin logout"}}, "disconnect", "disconnect, admin logout"),
    (
        {
            "warning": {
                "code": "FALLING_BEHIND",
                "message": "Your connection is falling behind.",
                "percent_full": 60,
            }
        },
        "warning",
        "Your connection is falling behind",
    ),
    (
        {"info": {"message": "Replay Request Completed", "sent": "2026-01-01", "minutes_failed": []}},
        "info",
        "Replay Request Completed",
    ),
    ({"limit": {}}, "limit", "limit"),
    ({"type": "connection_metadata", "datacenter": "atla"}, "connection_metadata", "connection_metadata"),
    ({"code": 88, "message": "Rate limit exceeded"}, "", "Rate limit exceeded"),
    (LEGACY, "", "Rate limit exceeded"),
]
PASSING: list[dict[str, Any]] = [
    {"errors": [problem("resource-not-found")]},
    {"errors": [problem("not-authorized-for-resource")]},
    {"errors": [problem("about:blank")]},
    {"errors": [problem("rate-limit-exceeded")]},
    {"errors": [problem("client-forbidden")]},
    {"errors": [problem("operational-disconnect-2")]},
    {"errors": [problem("operational-disconnect/more")]},
    {"errors": [{"title": "operational-disconnect"}]},
    {"errors": []},
    {"errors": ["text"]},
    {"errors": None},
    *(content for content, _, _ in CONTROL),
    problem("something-new", disconnect_type="SomethingNew"),
]


@pytest.mark.parametrize(
    "content", [*PASSING, problem("something-new", connection_issue="TooManyConnections")], ids=json.dumps
)
def test_any_other_notice_ends_nothing(content: dict[str, Any]) -> None:
    assert problems.ending(notice(content)) is None


@pytest.mark.parametrize("content", PASSING, ids=json.dumps)
def test_a_passing_notice_as_last_line_is_an_interruption(content: dict[str, Any]) -> None:
    error = problems.parting(notice(content))
    assert error.error_type is STREAM_INTERRUPTED
    assert error.is_retryable
    assert error.response_body == json.dumps(content) + "\r"
    assert error.problem is not None
    assert "connect again" in str(error)


@pytest.mark.parametrize(
    ("content", "kind", "quoted"), CONTROL, ids=[json.dumps(case[0]) for case in CONTROL]
)
def test_an_older_apis_control_message_as_last_line_is_named(
    content: dict[str, Any], kind: str, quoted: str
) -> None:
    error = problems.parting(notice(content))
    assert error.problem_kind == kind
    assert str(error) == f"The server ended the stream: {quoted}; X closed the connection; connect again"


def test_a_notice_as_last_line_is_quoted() -> None:
    assert "A title, A detail; " in str(problems.parting(notice({"errors": [problem("something-new")]})))


def test_a_last_notice_without_a_problem_is_an_unknown_problem_in_full() -> None:
    content: dict[str, Any] = {"errors": []}
    error = problems.parting(notice(content))
    assert error.problem_kind == "about:blank"
    assert error.problem is not None
    assert error.problem.fields == content
    assert error.problem.detail == ""
    assert "The server ended the stream: Unknown problem; " in str(error)


def test_a_last_notice_with_a_known_issue_has_the_class_of_the_issue() -> None:
    error = problems.parting(notice(problem("something-new", disconnect_type="TooManyConnections")))
    assert error.error_type is RATE_LIMITED
    assert "TooManyConnections" in str(error)
