"""Bodies of X's refusals and notices, from docs.x.com and X's OpenAPI document 2.159."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from xdk_streaming.x import PROBLEMS


def problem(kind: str, title: str, detail: str, **more: Any) -> dict[str, Any]:
    """A problem of this kind (RFC 7807); the kind is the last segment of its `type`."""
    return {"title": title, "detail": detail, **more, "type": PROBLEMS + kind}


def body(problem: Mapping[str, Any]) -> bytes:
    """A problem as bytes."""
    return orjson.dumps(dict(problem))


def blank(status: int, title: str) -> bytes:
    """A problem that only repeats the status, as bytes."""
    return orjson.dumps({"title": title, "detail": title, "type": "about:blank", "status": status})


def disconnect(disconnect_type: str) -> dict[str, Any]:
    """The problem with which X ends a stream, for a reason of this type."""
    detail = "This stream has been disconnected for operational reasons."
    return problem(
        "operational-disconnect", "operational-disconnect", detail, disconnect_type=disconnect_type
    )


def issue(connection_issue: str, detail: str) -> dict[str, Any]:
    """The problem with which X refuses or ends a connection, for this reason."""
    return problem("streaming-connection", "ConnectionException", detail, connection_issue=connection_issue)


TOO_MANY = issue("TooManyConnections", "This stream is currently at the maximum allowed connection limit.")
NO_RULES = issue("RuleConfigurationIssue", "The stream has no rules to match against.")
USAGE_CAPPED = problem(
    "usage-capped",
    "UsageCapExceeded",
    "Usage cap exceeded: Monthly product cap",
    period="Monthly",
    scope="Product",
    product_name="standard-basic",
)
NOT_ENROLLED = problem(
    "client-forbidden",
    "Client Forbidden",
    "This app is not enrolled in the access level that the endpoint needs.",
    reason="client-not-enrolled",
    required_enrollment="Appropriate Level of API Access",
    registration_url="https://developer.x.com/en/portal/dashboard",
)
USER_TOKEN = problem(
    "unsupported-authentication",
    "Unsupported Authentication",
    "Supported authentication types are [OAuth 2.0 Application-Only].",
    status=403,
)
BAD_PARTITION = {
    "errors": [{"parameters": {"partition": []}, "message": "The partition parameter can not be empty"}],
    **problem("invalid-request", "Invalid Request", "One or more parameters to your request was invalid."),
}
MISSING_AUTHOR = problem("resource-not-found", "Not Found Error", "Could not find user with id: [7].")
WEB_PAGE = (
    b"<!doctype html><html><head><title>Down for maintenance</title></head><body>Soon back</body></html>"
)
POST = b'{"data":{"id":"1","text":"%b"}}'
LEGACY_LIMIT = orjson.dumps({"errors": [{"code": 88, "message": "Rate limit exceeded"}]})
