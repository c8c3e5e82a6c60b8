"""The program: all verbs of the command line, assembled."""

from __future__ import annotations

from typing import Annotated

import typer

from xdk_streaming import __version__
from xdk_streaming.cli.connections import connections
from xdk_streaming.cli.demo import demo
from xdk_streaming.cli.diagram import diagram
from xdk_streaming.cli.faults import faults
from xdk_streaming.cli.options import DisplayOptions, add_verb, command
from xdk_streaming.cli.program import Program
from xdk_streaming.cli.replay import replay, show_again
from xdk_streaming.cli.rules import rules
from xdk_streaming.cli.simulate import simulate
from xdk_streaming.cli.stream import GROUPS, VERBS, record

app = typer.Typer(
    cls=Program,
    help="X's streams as an explicit state machine.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
for verb in VERBS:
    add_verb(app, command(verb, record, *GROUPS))
add_verb(app, command(replay, show_again, DisplayOptions))
app.command()(demo)
app.command()(diagram)
app.command()(faults)
add_verb(app, simulate)
app.add_typer(rules, name="rules")
app.add_typer(connections, name="connections")


def _show_version(asked: bool) -> None:
    if asked:
        typer.echo(f"xdk-streaming {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit."),
    ] = False,
) -> None:
    """X's streams as an explicit state machine."""
