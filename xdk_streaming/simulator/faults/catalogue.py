"""The fault catalogue: everything that can go wrong with one of X's streams.

An entry has a name, a sentence, and a script for the server. The simulator plays the faults, tests check
their outcomes over real sockets, and `xdk-streaming faults` and docs/faults.md list them.
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
"""The faults, grouped by the phase in which they occur."""

STREAM_FAULTS: Mapping[str, StreamFault] = {
    fault.name: fault for faults in CATALOGUE.values() for fault in faults
}
"""The faults by name."""

RANDOM_FAULTS = tuple(
    STREAM_FAULTS[name] for name in ("end", "cut", "reset", "stall", "operational-disconnect")
)
"""The everyday faults of an open stream."""
