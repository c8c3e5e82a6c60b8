"""What can go wrong with a stream, by name."""

from xdk_streaming.simulator.faults.catalogue import CATALOGUE, FAULTS, RANDOM_FAULTS
from xdk_streaming.simulator.faults.fault import Fault, Peer

__all__ = ["CATALOGUE", "FAULTS", "RANDOM_FAULTS", "Fault", "Peer"]
