"""`xdk-streaming simulate`: a local X that runs until it is told to stop."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import cycle
from pathlib import Path
from typing import Annotated, Literal

import typer

from xdk_streaming.cli.certificates import secured
from xdk_streaming.cli.pasted import Pasted
from xdk_streaming.cli.recorded import whole_lines
from xdk_streaming.cli.scripts import asked, seconds, seconds_above_0
from xdk_streaming.cli.visits import report as _report
from xdk_streaming.cli.visits import summary
from xdk_streaming.simulator import Simulator
from xdk_streaming.simulator.faults import RANDOM_FAULTS
from xdk_streaming.x import HEARTBEAT_SECONDS, MAX_RULE_LENGTH, MAX_RULES

SUGGESTED = "the OR la OR は"
"""A rule that many of the made-up posts match."""


def simulate(
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port; 0 for any free one.")] = 8080,
    rate: Annotated[
        float,
        typer.Option(min=0, max=1e6, help="Items a second; 0 for heartbeats only."),
    ] = 10.0,
    heartbeat: Annotated[
        float,
        typer.Option(
            parser=seconds_above_0,
            metavar="DURATION",
            show_default=f"{HEARTBEAT_SECONDS:g}s",
            help="Silence before a heartbeat, such as 5s or 500ms.",
        ),
    ] = HEARTBEAT_SECONDS,
    rule: Annotated[
        list[str] | None,
        typer.Option(
            metavar="RULE",
            help="A rule that the filtered stream has from the start; may be given again. Without any it "
            'refuses with X\'s 409 until one is posted. Words, "phrases", -negation, OR, (groups), #tags and '
            "@mentions are matched; other operators are taken, and match everything.",
        ),
    ] = None,
    max_rules: Annotated[
        int,
        typer.Option(min=1, help=f"How many rules there may be, of {MAX_RULE_LENGTH} characters."),
    ] = MAX_RULES,
    replay: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            dir_okay=False,
            help="Serve this recording instead of made-up items, byte for byte and whatever the rules: "
            "NDJSON, .gz and .zst too.",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="For made-up items and random faults.")] = 0,
    fault: Annotated[
        list[str] | None,
        typer.Option(
            help="NAME@DURATION, such as reset@10s: a connection suffers it after so long (10s, 2m, 500ms; "
            "seconds without a unit); given again, the next connection does, in turn. `xdk-streaming faults` "
            "lists the names. Or random:P: after each item, one of "
            f"{', '.join(common.name for common in RANDOM_FAULTS)} with chance P."
        ),
    ] = None,
    connections: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="How many streams there may be at once; one more gets X's TooManyConnections.",
            show_default="any number",
        ),
    ] = None,
    zombie: Annotated[
        float,
        typer.Option(
            parser=seconds,
            metavar="DURATION",
            show_default="0s",
            help="How long the place of a connection that was lost stays taken.",
        ),
    ] = 0.0,
    queue: Annotated[
        float | None,
        typer.Option(
            parser=seconds_above_0,
            metavar="DURATION",
            help="Cut off a client that takes nothing for so long.",
            show_default="never",
        ),
    ] = None,
    slow_notice: Annotated[bool, typer.Option(help="Tell a client that is cut off as too slow.")] = True,
    entitled: Annotated[
        bool,
        typer.Option(help="Whether backfill and recovery may be asked for."),
    ] = True,
    backlog: Annotated[
        float,
        typer.Option(
            parser=seconds,
            metavar="DURATION",
            show_default="5m",
            help="How far back a backfill reaches at most.",
        ),
    ] = 300.0,
    token_file: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            dir_okay=False,
            help="Take only the bearer token in this file; without it any will do.",
        ),
    ] = None,
    tls: Annotated[
        bool,
        typer.Option(
            "--tls",
            help="Speak TLS, with a certificate that is made at the start (extra [tls]); the file that "
            "clients are to trust is printed.",
        ),
    ] = False,
    tls_cert: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="Speak TLS, with this certificate (PEM)."),
    ] = None,
    tls_key: Annotated[
        Path | None,
        typer.Option(
            exists=True, dir_okay=False, help="The certificate's key, where it is in a file of its own."
        ),
    ] = None,
    framing: Annotated[Literal["chunked", "close"], typer.Option(help="How a body is framed.")] = "chunked",
    encoding: Annotated[
        Literal["gzip", "deflate"] | None,
        typer.Option(help="How a body is compressed."),
    ] = None,
) -> None:
    """Serve X's streams, rules and connections on this machine, with faults on demand.

    Any number of clients may stream at once; what to paste to be one is printed. Runs until Ctrl-C or
    SIGTERM, and ends with 0; with 1 where it cannot start.
    """
    chance, scripts = asked(fault or [], encoding)
    token = None if token_file is None else _token(token_file)
    with ExitStack() as stack:
        safe = stack.enter_context(secured(host, tls=tls, cert=tls_cert, key=tls_key))
        try:
            simulator = Simulator(
                script=cycle(scripts) if scripts else (),
                rate=rate,
                heartbeat=heartbeat,
                random_faults=chance,
                seed=seed,
                replay=None if replay is None else stack.enter_context(whole_lines(replay)),
                token=token,
                framing=framing,
                encoding=encoding,
                tls=None if safe is None else safe.context,
                entitled=entitled,
                backlog=backlog,
                connections=connections,
                zombie=zombie,
                queue=queue,
                slow_notice=slow_notice,
                rules=rule or (),
                most_rules=max_rules,
                host=host,
                port=port,
            )
        except (OSError, ValueError) as refusal:
            typer.echo(f"The simulator could not start: {refusal}", err=True)
            raise typer.Exit(1) from refusal
        _run(simulator, Pasted(simulator, safe, token_file), ruled=replay is None)


def _run(simulator: Simulator, pasted: Pasted, *, ruled: bool) -> None:
    """Until told to stop."""
    with simulator, _told_by_sigterm():
        try:
            typer.echo(f"Simulating X on {simulator.url}; stop it with Ctrl-C. To see it stream:")
            typer.echo(pasted.curl())
            typer.echo(pasted.ours("sample"))
            if ruled and not simulator.book.rules:
                typer.echo("# and the filtered stream, which has no rules yet:")
                typer.echo(pasted.ours("rules", "add", SUGGESTED))
            typer.echo(pasted.ours("stream"))
            _report(simulator)
        except KeyboardInterrupt:
            pass
    typer.echo(summary(simulator), err=True)


@contextmanager
def _told_by_sigterm() -> Iterator[None]:
    """SIGTERM comes as Ctrl-C does."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _token(path: Path) -> str:
    token = path.read_text(encoding="utf-8").strip()
    if not token:
        raise typer.BadParameter(
            f"{path} holds no token; expected one, and nothing else", param_hint="--token-file"
        )
    return token
