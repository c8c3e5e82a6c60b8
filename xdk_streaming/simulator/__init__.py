"""A local X to run, test and demonstrate against."""

from xdk_streaming.simulator.log import Sent, Visit
from xdk_streaming.simulator.script import (
    HEARTBEAT,
    OPERATIONAL_DISCONNECT,
    UNAVAILABLE,
    Cut,
    End,
    Live,
    Notice,
    Refuse,
    Reset,
    Script,
    Send,
    Serve,
    Stall,
    Step,
)
from xdk_streaming.simulator.server import Simulator

__all__ = [
    "HEARTBEAT",
    "OPERATIONAL_DISCONNECT",
    "UNAVAILABLE",
    "Cut",
    "End",
    "Live",
    "Notice",
    "Refuse",
    "Reset",
    "Script",
    "Send",
    "Sent",
    "Serve",
    "Simulator",
    "Stall",
    "Step",
    "Visit",
]
