"""The verdicts, held against a second table that was typed by hand.

Of each: the class, telling words of what it means, and telling words of what to do.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from xdk_streaming.errors import StreamErrorType
from xdk_streaming.wire import verdicts
from xdk_streaming.wire.verdicts import Verdict

AUTHENTICATION_ERROR = StreamErrorType.AUTHENTICATION_ERROR
CLIENT_ERROR = StreamErrorType.CLIENT_ERROR
RATE_LIMITED = StreamErrorType.RATE_LIMITED
SERVER_ERROR = StreamErrorType.SERVER_ERROR
STREAM_INTERRUPTED = StreamErrorType.STREAM_INTERRUPTED
TIMEOUT = StreamErrorType.TIMEOUT

Expected = tuple[StreamErrorType, str, str]

NO_STREAM: Expected = (SERVER_ERROR, "what came is no stream", "another attempt can help")
SERVER_FAULT: Expected = (SERVER_ERROR, "the fault is the server's", "another attempt can help")
CLIENT_FAULT: Expected = (
    CLIENT_ERROR,
    "",
    "the request itself has to change; sending it again cannot help",
)
FORBIDDEN: Expected = (
    AUTHENTICATION_ERROR,
    "",
    "check the bearer token's app, its project and access level, in X's developer console",
)
NEEDS_A_RULE: Expected = (
    CLIENT_ERROR,
    "needs a rule",
    'add one with POST /2/tweets/search/stream/rules {"add": [{"value": "cats"}]}, then connect again',
)
BAD_RULES: Expected = (
    CLIENT_ERROR,
    "X does not accept the stream's rules",
    "list the rules with GET /2/tweets/search/stream/rules, delete the bad ones with "
    'POST /2/tweets/search/stream/rules {"delete": {"ids": ["..."]}}, then connect again',
)

INTERIM: Expected = (SERVER_ERROR, "an interim answer came, and no final one", "another attempt can help")
PROXY_LOGIN: Expected = (
    CLIENT_ERROR,
    "a proxy asks for credentials",
    "user and password into the proxy's URL",
)

BY_STATUS: dict[int, Expected] = {
    101: (SERVER_ERROR, "changes to another protocol", "another attempt can help"),
    204: NO_STREAM,
    205: NO_STREAM,
    401: (AUTHENTICATION_ERROR, "", "check the bearer token: a stream wants the app's own"),
    402: (CLIENT_ERROR, "no credits left", "buy credits"),
    403: FORBIDDEN,
    404: (CLIENT_ERROR, "", "correct the URL"),
    406: (CLIENT_ERROR, "", 'send "Accept-Encoding: gzip"'),
    407: PROXY_LOGIN,
    408: (TIMEOUT, "the request took too long", "another attempt can help"),
    409: NEEDS_A_RULE,
    410: (CLIENT_ERROR, "switched off", "look up what replaces it"),
    420: (RATE_LIMITED, "too many connects", "wait, and connect less often"),
    425: (SERVER_ERROR, "", "another attempt can help"),
    429: (RATE_LIMITED, "too many connects in the present 15 minutes", "wait, and connect less often"),
    511: (SERVER_ERROR, "the network wants a login", "log in to the network"),
}

REFUSING_KINDS: dict[str, Expected] = {
    "client-forbidden": FORBIDDEN,
    "unsupported-authentication": (
        AUTHENTICATION_ERROR,
        "takes no user's token",
        "send the app's bearer token (OAuth 2.0 Application-Only)",
    ),
    "duplicate-rules": BAD_RULES,
    "noncompliant-rules": BAD_RULES,
    "rule-cap": BAD_RULES,
    "rule-length": BAD_RULES,
}

ENDING_KINDS: dict[str, Expected] = {
    "operational-disconnect": (STREAM_INTERRUPTED, "X closed the connection", "connect again"),
    "client-disconnected": (STREAM_INTERRUPTED, "X takes this client to have left", "connect again"),
    "streaming-connection": CLIENT_FAULT,
    "invalid-rules": BAD_RULES,
    "usage-capped": (
        CLIENT_ERROR,
        "has read all the posts that its plan allows",
        "wait for the period to end or enlarge the plan; no attempt before that can help",
    ),
}

ISSUES: dict[str, Expected] = {
    "TooManyConnections": (
        RATE_LIMITED,
        "X refuses one more connection for this app",
        "close another connection of this app (GET /2/connections lists them, "
        "DELETE /2/connections/all closes them), or wait",
    ),
    "ProvisioningSubscription": (SERVER_ERROR, "still setting this app's stream up", "another attempt"),
    "RuleConfigurationIssue": NEEDS_A_RULE,
    "RulesInvalidIssue": BAD_RULES,
    "SlowReader": (STREAM_INTERRUPTED, "posts were lost", "read faster"),
    "InvalidRules": BAD_RULES,
    "ClientApplicationStateDegraded": (
        CLIENT_ERROR,
        "X has restricted this app",
        "the app's state in X's developer console",
    ),
    "UpstreamUncleanDisconnect": (STREAM_INTERRUPTED, "broke inside X", "connect again"),
    "InternalError": (STREAM_INTERRUPTED, "failed inside X", "connect again"),
    "PackageUpgraded": (STREAM_INTERRUPTED, "access level was raised", "connect again"),
    "PackageDowngraded": (STREAM_INTERRUPTED, "access level was lowered", "connect again"),
}

FROM_A_STRANGER: Expected = (SERVER_ERROR, "a web page, and X's API sends none", "another attempt can help")
BY_STATUS_OF_A_PAGE: dict[int, Expected] = {401: FROM_A_STRANGER, 403: FROM_A_STRANGER}
BY_STATUS_OF_A_PROXY: dict[int, Expected] = {
    401: PROXY_LOGIN,
    403: (CLIENT_ERROR, "the proxy forbids this host", "ask the proxy's operator"),
    407: PROXY_LOGIN,
    408: (TIMEOUT, "", "another attempt can help"),
    425: (SERVER_ERROR, "", "another attempt can help"),
    429: (RATE_LIMITED, "the proxy has had too many requests", "wait, and connect less often"),
}

TABLES: dict[str, tuple[Mapping[Any, Verdict], Mapping[Any, Expected]]] = {
    "statuses": (verdicts.BY_STATUS, BY_STATUS),
    "statuses of a page": (verdicts.BY_STATUS_OF_A_PAGE, BY_STATUS_OF_A_PAGE),
    "statuses of a proxy": (verdicts.BY_STATUS_OF_A_PROXY, BY_STATUS_OF_A_PROXY),
    "refusing kinds": (verdicts.REFUSING_KINDS, REFUSING_KINDS),
    "ending kinds": (verdicts.ENDING_KINDS, ENDING_KINDS),
    "issues": (verdicts.ISSUES, ISSUES),
}
ENTRIES = [(table, name) for table, (_, typed) in TABLES.items() for name in typed]


def holds(verdict: Verdict, expected: Expected) -> bool:
    error_type, meaning, advice = expected
    silent = not meaning and verdict.meaning
    return (
        verdict.error_type is error_type
        and meaning in verdict.meaning
        and advice in verdict.advice
        and not silent
    )


@pytest.mark.parametrize(("table", "name"), ENTRIES)
def test_every_entry_is_of_the_class_and_says_the_words_that_were_typed_by_hand(
    table: str, name: object
) -> None:
    given, typed = TABLES[table]
    assert holds(given[name], typed[name]), given[name]


@pytest.mark.parametrize("table", TABLES)
def test_no_entry_is_there_that_was_not_typed_by_hand(table: str) -> None:
    given, typed = TABLES[table]
    assert list(given) == list(typed)


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (199, INTERIM),
        (200, NO_STREAM),
        (201, NO_STREAM),
        (206, NO_STREAM),
        (299, NO_STREAM),
        (300, CLIENT_FAULT),
        (304, CLIENT_FAULT),
        (400, CLIENT_FAULT),
        (422, CLIENT_FAULT),
        (499, CLIENT_FAULT),
        (500, SERVER_FAULT),
        (503, SERVER_FAULT),
        (599, SERVER_FAULT),
        (100, INTERIM),
        (102, INTERIM),
        (103, INTERIM),
        *BY_STATUS.items(),
    ],
)
def test_any_status_at_all_has_a_verdict(status: int, expected: Expected) -> None:
    assert holds(verdicts.of_status(status), expected)


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (103, (SERVER_ERROR, "the fault is the proxy's", "another attempt can help")),
        (201, (SERVER_ERROR, "the fault is the proxy's", "another attempt can help")),
        (302, (CLIENT_ERROR, "opens no tunnel to this host", "check the proxy's URL")),
        (400, (CLIENT_ERROR, "opens no tunnel to this host", "check the proxy's URL")),
        (404, (CLIENT_ERROR, "opens no tunnel to this host", "check the proxy's URL")),
        (405, (CLIENT_ERROR, "opens no tunnel to this host", "check the proxy's URL")),
        (500, (SERVER_ERROR, "the fault is the proxy's", "another attempt can help")),
        (502, (SERVER_ERROR, "the fault is the proxy's", "another attempt can help")),
        (599, (SERVER_ERROR, "the fault is the proxy's", "another attempt can help")),
        *BY_STATUS_OF_A_PROXY.items(),
    ],
)
def test_any_status_with_which_a_proxy_refuses_a_tunnel_has_a_verdict(
    status: int, expected: Expected
) -> None:
    assert holds(verdicts.of_proxy(status), expected)


@pytest.mark.parametrize(("table", "name"), ENTRIES)
def test_advice_is_never_missing_and_never_to_retry_a_hopeless_case(table: str, name: object) -> None:
    verdict = TABLES[table][0][name]
    assert verdict.advice
    if verdict.error_type in (AUTHENTICATION_ERROR, CLIENT_ERROR):
        assert verdict.advice not in (verdicts.TRY_AGAIN, verdicts.CONNECT_AGAIN)
