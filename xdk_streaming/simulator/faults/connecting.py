"""Faults before the server has responded."""

from __future__ import annotations

from xdk_streaming.simulator.faults.fault import Peer, fault
from xdk_streaming.simulator.script import Cut, Raw, Reset, Stall

CONNECT_FAULTS = (
    fault("connection-refused", "Nothing listens on the port.", peer=Peer.CLOSED_PORT),
    fault("unknown-host", "The host name does not resolve.", peer=Peer.UNKNOWN_HOST),
    fault(
        "certificate-refused",
        "The client does not trust the authority that issued the server's certificate.",
        peer=Peer.UNTRUSTED,
    ),
    fault(
        "closed-before-headers", "The server reads the request and closes the connection.", Cut(half=False)
    ),
    fault(
        "reset-before-headers", "The server reads the request and resets the connection.", Reset(half=False)
    ),
    fault("stall-before-headers", "The server reads the request and sends nothing.", Stall(head=False)),
    fault(
        "no-http",
        "The server does not speak HTTP.",
        Raw(b"SSH-2.0-OpenSSH_9.6\r\n"),
        Cut(half=False),
    ),
)
