"""What can go wrong before there is an answer."""

from __future__ import annotations

from xdk_streaming.simulator.faults.fault import Peer, fault
from xdk_streaming.simulator.script import Cut, Raw, Reset, Stall

CONNECT_FAULTS = (
    fault("connection-refused", "Nobody listens at the port.", peer=Peer.CLOSED_PORT),
    fault("unknown-host", "The host's name resolves to nothing.", peer=Peer.UNKNOWN_HOST),
    fault(
        "certificate-refused",
        "The server's certificate comes from an authority that the client does not know.",
        peer=Peer.UNTRUSTED,
    ),
    fault(
        "closed-before-headers", "The server takes the request and closes the connection.", Cut(half=False)
    ),
    fault(
        "reset-before-headers", "The server takes the request and resets the connection.", Reset(half=False)
    ),
    fault("stall-before-headers", "The server takes the request and says nothing.", Stall(head=False)),
    fault(
        "no-http",
        "Something answers that does not speak HTTP.",
        Raw(b"SSH-2.0-OpenSSH_9.6\r\n"),
        Cut(half=False),
    ),
)
