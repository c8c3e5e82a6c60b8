"""Query parameters that X refuses, and the error bodies.

Knows the parameters of each endpoint, their names, and what they may say; does not know access, rate limits
or items.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from xdk_streaming.parameters import names_of, parameters_of
from xdk_streaming.simulator.recovery import recovery_faults
from xdk_streaming.x import MAX_BACKFILL_MINUTES, PROBLEMS, Endpoint, Kind


def refuse_parameters(endpoint: Endpoint, params: Mapping[str, str]) -> dict[str, Any] | None:
    """The body of X's 400 if a parameter or its value is unknown or invalid; otherwise None.

    The shape comes from X's own emulator (xdevplatform/playground). The message for a number out of range is
    the one that X gives for other integer parameters.
    """
    faults = [*_unknown(endpoint, params)]
    for parameter, known in names_of(endpoint).items():
        faults += _unknown_names(parameter, params[parameter], known) if parameter in params else []
    if endpoint.partitions:
        faults += _faults("partition", params.get("partition", ""), 1, endpoint.partitions)
    name = endpoint.backfill_parameter
    if name in params:
        faults += _faults(name, params[name], 0, MAX_BACKFILL_MINUTES)
    faults += recovery_faults(endpoint.recovery_parameters, endpoint.recovers, params, time.time())
    return invalid_request(faults) if faults else None


def invalid_request(faults: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The body of X's 400: what is wrong with each parameter."""
    return {
        "errors": list(faults),
        "title": "Invalid Request",
        "detail": "One or more parameters to your request was invalid.",
        "type": PROBLEMS + "invalid-request",
    }


def forbid_parameters(endpoint: Endpoint, params: Mapping[str, str]) -> dict[str, Any] | None:
    """The body of X's 403 to an app that requests past items without access; None without such a request.

    A request for 0 minutes of backfill does not count.
    """
    past = (endpoint.backfill_parameter, *endpoint.recovery_parameters)
    name = next((name for name in past if params.get(name, "0") != "0"), None)
    if name is None:
        return None
    return {
        "title": "Client Forbidden",
        "detail": f"The `{name}` query parameter needs a level of access that this app does not have.",
        "type": PROBLEMS + "client-forbidden",
        "status": 403,
        "parameters": {name: [params[name]]},
    }


def unknown_parameters(params: Mapping[str, str], known: Collection[str]) -> Iterator[dict[str, Any]]:
    """What X says of each parameter that it does not know."""
    listed = ",".join(sorted(known))
    for name in params:
        if name not in known:
            yield {
                "parameters": {name: [params[name]]},
                "message": f"The query parameter [{name}] is not one of [{listed}]",
            }


def _unknown(endpoint: Endpoint, params: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """X's OpenAPI document lists the parameters of all streams but Powerstream.

    A range that a stream cannot recover has an answer of its own.
    """
    if endpoint.kind is not Kind.POWERSTREAM:
        yield from unknown_parameters(params, {*parameters_of(endpoint), *endpoint.recovery_parameters})


def _unknown_names(parameter: str, value: str, known: Collection[str]) -> Iterator[dict[str, Any]]:
    if not value:
        yield {
            "parameters": {parameter: []},
            "message": f"The `{parameter}` query parameter can not be empty",
        }
        return
    for name in value.split(","):
        if name not in known:
            listed = ",".join(sorted(known))
            message = f"The `{parameter}` query parameter value [{name}] is not one of [{listed}]"
            yield {"parameters": {parameter: [value]}, "message": message}


def _faults(name: str, value: str, lowest: int, highest: int) -> list[dict[str, Any]]:
    if not value:
        message = f"The `{name}` query parameter can not be empty"
        return [{"parameters": {name: []}, "message": message}]
    # Compared as text: int() would also accept "1_0", " 1" and digits of other scripts.
    if value not in map(str, range(lowest, highest + 1)):
        message = f"The `{name}` query parameter value [{value}] is not between {lowest} and {highest}"
        return [{"parameters": {name: [value]}, "message": message}]
    return []
