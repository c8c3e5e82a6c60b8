"""A table, for the page and for the terminal."""

from __future__ import annotations

from dataclasses import dataclass, field

import rich.box
import rich.table
from rich.text import Text


@dataclass
class Table:
    """Cells in rows; the first column is words, the others are figures."""

    title: str
    head: tuple[str, ...]
    rows: list[tuple[str, ...]] = field(default_factory=list)
    page_only: bool = False
    """Too wide for a terminal, and told by another table."""

    def markdown(self) -> str:
        """As the page has it, its columns under each other."""
        widths = [max(map(len, column)) for column in zip(self.head, *self.rows, strict=True)]
        rule = [":" + "-" * (widths[0] - 1), *("-" * (width - 1) + ":" for width in widths[1:])]
        lines = [padded(self.head, widths), "| " + " | ".join(rule) + " |"]
        return "\n".join([*lines, *(padded(row, widths) for row in self.rows)])

    def rich(self) -> rich.table.Table:
        """As the terminal shows it."""
        shown = rich.table.Table(
            title=self.title, title_justify="left", box=rich.box.SIMPLE, padding=(0, 1, 0, 0)
        )
        for number, name in enumerate(self.head):
            shown.add_column(name, justify="right" if number else "left")
        for row in self.rows:
            shown.add_row(*map(Text, row))
        return shown


def padded(cells: tuple[str, ...], widths: list[int]) -> str:
    """A row; words to the left, figures to the right."""
    first = cells[0].ljust(widths[0])
    return "| " + " | ".join([first, *map(str.rjust, cells[1:], widths[1:])]) + " |"
