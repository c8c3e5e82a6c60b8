"""`xdk-streaming simulate`: a local X that runs until it is told to stop."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable
from itertools import cycle
from pathlib import Path
from typing import Annotated, Literal

import typer

from xdk_streaming.simulator import Live, Script, Simulator, Visit
from xdk_streaming.simulator.script import RANDOM_FAULTS
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
            help=f"KIND@SECONDS: a connection suffers it after so long; given again, the next connection "
            f"does, in turn. KIND is one of {', '.join(RANDOM_FAULTS)}. Or random:P: after each item, one "
            "of them with chance P."
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
    chance, scripts = _faults(fault or [])
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


def _faults(given: Iterable[str]) -> tuple[float, list[Script]]:
    """The chance of a random fault, and what the connections suffer in turn."""
    chance = 0.0
    scripts: list[Script] = []
    for text in given:
        kind, _, seconds = text.partition("@")
        try:
            if text.startswith("random:") and 0 <= float(text.removeprefix("random:")) <= 1:
                chance = float(text.removeprefix("random:"))
                continue
            if not 0 <= float(seconds) < math.inf:
                raise ValueError(seconds)
            scripts.append((Live(float(seconds)), *RANDOM_FAULTS[kind]))
        except (KeyError, ValueError) as error:
            raise typer.BadParameter(
                f"{text!r} is no fault; expected KIND@SECONDS with KIND one of {', '.join(RANDOM_FAULTS)}, "
                "or random:P with P from 0 to 1",
                param_hint="--fault",
            ) from error
    return chance, scripts


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
