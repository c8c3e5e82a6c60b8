"""Everything that can go wrong with a stream, by name."""

from xdk_streaming.simulator.faults.catalogue import CATALOGUE, RANDOM_FAULTS, STREAM_FAULTS
from xdk_streaming.simulator.faults.fault import Peer, StreamFault

__all__ = ["CATALOGUE", "RANDOM_FAULTS", "STREAM_FAULTS", "Peer", "StreamFault"]
