"""A list on standard output: a JSON object a line, or columns to read."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import typer


def show(entries: Sequence[Mapping[str, Any]], columns: Sequence[str], format: str) -> None:
    """Write the entries; as text these columns of them, as JSON all that there is."""
    if format == "json":
        for entry in entries:
            typer.echo(json.dumps(entry, ensure_ascii=False))
        return
    rows = [[_cell(entry.get(column, "")) for column in columns] for entry in entries]
    widths = [max(map(len, cells)) for cells in zip(*rows, strict=True)]
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        typer.echo("  ".join(cells).rstrip())


def _cell(value: Any) -> str:
    """On one line, and without what would steer the terminal."""
    return "".join(letter if letter.isprintable() else " " for letter in str(value))
