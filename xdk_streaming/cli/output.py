"""Where a verb's text goes: standard output, or a file that the user names."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Output = Annotated[
    Path | None,
    typer.Option("--output", "-o", dir_okay=False, help="The file to write; standard output without it."),
]


def write(text: str, output: Path | None) -> None:
    """Write it; a file that cannot be written is a sentence and exit code 1."""
    if output is None:
        typer.echo(text, nl=False)
        return
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as refusal:
        typer.echo(f"{output} could not be written: {refusal.strerror}", err=True)
        raise typer.Exit(1) from refusal
