"""Requests to the rules and connections endpoints: from the request to the body of the response.

Knows paths, parameters and bodies, and which of them X refuses. The rule book and the connections do the
actual work.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import orjson

from xdk_streaming.simulator.connections import Connections
from xdk_streaming.simulator.parameters import invalid_request, unknown_parameters
from xdk_streaming.simulator.rules.book import ApiResponse, RuleBook, listing
from xdk_streaming.x import (
    CONNECTION_FIELDS,
    CONNECTION_NAMES,
    CONNECTIONS,
    CONNECTIONS_PER_PAGE,
    MAX_CONNECTIONS_PER_PAGE,
    MAX_KILLS,
    MAX_RULES_PER_PAGE,
    RULE_COUNTS,
    RULES,
)

T = TypeVar("T")


@dataclass(frozen=True)
class ApiRequest:
    """A request that does not open a stream."""

    method: str
    path: str
    params: Mapping[str, str]
    body: bytes = b""


class Refused(Exception):
    """X refuses a request with 400."""

    def __init__(self, name: str, value: str, message: str) -> None:
        super().__init__(message)
        self.fault = {"parameters": {name: [value] if value else []}, "message": message}


def is_api_request(request: ApiRequest) -> bool:
    """Whether there is an endpoint for this request."""
    return _handler(request) is not None


def answer(request: ApiRequest, book: RuleBook, connections: Connections) -> ApiResponse | None:
    """X's response; None if there is no such endpoint."""
    handler = _handler(request)
    if handler is None:
        return None
    known = PARAMETERS.get((request.method, request.path), ())
    faults = list(unknown_parameters(request.params, known))
    if faults:
        return 400, invalid_request(faults)
    try:
        return handler(request, book, connections)
    except Refused as refusal:
        return 400, invalid_request([refusal.fault])


def _handler(request: ApiRequest) -> EndpointHandler | None:
    if request.method == "DELETE" and request.path.startswith(CONNECTIONS + "/"):
        return _kill_by_name
    return ENDPOINT_HANDLERS.get((request.method, request.path))


def _list_rules(request: ApiRequest, book: RuleBook, connections: Connections) -> ApiResponse:
    asked = set(filter(None, request.params.get("ids", "").split(",")))
    rules = [rule for rule in book.rules if not asked or rule.id in asked]
    page, next_token = _page(rules, request.params, MAX_RULES_PER_PAGE, MAX_RULES_PER_PAGE)
    return 200, listing(page, next_token)


def _change_rules(request: ApiRequest, book: RuleBook, connections: Connections) -> ApiResponse:
    dry_run = _flag(request.params, "dry_run")
    wanted = _json(request.body)
    if _flag(request.params, "delete_all"):
        if wanted.get("add") or wanted.get("delete"):
            raise Refused("delete_all", "true", "delete_all cannot be combined with add or delete")
        return book.delete_all(dry_run=dry_run)
    if ("add" in wanted) == ("delete" in wanted):
        raise Refused("add", "", "Exactly one of add and delete is required, or delete_all=true")
    if "add" in wanted:
        return book.add(_new_rules(wanted["add"]), dry_run=dry_run)
    doomed = wanted["delete"]
    if not isinstance(doomed, dict) or not ("ids" in doomed or "values" in doomed):
        raise Refused("delete", "", "delete must be an object with ids or values")
    named = [
        _strings(doomed, name, MAX_RULES_PER_PAGE) if name in doomed else [] for name in ("ids", "values")
    ]
    return book.delete(*named, dry_run=dry_run)


def _new_rules(given: Any) -> Sequence[Mapping[str, str]]:
    if not isinstance(given, list) or not given:
        raise Refused("add", "", "add must be a non-empty list of rules")
    for rule in given:
        texts = isinstance(rule, dict) and all(isinstance(text, str) for text in rule.values())
        if not texts or "value" not in rule or set(rule) - {"value", "tag"}:
            raise Refused("add", "", "A rule must be an object with a value and optionally a tag")
    return given


def _count_rules(request: ApiRequest, book: RuleBook, connections: Connections) -> ApiResponse:
    count, most = len(book.rules), str(book.most)
    app = {"client_app_id": "1", "rule_count": count}
    caps = {"cap_per_client_app": most, "cap_per_project": most}
    return 200, {"data": {"client_app_rules_count": app, "project_rules_count": str(count), **caps}}


def _list_connections(request: ApiRequest, book: RuleBook, connections: Connections) -> ApiResponse:
    params = request.params
    status = _choice(params, "status", ("active", "inactive", "all"))
    names = _choices(params, "endpoints", CONNECTION_NAMES)
    fields = _choices(params, "connection.fields", CONNECTION_FIELDS) or CONNECTION_FIELDS
    page, next_token = _page(
        connections.listed(status, names), params, CONNECTIONS_PER_PAGE, MAX_CONNECTIONS_PER_PAGE
    )
    shown = [
        {name: entry[name] for name in CONNECTION_FIELDS if name in fields and name in entry}
        for entry in page
    ]
    meta = {"result_count": len(shown), **({} if next_token is None else {"next_token": next_token})}
    return 200, ({"data": shown} if shown else {}) | {"meta": meta}


def _kill_by_id(request: ApiRequest, book: RuleBook, connections: Connections) -> ApiResponse:
    return 200, {"data": connections.kill(_strings(_json(request.body), "uuids", MAX_KILLS))}


def _kill_by_name(request: ApiRequest, book: RuleBook, connections: Connections) -> ApiResponse:
    name = request.path.removeprefix(CONNECTIONS + "/")
    if name == "all":
        return 200, {"data": connections.kill_all()}
    if name not in CONNECTION_NAMES:
        raise Refused("endpoint_id", name, f"[{name}] is not one of {', '.join(sorted(CONNECTION_NAMES))}")
    return 200, {"data": connections.kill_all(name)}


PARAMETERS: Mapping[tuple[str, str], tuple[str, ...]] = {
    ("GET", RULES): ("ids", "max_results", "pagination_token"),
    ("POST", RULES): ("dry_run", "delete_all"),
    ("GET", RULE_COUNTS): ("rules_count.fields",),
    ("GET", CONNECTIONS): ("status", "endpoints", "max_results", "pagination_token", "connection.fields"),
}
"""The query parameters of these endpoints in X's OpenAPI document."""

EndpointHandler = Callable[[ApiRequest, RuleBook, Connections], ApiResponse]

ENDPOINT_HANDLERS: Mapping[tuple[str, str], EndpointHandler] = {
    ("GET", RULES): _list_rules,
    ("POST", RULES): _change_rules,
    ("GET", RULE_COUNTS): _count_rules,
    ("GET", CONNECTIONS): _list_connections,
    ("DELETE", CONNECTIONS): _kill_by_id,
}


def _page(
    entries: Sequence[T], params: Mapping[str, str], usual: int, most: int
) -> tuple[Sequence[T], str | None]:
    """The requested entries, and the token of the next page, if there is one."""
    size = _number(params, "max_results", usual, most)
    token = params.get("pagination_token", "0")
    if not re.fullmatch("[0-9]{1,9}", token):
        raise Refused("pagination_token", token, "The `pagination_token` was not issued by this server")
    first = int(token)
    return entries[first : first + size], str(first + size) if first + size < len(entries) else None


def _number(params: Mapping[str, str], name: str, usual: int, most: int) -> int:
    value = params.get(name, str(usual))
    if value not in map(str, range(1, most + 1)):
        raise Refused(
            name, value, f"The `{name}` query parameter value [{value}] is not between 1 and {most}"
        )
    return int(value)


def _flag(params: Mapping[str, str], name: str) -> bool:
    return _choice(params, name, ("false", "true")) == "true"


def _choice(params: Mapping[str, str], name: str, allowed: Sequence[str]) -> str:
    """One of the allowed values, regardless of case; by default the first."""
    value = params.get(name, allowed[0])
    if value.lower() not in allowed:
        raise Refused(
            name, value, f"The `{name}` query parameter value [{value}] is not one of {', '.join(allowed)}"
        )
    return value.lower()


def _choices(params: Mapping[str, str], name: str, allowed: Sequence[str] | frozenset[str]) -> list[str]:
    values = params[name].split(",") if name in params else []
    for value in values:
        if value not in allowed:
            raise Refused(
                name,
                value,
                f"The `{name}` query parameter value [{value}] is not one of {', '.join(sorted(allowed))}",
            )
    return values


def _json(body: bytes) -> dict[str, Any]:
    try:
        content = orjson.loads(body or b"{}")
    except orjson.JSONDecodeError:
        content = None
    if not isinstance(content, dict):
        raise Refused("body", "", "The body of the request is not a JSON object")
    return content


def _strings(content: Mapping[str, Any], name: str, most: int) -> list[str]:
    values = content.get(name)
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise Refused(name, "", f"{name} must be a list of strings")
    if not 1 <= len(values) <= most:
        raise Refused(name, "", f"{name} has {len(values)} entries; 1 to {most} are allowed")
    return values
