"""The fault catalogue: everything that a stream of X's can show.

One fault is one entry: a name, a sentence, and what the server does. The simulator plays them, the tests
hold the package to the outcomes over real sockets, `xdk-streaming faults` and docs/faults.md show them.
"""

from __future__ import annotations

from collections.abc import Mapping

from xdk_streaming.simulator.faults.connecting import CONNECTING
from xdk_streaming.simulator.faults.ends import ENDS
from xdk_streaming.simulator.faults.fault import Fault
from xdk_streaming.simulator.faults.lines import LINES
from xdk_streaming.simulator.faults.notices import NOTICES
from xdk_streaming.simulator.faults.refusals import REFUSALS

CATALOGUE: Mapping[str, tuple[Fault, ...]] = {
    "While connecting": CONNECTING,
    "Instead of a stream": REFUSALS,
    "Ends of a stream": ENDS,
    "Objects about the stream": NOTICES,
    "Lines": LINES,
}
"""By where they show."""

FAULTS: Mapping[str, Fault] = {fault.name: fault for faults in CATALOGUE.values() for fault in faults}
"""By name."""

RANDOM_FAULTS = tuple(FAULTS[name] for name in ("end", "cut", "reset", "stall", "operational-disconnect"))
"""What befalls a connection that streams, day in, day out."""
