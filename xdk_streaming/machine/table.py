"""The life of a connection, as a table: one row is one arrow, one test case, one line of the docs.

This is the only place that says what may happen. The machine executes the table, the diagrams draw it, and
the tests hold it against a second table typed by hand. Read this page from the top, and you know the
protocol.

The rules of this file
----------------------
1. What is not here is illegal. An event without a row in the present state raises `IllegalEvent`, and
   leaves no trace.
2. A cell is a trigger in a source state. The rows of a cell are tried from the top, and the first whose
   guard holds is taken. The last row of a cell has no guard, so that no event falls through; START and
   WAITED, which the driver fires only when their guard holds, are the two exceptions.
3. A row names things and does nothing: `guard` and `action` are methods of `ConnectionMachine`, `notify`
   lists callbacks of `StreamConfig` in the order of their calls. A name that does not exist is refused when
   the machine is built.
4. `dest` equal to `source` is an internal row: facts change, the state does not. There are no wildcards;
   five rows say that STOP is legal everywhere: from STREAMING it notifies, from DISCONNECTED and FAILED it
   changes nothing.
5. Never a row for an item. Items pass at a hundred thousand a second beside the machine, which hears of a
   connection only what changes its life.

Commands and facts
------------------
The driver speaks to the machine in two moods. A command is imperative and says what to do: START, RETRY,
STOP. A fact is in the past tense and says what happened: OPENED, REFUSED, PROGRESSED, SETTLED, ENDED, BROKE,
WAITED. The driver measures and fires: whether an answer is a stream is a fact, and so is that an attempt
failed. It never looks at the class of an error or at the number of an attempt. What follows from a fact is
decided here, by the guards.

The five states, and the situations inside them
-----------------------------------------------
DISCONNECTED  Nothing is under way. Either nothing has begun yet (`fresh`), or everything is over: the stream
              was stopped, or a bounded request has delivered all it had. A machine runs once; START is legal
              only the first time.
CONNECTING    One attempt is under way, from the name lookup to the last header. Unless it is stopped, it
              ends in OPENED or in REFUSED. REFUSED has three rows: X refuses a parameter that the stream
              can do without (`amendable`), the refusal is final (`fatal`), or it may pass.
STREAMING     A stream is open. Three situations follow each other in it: open and silent so far; progressed,
              once the first line that is data has come, which gives all retries back (`clear_budget`); and
              settled, once a line has come after ten seconds, which makes the next loss a first one
              (`settle`). Two facts and not one, because a server that sends one post and hangs up, again
              and again, makes progress each time and must still be met with growing delays. The stream ends
              by ENDED, a clean end, or by BROKE, which carries an error.
BACKOFF       A connection is lost, or an attempt was. Two situations: lost, and planned. RETRY, the command
              to go on, finds the budget spent (`exhausted`), or announces the next attempt with its delay;
              only then is WAITED legal (`planned`). Every reconnect passes here, even one without a delay,
              so every reconnect is counted and announced.
FAILED        The end for a reason that stays. STOP is still legal and does nothing, because whoever stops
              a stream cannot know that it has just failed.

Two counters
------------
The budget (`retry_count`, against `max_retries`) counts attempts since the last progress. The ladders of
delays count their own steps, and go back to the first step only when a connection settles. Both live in
`retries.py`, with the rule of when an immediate return is allowed.

Stop wins
---------
STOP is legal in every state, and the driver fires it in place of whatever else it was about to report once
`stop()` was called. So no error is reported after a stop, and a stop during a wait never becomes a retry.

What is still ugly
------------------
DISCONNECTED is both the beginning and one of the two ends; only `fresh` tells them apart. The first and the
last row of REFUSED look alike in a picture, though one of them costs no attempt. And RETRY is a command
which may find that there is nothing to retry with: the table would be truer to its own grammar with a fact
for that.
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
        "the server ended the stream cleanly",
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
