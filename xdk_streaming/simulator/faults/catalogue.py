"""The fault catalogue: everything that a stream of X's can show.

One fault is one entry: a name, a sentence, and what the server does. The simulator plays them, the tests
hold the package to the outcomes over real sockets, `xdk-streaming faults` and docs/faults.md show them.
"""

from __future__ import annotations

from collections.abc import Mapping

from xdk_streaming.simulator.faults.connecting import CONNECT_FAULTS
from xdk_streaming.simulator.faults.ends import END_FAULTS
from xdk_streaming.simulator.faults.fault import StreamFault
from xdk_streaming.simulator.faults.lines import LINE_FAULTS
from xdk_streaming.simulator.faults.notices import NOTICE_FAULTS
from xdk_streaming.simulator.faults.refusals import REFUSAL_FAULTS

CATALOGUE: Mapping[str, tuple[StreamFault, ...]] = {
    "While connecting": CONNECT_FAULTS,
    "Instead of a stream": REFUSAL_FAULTS,
    "Ends of a stream": END_FAULTS,
    "Objects about the stream": NOTICE_FAULTS,
    "Lines": LINE_FAULTS,
}
"""By where they show."""

STREAM_FAULTS: Mapping[str, StreamFault] = {
    fault.name: fault for faults in CATALOGUE.values() for fault in faults
}
"""By name."""

RANDOM_FAULTS = tuple(
    STREAM_FAULTS[name] for name in ("end", "cut", "reset", "stall", "operational-disconnect")
)
"""What befalls a connection that streams, day in, day out."""
