"""The life of a connection, as a table: one row is one arrow, one test case, one line of the docs.

This is the only place that says what may happen. The machine executes it, the diagrams
draw it, the tests hold it against a second table typed by hand. Rows of one cell (trigger
and source) are tried from the top; the first whose guard holds is taken. What is not here
is illegal. Guards and actions are names of `ConnectionMachine`'s methods, `notify` names
fields of `StreamConfig`, in the order in which they are called.
"""

from __future__ import annotations

from dataclasses import dataclass

from xdk_streaming.state import ConnectionState, Trigger


@dataclass(frozen=True)
class Row:
    """One transition. Internal where `dest` is `source`: the state is neither left nor entered."""

    trigger: Trigger
    source: ConnectionState
    dest: ConnectionState
    reason: str
    guard: str | None = None
    action: str | None = None
    notify: tuple[str, ...] = ()

    @property
    def internal(self) -> bool:
        """The row changes facts, and not the state."""
        return self.source is self.dest


DISCONNECTED, CONNECTING, STREAMING, BACKOFF, FAILED = ConnectionState

INITIAL = DISCONNECTED
FINAL = FAILED

TABLE: tuple[Row, ...] = (
    Row(
        Trigger.START,
        DISCONNECTED,
        CONNECTING,
        "the first item was asked for; a machine runs once",
        guard="fresh",
        action="begin",
    ),
    Row(
        Trigger.OPENED,
        CONNECTING,
        STREAMING,
        "the server answered with a stream",
        action="mark_open",
        notify=("on_connect",),
    ),
    Row(
        Trigger.REFUSED,
        CONNECTING,
        BACKOFF,
        "one parameter was refused, which is not needed: again without it",
        guard="amendable",
        action="amend_request",
        notify=("on_error",),
    ),
    Row(
        Trigger.REFUSED,
        CONNECTING,
        FAILED,
        "no retry can cure this refusal",
        guard="fatal",
        action="give_up",
        notify=("on_error",),
    ),
    Row(
        Trigger.REFUSED,
        CONNECTING,
        BACKOFF,
        "the attempt failed in a way that may pass",
        action="note_loss",
        notify=("on_error",),
    ),
    Row(
        Trigger.PROGRESSED,
        STREAMING,
        STREAMING,
        "the connection's first data came: the retry budget is whole again",
        action="clear_budget",
    ),
    Row(
        Trigger.SETTLED,
        STREAMING,
        STREAMING,
        "the connection has lasted: budget and ladder start anew",
        action="settle",
    ),
    Row(
        Trigger.ENDED,
        STREAMING,
        DISCONNECTED,
        "a bounded request has delivered all that it had",
        guard="finished",
        action="release",
        notify=("on_disconnect",),
    ),
    Row(
        Trigger.ENDED,
        STREAMING,
        BACKOFF,
        "the server ended the stream in good order",
        action="note_loss",
        notify=("on_disconnect",),
    ),
    Row(
        Trigger.BROKE,
        STREAMING,
        FAILED,
        "the stream broke in a way that no retry can cure",
        guard="fatal",
        action="give_up",
        notify=("on_error", "on_disconnect"),
    ),
    Row(
        Trigger.BROKE,
        STREAMING,
        BACKOFF,
        "the stream broke: reset, truncated, stalled, or cut off by the server",
        action="note_loss",
        notify=("on_error", "on_disconnect"),
    ),
    Row(
        Trigger.RETRY,
        BACKOFF,
        FAILED,
        "the retry budget is spent",
        guard="exhausted",
        action="give_up",
        notify=("on_error",),
    ),
    Row(
        Trigger.RETRY,
        BACKOFF,
        BACKOFF,
        "the next attempt is announced before it is waited for",
        action="plan_retry",
        notify=("on_reconnect",),
    ),
    Row(
        Trigger.WAITED,
        BACKOFF,
        CONNECTING,
        "the announced delay has passed",
        guard="planned",
    ),
    Row(Trigger.STOP, CONNECTING, DISCONNECTED, "stopped while connecting", action="release"),
    Row(
        Trigger.STOP,
        STREAMING,
        DISCONNECTED,
        "stopped, or the consumer left",
        action="release",
        notify=("on_disconnect",),
    ),
    Row(Trigger.STOP, BACKOFF, DISCONNECTED, "stopped while waiting", action="release"),
    Row(Trigger.STOP, DISCONNECTED, DISCONNECTED, "stopping twice is harmless"),
    Row(Trigger.STOP, FAILED, FAILED, "what has failed has stopped"),
)
