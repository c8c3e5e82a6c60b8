"""Lists on standard output: one JSON object per line, or aligned columns."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import typer

from xdk_streaming.cli.printable import escaped, plain


def show(entries: Sequence[Mapping[str, Any]], columns: Sequence[str], format: str) -> None:
    """Write the entries: as text only these columns, as JSON everything."""
    if format == "json":
        for entry in entries:
            typer.echo(escaped(json.dumps(entry, ensure_ascii=False)))
        return
    rows = [[plain(entry.get(column, "")) for column in columns] for entry in entries]
    widths = [max(map(len, cells)) for cells in zip(*rows, strict=True)]
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        typer.echo("  ".join(cells).rstrip())
