"""The transition table, the machine that executes it, and its diagrams. No socket, no clock, no sleep.

The table is a tuple of rows, so plain Python can make another table, execute it, and draw it:

    table = (*TABLE, Row(Trigger.START, ConnectionState.BACKOFF, ConnectionState.CONNECTING, "at once"))
    machine = ConnectionMachine(StreamConfig(), StreamState(), table=table)
    machine.fire(Event(Trigger.START, at=time.time()))
    print(mermaid(table, highlight=machine.connection_state))
"""

from xdk_streaming.machine.diagram import GraphvizError, dot, markdown, mermaid, svg
from xdk_streaming.machine.event import Event
from xdk_streaming.machine.machine import ConnectionMachine, IllegalEvent
from xdk_streaming.machine.table import FINAL, INITIAL, TABLE, Row
from xdk_streaming.state import ConnectionState, Trigger

__all__ = [
    "FINAL",
    "INITIAL",
    "TABLE",
    "ConnectionMachine",
    "ConnectionState",
    "Event",
    "GraphvizError",
    "IllegalEvent",
    "Row",
    "Trigger",
    "dot",
    "markdown",
    "mermaid",
    "svg",
]
