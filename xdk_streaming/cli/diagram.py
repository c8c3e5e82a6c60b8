"""`xdk-streaming diagram`: the transition table, rendered in one of several formats."""

from __future__ import annotations

from enum import Enum
from typing import Annotated

import typer

from xdk_streaming.cli.output import Output, write
from xdk_streaming.machine.diagram import FORMATS, GraphvizError
from xdk_streaming.state import ConnectionState

DiagramFormat = Enum("Format", {name: name for name in FORMATS}, type=str)  # type: ignore[misc]  # made from the table
State = Enum("State", {state.name: state.name for state in ConnectionState}, type=str)  # type: ignore[misc]

MERMAID = DiagramFormat("mermaid")


def diagram(
    format: Annotated[DiagramFormat, typer.Option("--format", "-f", help="Output format.")] = MERMAID,
    output: Output = None,
    highlight: Annotated[
        State | None, typer.Option("--highlight", case_sensitive=False, help="Highlight this state.")
    ] = None,
) -> None:
    """Write the connection's state machine as a diagram or a table."""
    try:
        text = FORMATS[format.value](highlight=highlight and ConnectionState[highlight.value])
    except GraphvizError as missing:
        typer.echo(str(missing), err=True)
        raise typer.Exit(1) from missing
    write(text, output)
