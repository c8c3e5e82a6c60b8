"""The faults by symptom, as a user sees them, and what to do about each.

Knows the faults of the simulator's catalogue by their names alone; a test checks that no fault is missing.
Where `wire.verdicts` has advice on a status, the advice is taken from there.
"""

from __future__ import annotations

from collections.abc import Mapping

from xdk_streaming.wire.verdicts import of_status


def _advice(status: int) -> str:
    advice = of_status(status).advice
    return f"{advice[0].upper()}{advice[1:]}."


NOTHING = "Nothing: the stream reconnects."
NOTHING_MISSED = "Nothing: the stream reconnects. Use backfill or recovery for missed posts."
NOTHING_GOES_ON = "Nothing: the stream goes on."
WATCH = "Nothing: the stream reconnects. If it keeps happening, check X's status page."
CHECK_PROXY = "Check the URL, and any proxy or firewall in between."
ADD_RULE = "Add a rule: `xdk-streaming rules add VALUE`."
MEND_RULES = "List the rules with `xdk-streaming rules list`, and delete the invalid ones."
RAISE_CAP = "Wait for the period to end, or upgrade the plan."
CHECK_APP = "Check the app in X's developer console."
CLOSE_ANOTHER = "Close another one: `xdk-streaming connections kill`, or wait for X to notice a lost one."
SEE_INVALID = "Look at the line in `on_invalid`; the items beside the line are not affected."
SEE_NOTICE = "Read the notice in `on_notice`; the stream goes on."

SYMPTOMS: Mapping[str, Mapping[str, str]] = {
    "The stream cannot connect": {
        "connection-refused": "Check the host, the port and the network.",
        "unknown-host": "Check the host name, the resolver and the network.",
        "certificate-refused": "Check the host name and the clock; set `session.verify` to a private CA.",
        "closed-before-headers": CHECK_PROXY,
        "reset-before-headers": CHECK_PROXY,
        "no-http": CHECK_PROXY,
    },
    "X refuses the request for good": {
        "bad-request": "Correct the parameter that the error names.",
        "unauthorized": _advice(401),
        "client-forbidden": _advice(403),
        "unsupported-authentication": "Use the app's bearer token (OAuth 2.0 Application-Only).",
        "not-found": _advice(404),
        "not-acceptable": _advice(406),
        "no-rules": ADD_RULE,
        "switched-off": "Look up the replacement of the endpoint in X's documentation.",
        "usage-cap": RAISE_CAP,
        "redirect-to-nowhere": _advice(404),
        "redirect-elsewhere": CHECK_PROXY,
    },
    "X asks for patience": {
        "calm-down": _advice(420),
        "window-spent": _advice(429),
        "clock-skew": "Check the clock of this machine; the stream waits out its own backoff.",
        "rate-limited-legacy": _advice(429),
        "retry-after": _advice(429),
        "too-many-connections": CLOSE_ANOTHER,
    },
    "The server answers, but not with a stream": {
        "request-timeout": WATCH,
        "empty-answer": CHECK_PROXY,
        "maintenance-page": "Wait. If the page is not X's, check any proxy in between.",
        "forbidden-by-a-page": CHECK_PROXY,
        "internal-error": WATCH,
        "bad-gateway": WATCH,
        "unavailable": WATCH,
        "unavailable-for-a-while": "Nothing: the stream waits as long as the server says.",
        "gateway-timeout": WATCH,
        "stall-in-error-body": WATCH,
        "endless-error-body": WATCH,
        "error-body-cut-short": WATCH,
    },
    "Silence": {
        "stall-before-headers": WATCH,
        "stall": NOTHING_MISSED,
        "heartbeats": "Nothing: heartbeats show that a quiet stream is alive.",
    },
    "The stream breaks off": {
        "end": NOTHING_MISSED,
        "whole-object-at-the-end": NOTHING_MISSED,
        "half-an-object-at-the-end": NOTHING_MISSED,
        "cut": NOTHING_MISSED,
        "cut-between-lines": NOTHING_MISSED,
        "whole-object-at-a-cut": NOTHING_MISSED,
        "reset": NOTHING_MISSED,
        "whole-object-at-a-reset": NOTHING_MISSED,
        "bad-chunk-size": CHECK_PROXY,
        "corrupt-gzip": CHECK_PROXY,
        "gzip-without-trailer": NOTHING_MISSED,
        "gzip-cut": NOTHING_MISSED,
    },
    "X ends the stream and says why": {
        "operational-disconnect": NOTHING_MISSED,
        "operational-disconnect-bare": NOTHING_MISSED,
        "force-disconnect": WATCH,
        "unclean-disconnect": NOTHING_MISSED,
        "internal-disconnect": NOTHING_MISSED,
        "package-upgraded": NOTHING,
        "package-downgraded": "Check that the app's access level still includes the stream.",
        "unknown-disconnect": WATCH,
        "client-disconnected": NOTHING_MISSED,
        "too-many-connections-in-stream": CLOSE_ANOTHER,
        "provisioning": "Nothing: the stream reconnects until X has set it up.",
        "invalid-rules": MEND_RULES,
        "rules-invalid-in-stream": MEND_RULES,
        "no-rules-in-stream": ADD_RULE,
        "app-restricted": CHECK_APP,
        "usage-cap-in-stream": RAISE_CAP,
        "last-word": NOTHING_MISSED,
    },
    "Posts are missing": {
        "slow-reader": "Read faster: do less per post, or set `buffer`. Use backfill for the lost posts.",
        "warning-message": "Read faster: do less per post, or set `buffer`.",
        "limit-message": "Narrow the rules: more posts matched than X delivers.",
    },
    "Odd lines": {
        "malformed-line": SEE_INVALID,
        "no-object": SEE_INVALID,
        "deep-nesting": SEE_INVALID,
        "invalid-utf-8": SEE_INVALID,
        "nul-bytes": SEE_INVALID,
        "two-objects": SEE_INVALID,
        "line-end-inside": SEE_INVALID,
        "line-over-the-limit": "Raise `max_item_bytes` if such lines are real items.",
        "runaway-line": "Raise `max_item_bytes` if such lines are real items.",
        "partial-error": "Read `errors` in the item: X could not send everything that was requested.",
        "not-a-number": "Expect a float that is not a number in the item.",
        "huge-integer": "Expect the nearest float in the item.",
        "byte-order-mark": NOTHING_GOES_ON,
        "crlf-cut-in-two": NOTHING_GOES_ON,
        "character-cut-in-two": NOTHING_GOES_ON,
        "line-separator-inside": NOTHING_GOES_ON,
    },
    "Notices in a stream that goes on": {
        "unknown-notice": SEE_NOTICE,
        "legacy-notice": SEE_NOTICE,
        "disconnect-message": SEE_NOTICE,
        "info-message": SEE_NOTICE,
        "connection-metadata": NOTHING_GOES_ON,
    },
}
"""What to do about each fault, by the name of the fault, grouped by symptom."""
