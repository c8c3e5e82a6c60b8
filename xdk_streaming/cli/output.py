"""Text output of a verb: to standard output, or to a file that the user names."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Output = Annotated[
    Path | None,
    typer.Option(
        "--output", "-o", dir_okay=False, metavar="FILE", help="Write to FILE; default: standard output."
    ),
]


def write(text: str, output: Path | None) -> None:
    """Write the text. Exits with an error message and code 1 if the file cannot be written."""
    if output is None:
        typer.echo(text, nl=False)
        return
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as refusal:
        typer.echo(f"{output} could not be written: {refusal.strerror}", err=True)
        raise typer.Exit(1) from refusal
