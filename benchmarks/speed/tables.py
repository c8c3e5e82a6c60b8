"""A table, for the page and for the terminal."""

from __future__ import annotations

from dataclasses import dataclass, field

import rich.box
import rich.table
from rich.text import Text


@dataclass
class Table:
    """A table of cells; the first column has text, the others have figures."""

    title: str
    head: tuple[str, ...]
    rows: list[tuple[str, ...]] = field(default_factory=list)
    page_only: bool = False
    """Whether the table is too wide for a terminal; another table has the same figures."""

    def markdown(self) -> str:
        """The table as Markdown, with aligned columns."""
        widths = [max(map(len, column)) for column in zip(self.head, *self.rows, strict=True)]
        rule = [":" + "-" * (widths[0] - 1), *("-" * (width - 1) + ":" for width in widths[1:])]
        lines = [padded(self.head, widths), "| " + " | ".join(rule) + " |"]
        return "\n".join([*lines, *(padded(row, widths) for row in self.rows)])

    def rich(self) -> rich.table.Table:
        """The table for the terminal."""
        shown = rich.table.Table(
            title=self.title, title_justify="left", box=rich.box.SIMPLE, padding=(0, 1, 0, 0)
        )
        for number, name in enumerate(self.head):
            shown.add_column(name, justify="right" if number else "left")
        for row in self.rows:
            shown.add_row(*map(Text, row))
        return shown


def padded(cells: tuple[str, ...], widths: list[int]) -> str:
    """A row with text left-aligned and figures right-aligned."""
    first = cells[0].ljust(widths[0])
    return "| " + " | ".join([first, *map(str.rjust, cells[1:], widths[1:])]) + " |"
