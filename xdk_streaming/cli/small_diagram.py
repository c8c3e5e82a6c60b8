"""A small state diagram for the terminal: the states side by side, and each arrow of the table once.

The diagram is drawn from the transition table, as the large one is. The states keep their order. An arrow to
the next state on the right is straight, an arrow that skips a state runs above the boxes, and an arrow that
leads back runs below them.
"""

from __future__ import annotations

from dataclasses import dataclass

from rich.text import Text

from xdk_streaming.machine.table import TABLE
from xdk_streaming.state import ConnectionState

STATES = tuple(ConnectionState)
ARROWS = tuple(
    dict.fromkeys((STATES.index(row.source), STATES.index(row.dest)) for row in TABLE if not row.internal)
)
"""Source and destination of each arrow, as indexes into STATES."""
COLOURS = {
    ConnectionState.DISCONNECTED: "blue",
    ConnectionState.CONNECTING: "cyan",
    ConnectionState.STREAMING: "green",
    ConnectionState.BACKOFF: "yellow",
    ConnectionState.FAILED: "red",
}
UP, DOWN, LEFT, RIGHT = 1, 2, 4, 8
STROKES = " ╵╷│╴╯╮┤╶╰╭├─┴┬┼"
"""The box-drawing character for each combination of sides, indexed by the sum of their bits."""
ARROW = "──▶"

Cell = tuple[int, int]


@dataclass(frozen=True)
class Lane:
    """A horizontal line above or below the boxes, shared by all arrows that lead to one state."""

    dest: int
    sources: tuple[int, ...]

    @property
    def span(self) -> int:
        """The distance of the longest arrow, in states."""
        return max(abs(self.dest - source) for source in self.sources)


def _lanes(arrows: list[tuple[int, int]]) -> list[Lane]:
    """The lanes, shortest first: short lanes lie nearest to the boxes, so that few lines cross."""
    dests = dict.fromkeys(dest for _, dest in arrows)
    lanes = [Lane(dest, tuple(source for source, to in arrows if to == dest)) for dest in dests]
    return sorted(lanes, key=lambda lane: lane.span)


STRAIGHT = frozenset(arrow for arrow in ARROWS if arrow[1] == arrow[0] + 1)
ABOVE = _lanes([arrow for arrow in ARROWS if arrow[1] > arrow[0] + 1])
BELOW = _lanes([arrow for arrow in ARROWS if arrow[1] < arrow[0]])

_WIDTHS = [len(state.name) + 4 for state in STATES]
_LEFTS = [sum(_WIDTHS[:place]) + len(ARROW) * place for place in range(len(STATES))]
WIDTH = _LEFTS[-1] + _WIDTHS[-1]
HEIGHT = len(ABOVE) + 3 + len(BELOW)


class Grid:
    """Lines, stored for each cell as the sides at which they leave the cell."""

    def __init__(self) -> None:
        self.sides: dict[Cell, int] = {}

    def across(self, row: int, start: int, end: int) -> None:
        """Draw a horizontal line from one column to another."""
        first, last = sorted((start, end))
        for column in range(first, last):
            self._add((row, column), RIGHT)
            self._add((row, column + 1), LEFT)

    def down(self, column: int, start: int, end: int) -> None:
        """Draw a vertical line from one row to another."""
        first, last = sorted((start, end))
        for row in range(first, last):
            self._add((row, column), DOWN)
            self._add((row + 1, column), UP)

    def _add(self, cell: Cell, side: int) -> None:
        self.sides[cell] = self.sides.get(cell, 0) | side


def draw(lit: ConnectionState) -> Text:
    """The diagram, with this state highlighted."""
    rows = [[" "] * WIDTH for _ in range(HEIGHT)]
    top = len(ABOVE)
    grid = Grid()
    _draw_boxes(rows, grid, top)
    heads = _draw_lanes(grid, ABOVE, edge=top, outward=-1) | _draw_lanes(grid, BELOW, edge=top + 2, outward=1)
    for (row, column), sides in grid.sides.items():
        rows[row][column] = STROKES[sides]
    for (row, column), head in heads.items():
        rows[row][column] = head
    return _coloured(rows, top, lit)


def line(lit: ConnectionState) -> Text:
    """The states alone on one line, for a terminal with few rows."""
    names = [Text(f" {state.name} ", style=_style(state, lit)) for state in STATES]
    return Text(" ", style="dim").join(names)


def _draw_boxes(rows: list[list[str]], grid: Grid, top: int) -> None:
    for place, state in enumerate(STATES):
        left, right = _LEFTS[place], _LEFTS[place] + _WIDTHS[place] - 1
        for row in (top, top + 2):
            grid.across(row, left, right)
        for column in (left, right):
            grid.down(column, top, top + 2)
        rows[top + 1][left + 2 : right - 1] = state.name
        if (place, place + 1) in STRAIGHT:
            rows[top + 1][right + 1 : right + 1 + len(ARROW)] = ARROW


def _draw_lanes(grid: Grid, lanes: list[Lane], *, edge: int, outward: int) -> dict[Cell, str]:
    """Draw the lanes. Returns the cells of the arrowheads, which lie on the edges of the boxes."""
    heads: dict[Cell, str] = {}
    for number, lane in enumerate(lanes):
        row = edge + outward * (number + 1)
        ends = [_port(lane.dest, number, len(lanes)), *(_port(at, number, len(lanes)) for at in lane.sources)]
        for column in ends:
            grid.down(column, edge, row)
        grid.across(row, min(ends), max(ends))
        heads[edge, ends[0]] = "▼" if outward < 0 else "▲"
    return heads


def _port(place: int, number: int, lanes: int) -> int:
    """The column in which a lane meets a box: a different one for each lane."""
    return _LEFTS[place] + (number + 1) * (_WIDTHS[place] - 1) // (lanes + 1)


def _coloured(rows: list[list[str]], top: int, lit: ConnectionState) -> Text:
    place = STATES.index(lit)
    text = Text("\n".join("".join(row) for row in rows), style="dim", no_wrap=True)
    for number, width in enumerate(_WIDTHS):
        for row in range(top, top + 3):
            start = row * (WIDTH + 1) + _LEFTS[number]
            if number == place:
                text.stylize(f"not dim bold {COLOURS[lit]}", start, start + width)
            elif row == top + 1:
                text.stylize("not dim", start + 2, start + width - 2)
    start = (top + 1) * (WIDTH + 1) + _LEFTS[place] + 1
    text.stylize(_style(lit, lit), start, start + _WIDTHS[place] - 2)
    return text


def _style(state: ConnectionState, lit: ConnectionState) -> str:
    return f"not dim bold black on {COLOURS[state]}" if state is lit else "dim"
