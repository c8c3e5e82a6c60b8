"""Objects about the stream that are not items; most of them announce its end."""

from __future__ import annotations

from xdk_streaming.simulator.faults.fault import fault
from xdk_streaming.simulator.faults.problems import (
    NO_RULES,
    TOO_MANY,
    USAGE_CAPPED,
    disconnect,
    issue,
    problem,
)
from xdk_streaming.simulator.script import OPERATIONAL_DISCONNECT, End, Notice

NOTICE_FAULTS = (
    fault(
        "operational-disconnect",
        "X ends the stream for operational reasons, with a notice.",
        OPERATIONAL_DISCONNECT,
        End(),
    ),
    fault(
        "operational-disconnect-bare",
        "The same notice as a bare problem object, without `errors` around it.",
        Notice(disconnect("OperationalDisconnect")),
        End(),
    ),
    *(
        fault(name, sentence, Notice({"errors": [disconnect(kind)]}), End())
        for kind, name, sentence in (
            ("ForceDisconnect", "force-disconnect", "X ends the stream by force."),
            ("UpstreamUncleanDisconnect", "unclean-disconnect", "The stream broke inside X."),
            (
                "SlowReader",
                "slow-reader",
                "X ends the stream because the client reads too slowly, and discards queued posts.",
            ),
            ("InternalError", "internal-disconnect", "Something failed inside X."),
            ("PackageUpgraded", "package-upgraded", "The app's access level was raised."),
            (
                "PackageDowngraded",
                "package-downgraded",
                "The app's access level was lowered.",
            ),
            ("AnythingNew", "unknown-disconnect", "X gives a reason that is not documented."),
            ("InvalidRules", "invalid-rules", "The stream's rules are no longer valid."),
            ("ClientApplicationStateDegraded", "app-restricted", "X has restricted the app."),
        )
    ),
    fault(
        "client-disconnected",
        "X believes that the client has left.",
        Notice({"errors": [problem("client-disconnected", "Client Disconnected", "The client has left.")]}),
        End(),
    ),
    fault(
        "too-many-connections-in-stream",
        "X ends the stream because the app has too many connections.",
        Notice({"errors": [TOO_MANY]}),
        End(),
    ),
    fault(
        "provisioning",
        "X is still setting up the app's stream.",
        Notice({"errors": [issue("ProvisioningSubscription", "Your subscription change is in progress.")]}),
        End(),
    ),
    fault(
        "no-rules-in-stream",
        "X ends the stream because the app has no rules.",
        Notice({"errors": [NO_RULES]}),
        End(),
    ),
    fault(
        "rules-invalid-in-stream",
        "X ends the stream because the rules are not valid.",
        Notice(issue("RulesInvalidIssue", "The rules of this stream are not valid.")),
        End(),
    ),
    fault(
        "usage-cap-in-stream",
        "X ends the stream because the app has read all the posts of its plan.",
        Notice({"errors": [USAGE_CAPPED]}),
        End(),
    ),
    fault(
        "last-word",
        "The stream ends after a notice that does not announce the end.",
        Notice({"errors": [problem("something-new", "Something New", "Nobody has seen it before.")]}),
        End(),
    ),
    *(
        fault(name, sentence, Notice(content))
        for name, sentence, content in (
            (
                "unknown-notice",
                "An object has only errors, of an undocumented kind.",
                {"errors": [problem("something-new", "Something New", "Nobody has seen it before.")]},
            ),
            (
                "legacy-notice",
                "An object has only errors, in the format of an older API.",
                {"errors": [{"code": 130, "message": "Over capacity"}]},
            ),
            ("limit-message", "An older API's count of undelivered posts.", {"limit": {"track": 1234}}),
            (
                "warning-message",
                "An older API's warning that the reader falls behind.",
                {"warning": {"code": "FALLING_BEHIND", "message": "Falling behind", "percent_full": 60}},
            ),
            (
                "disconnect-message",
                "An older API's message at the end of a stream.",
                {"disconnect": {"code": 12, "stream_name": "s", "reason": "Load is shed"}},
            ),
            (
                "info-message",
                "An older API's message that a replay is complete.",
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
