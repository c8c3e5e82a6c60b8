"""Checks that thousands of reconnects leave nothing behind: memory, threads, descriptors, objects.

One `Stream` runs over many connections, which the simulator ends in every way that a short script can
express, over plain HTTP and over TLS. The simulator runs in its own process, so that only the client is
measured. At the end, the items sent are compared with the items received. Exits with 1 if something grew, or
if an item is not accounted for.
"""

from __future__ import annotations

import gc
import hashlib
import logging
import multiprocessing
import os
import platform
import ssl
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from importlib.metadata import version
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import requests
import typer

from xdk_streaming import Stream, StreamConfig, StreamError
from xdk_streaming.simulator import (
    HEARTBEAT,
    OPERATIONAL_DISCONNECT,
    UNAVAILABLE,
    Cut,
    End,
    Notice,
    Refuse,
    Reset,
    Script,
    Send,
    Serve,
    Simulator,
    Stall,
)
from xdk_streaming.simulator.body import BodyFormat, Encoding, Framing
from xdk_streaming.simulator.script import Wire

MIB = 2**20
PATH = "/2/tweets/sample/stream"
LONGEST_LINE = 4096
PROC = Path("/proc/self")
LIBRARIES = ("requests", "urllib3", "transitions", "pydantic", "orjson")

# Losses


@dataclass(frozen=True)
class HangUp:
    """The connection closed between two lines, or before any response."""

    def play(self, wire: Wire) -> None:
        """Close the connection."""
        wire.cut()


PROBLEM = {"content-type": "application/problem+json"}
TOO_MANY = (
    b'{"title":"ConnectionException","connection_issue":"TooManyConnections","status":429,'
    b'"type":"https://api.x.com/2/problems/streaming-connection"}'
)
LOSSES: dict[str, Script] = {
    "ended cleanly": (Serve(2), End()),
    "an empty 200": (End(),),
    "cut in the middle of a line": (Serve(2), Cut()),
    "cut between two lines": (Serve(2), HangUp()),
    "reset in the middle of a line": (Reset(),),  # nothing whole before it: RST may overtake data
    "closed without an answer": (HangUp(),),
    "503 with a body": (UNAVAILABLE,),
    "500 without a body": (Refuse(500),),
    "429 without Retry-After": (Refuse(429),),
    "429 for too many connections": (Refuse(429, TOO_MANY, PROBLEM),),
    "204": (Refuse(204),),
    "200 with a web page": (Refuse(200, b"<html></html>", {"Content-Type": "text/html"}),),
    "200 with gzip that is none": (Refuse(200, b"not gzip", {"Content-Encoding": "gzip"}),),
    "an operational disconnect": (Serve(2), OPERATIONAL_DISCONNECT, End()),
    "a notice of another kind, then the end": (Serve(2), Notice({"errors": [{"title": "Odd"}]}), End()),
    "heartbeats only": (HEARTBEAT, HEARTBEAT, End()),
    "a malformed line among items": (Serve(1), Send(b'{"data":\r\n'), Serve(1), End()),
    "a line that is not UTF-8": (Serve(1), Send(b'{"data":"\xff"}\r\n'), Serve(1), End()),
    "a line over max_item_bytes": (Serve(1), Send(b"x" * 2 * LONGEST_LINE + b"\r\n"), Serve(1), End()),
    "a line without end": (Serve(1), Send(b"x" * 5 * LONGEST_LINE), Send(b"x"), End()),
}
STALL: Script = (Serve(2), Stall())
STALL_TIMEOUT = 0.5
PATIENCE = 30.0
"""Seconds of silence allowed for other losses, so that even on a busy machine only a stall counts as one."""
STALL_EVERY = 500
"""Connections per stall, which costs its timeout. A stall replaces another loss in the middle of a round."""
FORMS: tuple[tuple[Framing, Encoding | None], ...] = (
    ("chunked", None),
    ("chunked", "gzip"),
    ("chunked", "deflate"),
    ("close", None),
    ("close", "gzip"),
)
"""How bodies are sent: one form per round of losses."""
ROUND = len(LOSSES) * len(FORMS)
"""Connections, after which every loss has come in every form. What a stream remembers of its last
connections is the same at the end of each round; elsewhere the number of objects would go up and down."""
REMEMBERED = 90_000
"""Reconnects whose items the simulator can account for: the log has the last 100,000 items."""


def loss(number: int) -> str:
    """How connection `number`, counted from 0, is lost."""
    if number % STALL_EVERY == ROUND // 2:
        return "a stall"
    return list(LOSSES)[number % len(LOSSES)]


# The simulator's process


@dataclass(frozen=True)
class Served:
    """What the simulator did: connections, items sent whole, and a digest of their ids."""

    connections: int
    items: int
    digest: str


class Tally:
    """Counts and digests items as they arrive: storing them would itself be a leak."""

    def __init__(self, ids: Iterable[str | None] = ()) -> None:
        self.items = 0
        self._digest = hashlib.blake2b(digest_size=16)
        for item_id in ids:
            self.take(item_id)

    def take(self, item_id: str | None) -> None:
        """Add an item. The digest depends on the order, so lost, duplicate and moved items all change it."""
        self.items += 1
        self._digest.update(f"{item_id}\n".encode())

    @property
    def digest(self) -> str:
        """The digest: equal for the same ids in the same order."""
        return self._digest.hexdigest()


def serve(line: Connection, reconnects: int, folder: str | None) -> None:
    """Lose a number of connections, hold the next one, and report when asked; with a folder, over TLS."""

    def scripts() -> Iterator[Script]:
        for number in range(reconnects):
            # A script is drawn when the form of its own connection is settled: this is the next one's.
            form = BodyFormat(*FORMS[(number + 1) // len(LOSSES) % len(FORMS)], tls)
            simulator.behaviour = replace(simulator.behaviour, sending=form)
            yield LOSSES.get(loss(number), STALL)

    tls, authority = certified(Path(folder)) if folder else (None, None)
    with Simulator(script=scripts(), then=(Serve(1), Stall()), rate=0, tls=tls) as simulator:
        line.send((simulator.url, authority))
        line.recv()
        sent = Tally(entry.id for entry in simulator.log if entry.whole)
        line.send(Served(len(simulator.requests), sent.items, sent.digest))


def certified(folder: Path) -> tuple[ssl.SSLContext, str]:
    """A server context for loopback, and the CA file for clients."""
    import trustme  # only here: what it brings in must not weigh on the measured process

    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    file = folder / "authority.pem"
    authority.cert_pem.write_to_path(str(file))
    return context, str(file)


@contextmanager
def simulated(reconnects: int, *, tls: bool) -> Iterator[tuple[Connection, str, Any]]:
    """A simulator in a new process: the pipe to it, its URL, and its CA file."""
    ours, theirs = multiprocessing.Pipe()
    with tempfile.TemporaryDirectory() as folder:
        process = multiprocessing.get_context("spawn").Process(
            target=serve, args=(theirs, reconnects, folder if tls else None), daemon=True
        )
        process.start()
        theirs.close()
        try:
            url, authority = ours.recv()
            yield ours, url, authority or True
        finally:
            process.terminate()
            process.join()
            process.close()
            ours.close()


# The measured process


class Sample(NamedTuple):
    """What the process holds after a number of reconnects; None if the system does not report the value."""

    reconnects: int
    memory: int | None
    """Resident bytes."""
    threads: int
    descriptors: int | None
    objects: int
    """Objects tracked by Python's garbage collector, after a collection."""


@dataclass
class Run:
    """One `Stream` over all its connections."""

    name: str
    lost: int = 0
    """Connections; a reconnect is announced after each."""
    samples: list[Sample] = field(default_factory=list)
    received: int = 0
    """Items received."""
    errors: Counter[str] = field(default_factory=Counter)
    """Errors that the client reported, by type. A clean end is not an error."""
    seconds: float = 0.0
    objections: list[str] = field(default_factory=list)


def measure(run: Run) -> Sample:
    """A sample of this process now, excluding the samples taken before."""
    settle()
    gc.collect()
    memory = descriptors = None
    if PROC.exists():
        memory = int((PROC / "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        descriptors = len(list((PROC / "fd").iterdir())) - 1  # without the one that lists them
    objects = len(gc.get_objects()) - len(run.samples)
    return Sample(run.lost, memory, threading.active_count(), descriptors, objects)


def settle() -> None:
    """Wait for threads that are ending, such as the cancelled timer of an error body."""
    deadline = time.monotonic() + 1.0
    while threading.active_count() > 1 and time.monotonic() < deadline:
        time.sleep(0.001)


def soak(reconnects: int, *, tls: bool) -> Run:
    """Lose a number of connections; the last one shows that the stream still delivers."""
    run = Run("TLS" if tls else "plain HTTP")
    received, every, started = Tally(), max(1, reconnects // ROUND // 20) * ROUND, time.monotonic()

    def add_stream_request(_attempt: int, _delay: float) -> None:
        run.lost += 1
        config.stall_timeout = STALL_TIMEOUT if loss(run.lost) == "a stall" else PATIENCE
        if run.lost % every == 0 or run.lost == reconnects:
            run.samples.append(measure(run))
            typer.echo(f"{run.name}: {row(run.samples[-1])}", err=True)

    def count(error: StreamError) -> None:
        run.errors[error.error_type.value] += 1

    config = StreamConfig(
        max_retries=-1,
        initial_backoff=0.0005,
        max_backoff=0.001,
        jitter=False,
        on_reconnect=add_stream_request,
        on_error=count,
        stall_timeout=PATIENCE,
        max_item_bytes=LONGEST_LINE,
    )
    with simulated(reconnects, tls=tls) as (line, url, verify), requests.Session() as session:
        session.trust_env = False
        session.verify = verify
        session.headers["Authorization"] = "Bearer a-token"
        run.samples.append(measure(run))
        stream: Stream[dict[str, Any]] = Stream(session, "get", url + PATH, config)
        with stream:
            for post in stream:
                received.take(post["data"]["id"])
                if run.lost == reconnects:
                    stream.stop()
        line.send("report")
        served: Served = line.recv()
    run.received = received.items
    run.seconds = time.monotonic() - started
    run.objections = [*growth(run.samples), *differences(served, received, reconnects)]
    return run


# The verdict

WARM = 0.1
"""The share of reconnects for warming up, until everything is loaded."""
MEMORY_BOUND = MIB
"""About 100 bytes per reconnect: the allocator keeps memory, and takes a while to reach its level."""
OBJECTS_BOUND = 10
"""Less than one per stall, which is the rarest loss."""


def warm(samples: Sequence[Sample]) -> list[Sample]:
    """The samples from the end of the warm-up on."""
    return [sample for sample in samples if sample.reconnects >= WARM * samples[-1].reconnects]


def growth(samples: Sequence[Sample]) -> list[str]:
    """What grew after the warm-up, as sentences."""
    settled = warm(samples)
    first, last = settled[0], settled[-1]
    since = f"between reconnect {first.reconnects:,} and {last.reconnects:,}"
    found = []
    for name in ("threads", "descriptors"):
        seen = {getattr(sample, name) for sample in settled}
        if len(seen) > 1:
            found.append(f"{name} went from {min(seen)} to {max(seen)} {since}")
    if first.memory is not None and last.memory is not None and last.memory - first.memory > MEMORY_BOUND:
        found.append(f"memory grew by {(last.memory - first.memory) / MIB:.2f} MiB {since}")
    if last.objects - first.objects > OBJECTS_BOUND:
        found.append(f"objects grew by {last.objects - first.objects:,} {since}")
    return found


def differences(served: Served, received: Tally, reconnects: int) -> list[str]:
    """Differences between client and simulator, as sentences."""
    found = []
    if served.connections != reconnects + 1:
        found.append(f"{served.connections:,} connections were made, expected {reconnects + 1:,}")
    if served.items != received.items:
        found.append(f"{served.items:,} items were sent whole, {received.items:,} received")
    elif served.digest != received.digest:
        found.append("as many items were received as were sent whole, but not the same in the same order")
    return found


# The page

HEADING = ("reconnects", "memory, MiB", "threads", "descriptors", "objects")


def row(sample: Sample) -> str:
    """A sample as a row of the table, with aligned columns."""
    memory = "?" if sample.memory is None else f"{sample.memory / MIB:.2f}"
    descriptors = "?" if sample.descriptors is None else str(sample.descriptors)
    cells = (f"{sample.reconnects:,}", memory, str(sample.threads), descriptors, f"{sample.objects:,}")
    return "| " + " | ".join(cell.rjust(len(name)) for cell, name in zip(cells, HEADING, strict=True)) + " |"


def verdict(run: Run) -> str:
    """The result, in one line."""
    if run.objections:
        return "; ".join(run.objections)
    first, *_, last = warm(run.samples)
    memory = descriptors = "not measured"
    if first.memory is not None and last.memory is not None:
        memory, descriptors = f"{(last.memory - first.memory) / MIB:+.2f} MiB", "+0"
    return (
        f"flat. From reconnect {first.reconnects:,} to {last.reconnects:,}: memory {memory}, threads +0, "
        f"descriptors {descriptors}, objects {last.objects - first.objects:+}; "
        f"all {run.received:,} items received once"
    )


def chapter(run: Run) -> str:
    """One run: its table and its faults."""
    rule = "|" + "|".join("-" * (len(name) + 1) + ":" for name in HEADING) + "|"
    faults = ", ".join(f"{count:,} {name}" for name, count in run.errors.most_common())
    return "\n".join(
        [
            f"## {run.name}",
            "",
            "| " + " | ".join(HEADING) + " |",
            rule,
            *map(row, run.samples),
            "",
            f"It took {run.seconds:.0f} s. Faults as the client reported them: {faults}.",
            "",
        ]
    )


def page(runs: Sequence[Run], reconnects: int, command: str) -> str:
    """The figures as Markdown, with everything needed to judge and repeat them."""
    losses = Counter(loss(number) for number in range(reconnects))
    return "\n".join(
        [
            "# What reconnecting leaves behind",
            "",
            f"One `Stream` per run, over {reconnects:,} connections that are lost in {len(losses)} ways "
            "in turn. The server runs in its own process; the figures are those of the client.",
            "",
            *(f"- {run.name}: {verdict(run)}." for run in runs),
            "",
            reading(runs),
            "",
            *map(chapter, runs),
            "## How the connections were lost",
            "",
            *(f"- {name}: {count:,}" for name, count in losses.items()),
            "",
            f"Bodies came {', '.join(map(form, FORMS))}, a form for each round.",
            "",
            "## Made with",
            "",
            *(f"- {fact}" for fact in circumstances(command)),
            "",
        ]
    )


def reading(runs: Sequence[Run]) -> str:
    """How to read the tables, and which values are missing on this system."""
    text = (
        "How to read the tables: each row is taken between two connections, after a full garbage "
        f"collection. The first {WARM:.0%} of the reconnects are for warming up. After them, threads and "
        "descriptors must be the same in every row. At the end, resident memory may be at most "
        f"{MEMORY_BOUND / MIB:g} MiB, and the number of objects tracked by Python's garbage collector at "
        f"most {OBJECTS_BOUND:,}, above the last row of the warm-up. The items received must be exactly "
        "the items that the server sent whole, in order, and after the last loss one more connection must "
        "deliver an item."
    )
    if any(sample.memory is None for run in runs for sample in run.samples):
        text += " This system has no /proc: memory and descriptors were not measured."
    return text


def form(framing_and_encoding: tuple[Framing, Encoding | None]) -> str:
    """How a body is sent, in words."""
    framing, encoding = framing_and_encoding
    framed = "in chunks" if framing == "chunked" else "until the close"
    return f"{framed} with {encoding}" if encoding else framed


def circumstances(command: str) -> Iterator[str]:
    """Machine, versions, day and command."""
    yield f"`{command}`, on {datetime.now(timezone.utc):%Y-%m-%d}"
    yield f"{os.cpu_count()} x {processor()}, {platform.system()} {platform.release()}"
    yield f"Python {platform.python_version()}, {ssl.OPENSSL_VERSION}"
    yield ", ".join(f"{name} {version(name)}" for name in LIBRARIES)


def processor() -> str:
    """The processor's model, if the system reports it."""
    told = Path("/proc/cpuinfo")
    lines = told.read_text().splitlines() if told.exists() else []
    models = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(models, platform.machine())


def whole_rounds(reconnects: int) -> int:
    """Refuse numbers of reconnects for which samples or items cannot be compared."""
    if not 2 * ROUND <= reconnects <= REMEMBERED or reconnects % ROUND:
        raise typer.BadParameter(
            f"{reconnects} is not a multiple of {ROUND} from {2 * ROUND} to {REMEMBERED:,}"
        )
    return reconnects


def main(
    reconnects: Annotated[int, typer.Option(callback=whole_rounds, help="Connections to lose.")] = 10_000,
    tls: Annotated[bool | None, typer.Option("--tls/--no-tls", help="Only over TLS, or never.")] = None,
    output: Annotated[Path | None, typer.Option(help="Write the page there, too.")] = None,
) -> None:
    """Lose many connections, show what they leave behind, and exit with 1 if anything is left."""
    logger = logging.getLogger("xdk_streaming")
    logger.addHandler(logging.NullHandler())  # every line is made, as in a program that logs; none is shown
    logger.setLevel(logging.INFO)
    options = {None: "", True: " --tls", False: " --no-tls"}[tls]
    command = f"python benchmarks/soak.py --reconnects {reconnects}{options}"
    runs = [soak(reconnects, tls=secure) for secure in (False, True) if tls in (None, secure)]
    text = page(runs, reconnects, command)
    typer.echo(text)
    if output is not None:
        output.write_text(text, encoding="utf-8")
    raise typer.Exit(int(any(run.objections for run in runs)))


if __name__ == "__main__":
    typer.run(main)
