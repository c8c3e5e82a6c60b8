"""The connections endpoints: list the current and past streams of an app, and end current ones.

Source: X's OpenAPI document, the operations under `/2/connections`; docs.x.com/x-api/connections. X documents
neither what a client sees when its stream is ended in this way, nor the values of the reasons. Here the
connection is closed in mid-stream, and reasons are phrases.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from xdk_streaming.simulator.content.snowflakes import moment
from xdk_streaming.simulator.log import KILLED, OPEN, ServedRequest
from xdk_streaming.simulator.slots import Slots

KEPT = 1_000
"""Connections to remember; more are kept only if more are active."""


@dataclass(frozen=True)
class AppConnection:
    """An accepted stream of the app."""

    request: ServedRequest
    endpoint_name: str
    client_ip: str
    hang_up: Callable[[], None]
    id: str = field(default_factory=lambda: str(uuid.uuid4()))


class Connections:
    """The streams of an app. A stream is active while it holds a slot, even if the client is gone."""

    def __init__(self, slots: Slots) -> None:
        self._slots = slots
        self._known: list[AppConnection] = []
        self._lock = threading.Lock()

    def enter(self, connection: AppConnection) -> bool:
        """Accept a connection if a slot is free. Returns whether it was."""
        if not self._slots.enter(connection.request.number):
            return False
        with self._lock:
            self._known.append(connection)
            if len(self._known) > KEPT:
                self._forget_one()
        return True

    def listed(self, status: str, endpoint_names: Collection[str]) -> list[dict[str, Any]]:
        """Connections that are `active`, `inactive` or `all`, newest first; no names mean any endpoint."""
        active = self._slots.holders()
        return [
            _shown(connection, active=connection.request.number in active)
            for connection in reversed(self._all())
            if status in {"all", "active" if connection.request.number in active else "inactive"}
            and (not endpoint_names or connection.endpoint_name in endpoint_names)
        ]

    def kill(self, ids: Iterable[str]) -> dict[str, Any]:
        """End the connections with these ids."""
        known = {connection.id: connection for connection in self._all()}
        return _told([(asked, asked in known and self._end(known[asked])) for asked in ids])

    def kill_all(self, endpoint_name: str | None = None) -> dict[str, Any]:
        """End all active connections, or those of one endpoint."""
        active = self._slots.holders()
        return _told(
            [
                (connection.id, self._end(connection))
                for connection in self._all()
                if connection.request.number in active and endpoint_name in (None, connection.endpoint_name)
            ]
        )

    def _forget_one(self) -> None:
        """Forget the oldest connection that has ended."""
        active = self._slots.holders()
        over = (place for place, known in enumerate(self._known) if known.request.number not in active)
        place = next(over, None)
        if place is not None:
            del self._known[place]

    def _all(self) -> list[AppConnection]:
        with self._lock:
            return list(self._known)

    def _end(self, connection: AppConnection) -> bool:
        """Free the slot, and close an open connection. Returns whether the connection was active."""
        if not self._slots.free(connection.request.number):
            return False
        if connection.request.ended_at is None:
            connection.request.killed = True
            connection.request.close(KILLED)
            connection.hang_up()
        return True


def _shown(connection: AppConnection, *, active: bool) -> dict[str, Any]:
    request = connection.request
    shown = {
        "id": connection.id,
        "endpoint_name": connection.endpoint_name,
        "connected_at": moment(request.opened_at),
        "client_ip": connection.client_ip,
    }
    if not active and request.ended_at is not None and request.outcome != OPEN:
        shown |= {"disconnected_at": moment(request.ended_at), "disconnect_reason": request.outcome}
    return shown


def _told(results: Iterable[tuple[str, bool]]) -> dict[str, Any]:
    entries: list[Mapping[str, Any]] = [
        {"uuid": asked, "success": True}
        if done
        else {"uuid": asked, "success": False, "error_message": "There is no active connection with this id"}
        for asked, done in results
    ]
    done = sum(entry["success"] for entry in entries)
    return {"successful_kills": done, "failed_kills": len(entries) - done, "results": entries}
