"""The type of a fault: a name, a sentence, and a script for the server."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Literal

from xdk_streaming.simulator.script import Script, Step


class Peer(Enum):
    """What is at the other end of the connection."""

    SERVER = "the server"
    CLOSED_PORT = "a port on which nothing listens"
    UNKNOWN_HOST = "a name that no DNS server knows"
    UNTRUSTED = "a server with a certificate of an unknown authority"


@dataclass(frozen=True)
class StreamFault:
    """One entry of the catalogue. The outcome in the client is defined elsewhere, in `driver.outcomes`."""

    name: str
    sentence: str
    """What the server does, in a sentence."""
    script: Script
    """What the server does: instead of a stream if it refuses, otherwise on a stream that is already open."""
    encoding: Literal["gzip"] | None = None
    """The compression that the fault needs."""
    peer: Peer = Peer.SERVER


def fault(
    name: str,
    sentence: str,
    *script: Step,
    encoding: Literal["gzip"] | None = None,
    peer: Peer = Peer.SERVER,
) -> StreamFault:
    """Make a fault from its name, its sentence and its steps."""
    return StreamFault(name, sentence, script, encoding, peer)
