"""The transition table as a diagram: Mermaid, Graphviz DOT, SVG and Markdown.

A diagram is drawn from a table alone, by default the machine's own, so it cannot show anything that the
machine does not do. The renderers also draw a table that is not sound.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from html import escape
from typing import Protocol

from xdk_streaming.machine.table import FINAL, INITIAL, TABLE, Row
from xdk_streaming.state import ConnectionState

LIT = "#ffd866"
PAPER = "#ffffff"
INK = "#1f2430"
FAINT = "#5c6370"

Table = tuple[Row, ...]
Highlight = ConnectionState | None


class Renderer(Protocol):
    """Draws a table as text, with at most one state highlighted."""

    def __call__(self, table: Table = ..., *, highlight: Highlight = None) -> str:
        """The text. Raises `GraphvizError` if the format needs Graphviz and Graphviz is missing or fails."""


class GraphvizError(RuntimeError):
    """Graphviz's `dot`, which draws the SVG, is not installed or has failed."""


def label(row: Row) -> str:
    """The label of a row's arrow in UML's notation: the trigger, the guard, and the callbacks."""
    guard = f" [{row.guard}]" if row.guard else ""
    callbacks = f" / {', '.join(row.notify)}" if row.notify else ""
    return f"{row.trigger.value}{guard}{callbacks}"


def mermaid(table: Table = TABLE, *, highlight: Highlight = None) -> str:
    """A Mermaid state diagram, as GitHub and most documentation tools render it."""
    lines = ["stateDiagram-v2", f"    [*] --> {INITIAL.name}"]
    lines += [
        f"    {source.name} --> {dest.name} : {'<br/>'.join(labels)}"
        for (source, dest), labels in _arrows(table).items()
    ]
    lines.append(f"    {FINAL.name} --> [*]")
    if highlight is not None:
        lines += [f"    classDef lit fill:{LIT},color:{INK}", f"    class {highlight.name} lit"]
    return "\n".join(lines) + "\n"


def dot(table: Table = TABLE, *, highlight: Highlight = None) -> str:
    """Graphviz DOT. Rows between the same two states share an arrow; a state lists its internal rows."""
    lines = [
        "digraph connection {",
        f'    graph [bgcolor="{PAPER}", pad=0.3, nodesep=0.9, ranksep=0.7, fontname="Helvetica"];',
        f'    node [shape=box, style="rounded,filled", fillcolor="{PAPER}", color="{INK}",',
        f'          fontcolor="{INK}", fontname="Helvetica", fontsize=12, margin="0.15,0.08"];',
        f'    edge [color="{FAINT}", fontcolor="{INK}", fontname="Helvetica", fontsize=11, arrowsize=0.8];',
        f'    begin [shape=circle, label="", width=0.18, fillcolor="{INK}"];',
        f'    end [shape=doublecircle, label="", width=0.12, fillcolor="{INK}"];',
        *(f"    {state.name} [{_appearance(state, table, highlight)}];" for state in ConnectionState),
        f"    begin -> {INITIAL.name};",
        *(
            f"    {source.name} -> {dest.name} [label=<{_padded(labels)}>];"
            for (source, dest), labels in _arrows(row for row in table if not row.internal).items()
        ),
        f"    {FINAL.name} -> end;",
        "}",
    ]
    return "\n".join(lines) + "\n"


def svg(table: Table = TABLE, *, highlight: Highlight = None) -> str:
    """The SVG that Graphviz draws from the DOT, with the hash of the DOT in a comment.

    Raises `GraphvizError` if `dot` is not installed or fails.
    """
    program = shutil.which("dot")
    if program is None:
        raise GraphvizError(
            "Graphviz's dot, which draws the SVG, was not found; install the package graphviz "
            "(apt-get install graphviz, brew install graphviz), or take --format mermaid"
        )
    source = dot(table, highlight=highlight)
    drawn = subprocess.run([program, "-Tsvg"], input=source, capture_output=True, check=False, text=True)
    if drawn.returncode:
        raise GraphvizError(f"Graphviz's {program} failed with {drawn.returncode}: {drawn.stderr.strip()}")
    head, tag, picture = drawn.stdout.partition("<svg")
    return f"{head}<!-- {fingerprint(source)} -->\n{tag}{picture}"


def fingerprint(source: str) -> str:
    """The comment in an SVG that identifies the DOT from which the SVG was drawn."""
    return f"dot sha256 {hashlib.sha256(source.encode()).hexdigest()}"


def markdown(table: Table = TABLE, *, highlight: Highlight = None) -> str:
    """A Markdown table with a line per row, the reason included, and the highlighted state in bold."""
    lines = [
        "| trigger | source | dest | guard | action | notify, in order | reason |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for row in table:
        source, dest = (
            f"**{state.name}**" if state is highlight else state.name for state in (row.source, row.dest)
        )
        cells = (row.trigger.value, source, dest, row.guard, row.action, ", ".join(row.notify), row.reason)
        lines.append(f"| {' | '.join(_cell(text or '') for text in cells)} |")
    return "\n".join(lines) + "\n"


FORMATS: Mapping[str, Renderer] = {
    "mermaid": mermaid,
    "dot": dot,
    "svg": svg,
    "markdown": markdown,
}
"""The renderers, by the name of their format."""


def _appearance(state: ConnectionState, table: Table, highlight: Highlight) -> str:
    inside = [escape(label(row)) for row in table if row.internal and row.source is state]
    text = f"<b>{state.name}</b>"
    if inside:
        text += f'<br/><font point-size="10" color="{FAINT}">{"<br/>".join(inside)}</font>'
    look = [f"label=<{text}>"]
    if state is FINAL:
        look.append("peripheries=2")
    if state is highlight:
        look.append(f'fillcolor="{LIT}", penwidth=2')
    return ", ".join(look)


def _arrows(rows: Iterable[Row]) -> dict[tuple[ConnectionState, ConnectionState], list[str]]:
    """The labels of all rows from one state to another. On separate arrows the labels would overlap."""
    arrows: dict[tuple[ConnectionState, ConnectionState], list[str]] = {}
    for row in rows:
        arrows.setdefault((row.source, row.dest), []).append(label(row))
    return arrows


def _cell(text: str) -> str:
    """A text escaped for a cell of a Markdown table, which would end at a bar or a line break."""
    return " ".join(text.split()).replace("|", r"\|")


def _padded(lines: list[str]) -> str:
    """A label with room around it. A plain label would touch its arrow."""
    text = "".join(f'{escape(line)}<br align="left"/>' for line in lines)
    return f'<table border="0" cellpadding="6"><tr><td>{text}</td></tr></table>'
