from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from xdk_streaming.errors import StreamError, StreamErrorType
from xdk_streaming.wire import problems
from xdk_streaming.wire.decoder import Decoder, Notice

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

TO_DO = {
    AUTHENTICATION_ERROR: "check the bearer token",
    CLIENT_ERROR: "the request itself has to change",
    RATE_LIMITED: "wait",
    SERVER_ERROR: "another attempt can help",
    STREAM_INTERRUPTED: "connect again",
    TIMEOUT: "another attempt can help",
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


def notice(content: Mapping[str, Any]) -> Notice:
    """The notice, as the decoder makes it of its line."""
    event = Decoder().decode(json.dumps(content).encode() + b"\r")
    assert isinstance(event, Notice)
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


# Refusals: status


@pytest.mark.parametrize(("status", "error_type"), BY_STATUS.items())
def test_a_refusal_has_the_type_of_its_status(status: int, error_type: StreamErrorType) -> None:
    error = refuse(status)
    assert error.error_type is error_type
    assert error.status_code == status


@pytest.mark.parametrize(("status", "error_type"), BY_STATUS.items())
def test_a_refusal_says_the_status_what_the_server_said_and_what_to_do(
    status: int, error_type: StreamErrorType
) -> None:
    message = str(refuse(status, {"title": "The title", "detail": "The detail", "type": "about:blank"}))
    assert str(status) in message
    assert "The title, The detail" in message
    assert TO_DO[error_type] in message


@pytest.mark.parametrize(
    "body",
    [b"<!doctype html><html><head><title>Maintenance</title>", b"", b"Bad gateway"],
    ids=["html", "empty", "text"],
)
@pytest.mark.parametrize("status", [200, 502, 503, 504])
def test_a_proxys_page_is_a_server_error_with_the_page_as_its_body(status: int, body: bytes) -> None:
    error = refuse(status, body, {"content-type": "text/html"})
    assert error.error_type is SERVER_ERROR
    assert error.response_body == body.decode()
    assert error.problem is None
    assert "another attempt can help" in str(error)


# Refusals: body


def test_a_problem_is_read_whole() -> None:
    error = refuse(429, TOO_MANY)
    assert error.problem is not None
    assert error.problem.kind == error.problem_kind == "streaming-connection"
    assert error.problem.title == "ConnectionException"
    assert error.problem.detail == TOO_MANY["detail"]
    assert error.problem.fields == TOO_MANY
    assert error.response_body == json.dumps(TOO_MANY)


def test_too_many_connections_is_rate_limited_and_named() -> None:
    error = refuse(429, TOO_MANY)
    assert error.error_type is RATE_LIMITED
    for words in ("429", "ConnectionException", "TooManyConnections", "close another connection"):
        assert words in str(error)


def test_a_problem_inside_errors_is_read_like_a_bare_one() -> None:
    wrapped = refuse(429, {"errors": [TOO_MANY]})
    assert wrapped.problem == refuse(429, TOO_MANY).problem
    assert str(wrapped) == str(refuse(429, TOO_MANY))


def test_a_problem_beside_errors_outweighs_them() -> None:
    fields = {
        "errors": [{"parameters": {"partition": []}, "message": "can not be empty"}],
        "title": "Invalid Request",
        "detail": "One or more parameters to your request was invalid.",
        "type": "https://api.twitter.com/2/problems/invalid-request",
    }
    error = refuse(400, fields)
    assert error.problem_kind == "invalid-request"
    assert error.problem is not None
    assert error.problem.fields == fields


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("slash", ["", "/"])
def test_the_host_before_a_problems_kind_does_not_matter(host: str, slash: str) -> None:
    assert refuse(409, problem("streaming-connection" + slash, host)).problem_kind == "streaming-connection"


def test_a_kind_without_a_path_is_the_kind() -> None:
    assert refuse(401, {"title": "Unauthorized", "type": "about:blank"}).problem_kind == "about:blank"


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("wrapped", [False, True], ids=["bare", "wrapped"])
def test_a_429_for_the_usage_cap_is_not_retried(host: str, wrapped: bool) -> None:
    fields = {**USAGE_CAPPED, "type": f"{host}/2/problems/usage-capped"}
    error = refuse(429, {"errors": [fields]} if wrapped else fields, {"x-rate-limit-reset": str(NOW + 9)})
    assert error.error_type is CLIENT_ERROR
    assert not error.is_retryable
    assert error.retry_after is None
    assert "Usage cap exceeded: Monthly product cap" in str(error)


@pytest.mark.parametrize(
    "body", [LEGACY, {"code": 88, "message": "Rate limit exceeded"}], ids=["wrapped", "bare"]
)
def test_the_message_of_a_legacy_error_is_passed_on(body: dict[str, Any]) -> None:
    error = refuse(429, body)
    assert error.error_type is RATE_LIMITED
    assert error.response_body == json.dumps(body)
    assert "Rate limit exceeded" in str(error)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"null",
        b"[]",
        b"[{}]",
        b'"busy"',
        b"503",
        b"<html>busy</html>",
        b'{"title":"cut sho',
        b'{"title":"caf\xe9"}',
        b'{"errors":null}',
        b'{"errors":{"title":"no list"}}',
        b'{"errors":["text",null,5,[]]}',
        b'{"errors":[]}',
        b'{"type":5,"title":null}',
        b"\x1f\x8b\x08garbage",
        b"[" * 100_000,
    ],
    ids=lambda body: repr(body[:25]),
)
def test_a_body_without_a_problem_leaves_the_status_to_speak(body: bytes) -> None:
    error = refuse(503, body)
    assert error.error_type is SERVER_ERROR
    assert error.problem is None
    assert error.problem_kind is None
    assert str(error).startswith("The server refused the stream with 503; ")


def test_bytes_of_a_body_that_are_no_utf_8_are_marked_and_the_rest_is_kept() -> None:
    assert refuse(500, b"caf\xe9 closed").response_body == "caf\ufffd closed"


@pytest.mark.parametrize(
    ("fields", "kind", "said"),
    [
        ({"title": "Only a title"}, "", "Only a title"),
        ({"type": ".../only-a-type"}, "only-a-type", "only-a-type"),
        ({"title": "A title", "detail": "A title", "type": "t"}, "t", "A title"),
        ({"title": "A title", "detail": None, "type": None}, "", "A title"),
    ],
    ids=["no type", "no title", "the same twice", "nulls"],
)
def test_of_a_problem_what_is_there_is_said_once(fields: dict[str, Any], kind: str, said: str) -> None:
    error = refuse(404, fields)
    assert error.problem_kind == kind
    assert str(error).startswith(f"The server refused the stream with 404: {said}; ")


# Refusals: how long to stay away


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("1", 1.0),
        ("120", 120.0),
        (" 7 ", 7.0),
        ("0.5", 0.5),
        ("100000", 100000.0),  # what is too long is the policy's business
        ("Tue, 14 Nov 2023 22:14:20 GMT", 60.0),
        ("Tuesday, 14-Nov-23 22:14:20 GMT", 60.0),
        ("Tue Nov 14 22:14:20 2023", 60.0),
        ("Tue, 14 Nov 2023 23:14:20 +0100", 60.0),
    ],
)
@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_is_read_in_seconds_and_as_a_date(status: int, value: str, seconds: float) -> None:
    assert refuse(status, headers={"retry-after": value}).retry_after == seconds


@pytest.mark.parametrize("value", ["Tue Nov 14 22:14:20 2023", "Tue, 14 Nov 2023 22:14:20 -0000"])
def test_a_date_without_a_zone_is_gmt_wherever_the_client_runs(value: str, tokyo: None) -> None:
    assert refuse(503, headers={"retry-after": value}).retry_after == 60.0


@pytest.fixture
def tokyo(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "JST-9")
        time.tzset()
        yield
    time.tzset()


GARBAGE = [
    "",
    " ",
    "soon",
    "nan",
    "NaN",
    "inf",
    "-inf",
    "infinity",
    "1e999",
    "0x10",
    "1,5",
    "Tue, 99 Nov 2023 22:14:20 GMT",
    "Tue, 14 Nov 99999 22:14:20 GMT",
    "Tue, 14 Nov 2023 22:14:20 +9999999",
    "9" * 5000,
    "\x00",
]


@pytest.mark.parametrize(
    "value",
    [*GARBAGE, "0", "-1", "-0.5", "Tue, 14 Nov 2023 22:12:20 GMT"],
    ids=lambda value: repr(value[:35]),
)
def test_a_retry_after_that_asks_for_no_wait_or_for_nonsense_is_ignored(value: str) -> None:
    assert refuse(503, headers={"retry-after": value}).retry_after is None


@pytest.mark.parametrize("value", [*GARBAGE, "-1"], ids=lambda value: repr(value[:35]))
def test_nonsense_in_retry_after_leaves_the_rate_limits_reset_its_say(value: str) -> None:
    headers = {"retry-after": value, "x-rate-limit-reset": str(int(NOW) + 90)}
    assert refuse(429, headers=headers).retry_after == 90.0


@pytest.mark.parametrize("remaining", [None, "0", " 0 "])
@pytest.mark.parametrize("status", [420, 429])
def test_a_spent_window_is_waited_out(status: int, remaining: str | None) -> None:
    headers = {"x-rate-limit-limit": "50", "x-rate-limit-reset": str(int(NOW) + 900)}
    if remaining is not None:
        headers["x-rate-limit-remaining"] = remaining
    assert refuse(status, headers=headers).retry_after == 900.0


@pytest.mark.parametrize("remaining", ["48", "1", "all"])
def test_a_window_that_is_not_spent_is_not_waited_out(remaining: str) -> None:
    headers = {"x-rate-limit-remaining": remaining, "x-rate-limit-reset": str(int(NOW) + 900)}
    assert refuse(429, TOO_MANY, headers).retry_after is None


@pytest.mark.parametrize("status", [status for status in BY_STATUS if status not in (420, 429)])
def test_the_windows_reset_counts_only_where_the_rate_is_limited(status: int) -> None:
    headers = {"x-rate-limit-remaining": "0", "x-rate-limit-reset": str(int(NOW) + 900)}
    assert refuse(status, headers=headers).retry_after is None


@pytest.mark.parametrize(
    "reset", [str(int(NOW)), str(int(NOW) - 1), "0", "-5", *GARBAGE], ids=lambda value: repr(value[:35])
)
def test_a_reset_in_the_past_or_a_senseless_one_is_ignored(reset: str) -> None:
    assert refuse(429, headers={"x-rate-limit-reset": reset}).retry_after is None


def test_retry_after_outweighs_the_windows_reset() -> None:
    headers = {"retry-after": "5", "x-rate-limit-remaining": "0", "x-rate-limit-reset": str(int(NOW) + 900)}
    assert refuse(429, headers=headers).retry_after == 5.0


def test_where_the_server_names_no_time_none_is_known() -> None:
    assert refuse(429).retry_after is None


header_values = st.text(max_size=20) | st.lists(
    st.sampled_from(
        ["Tue,", "14", "Nov", "2023", "22:14:20", "GMT", "-", ":", "+0100", "99999999999999999999", "é"]
    ),
    max_size=8,
).map(" ".join)


@given(
    status=st.integers(100, 599),
    retry_after=header_values,
    reset=header_values,
    remaining=header_values,
    body=st.binary() | st.sampled_from([b"{", b'{"errors":[', b'{"title":"\\ud800"}']),
)
@example(status=429, retry_after="1 Jan 9999 00:00:00 -2359", reset="", remaining="", body=b"")
def test_no_answer_however_odd_makes_reading_it_fail(
    status: int, retry_after: str, reset: str, remaining: str, body: bytes
) -> None:
    headers = {"retry-after": retry_after, "x-rate-limit-reset": reset, "x-rate-limit-remaining": remaining}
    error = refuse(status, body, headers)
    assert error.status_code == status
    assert error.retry_after is None or error.retry_after > 0


# Notices that end the stream

ENDINGS = [
    ("operational-disconnect", {}, STREAM_INTERRUPTED),
    ("operational-disconnect", {"disconnect_type": "OperationalDisconnect"}, STREAM_INTERRUPTED),
    ("operational-disconnect", {"disconnect_type": "UpstreamOperationalDisconnect"}, STREAM_INTERRUPTED),
    ("operational-disconnect", {"disconnect_type": "ForceDisconnect"}, STREAM_INTERRUPTED),
    ("operational-disconnect", {"disconnect_type": "UpstreamUncleanDisconnect"}, STREAM_INTERRUPTED),
    ("operational-disconnect", {"disconnect_type": "SlowReader"}, STREAM_INTERRUPTED),
    ("operational-disconnect", {"disconnect_type": "InternalError"}, STREAM_INTERRUPTED),
    ("operational-disconnect", {"disconnect_type": "PackageUpgraded"}, STREAM_INTERRUPTED),
    ("operational-disconnect", {"disconnect_type": "ClientApplicationStateDegraded"}, CLIENT_ERROR),
    ("operational-disconnect", {"disconnect_type": "InvalidRules"}, CLIENT_ERROR),
    ("client-disconnected", {}, STREAM_INTERRUPTED),
    ("streaming-connection", {"connection_issue": "TooManyConnections"}, RATE_LIMITED),
    ("streaming-connection", {"connection_issue": "ProvisioningSubscription"}, SERVER_ERROR),
    ("streaming-connection", {"connection_issue": "RuleConfigurationIssue"}, CLIENT_ERROR),
    ("streaming-connection", {"connection_issue": "RulesInvalidIssue"}, CLIENT_ERROR),
    ("streaming-connection", {"connection_issue": "SomethingNew"}, CLIENT_ERROR),
    ("streaming-connection", {}, CLIENT_ERROR),
    ("invalid-rules", {}, CLIENT_ERROR),
    ("usage-capped", {"period": "Daily", "scope": "Account"}, CLIENT_ERROR),
]
endings = pytest.mark.parametrize(
    ("kind", "more", "error_type"),
    ENDINGS,
    ids=[f"{kind} {' '.join(more.values())}" for kind, more, _ in ENDINGS],
)
shapes = pytest.mark.parametrize("wrapped", [True, False], ids=["wrapped", "bare"])


@endings
@shapes
@pytest.mark.parametrize("host", HOSTS)
def test_a_notice_of_an_end_is_an_error_of_its_type(
    kind: str, more: dict[str, str], error_type: StreamErrorType, wrapped: bool, host: str
) -> None:
    fields = problem(kind, host, **more)
    error = problems.ending(notice({"errors": [fields]} if wrapped else fields))
    assert error is not None
    assert error.error_type is error_type
    assert error.problem_kind == kind
    assert error.status_code is None


@endings
@shapes
def test_the_error_of_an_end_says_what_the_server_said_and_what_to_do(
    kind: str, more: dict[str, str], error_type: StreamErrorType, wrapped: bool
) -> None:
    fields = problem(kind, **more)
    message = str(problems.ending(notice({"errors": [fields]} if wrapped else fields)))
    specific = more.get("disconnect_type") or more.get("connection_issue")
    for words in ("A title", "A detail.", TO_DO[error_type], specific or ""):
        assert words in message


def test_the_error_of_an_end_carries_the_line_as_it_came() -> None:
    line = '{"errors":[{"title":"caf\u00e9","type":"x/operational-disconnect"}]}\r'
    event = Decoder().decode(line.encode())
    assert isinstance(event, Notice)
    ending, parting = problems.ending(event), problems.parting(event)
    assert ending is not None
    assert ending.response_body == parting.response_body == line


def test_the_end_need_not_be_the_first_of_several_errors() -> None:
    passing, end = problem("resource-not-found"), problem("operational-disconnect")
    error = problems.ending(notice({"errors": [passing, end]}))
    assert error is not None
    assert error.problem_kind == "operational-disconnect"


PASSING: list[dict[str, Any]] = [
    {"errors": [problem("resource-not-found")]},
    {"errors": [problem("about:blank")]},
    {"errors": [problem("operational-disconnect-2")]},
    {"errors": [problem("operational-disconnect/more")]},
    {"errors": [{"title": "operational-disconnect"}]},
    {"errors": []},
    {"errors": ["text"]},
    {"errors": None},
    LEGACY,
    problem("something-new", disconnect_type="TooManyConnections"),
]


@pytest.mark.parametrize("content", PASSING, ids=json.dumps)
def test_any_other_notice_ends_nothing(content: dict[str, Any]) -> None:
    assert problems.ending(notice(content)) is None


@pytest.mark.parametrize("content", PASSING[:-1], ids=json.dumps)
def test_a_notice_in_passing_that_was_the_last_word_is_an_interruption(content: dict[str, Any]) -> None:
    error = problems.parting(notice(content))
    assert error.error_type is STREAM_INTERRUPTED
    assert error.response_body == json.dumps(content) + "\r"
    assert error.problem is not None
    assert "connect again" in str(error)


def test_the_last_word_is_quoted() -> None:
    assert "A title, A detail." in str(problems.parting(notice({"errors": [problem("something-new")]})))


def test_a_last_word_without_a_problem_is_an_unknown_problem_with_all_that_came() -> None:
    content: dict[str, Any] = {"errors": []}
    error = problems.parting(notice(content))
    assert error.problem_kind == "about:blank"
    assert error.problem is not None
    assert error.problem.fields == content
    assert "Unknown problem" in str(error)


def test_a_last_word_with_a_telling_detail_has_the_type_of_that() -> None:
    error = problems.parting(notice(PASSING[-1]))
    assert error.error_type is RATE_LIMITED
    assert "TooManyConnections" in str(error)


def test_every_type_a_server_can_cause_comes_with_advice() -> None:
    causes = {*BY_STATUS.values(), *(error_type for _, _, error_type in ENDINGS)}
    assert causes == set(problems.ADVICE)
