"""One measurement: plays a fault to a client in its own process, and judges the outcome.

Knows the catalogue and the simulator; does not know how clients work (`clients`), or how results are shown
(`page`).
"""

from __future__ import annotations

import importlib
import json
import os
import re
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import orjson

from xdk_streaming.driver.outcomes import OUTCOMES
from xdk_streaming.simulator import (
    Live,
    Notice,
    Open,
    Script,
    Send,
    Sent,
    Serve,
    ServedRequest,
    Simulator,
    Step,
)
from xdk_streaming.simulator.faults import STREAM_FAULTS, Peer, StreamFault
from xdk_streaming.x import Endpoint

from .figures import Figures, Order, Outcome, Report, Task, Told

ROOT = Path(__file__).resolve().parents[2]
SILENCE = 1.0
"""Seconds of silence that clients allow, if silence is the fault and the client has such a setting."""
RATE = 4.0
HEARTBEAT = 0.1
"""Items per second of the stream to which a client returns, with heartbeats in between."""
ITEMS = 3
"""Items sent at the start of each connection, before the fault or the live stream."""
UNDER_WAY = 0.5
"""Seconds before the end in which a sent item may be unread; such items do not count."""
PORT_CLOSED = 0.5
"""Seconds until a server listens on the closed port."""
TROUBLE = 30.0
"""Additional seconds for a process on a busy machine."""
OF_THE_MACHINE = re.compile(r"(?i)_proxy$|ca_bundle$|^ssl_cert_")
"""Environment variables that would redirect the clients."""

EVENTS: Mapping[str, str] = {"Content-Type": "text/event-stream"}
SPEAKS_SSE = "launchdarkly-eventsource"
OF_A_FAULT = "1"
"""The id of every item that is part of a fault."""


class EventSource(Simulator):
    """A simulator for clients of Server-Sent Events: each item is an event."""

    def item(self, number: int, endpoint: Endpoint, params: Mapping[str, str]) -> tuple[bytes, str | None]:
        """An item as an event."""
        line, item_id = super().item(number, endpoint, params)
        return b"data: " + line + b"\r\n", item_id


class CountingContext(ssl.SSLContext):
    """Counts TLS handshakes, because a client that refuses the certificate sends no request."""

    def __init__(self, *_: Any) -> None:
        self.connections = 0

    def wrap_socket(self, *arguments: Any, **more: Any) -> ssl.SSLSocket:
        """Wrap the socket, and count the attempt."""
        self.connections += 1
        return super().wrap_socket(*arguments, **more)


def as_events(script: Script) -> Script:
    """The script for a server of events: each line is an event, followed by a blank line."""
    steps: list[Step] = []
    at_line_start = True
    for step in script:
        if isinstance(step, Notice):
            step = Send(orjson.dumps(dict(step.content)) + b"\r\n")
        if isinstance(step, Send):
            fields = re.sub(rb"(?m)^(?=[^\r\n])", b"data: ", step.data) if at_line_start else step.data
            at_line_start = fields.endswith(b"\n")
            step = Send(fields.replace(b"\n", b"\n\r\n"))
        steps.append(step)
    return tuple(steps)


def with_text(script: Script) -> Script:
    """The script with a text in each post, as with X; tweepy cannot read posts without text."""
    return tuple(
        Send(re.sub(rb'"id":"1"(?!,"text")', b'"id":"1","text":""', step.data))
        if isinstance(step, Send)
        else step
        for step in script
    )


@dataclass(frozen=True)
class Scripts:
    """The scripts of the server: for the first connection, and for later ones."""

    first: Script
    then: Script


def scripts(task: Task) -> Scripts:
    """The fault, preceded by some items if there is a stream, and followed by the rest."""
    fault = STREAM_FAULTS[task.fault]
    script = with_text(fault.script)
    opening: Script = ()
    if task.client == SPEAKS_SSE:
        script, opening = as_events(script), (Open(200, EVENTS),)
    healthy: Script = (*opening, Serve(ITEMS), Live())
    refuses = OUTCOMES[task.fault].refuses
    first: Script = script if refuses else (*opening, Serve(ITEMS), *script, Serve(ITEMS), Live())
    return Scripts(first, first if task.lasting else healthy)


@dataclass
class Stage:
    """The place where a client meets the fault."""

    url: str
    begin: Callable[[], object]
    """Called when the client has started."""
    simulator: Simulator | None = None
    tls: CountingContext | None = None

    @property
    def connections(self) -> int:
        """The number of connections that reached the server."""
        if self.tls is not None:
            return self.tls.connections
        return len(self.simulator.requests) if self.simulator else 0


@contextmanager
def staged(task: Task) -> Iterator[Stage]:
    """The peer of the fault, ready for the client."""
    fault = STREAM_FAULTS[task.fault]
    with ExitStack() as stack:
        if fault.peer is Peer.CLOSED_PORT:
            yield closed_port(task, stack)
        elif fault.peer is Peer.UNKNOWN_HOST:
            yield Stage("http://nowhere.invalid", lambda: None)
        else:
            tls = untrusted(stack) if fault.peer is Peer.UNTRUSTED else None
            simulator = stack.enter_context(simulated(task, script=[scripts(task).first], tls=tls))
            yield Stage(simulator.url, lambda: None, simulator, tls)


def simulated(task: Task, **more: Any) -> Simulator:
    """A server with a stream for the client, modified by `more`."""
    kind = EventSource if task.client == SPEAKS_SSE else Simulator
    return kind(
        then=scripts(task).then,
        rate=RATE,
        heartbeat=HEARTBEAT,
        encoding=STREAM_FAULTS[task.fault].encoding,
        **more,
    )


def closed_port(task: Task, stack: ExitStack) -> Stage:
    """A port on which nothing listens until the client has tried once."""
    bound = stack.enter_context(socket.socket())
    bound.bind(("127.0.0.1", 0))
    port = bound.getsockname()[1]

    def begin() -> None:
        time.sleep(PORT_CLOSED)
        if not task.lasting:
            bound.close()
            stage.simulator = stack.enter_context(simulated(task, port=port))

    stage = Stage(f"http://127.0.0.1:{port}", begin)
    return stage


def untrusted(stack: ExitStack) -> CountingContext:
    """TLS with a certificate of a new authority."""
    trustme = importlib.import_module("trustme")  # not needed for any other fault
    context = CountingContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    return context


@dataclass(frozen=True)
class Seen:
    """What the server had done when the client was asked to stop."""

    started: float
    asked: float
    connections: int
    requests: Sequence[ServedRequest]
    log: list[Sent]
    """Completed later, because a client that does not stop continues to receive."""


def plays(fault: str, client: str) -> bool:
    """Whether the fault can occur: a client that does not accept compression gets none."""
    return not (client == SPEAKS_SSE and STREAM_FAULTS[fault].encoding)


def measure(task: Task) -> Figures:
    """Play the task's fault to its client."""
    with staged(task) as stage, client_process(task, stage.url) as process:
        started = time.time()
        stage.begin()
        with suppress(subprocess.TimeoutExpired):  # the process is not expected to exit
            process.wait(task.seconds)
        seen = look(stage, started)
        out, _ = process.communicate("stop\n", timeout=task.patience + TROUBLE)
        seen.log.extend(list(stage.simulator.log)[len(seen.log) :] if stage.simulator else [])
    content = json.loads(out)
    report = Report(**{**content, "told": [Told(**told) for told in content["told"]]})
    return judge(task, report, seen)


def look(stage: Stage, started: float) -> Seen:
    """What the server has done so far."""
    asked = time.time()  # first, so that the connections of all items sent so far are known
    requests = [replace(request) for request in list(stage.simulator.requests)] if stage.simulator else []
    log = list(stage.simulator.log) if stage.simulator else []
    return Seen(started, asked, stage.connections, requests, log)


@contextmanager
def client_process(task: Task, url: str) -> Iterator[subprocess.Popen[str]]:
    """The client in its own process, about to connect. Raises RuntimeError if the process does not start."""
    settings = OUTCOMES[task.fault].settings
    order = Order(
        task.client,
        url,
        task.patience,
        silence=SILENCE if "stall_timeout" in settings else None,
        longest=settings.get("max_item_bytes"),
    )
    command = [sys.executable, "-m", "benchmarks.side_by_side.child", json.dumps(asdict(order))]
    environment = {name: value for name, value in os.environ.items() if not OF_THE_MACHINE.search(name)}
    pipe = subprocess.PIPE
    with (
        tempfile.TemporaryFile("w+") as complaints,
        subprocess.Popen(
            command, cwd=ROOT, env=environment, text=True, stdin=pipe, stdout=pipe, stderr=complaints
        ) as process,
    ):
        try:
            assert process.stdout is not None
            if process.stdout.readline() != "started\n":
                complaints.seek(0)
                raise RuntimeError(f"{task.client} did not start: {complaints.read()[-1000:]}")
            yield process
        finally:
            process.kill()


def judge(task: Task, report: Report, seen: Seen) -> Figures:
    """The figures from both sides."""
    fault = STREAM_FAULTS[task.fault]
    counts = Counter(report.ids)
    own = counts.pop(OF_A_FAULT, 0)
    owed, allowed = items_of_the_fault(task)
    sent = {entry.id: entry for entry in seen.log if entry.whole}
    due = {item_id for item_id, entry in sent.items() if entry.at <= seen.asked - UNDER_WAY}
    outcome = outcome_of(fault, report, seen)
    return Figures(
        task.fault,
        task.client,
        task.lasting,
        outcome,
        connections=seen.connections,
        back=seconds_until_back(fault, seen) if outcome is Outcome.BACK and not task.lasting else None,
        lost=len(due - set(counts)) + (0 if task.lasting else max(0, owed - own)),
        doubled=sum(times - 1 for times in counts.values()),
        strays=len(set(counts) - set(sent))
        + (0 if task.lasting else max(0, own - allowed))
        + sum(told.channel == "an item" for told in report.told),
        memory=report.memory,
        stop=report.stop,
        told=tuple(report.told),
    )


def items_of_the_fault(task: Task) -> tuple[int, int]:
    """The minimum and maximum number of items in the fault itself."""
    outcome = OUTCOMES[task.fault]
    if "max_item_bytes" in outcome.settings:  # only one client has this limit
        return 0, 0 if task.client == "xdk_streaming" else 1
    sends = [
        step for step in as_events(with_text(STREAM_FAULTS[task.fault].script)) if isinstance(step, Send)
    ]
    if task.client == SPEAKS_SSE and sends and not sends[-1].data.endswith(b"\n"):
        return 0, outcome.items  # in SSE, an event without a blank line after it does not count
    return outcome.items, outcome.items


def outcome_of(fault: StreamFault, report: Report, seen: Seen) -> Outcome:
    """The outcome for the client."""
    whole = [entry for entry in seen.log if entry.whole and entry.at <= seen.asked]
    received = set(report.ids)
    due = whole if OUTCOMES[fault.name].refuses else whole[ITEMS:]
    after = [entry for entry in due if entry.id in received]
    if report.overflow:
        return Outcome.OVERFLOW
    if report.ended:
        return Outcome.RAISED if report.told else Outcome.SILENT_END
    if after:
        on_another = after[-1].request > 0 or fault.peer is Peer.CLOSED_PORT
        return Outcome.BACK if on_another else Outcome.WENT_ON
    still_open = bool(seen.requests) and seen.requests[-1].ended_at is None
    return Outcome.HUNG if still_open else Outcome.WAITING


def seconds_until_back(fault: StreamFault, seen: Seen) -> float:
    """Seconds from the first connection, or the first attempt, to the next one."""
    if fault.peer is Peer.CLOSED_PORT:
        return seen.requests[0].opened_at - seen.started
    return seen.requests[1].opened_at - seen.requests[0].opened_at
