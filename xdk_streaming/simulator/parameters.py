"""Query parameters that X refuses, and the error bodies.

Knows partitions, backfill and recovery; does not know access, rate limits or items.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from xdk_streaming.simulator.recovery import recovery_faults
from xdk_streaming.x import MAX_BACKFILL_MINUTES, PROBLEMS, Endpoint


def refuse_parameters(endpoint: Endpoint, params: Mapping[str, str]) -> dict[str, Any] | None:
    """The body of X's 400 if a partition, backfill or recovery parameter is invalid; otherwise None.

    The shape comes from X's own emulator (xdevplatform/playground). The message for a number out of range is
    the one that X gives for other integer parameters.
    """
    faults = []
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


def _faults(name: str, value: str, lowest: int, highest: int) -> list[dict[str, Any]]:
    if not value:
        message = f"The `{name}` query parameter can not be empty"
        return [{"parameters": {name: []}, "message": message}]
    # Compared as text: int() would also accept "1_0", " 1" and digits of other scripts.
    if value not in map(str, range(lowest, highest + 1)):
        message = f"The `{name}` query parameter value [{value}] is not between {lowest} and {highest}"
        return [{"parameters": {name: [value]}, "message": message}]
    return []
