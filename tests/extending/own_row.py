"""A row of one's own in a copy of the table: a wait that an operator cuts short, executed and drawn."""

from xdk_streaming import StreamConfig, StreamError, StreamErrorType, StreamState
from xdk_streaming.machine import (
    TABLE,
    ConnectionMachine,
    ConnectionState,
    Event,
    IllegalEvent,
    Row,
    Trigger,
    dot,
    markdown,
    mermaid,
)

AT_ONCE = Row(
    Trigger.START, ConnectionState.BACKOFF, ConnectionState.CONNECTING, "an operator does not want to wait"
)
table = (*TABLE, AT_ONCE)

lost = StreamError("The server is away.", StreamErrorType.SERVER_ERROR)
for rows in (TABLE, table):
    machine = ConnectionMachine(StreamConfig(), StreamState(), table=rows)
    machine.fire(Event(Trigger.START))
    machine.fire(Event(Trigger.REFUSED, error=lost))
    try:
        machine.fire(Event(Trigger.START))
    except IllegalEvent as illegal:
        print(illegal)
    print(machine.connection_state.name, [transition.reason for transition in machine.history][-1])

for draw in (mermaid, dot, markdown):
    added = set(draw(table).splitlines()) - set(draw().splitlines())
    print(f"{draw.__name__}:", *(line.strip() for line in added))
print(mermaid(table, highlight=machine.connection_state).splitlines()[-1].strip())
