"""What a fault is: a name, a sentence, and what the server does."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Literal

from xdk_streaming.simulator.script import Script, Step


class Peer(Enum):
    """Who is at the other end."""

    SERVER = "the server"
    CLOSED_PORT = "a port on which nobody listens"
    UNKNOWN_HOST = "a name that no DNS server knows"
    UNTRUSTED = "a server with a certificate of an unknown authority"


@dataclass(frozen=True)
class StreamFault:
    """One entry of the catalogue. What becomes of it here is the client's to say."""

    name: str
    sentence: str
    """What happens."""
    script: Script
    """What the server does: from its answer on if it refuses, else on a stream that is open already."""
    encoding: Literal["gzip"] | None = None
    """How the body must be compressed for it."""
    peer: Peer = Peer.SERVER


def fault(
    name: str,
    sentence: str,
    *script: Step,
    encoding: Literal["gzip"] | None = None,
    peer: Peer = Peer.SERVER,
) -> StreamFault:
    """A fault, its steps written one after the other."""
    return StreamFault(name, sentence, script, encoding, peer)
