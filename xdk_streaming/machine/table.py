"""The life of a connection, as a table: one row is one arrow, one test case, one line of the docs.

Only this table says what may happen. The machine executes the table, the diagrams draw it, and the tests
compare it with a second table typed by hand. Read this page from the top, and you know the protocol.

The rules of this file
----------------------
1. An event without a row in the present state is illegal: it raises `IllegalEvent`, and leaves no trace.
2. A cell is a trigger in a source state. The rows of a cell are tried from the top, and the first row whose
   guard holds is taken. The last row of a cell has no guard, so no event falls through. START and WAITED are
   the two exceptions: the driver fires them only when their guard holds.
3. A row names things and does nothing itself. `guard` and `action` are methods of `ConnectionMachine`;
   `notify` lists callbacks of `StreamConfig` in the order of their calls. A name that does not exist is
   refused when the machine is built.
4. A row whose `dest` equals its `source` is internal: it changes facts, not the state. There are no
   wildcards. Five rows make STOP legal in every state: from STREAMING it notifies, from DISCONNECTED and
   FAILED it changes nothing.
5. There is never a row for an item. A hundred thousand items a second pass beside the machine; the machine
   gets only the events that change the life of a connection.

Commands and facts
------------------
The driver fires two kinds of events. A command is imperative and says what to do: START, RETRY, STOP. A fact
is in the past tense and says what happened: OPENED, REFUSED, PROGRESSED, SETTLED, ENDED, BROKE, WAITED. The
driver measures and fires: whether an answer is a stream is a fact, and so is the loss of an attempt. The
driver never looks at the class of an error or at the number of an attempt. The guards of this table decide
what follows from a fact. Which errors are final is a value that users can replace: `fatal` and `renewable`
ask `StreamConfig.retry_policy`. A stream that has run before has one more hope: a refused certificate or a
web page in X's place may be a network's login page, and is final only after a quarter of an hour.

The five states, and the situations inside them
-----------------------------------------------
DISCONNECTED  Nothing is under way. Either nothing has begun yet (`fresh`), or everything is over: the stream
              was stopped, or a bounded request was delivered to its end. A machine runs once, so START is
              legal only the first time.
CONNECTING    One attempt is under way, from the name lookup to the last header. Unless it is stopped, the
              attempt ends in OPENED or in REFUSED. REFUSED has four rows: X refuses a parameter that the
              stream can do without (`amendable`), X refuses a credential and a new one is at hand
              (`renewable`), the refusal is final (`fatal`), or the refusal may pass.
STREAMING     A stream is open. It goes through three situations. It is open, and silent so far. It has
              progressed once the first line with data has come; all retries are then restored
              (`clear_budget`). It has settled once a line has come after ten seconds; the next loss then
              counts as the first (`settle`). These are two facts because a server may send one post and hang
              up, again and again. Such a server makes progress each time, and the delays must still grow. The
              stream ends by ENDED, a clean end, or by BROKE, which carries an error.
BACKOFF       A connection or an attempt was lost. There are two situations: lost, and planned. RETRY, the
              command to go on, either finds the budget spent (`exhausted`) or announces the next attempt with
              its delay. Only then is WAITED legal (`planned`). Every reconnect passes through this state,
              even one without a delay, so every reconnect is counted and announced.
FAILED        The stream ended for a reason that no retry can cure. STOP is still legal and does nothing,
              because the caller of `stop()` cannot know that the stream has just failed.

Two counters
------------
The budget (`retry_count`, against `max_retries`) counts attempts since the last progress. The ladders of
delays count their own steps, and return to the first step only when a connection settles. Both counters are
in `retries.py`, with the rule for an immediate return.

Stop wins
---------
STOP is legal in every state. Once `stop()` was called, the driver fires STOP in place of any other event. So
no error is reported after a stop, and a stop during a wait never becomes a retry.

What is still ugly
------------------
DISCONNECTED is both the beginning and one of the two ends; only `fresh` tells them apart. Three rows of
REFUSED look alike in a diagram, though the first costs no attempt and the second no delay. And RETRY
is a command that may find no attempt left: a fact for that case would suit the grammar of this table better.
"""

from __future__ import annotations

from dataclasses import dataclass

from xdk_streaming.state import ConnectionState, Trigger


@dataclass(frozen=True)
class Row:
    """One transition. It is internal if `dest` is `source`: the state is then neither left nor entered."""

    trigger: Trigger
    source: ConnectionState
    dest: ConnectionState
    reason: str
    guard: str | None = None
    action: str | None = None
    notify: tuple[str, ...] = ()

    @property
    def internal(self) -> bool:
        """Whether the row changes facts only, and not the state."""
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
        "a parameter that the stream can do without was refused: again without it",
        guard="amendable",
        action="amend_request",
        notify=("on_error",),
    ),
    Row(
        Trigger.REFUSED,
        CONNECTING,
        BACKOFF,
        "the credential was refused, and there is a new one: again with it",
        guard="renewable",
        action="renew_credential",
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
        "a bounded request was delivered to its end",
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
    Row(Trigger.STOP, FAILED, FAILED, "a failed stream has stopped already"),
)
