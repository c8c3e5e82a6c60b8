"""A table of X's statuses and problems: what each means, whether another attempt can help, and what to do.

The statuses and kinds are those of docs.x.com (response codes and errors, handling disconnections, rate
limits, connections) and of X's OpenAPI document 2.159. Every enumeration of X's is open.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from xdk_streaming.errors import (
    AUTHENTICATION_ERROR,
    CLIENT_ERROR,
    CONNECTION_ERROR,
    RATE_LIMITED,
    SERVER_ERROR,
    STREAM_INTERRUPTED,
    TIMEOUT,
    StreamErrorType,
)


@dataclass(frozen=True)
class Verdict:
    """The class of an error, and advice and meaning that the server's own words do not give."""

    error_type: StreamErrorType
    advice: str
    meaning: str = ""


TRY_AGAIN = "another attempt can help"
CONNECT_AGAIN = "connect again"
NO_STREAM = Verdict(SERVER_ERROR, TRY_AGAIN, "what came is no stream")
CLIENT_FAULT = Verdict(CLIENT_ERROR, "the request itself has to change; sending it again cannot help")
SERVER_FAULT = Verdict(SERVER_ERROR, TRY_AGAIN, "the fault is the server's")
NOT_FROM_X = Verdict(
    SERVER_ERROR,
    TRY_AGAIN,
    "this is a web page, and X's API sends none: something between X and this client has answered",
)
PROXY_LOGIN = Verdict(
    CLIENT_ERROR, "put user and password into the proxy's URL", "a proxy asks for credentials"
)
FORBIDDEN = Verdict(
    AUTHENTICATION_ERROR,
    "check the bearer token's app, its project and access level, in X's developer console",
)
ADD_A_RULE = Verdict(
    CLIENT_ERROR,
    'add one with POST /2/tweets/search/stream/rules {"add": [{"value": "cats"}]}, then connect again',
    "a filtered stream needs a rule before it can be connected to",
)
MEND_THE_RULES = Verdict(
    CLIENT_ERROR,
    "list the rules with GET /2/tweets/search/stream/rules, delete the bad ones with "
    'POST /2/tweets/search/stream/rules {"delete": {"ids": ["..."]}}, then connect again',
    "X does not accept the stream's rules as they are",
)

INTERIM = Verdict(SERVER_ERROR, TRY_AGAIN, "an interim answer came, and no final one")
SWITCHED = Verdict(SERVER_ERROR, TRY_AGAIN, "the server changes to another protocol, which nobody asked for")

BY_STATUS: Mapping[int, Verdict] = {
    101: SWITCHED,
    204: NO_STREAM,
    205: NO_STREAM,
    401: Verdict(AUTHENTICATION_ERROR, "check the bearer token: a stream wants the app's own"),
    402: Verdict(
        CLIENT_ERROR,
        "buy credits, or raise the app's spending limit, in X's developer console (console.x.com)",
        "this app has no credits left",
    ),
    403: FORBIDDEN,
    404: Verdict(CLIENT_ERROR, "correct the URL"),
    406: Verdict(CLIENT_ERROR, 'send "Accept-Encoding: gzip", as requests does by default'),
    407: PROXY_LOGIN,
    408: Verdict(TIMEOUT, TRY_AGAIN, "the request took too long to arrive"),
    409: ADD_A_RULE,
    410: Verdict(CLIENT_ERROR, "look up what replaces it", "this endpoint has been switched off"),
    420: Verdict(RATE_LIMITED, "wait, and connect less often", "too many connects"),  # X's older word for 429
    425: Verdict(SERVER_ERROR, TRY_AGAIN),
    429: Verdict(RATE_LIMITED, "wait, and connect less often", "too many connects in the present 15 minutes"),
    511: Verdict(SERVER_ERROR, "log in to the network", "the network wants a login"),
}

PROXY_AWAY = Verdict(
    CONNECTION_ERROR, "check the proxy's URL, and that the proxy is up", "the proxy cannot be reached"
)

BY_STATUS_OF_A_PAGE: Mapping[int, Verdict] = {401: NOT_FROM_X, 403: NOT_FROM_X}
"""Statuses that X means, and that say little if a web page has them."""

BY_STATUS_OF_A_PROXY: Mapping[int, Verdict] = {
    401: PROXY_LOGIN,
    403: Verdict(
        CLIENT_ERROR,
        "ask the proxy's operator to allow it, or take another way",
        "the proxy forbids this host",
    ),
    407: PROXY_LOGIN,
    408: Verdict(TIMEOUT, TRY_AGAIN),
    425: Verdict(SERVER_ERROR, TRY_AGAIN),
    429: Verdict(RATE_LIMITED, "wait, and connect less often", "the proxy has had too many requests"),
}
"""Statuses with which a proxy refuses a tunnel (CONNECT)."""

REFUSING_KINDS: Mapping[str, Verdict] = {
    "client-forbidden": FORBIDDEN,
    "unsupported-authentication": Verdict(
        AUTHENTICATION_ERROR,
        "send the app's bearer token (OAuth 2.0 Application-Only)",
        "a stream takes no user's token",
    ),
    "duplicate-rules": MEND_THE_RULES,
    "noncompliant-rules": MEND_THE_RULES,
    "rule-cap": MEND_THE_RULES,
    "rule-length": MEND_THE_RULES,
}
"""Kinds of problem that say more than the status of the answer."""

ENDING_KINDS: Mapping[str, Verdict] = {
    "operational-disconnect": Verdict(STREAM_INTERRUPTED, CONNECT_AGAIN, "X closed the connection"),
    "client-disconnected": Verdict(STREAM_INTERRUPTED, CONNECT_AGAIN, "X takes this client to have left"),
    "streaming-connection": CLIENT_FAULT,
    "invalid-rules": MEND_THE_RULES,
    "usage-capped": Verdict(
        CLIENT_ERROR,
        "wait for the period to end or enlarge the plan; no attempt before that can help",
        "this app has read all the posts that its plan allows",
    ),
}
"""Kinds of problem after which X ends a stream. A problem of any other kind does not end the stream."""

ISSUES: Mapping[str, Verdict] = {
    # connection_issue
    "TooManyConnections": Verdict(
        RATE_LIMITED,
        "close another connection of this app (GET /2/connections lists them, DELETE /2/connections/all "
        "closes them), or wait for X to notice that one is gone",
        "X refuses one more connection for this app",
    ),
    "ProvisioningSubscription": Verdict(SERVER_ERROR, TRY_AGAIN, "X is still setting this app's stream up"),
    "RuleConfigurationIssue": ADD_A_RULE,
    "RulesInvalidIssue": MEND_THE_RULES,
    # disconnect_type
    "SlowReader": Verdict(
        STREAM_INTERRUPTED,
        "connect again, and read faster: do less with each post in the loop, or ask for fewer of them",
        "posts were lost: they were read more slowly than they came, and X threw away those it had queued",
    ),
    "InvalidRules": MEND_THE_RULES,
    "ClientApplicationStateDegraded": Verdict(
        CLIENT_ERROR, "look at the app's state in X's developer console", "X has restricted this app"
    ),
    "UpstreamUncleanDisconnect": Verdict(STREAM_INTERRUPTED, CONNECT_AGAIN, "the connection broke inside X"),
    "InternalError": Verdict(STREAM_INTERRUPTED, CONNECT_AGAIN, "something failed inside X"),
    "PackageUpgraded": Verdict(STREAM_INTERRUPTED, CONNECT_AGAIN, "the app's access level was raised"),
    "PackageDowngraded": Verdict(STREAM_INTERRUPTED, CONNECT_AGAIN, "the app's access level was lowered"),
}
"""X's words for the cause that say more than the kind of problem."""


def of_status(status: int) -> Verdict:
    """The verdict on an answer that is no stream, by its status alone."""
    if status in BY_STATUS:
        return BY_STATUS[status]
    if status < 200:
        return INTERIM
    if 200 <= status < 300:
        return NO_STREAM
    return CLIENT_FAULT if 300 <= status < 500 else SERVER_FAULT


def of_proxy(status: int) -> Verdict:
    """The verdict on a proxy that refuses a tunnel with this status."""
    if status in BY_STATUS_OF_A_PROXY:
        return BY_STATUS_OF_A_PROXY[status]
    if 300 <= status < 500:
        return Verdict(CLIENT_ERROR, "check the proxy's URL", "this proxy opens no tunnel to this host")
    return Verdict(SERVER_ERROR, TRY_AGAIN, "the fault is the proxy's, or the proxy cannot reach the host")


def may_be_intercepted(status: int, verdict: Verdict, *, page: bool) -> bool:
    """Whether an answer may be a network's login page rather than X's.

    That is: a success or a refusal by a web page, or a redirect, which X's streams never send. An answer that
    is not X's under any status of its own, such as a proxy's 407, is what it says.
    """
    if status == 304 or verdict is PROXY_LOGIN:
        return False
    if 300 <= status < 400:
        return True
    return page and (200 <= status < 300 or verdict.error_type is CLIENT_ERROR)
