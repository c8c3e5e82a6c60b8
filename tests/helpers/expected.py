"""What the machine does with each trigger in each state, typed by hand from nothing but the enums.

The transition table is compared with it cell by cell, and so is what a machine shows in every situation.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from xdk_streaming.state import ConnectionState, Trigger

Cell = tuple[Trigger, ConnectionState]
Truth = Mapping[str, bool]


class Outcome(NamedTuple):
    dest: ConnectionState
    action: str | None = None
    notify: tuple[str, ...] = ()


class Either(NamedTuple):
    """What happens hangs on a guard; None is illegal."""

    guard: str
    holds: Outcome | Either | None
    fails: Outcome | Either | None


Expectation = Outcome | Either | None

DISCONNECTED = ConnectionState.DISCONNECTED
CONNECTING = ConnectionState.CONNECTING
STREAMING = ConnectionState.STREAMING
BACKOFF = ConnectionState.BACKOFF
FAILED = ConnectionState.FAILED

EXPECTED: dict[Cell, Expectation] = {
    (Trigger.START, DISCONNECTED): Either("fresh", Outcome(CONNECTING, "begin"), None),
    (Trigger.OPENED, CONNECTING): Outcome(STREAMING, "mark_open", ("on_connect",)),
    (Trigger.REFUSED, CONNECTING): Either(
        "amendable",
        Outcome(BACKOFF, "amend_request", ("on_error",)),
        Either(
            "renewable",
            Outcome(BACKOFF, "renew_credential", ("on_error",)),
            Either(
                "fatal",
                Outcome(FAILED, "give_up", ("on_error",)),
                Outcome(BACKOFF, "note_loss", ("on_error",)),
            ),
        ),
    ),
    (Trigger.PROGRESSED, STREAMING): Outcome(STREAMING, "clear_budget"),
    (Trigger.SETTLED, STREAMING): Outcome(STREAMING, "settle"),
    (Trigger.ENDED, STREAMING): Either(
        "finished",
        Outcome(DISCONNECTED, "release", ("on_disconnect",)),
        Outcome(BACKOFF, "note_loss", ("on_disconnect",)),
    ),
    (Trigger.BROKE, STREAMING): Either(
        "fatal",
        Outcome(FAILED, "give_up", ("on_error", "on_disconnect")),
        Outcome(BACKOFF, "note_loss", ("on_error", "on_disconnect")),
    ),
    (Trigger.RETRY, BACKOFF): Either(
        "exhausted",
        Outcome(FAILED, "give_up", ("on_error",)),
        Outcome(BACKOFF, "plan_retry", ("on_reconnect",)),
    ),
    (Trigger.WAITED, BACKOFF): Either("planned", Outcome(CONNECTING), None),
    (Trigger.STOP, CONNECTING): Outcome(DISCONNECTED, "release"),
    (Trigger.STOP, STREAMING): Outcome(DISCONNECTED, "release", ("on_disconnect",)),
    (Trigger.STOP, BACKOFF): Outcome(DISCONNECTED, "release"),
    (Trigger.STOP, DISCONNECTED): Outcome(DISCONNECTED),
    (Trigger.STOP, FAILED): Outcome(FAILED),
}


def guards_of(expectation: Expectation) -> set[str]:
    if not isinstance(expectation, Either):
        return set()
    return {expectation.guard} | guards_of(expectation.holds) | guards_of(expectation.fails)


def expected(cell: Cell, truth: Truth) -> Outcome | None:
    expectation = EXPECTED.get(cell)
    while isinstance(expectation, Either):
        expectation = expectation.holds if truth[expectation.guard] else expectation.fails
    return expectation
