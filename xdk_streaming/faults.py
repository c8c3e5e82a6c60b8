"""The fault catalogue: everything a stream of X's can show, and what becomes of it here.

One fault is one entry: a name, what the server does, and the outcome. The simulator plays
them, the tests hold the package to the outcomes over real sockets, `xdk-streaming faults`
and docs/faults.md show them. The bodies are those of docs.x.com and of X's OpenAPI document
2.159; which callbacks a change of state fires is the transition table's to say.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Literal

import orjson

from xdk_streaming.errors import StreamErrorType
from xdk_streaming.machine.table import TABLE
from xdk_streaming.script import (
    HEARTBEAT,
    OPERATIONAL_DISCONNECT,
    Cut,
    End,
    Flood,
    Limited,
    Notice,
    Open,
    Raw,
    Refuse,
    Reset,
    Script,
    Send,
    Stall,
    Uncompressed,
)
from xdk_streaming.state import ConnectionState, Trigger
from xdk_streaming.x import PROBLEMS

BACKOFF, FAILED, STREAMING = ConnectionState.BACKOFF, ConnectionState.FAILED, ConnectionState.STREAMING
LineCallback = Literal["on_invalid", "on_notice"]


class Peer(Enum):
    """Who is at the other end."""

    SERVER = "the server"
    CLOSED_PORT = "a port on which nobody listens"
    UNKNOWN_HOST = "a name that no DNS server knows"
    UNTRUSTED = "a server with a certificate of an unknown authority"


@dataclass(frozen=True)
class Fault:
    """One entry of the catalogue."""

    name: str
    sentence: str
    """What happens."""
    script: Script
    """What the server does: from its answer on where it refuses, else on a stream that is open already."""
    state: ConnectionState
    """Where the connection stands once the fault has been seen."""
    trigger: Trigger | None = None
    """What the machine is told; None where the stream goes on."""
    error: StreamErrorType | None = None
    """The class of the error that passes on_error."""
    items: int = 0
    """Items among what the script sends."""
    lines: tuple[LineCallback, ...] = ()
    """What the lines that are no items call, in order."""
    asks: bool = False
    """The server says how long to stay away."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Fields of StreamConfig that bring it about sooner."""
    encoding: Literal["gzip"] | None = None
    """How the body must be compressed for it."""
    peer: Peer = Peer.SERVER

    @property
    def refuses(self) -> bool:
        """It shows before there is a stream."""
        return self.trigger is Trigger.REFUSED

    @property
    def retry(self) -> str:
        """Whether and when another attempt follows."""
        if self.state is FAILED:
            return "cannot help"
        if self.state is STREAMING:
            return "is not needed"
        return "when the server says" if self.asks else "after the backoff"

    @property
    def callbacks(self) -> tuple[str, ...]:
        """What is called, in order, up to the next attempt."""
        told = next(
            (row.notify for row in TABLE if (row.trigger, row.dest) == (self.trigger, self.state)), ()
        )
        announced = ("on_reconnect",) if self.state is BACKOFF else ()
        return (*self.lines, *told, *announced)


AUTHENTICATION_ERROR = StreamErrorType.AUTHENTICATION_ERROR
CLIENT_ERROR = StreamErrorType.CLIENT_ERROR
CONNECTION_ERROR = StreamErrorType.CONNECTION_ERROR
FATAL_ERROR = StreamErrorType.FATAL_ERROR
RATE_LIMITED = StreamErrorType.RATE_LIMITED
SERVER_ERROR = StreamErrorType.SERVER_ERROR
STREAM_INTERRUPTED = StreamErrorType.STREAM_INTERRUPTED
TIMEOUT = StreamErrorType.TIMEOUT

SHORT_STALL = {"stall_timeout": 0.5}
SHORT_LINES = {"max_item_bytes": 4096}


def _refused(name: str, sentence: str, *script: Any, error: StreamErrorType, **more: Any) -> Fault:
    state = FAILED if error in (AUTHENTICATION_ERROR, CLIENT_ERROR, FATAL_ERROR) else BACKOFF
    return Fault(name, sentence, script, state, Trigger.REFUSED, error, **more)


def _broke(name: str, sentence: str, *script: Any, error: StreamErrorType, **more: Any) -> Fault:
    state = FAILED if error in (AUTHENTICATION_ERROR, CLIENT_ERROR, FATAL_ERROR) else BACKOFF
    return Fault(name, sentence, script, state, Trigger.BROKE, error, **more)


def _ended(name: str, sentence: str, *script: Any, **more: Any) -> Fault:
    return Fault(name, sentence, script, BACKOFF, Trigger.ENDED, **more)


def _line(name: str, sentence: str, *script: Any, **more: Any) -> Fault:
    return Fault(name, sentence, script, STREAMING, **more)


def _problem(kind: str, title: str, detail: str, **more: Any) -> dict[str, Any]:
    return {"title": title, "detail": detail, **more, "type": PROBLEMS + kind}


def _body(problem: Mapping[str, Any]) -> bytes:
    return orjson.dumps(dict(problem))


def _blank(status: int, title: str) -> bytes:
    return orjson.dumps({"title": title, "detail": title, "type": "about:blank", "status": status})


def _disconnect(disconnect_type: str) -> dict[str, Any]:
    detail = "This stream has been disconnected for operational reasons."
    return _problem(
        "operational-disconnect", "operational-disconnect", detail, disconnect_type=disconnect_type
    )


def _issue(connection_issue: str, detail: str) -> dict[str, Any]:
    return _problem("streaming-connection", "ConnectionException", detail, connection_issue=connection_issue)


TOO_MANY = _issue("TooManyConnections", "This stream is currently at the maximum allowed connection limit.")
NO_RULES = _issue("RuleConfigurationIssue", "The stream has no rules to match against.")
USAGE_CAPPED = _problem(
    "usage-capped",
    "UsageCapExceeded",
    "Usage cap exceeded: Monthly product cap",
    period="Monthly",
    scope="Product",
    product_name="standard-basic",
)
NOT_ENROLLED = _problem(
    "client-forbidden",
    "Client Forbidden",
    "This app is not enrolled in the access level that the endpoint needs.",
    reason="client-not-enrolled",
    required_enrollment="Appropriate Level of API Access",
    registration_url="https://developer.x.com/en/portal/dashboard",
)
USER_TOKEN = _problem(
    "unsupported-authentication",
    "Unsupported Authentication",
    "Supported authentication types are [OAuth 2.0 Application-Only].",
    status=403,
)
BAD_PARTITION = {
    "errors": [{"parameters": {"partition": []}, "message": "The partition parameter can not be empty"}],
    **_problem("invalid-request", "Invalid Request", "One or more parameters to your request was invalid."),
}
MISSING_AUTHOR = _problem("resource-not-found", "Not Found Error", "Could not find user with id: [7].")
WEB_PAGE = (
    b"<!doctype html><html><head><title>Down for maintenance</title></head><body>Soon back</body></html>"
)
POST = b'{"data":{"id":"1","text":"%b"}}'
LEGACY_LIMIT = orjson.dumps({"errors": [{"code": 88, "message": "Rate limit exceeded"}]})

CONNECTING_FAULTS = (
    _refused(
        "connection-refused",
        "Nobody listens at the port.",
        error=CONNECTION_ERROR,
        peer=Peer.CLOSED_PORT,
    ),
    _refused(
        "unknown-host",
        "The host's name resolves to nothing.",
        error=CONNECTION_ERROR,
        peer=Peer.UNKNOWN_HOST,
    ),
    _refused(
        "certificate-refused",
        "The server's certificate comes from an authority that the client does not know.",
        error=FATAL_ERROR,
        peer=Peer.UNTRUSTED,
    ),
    _refused(
        "closed-before-headers",
        "The server takes the request and closes the connection.",
        Cut(half=False),
        error=CONNECTION_ERROR,
    ),
    _refused(
        "reset-before-headers",
        "The server takes the request and resets the connection.",
        Reset(half=False),
        error=CONNECTION_ERROR,
    ),
    _refused(
        "stall-before-headers",
        "The server takes the request and says nothing.",
        Stall(head=False),
        error=TIMEOUT,
        settings=SHORT_STALL,
    ),
    _refused(
        "no-http",
        "Something answers that does not speak HTTP.",
        Raw(b"SSH-2.0-OpenSSH_9.6\r\n"),
        Cut(half=False),
        error=CONNECTION_ERROR,
    ),
)

REFUSALS = (
    _refused(
        "bad-request", "400: a parameter is wrong.", Refuse(400, _body(BAD_PARTITION)), error=CLIENT_ERROR
    ),
    _refused(
        "unauthorized",
        "401: the token is not accepted.",
        Refuse(401, _blank(401, "Unauthorized")),
        error=AUTHENTICATION_ERROR,
    ),
    _refused(
        "client-forbidden",
        "403: the app's access level does not include the stream.",
        Refuse(403, _body(NOT_ENROLLED)),
        error=AUTHENTICATION_ERROR,
    ),
    _refused(
        "unsupported-authentication",
        "403: a user's token, where the app's own is wanted.",
        Refuse(403, _body(USER_TOKEN)),
        error=AUTHENTICATION_ERROR,
    ),
    _refused(
        "not-found", "404: no such endpoint.", Refuse(404, _blank(404, "Not Found")), error=CLIENT_ERROR
    ),
    _refused("not-acceptable", "406: no gzip was offered.", Refuse(406), error=CLIENT_ERROR),
    _refused(
        "no-rules", "409: a filtered stream without rules.", Refuse(409, _body(NO_RULES)), error=CLIENT_ERROR
    ),
    _refused("switched-off", "410: the endpoint is gone.", Refuse(410), error=CLIENT_ERROR),
    _refused("request-timeout", "408: the request took too long.", Refuse(408), error=TIMEOUT),
    _refused("calm-down", "420: X's older word for 429.", Refuse(420), error=RATE_LIMITED),
    _refused(
        "window-spent",
        "429: no connects are left in this window of 15 minutes; the headers name its end.",
        Limited(_blank(429, "Too Many Requests")),
        error=RATE_LIMITED,
        asks=True,
    ),
    _refused(
        "clock-skew",
        "429: the window ends further off than a window lasts, so the clocks disagree.",
        Limited(_blank(429, "Too Many Requests"), reset=7200),
        error=RATE_LIMITED,
    ),
    _refused(
        "rate-limited-legacy",
        "429 with an older API's code 88 and no word of when.",
        Refuse(429, LEGACY_LIMIT),
        error=RATE_LIMITED,
    ),
    _refused(
        "retry-after",
        "429 with Retry-After.",
        Refuse(429, _blank(429, "Too Many Requests"), {"Retry-After": "120"}),
        error=RATE_LIMITED,
        asks=True,
    ),
    _refused(
        "too-many-connections",
        "429: the app has all the connections that it may have; connects are left.",
        Limited(_body(TOO_MANY), remaining=48),
        error=RATE_LIMITED,
    ),
    _refused(
        "usage-cap",
        "429: the app has read all the posts of its plan.",
        Limited(_body(USAGE_CAPPED), remaining=49),
        error=CLIENT_ERROR,
    ),
    _refused("empty-answer", "204: a success without a stream.", Open(204), End(), error=SERVER_ERROR),
    _refused(
        "maintenance-page",
        "200 with a web page.",
        Open(200, {"Content-Type": "text/html"}),
        Uncompressed(WEB_PAGE),
        End(),
        error=SERVER_ERROR,
    ),
    _refused("redirect-to-nowhere", "302 without a Location.", Refuse(302), error=CLIENT_ERROR),
    _refused(
        "internal-error",
        "500 with a problem object.",
        Refuse(500, _blank(500, "Internal Server Error")),
        error=SERVER_ERROR,
    ),
    _refused(
        "bad-gateway",
        "502 with a proxy's web page.",
        Refuse(502, WEB_PAGE, {"Content-Type": "text/html"}),
        error=SERVER_ERROR,
    ),
    _refused(
        "unavailable",
        "503 with a problem object.",
        Refuse(503, _blank(503, "Service Unavailable")),
        error=SERVER_ERROR,
    ),
    _refused(
        "unavailable-for-a-while",
        "503 with Retry-After.",
        Refuse(503, b"", {"Retry-After": "30"}),
        error=SERVER_ERROR,
        asks=True,
    ),
    _refused("gateway-timeout", "504 without a body.", Refuse(504), error=SERVER_ERROR),
    _refused(
        "stall-in-error-body",
        "503, and its body stops coming halfway.",
        Open(503),
        Uncompressed(_blank(503, "Service Unavailable")[:30]),
        Stall(),
        error=SERVER_ERROR,
        settings=SHORT_STALL,
    ),
    _refused(
        "endless-error-body",
        "503, and its body never ends.",
        Open(503),
        Flood(b" " * 4096),
        error=SERVER_ERROR,
    ),
    _refused(
        "error-body-cut-short",
        "503, and the connection is closed in the middle of its body.",
        Open(503),
        Uncompressed(_blank(503, "Service Unavailable")[:30]),
        Cut(half=False),
        error=SERVER_ERROR,
    ),
)

ENDS = (
    _ended("end", "The server ends the stream in good order.", End()),
    _ended(
        "whole-object-at-the-end",
        "The server ends the stream after an object without its line end.",
        Send(POST % b"whole"),
        End(),
        items=1,
    ),
    _ended(
        "half-an-object-at-the-end",
        "The server ends the stream in the middle of an object.",
        Send(b'{"data":{"id":"1'),
        End(),
        lines=("on_invalid",),
    ),
    _broke(
        "cut",
        "The connection is closed in the middle of an object, without the end of the body.",
        Cut(),
        error=STREAM_INTERRUPTED,
        lines=("on_invalid",),
    ),
    _broke(
        "cut-between-lines",
        "The connection is closed after a whole line, without the end of the body.",
        Cut(half=False),
        error=STREAM_INTERRUPTED,
    ),
    _broke(
        "whole-object-at-a-cut",
        "The connection is closed after an object without its line end.",
        Send(POST % b"whole"),
        Cut(half=False),
        error=STREAM_INTERRUPTED,
        items=1,
    ),
    _broke(
        "reset",
        "The connection is reset in the middle of an object.",
        Reset(),
        error=STREAM_INTERRUPTED,
        lines=("on_invalid",),
    ),
    _broke(
        "whole-object-at-a-reset",
        "The connection is reset after an object without its line end.",
        Send(POST % b"whole"),
        Reset(half=False),
        error=STREAM_INTERRUPTED,
        items=1,
    ),
    _broke(
        "stall",
        "The connection stays open, and nothing comes any more, not even heartbeats.",
        HEARTBEAT,
        Stall(),
        error=TIMEOUT,
        settings=SHORT_STALL,
    ),
    _broke(
        "bad-chunk-size",
        "A chunk of the body begins with no number.",
        Raw(b"zz\r\n"),
        Cut(half=False),
        error=STREAM_INTERRUPTED,
    ),
    _broke(
        "corrupt-gzip",
        "A compressed body goes on in bytes that are none of the compression's.",
        Uncompressed(b"\xff" * 64),
        Stall(),
        error=STREAM_INTERRUPTED,
        encoding="gzip",
    ),
    _ended(
        "gzip-without-trailer",
        "A compressed body ends in good order, but for the compression's own last bytes.",
        Raw(b"0\r\n\r\n"),
        Cut(half=False),
        encoding="gzip",
    ),
    _broke(
        "gzip-cut",
        "A compressed body is cut off.",
        Cut(half=False),
        error=STREAM_INTERRUPTED,
        encoding="gzip",
    ),
)

NOTICES = (
    _broke(
        "operational-disconnect",
        "X ends the stream for operational reasons, and says so.",
        OPERATIONAL_DISCONNECT,
        End(),
        error=STREAM_INTERRUPTED,
    ),
    _broke(
        "operational-disconnect-bare",
        "The same as a problem object without `errors` around it.",
        Notice(_disconnect("OperationalDisconnect")),
        End(),
        error=STREAM_INTERRUPTED,
    ),
    *(
        _broke(name, sentence, Notice({"errors": [_disconnect(kind)]}), End(), error=error)
        for kind, name, sentence, error in (
            ("ForceDisconnect", "force-disconnect", "X ends the stream by force.", STREAM_INTERRUPTED),
            (
                "UpstreamUncleanDisconnect",
                "unclean-disconnect",
                "The stream broke inside X.",
                STREAM_INTERRUPTED,
            ),
            (
                "SlowReader",
                "slow-reader",
                "X ends the stream because it was read too slowly, and throws away what it had queued.",
                STREAM_INTERRUPTED,
            ),
            ("InternalError", "internal-disconnect", "Something failed inside X.", STREAM_INTERRUPTED),
            ("PackageUpgraded", "package-upgraded", "The app's access level was raised.", STREAM_INTERRUPTED),
            (
                "PackageDowngraded",
                "package-downgraded",
                "The app's access level was lowered.",
                STREAM_INTERRUPTED,
            ),
            (
                "AnythingNew",
                "unknown-disconnect",
                "X gives a reason that is not documented.",
                STREAM_INTERRUPTED,
            ),
            ("InvalidRules", "invalid-rules", "The stream's rules are not valid any more.", CLIENT_ERROR),
            ("ClientApplicationStateDegraded", "app-restricted", "X has restricted the app.", CLIENT_ERROR),
        )
    ),
    _broke(
        "client-disconnected",
        "X takes the client to have left.",
        Notice({"errors": [_problem("client-disconnected", "Client Disconnected", "The client has left.")]}),
        End(),
        error=STREAM_INTERRUPTED,
    ),
    _broke(
        "too-many-connections-in-stream",
        "X ends the stream because the app has too many.",
        Notice({"errors": [TOO_MANY]}),
        End(),
        error=RATE_LIMITED,
    ),
    _broke(
        "provisioning",
        "X is still setting the app's stream up.",
        Notice({"errors": [_issue("ProvisioningSubscription", "Your subscription change is in progress.")]}),
        End(),
        error=SERVER_ERROR,
    ),
    _broke(
        "no-rules-in-stream",
        "X ends the stream because it has no rules.",
        Notice({"errors": [NO_RULES]}),
        End(),
        error=CLIENT_ERROR,
    ),
    _broke(
        "rules-invalid-in-stream",
        "X ends the stream because its rules are not valid.",
        Notice(_issue("RulesInvalidIssue", "The rules of this stream are not valid.")),
        End(),
        error=CLIENT_ERROR,
    ),
    _broke(
        "usage-cap-in-stream",
        "X ends the stream because the app has read all the posts of its plan.",
        Notice({"errors": [USAGE_CAPPED]}),
        End(),
        error=CLIENT_ERROR,
    ),
    _broke(
        "last-word",
        "A notice that ends nothing by itself is the last that comes.",
        Notice({"errors": [_problem("something-new", "Something New", "Nobody has seen it before.")]}),
        End(),
        error=STREAM_INTERRUPTED,
        lines=("on_notice",),
    ),
    *(
        _line(name, sentence, Notice(content), lines=("on_notice",))
        for name, sentence, content in (
            (
                "unknown-notice",
                "An object of errors alone, of a kind that is not documented.",
                {"errors": [_problem("something-new", "Something New", "Nobody has seen it before.")]},
            ),
            (
                "legacy-notice",
                "An object of errors alone, in an older API's form.",
                {"errors": [{"code": 130, "message": "Over capacity"}]},
            ),
            ("limit-message", "An older API's count of posts left out.", {"limit": {"track": 1234}}),
            (
                "warning-message",
                "An older API's warning that the reader falls behind.",
                {"warning": {"code": "FALLING_BEHIND", "message": "Falling behind", "percent_full": 60}},
            ),
            (
                "disconnect-message",
                "An older API's word of parting.",
                {"disconnect": {"code": 12, "stream_name": "s", "reason": "Load is shed"}},
            ),
            (
                "info-message",
                "An older API's word that a replay is complete.",
                {"info": {"message": "Replay Request Completed", "sent": "2026-11-23T00:00:00Z"}},
            ),
            (
                "connection-metadata",
                "Powerstream's first object.",
                {"type": "connection_metadata", "datacenter": "atla", "timestamp": 1762557264155},
            ),
        )
    ),
)

LINES = (
    _line(
        "partial-error",
        "A post with errors beside its data.",
        Send(orjson.dumps({"data": {"id": "1"}, "errors": [MISSING_AUTHOR]}) + b"\r\n"),
        items=1,
    ),
    *(
        _line(name, sentence, Send(line + b"\r\n"), lines=("on_invalid",))
        for name, sentence, line in (
            ("malformed-line", "A line that is no JSON.", b'{"data":{"id":1,}}'),
            ("no-object", "A line that is JSON, but no object.", b'["data",{"id":"1"}]'),
            ("deep-nesting", "A line of 200,000 opening brackets.", b'{"data":' + b"[" * 200_000),
            ("invalid-utf-8", "A line with a byte that UTF-8 does not have.", POST % b"caf\xe9"),
            ("nul-bytes", "A line with NUL bytes.", POST % b"\x00\x00"),
            ("two-objects", "Two objects on a line.", POST % b"one" + POST % b"two"),
        )
    ),
    _line(
        "line-end-inside",
        "A line end between the tokens of an object: two lines, neither of them an object.",
        Send(b'{"data":\n{"id":"1"},"tag":2}\r\n'),
        lines=("on_invalid", "on_invalid"),
    ),
    _line(
        "line-over-the-limit",
        "A line longer than max_item_bytes.",
        Send(POST % (b"x" * 8192) + b"\r\n"),
        lines=("on_invalid",),
        settings=SHORT_LINES,
    ),
    _broke(
        "runaway-line",
        "A line longer than four times max_item_bytes.",
        Send(POST % (b"x" * 20_000) + b"\r\n"),
        error=STREAM_INTERRUPTED,
        lines=("on_invalid",),
        settings=SHORT_LINES,
    ),
    *(
        _line(name, sentence, *(Send(piece) for piece in pieces), items=1)
        for name, sentence, pieces in (
            (
                "not-a-number",
                "NaN, which JSON does not have: Python's.",
                [b'{"data":{"id":"1","n":NaN}}\r\n'],
            ),
            (
                "huge-integer",
                "An integer of more than 64 bits: the nearest float.",
                [b'{"data":{"id":"1","n":18446744073709551616}}\r\n'],
            ),
            (
                "byte-order-mark",
                "A byte order mark before an object.",
                [b"\xef\xbb\xbf" + POST % b"b" + b"\r\n"],
            ),
            ("crlf-cut-in-two", "CR and LF in different packets.", [POST % b"c" + b"\r", b"\n"]),
            (
                "character-cut-in-two",
                "The bytes of one character in different packets.",
                [b'{"data":{"id":"1","text":"\xf0\x9f', b'\x8e\x89"}}\r\n'],
            ),
            (
                "line-separator-inside",
                "U+2028 and U+0085 inside a string: no line ends.",
                [POST % "\u2028\u0085".encode() + b"\r\n"],
            ),
        )
    ),
    _line("heartbeats", "Blank lines and an empty object.", Send(b"\r\n\n{}\r\n")),
)

CATALOGUE: Mapping[str, tuple[Fault, ...]] = {
    "While connecting": CONNECTING_FAULTS,
    "Instead of a stream": REFUSALS,
    "Ends of a stream": ENDS,
    "Objects about the stream": NOTICES,
    "Lines": LINES,
}
"""By where they show."""

FAULTS: Mapping[str, Fault] = {fault.name: fault for faults in CATALOGUE.values() for fault in faults}

RANDOM_FAULTS = tuple(FAULTS[name] for name in ("end", "cut", "reset", "stall", "operational-disconnect"))
"""What befalls a connection that streams, day in, day out."""
