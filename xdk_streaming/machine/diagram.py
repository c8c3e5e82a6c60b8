"""The transition table as a picture: Mermaid, Graphviz DOT, SVG and Markdown.

Everything is drawn from the table that is given, by default the machine's own, and from nothing else, so a
picture cannot say what the machine does not do. A table is drawn whether it is sound or not.
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
    """Draws a table as text, one state highlighted or none."""

    def __call__(self, table: Table = ..., *, highlight: Highlight = None) -> str:
        """The text. Raises `GraphvizError` if it takes Graphviz and there is none."""


class GraphvizError(RuntimeError):
    """SVG is drawn by Graphviz's `dot`, and there is none, or it failed."""


def label(row: Row) -> str:
    """What stands on an arrow: the trigger, its guard, and who is told, as UML writes it."""
    guard = f" [{row.guard}]" if row.guard else ""
    told = f" / {', '.join(row.notify)}" if row.notify else ""
    return f"{row.trigger.value}{guard}{told}"


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
    """Graphviz DOT: rows between the same two states share an arrow, internal ones stand in the state."""
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
    """The DOT drawn by Graphviz, with the hash of the DOT in a comment.

    Raises `GraphvizError` if `dot` is not installed, or does not draw it.
    """
    program = shutil.which("dot")
    if program is None:
        raise GraphvizError(
            "SVG is drawn by Graphviz's dot, which was not found; install the package graphviz "
            "(apt-get install graphviz, brew install graphviz), or take --format mermaid"
        )
    source = dot(table, highlight=highlight)
    drawn = subprocess.run([program, "-Tsvg"], input=source, capture_output=True, check=False, text=True)
    if drawn.returncode:
        raise GraphvizError(f"Graphviz's {program} failed with {drawn.returncode}: {drawn.stderr.strip()}")
    head, tag, picture = drawn.stdout.partition("<svg")
    return f"{head}<!-- {fingerprint(source)} -->\n{tag}{picture}"


def fingerprint(source: str) -> str:
    """What an SVG says of the DOT it was drawn from."""
    return f"dot sha256 {hashlib.sha256(source.encode()).hexdigest()}"


def markdown(table: Table = TABLE, *, highlight: Highlight = None) -> str:
    """The table itself, with its reasons; the highlighted state in bold."""
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
    """The labels of what leads from one state to another: on arrows of their own they would overlap."""
    arrows: dict[tuple[ConnectionState, ConnectionState], list[str]] = {}
    for row in rows:
        arrows.setdefault((row.source, row.dest), []).append(label(row))
    return arrows


def _cell(text: str) -> str:
    """A text as it stands in a Markdown table, whose cells end at a bar or a line's end."""
    return " ".join(text.split()).replace("|", r"\|")


def _padded(lines: list[str]) -> str:
    """A label with room around it, which a plain one lacks: it would touch its arrow."""
    text = "".join(f'{escape(line)}<br align="left"/>' for line in lines)
    return f'<table border="0" cellpadding="6"><tr><td>{text}</td></tr></table>'
