"""`xdk-streaming simulate`: a local X that runs until it is stopped."""

from __future__ import annotations

import errno
import signal
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import cycle
from pathlib import Path
from typing import Annotated, Literal

import typer

from xdk_streaming.cli.certificates import tls_setup
from xdk_streaming.cli.fault_option import begun_faults, requested_faults, seconds, seconds_above_0
from xdk_streaming.cli.recording.whole_lines import whole_lines
from xdk_streaming.cli.request_report import report as _report
from xdk_streaming.cli.request_report import summary
from xdk_streaming.cli.shell_commands import ShellCommands
from xdk_streaming.simulator import Simulator
from xdk_streaming.simulator.faults import RANDOM_FAULTS
from xdk_streaming.x import HEARTBEAT_SECONDS, MAX_RULE_LENGTH, MAX_RULES

SUGGESTED = "the OR la OR は"
"""A rule that many of the generated posts match."""


def simulate(
    host: Annotated[str, typer.Option(help="Listen on this address.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Listen on this port; 0 for any free port.")
    ] = 8080,
    rate: Annotated[
        float,
        typer.Option(min=0, max=1e6, help="Send this many items per second; 0 for heartbeats only."),
    ] = 10.0,
    heartbeat: Annotated[
        float,
        typer.Option(
            parser=seconds_above_0,
            metavar="DURATION",
            show_default=f"{HEARTBEAT_SECONDS:g}s",
            help="Send a heartbeat after this much silence, such as 5s or 500ms.",
        ),
    ] = HEARTBEAT_SECONDS,
    rule: Annotated[
        list[str] | None,
        typer.Option(
            metavar="RULE",
            help="Start with this rule on the filtered stream; may be repeated. Without rules the stream is "
            'refused with 409, as by X, until one is added. Words, "phrases", -negation, OR, (groups), #tags '
            "and @mentions are matched; other operators are accepted and match everything.",
        ),
    ] = None,
    max_rules: Annotated[
        int,
        typer.Option(min=1, help=f"Allow this many rules, of up to {MAX_RULE_LENGTH} characters each."),
    ] = MAX_RULES,
    replay: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            dir_okay=False,
            help="Serve this recording instead of generated items, byte for byte and regardless of rules: "
            "NDJSON, plain, .gz or .zst.",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed for generated items and random faults.")] = 0,
    fault: Annotated[
        list[str] | None,
        typer.Option(
            autocompletion=begun_faults,
            help="Cause a fault. NAME@DURATION, such as reset@10s: on a connection after this time (10s, 2m, "
            "500ms; a bare number is seconds). If repeated, the connections get the faults in turn. "
            "`xdk-streaming faults` lists the names. Or random:P: one of "
            f"{', '.join(common.name for common in RANDOM_FAULTS)}, after each item with probability P.",
        ),
    ] = None,
    connections: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Allow this many streams at a time; further ones are refused with TooManyConnections.",
            show_default="any number",
        ),
    ] = None,
    zombie: Annotated[
        float,
        typer.Option(
            parser=seconds,
            metavar="DURATION",
            show_default="0s",
            help="Keep counting a lost connection for this long, as X does.",
        ),
    ] = 0.0,
    queue: Annotated[
        float | None,
        typer.Option(
            parser=seconds_above_0,
            metavar="DURATION",
            help="Cut off a client that reads nothing for this long.",
            show_default="never",
        ),
    ] = None,
    slow_notice: Annotated[
        bool, typer.Option(help="Send a notice to a client before cutting it off as too slow.")
    ] = True,
    entitled: Annotated[
        bool,
        typer.Option(help="Allow or refuse requests for backfill and recovery."),
    ] = True,
    backlog: Annotated[
        float,
        typer.Option(
            parser=seconds,
            metavar="DURATION",
            show_default="5m",
            help="Keep this much of the past for backfill.",
        ),
    ] = 300.0,
    token_file: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            dir_okay=False,
            metavar="FILE",
            help="Accept only the bearer token in FILE; default: accept any token.",
        ),
    ] = None,
    tls: Annotated[
        bool,
        typer.Option(
            "--tls",
            help="Use TLS, with a certificate made at startup (extra [tls]). The CA file for clients is "
            "printed.",
        ),
    ] = False,
    tls_cert: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="Use TLS, with this certificate (PEM)."),
    ] = None,
    tls_key: Annotated[
        Path | None,
        typer.Option(
            exists=True, dir_okay=False, help="The key of the certificate, if it is in a separate file."
        ),
    ] = None,
    kill: Annotated[
        Literal["end", "cut"],
        typer.Option(help="How a stream ends that is ended through the connections endpoints."),
    ] = "end",
    framing: Annotated[
        Literal["chunked", "close"], typer.Option(help="Framing of response bodies.")
    ] = "chunked",
    encoding: Annotated[
        Literal["gzip", "deflate"] | None,
        typer.Option(help="Compression of response bodies."),
    ] = None,
) -> None:
    """Serve X's streams, rules and connections on this machine, with faults on demand.

    Any number of clients may stream at the same time; commands to start one are printed. Runs until Ctrl-C
    or SIGTERM, then exits with 0. Exits with 1 if the simulator cannot start.
    """
    chance, scripts = requested_faults(fault or [], encoding)
    token = None if token_file is None else _token(token_file)
    with ExitStack() as stack:
        safe = stack.enter_context(tls_setup(host, tls=tls, cert=tls_cert, key=tls_key))
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
                max_rules=max_rules,
                kill=kill,
                host=host,
                port=port,
            )
        except (OSError, ValueError) as refusal:
            typer.echo(f"The simulator could not start: {_reason(refusal, host, port)}", err=True)
            raise typer.Exit(1) from refusal
        _run(simulator, ShellCommands(simulator, safe, token_file), ruled=replay is None)


def _reason(refusal: Exception, host: str, port: int) -> str:
    if isinstance(refusal, OSError) and refusal.errno == errno.EADDRINUSE:
        return f"port {port} of {host} is in use ({refusal}); choose another --port, or 0 for any free one"
    unknown = isinstance(refusal, socket.gaierror) or getattr(refusal, "errno", 0) == errno.EADDRNOTAVAIL
    if unknown:
        return f"{host} is no address of this machine ({refusal}); expected one like 127.0.0.1 or 0.0.0.0"
    return str(refusal)


def _run(simulator: Simulator, commands: ShellCommands, *, ruled: bool) -> None:
    """Run until interrupted."""
    with simulator, _sigterm_as_interrupt():
        try:
            typer.echo(f"Simulating X on {simulator.url}; press Ctrl-C to stop. To stream from it:")
            typer.echo(commands.curl())
            typer.echo(commands.ours("sample"))
            if ruled and not simulator.book.rules:
                typer.echo("# To stream from the filtered stream, first add a rule:")
                typer.echo(commands.ours("rules", "add", SUGGESTED))
            typer.echo(commands.ours("stream"))
            _report(simulator)
        except KeyboardInterrupt:
            pass
    typer.echo(summary(simulator), err=True)


@contextmanager
def _sigterm_as_interrupt() -> Iterator[None]:
    """Handle SIGTERM like Ctrl-C."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _token(path: Path) -> str:
    token = path.read_text(encoding="utf-8").strip()
    if not token:
        raise typer.BadParameter(
            f"{path} does not contain a token; expected the token and nothing else", param_hint="--token-file"
        )
    return token
