"""The command line: one verb a file."""

from __future__ import annotations

from typing import Annotated

import typer

from xdk_streaming import __version__
from xdk_streaming.cli.demo import demo
from xdk_streaming.cli.diagram import diagram
from xdk_streaming.cli.faults import faults
from xdk_streaming.cli.simulate import simulate

app = typer.Typer(
    help="X's streams as an explicit state machine.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
app.command()(demo)
app.command()(diagram)
app.command()(faults)
app.command()(simulate)


def _show_version(asked: bool) -> None:
    if asked:
        typer.echo(f"xdk-streaming {__version__}")
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """X's streams as an explicit state machine."""
