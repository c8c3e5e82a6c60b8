"""Responses that are not a stream."""

from __future__ import annotations

from xdk_streaming.simulator.faults.fault import fault
from xdk_streaming.simulator.faults.problems import (
    BAD_PARTITION,
    LEGACY_LIMIT,
    NO_RULES,
    NOT_ENROLLED,
    TOO_MANY,
    USAGE_CAPPED,
    USER_TOKEN,
    WEB_PAGE,
    blank,
    body,
)
from xdk_streaming.simulator.script import Cut, End, Flood, Limited, Open, Refuse, Stall, Uncompressed

REFUSAL_FAULTS = (
    fault("bad-request", "400: a parameter is wrong.", Refuse(400, body(BAD_PARTITION))),
    fault("unauthorized", "401: the token is not accepted.", Refuse(401, blank(401, "Unauthorized"))),
    fault(
        "client-forbidden",
        "403: the app's access level does not include the stream.",
        Refuse(403, body(NOT_ENROLLED)),
    ),
    fault(
        "unsupported-authentication",
        "403: the token is a user's, not the app's.",
        Refuse(403, body(USER_TOKEN)),
    ),
    fault(
        "forbidden-by-a-page",
        "403 with a web page, which is not X's.",
        Refuse(403, WEB_PAGE, {"Content-Type": "text/html"}),
    ),
    fault("not-found", "404: the endpoint does not exist.", Refuse(404, blank(404, "Not Found"))),
    fault("not-acceptable", "406: the client does not accept gzip.", Refuse(406)),
    fault("no-rules", "409: the filtered stream has no rules.", Refuse(409, body(NO_RULES))),
    fault("switched-off", "410: the endpoint has been switched off.", Refuse(410)),
    fault("request-timeout", "408: the request took too long.", Refuse(408)),
    fault("calm-down", "420: X's older status for 429.", Refuse(420)),
    fault(
        "window-spent",
        "429: no attempts are left in this window of 15 minutes; headers give the end.",
        Limited(blank(429, "Too Many Requests")),
    ),
    fault(
        "clock-skew",
        "429: the window ends later than it can, so the clocks disagree.",
        Limited(blank(429, "Too Many Requests"), reset=7200),
    ),
    fault(
        "rate-limited-legacy",
        "429 with an older API's code 88, without a time.",
        Refuse(429, LEGACY_LIMIT),
    ),
    fault(
        "retry-after",
        "429 with Retry-After.",
        Refuse(429, blank(429, "Too Many Requests"), {"Retry-After": "120"}),
    ),
    fault(
        "too-many-connections",
        "429: the app has its maximum of connections; attempts are left.",
        Limited(body(TOO_MANY), remaining=48),
    ),
    fault(
        "usage-cap",
        "429: the app has read all posts of its plan.",
        Limited(body(USAGE_CAPPED), remaining=49),
    ),
    fault("empty-answer", "204: a success without a stream.", Open(204), End()),
    fault(
        "maintenance-page",
        "200 with a web page.",
        Open(200, {"Content-Type": "text/html"}),
        Uncompressed(WEB_PAGE),
        End(),
    ),
    fault("redirect-to-nowhere", "302 without a Location.", Refuse(302)),
    fault(
        "redirect-elsewhere",
        "302 to another origin, which must not get the token.",
        Refuse(302, b"", {"Location": "http://127.0.0.1:9/login"}),
    ),
    fault("internal-error", "500 with a problem object.", Refuse(500, blank(500, "Internal Server Error"))),
    fault(
        "bad-gateway", "502 with a proxy's web page.", Refuse(502, WEB_PAGE, {"Content-Type": "text/html"})
    ),
    fault("unavailable", "503 with a problem object.", Refuse(503, blank(503, "Service Unavailable"))),
    fault("unavailable-for-a-while", "503 with Retry-After.", Refuse(503, b"", {"Retry-After": "30"})),
    fault("gateway-timeout", "504 without a body.", Refuse(504)),
    fault(
        "stall-in-error-body",
        "503, and the body stalls halfway.",
        Open(503),
        Uncompressed(blank(503, "Service Unavailable")[:30]),
        Stall(),
    ),
    fault("endless-error-body", "503, and the body never ends.", Open(503), Flood(b" " * 4096)),
    fault(
        "error-body-cut-short",
        "503, and the connection is closed in the middle of the body.",
        Open(503),
        Uncompressed(blank(503, "Service Unavailable")[:30]),
        Cut(half=False),
    ),
)
