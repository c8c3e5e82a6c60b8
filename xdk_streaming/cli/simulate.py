"""`xdk-streaming simulate`: a local X that runs until it is told to stop."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable
from itertools import cycle
from pathlib import Path
from typing import Annotated, Literal

import typer

from xdk_streaming.faults import FAULTS, RANDOM_FAULTS, Fault, Peer
from xdk_streaming.simulator import End, Live, Script, Simulator, Visit
from xdk_streaming.simulator.server import HEARTBEAT

POLL = 0.2


def simulate(
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port; 0 for any free one.")] = 8080,
    rate: Annotated[
        float, typer.Option(min=0, max=1e6, help="Items a second; 0 for heartbeats only.")
    ] = 10.0,
    heartbeat: Annotated[
        float, typer.Option(min=0.01, help="Seconds of silence before a heartbeat.")
    ] = HEARTBEAT,
    fault: Annotated[
        list[str] | None,
        typer.Option(
            help="NAME@SECONDS: a connection suffers it after so long; given again, the next connection "
            "does, in turn. `xdk-streaming faults` lists the names. Or random:P: after each item, one of "
            f"{', '.join(common.name for common in RANDOM_FAULTS)} with chance P."
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="For made-up items and random faults.")] = 0,
    replay: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="Serve this NDJSON file instead of made-up items."),
    ] = None,
    token_file: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="Take only the bearer token in this file."),
    ] = None,
    framing: Annotated[Literal["chunked", "close"], typer.Option(help="How a body is framed.")] = "chunked",
    encoding: Annotated[
        Literal["gzip", "deflate"] | None, typer.Option(help="How a body is compressed.")
    ] = None,
) -> None:
    """Serve X's streaming endpoints on this machine, with faults on demand."""
    chance, scripts = _faults(fault or [], encoding)
    try:
        simulator = Simulator(
            script=cycle(scripts) if scripts else (),
            rate=rate,
            heartbeat=heartbeat,
            random_faults=chance,
            seed=seed,
            replay=replay,
            token=None if token_file is None else _token(token_file),
            framing=framing,
            encoding=encoding,
            host=host,
            port=port,
        )
    except (OSError, ValueError) as refusal:
        typer.echo(f"The simulator could not start: {refusal}", err=True)
        raise typer.Exit(1) from refusal
    with simulator:
        try:
            typer.echo(f"Simulating X on {simulator.url}; stop it with Ctrl-C. To see it stream:")
            typer.echo(f'curl -N -H "Authorization: Bearer any" {simulator.url}/2/tweets/sample/stream')
            _report(simulator)
        except KeyboardInterrupt:
            typer.echo(f"Stopped after {len(simulator.visits)} connections.", err=True)


def _faults(given: Iterable[str], encoding: str | None) -> tuple[float, list[Script]]:
    """The chance of a random fault, and what the connections suffer in turn."""
    chance = 0.0
    scripts: list[Script] = []
    for text in given:
        if text.startswith("random:"):
            chance = _number(text, text.removeprefix("random:"), 0, 1)
        else:
            name, _, seconds = text.partition("@")
            scripts.extend(_scripts(_fault(text, name, encoding), _number(text, seconds, 0, 1e9)))
    return chance, scripts


def _fault(text: str, name: str, encoding: str | None) -> Fault:
    fault = FAULTS.get(name)
    if fault is None or fault.peer is not Peer.SERVER:
        raise _no_fault(text, f"{name!r} is none that a server can show; see `xdk-streaming faults`")
    if fault.encoding != encoding and fault.encoding is not None:
        raise _no_fault(text, f"it needs --encoding {fault.encoding}")
    return fault


def _scripts(fault: Fault, seconds: float) -> list[Script]:
    """A stream that suffers it after so long; for a refusal, one that ends then, and the next is refused."""
    if fault.refuses:
        return [(Live(seconds), End()), fault.script] if seconds else [fault.script]
    return [(Live(seconds), *fault.script)]


def _number(text: str, digits: str, least: float, most: float) -> float:
    try:
        number = float(digits)
    except ValueError:
        number = math.nan
    if not least <= number <= most:
        raise _no_fault(text, f"{digits!r} is no number from {least} to {most:.0f}")
    return number


def _no_fault(text: str, reason: str) -> typer.BadParameter:
    return typer.BadParameter(
        f"{text!r}: {reason}. Expected NAME@SECONDS, or random:P with P from 0 to 1", param_hint="--fault"
    )


def _token(path: Path) -> str:
    token = path.read_text(encoding="utf-8").strip()
    if not token:
        raise typer.BadParameter(
            f"{path} holds no token; expected one, and nothing else", param_hint="--token-file"
        )
    return token


def _report(simulator: Simulator) -> None:
    """A line for each connection that came, and one for each that went, until interrupted."""
    told: dict[int, str] = {}
    while True:
        for visit in list(simulator.visits):
            if told.get(visit.number) != visit.outcome:
                told[visit.number] = visit.outcome
                typer.echo(_line(visit), err=True)
        time.sleep(POLL)


def _line(visit: Visit) -> str:
    moment = time.strftime("%H:%M:%S", time.localtime(visit.ended_at or visit.opened_at))
    return f"{moment}  connection {visit.number + 1}  {visit.path}  {visit.outcome}"
