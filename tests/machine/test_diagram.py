"""Each picture is parsed back and held against the table: it must say the same, no more and no less."""

from __future__ import annotations

import re
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from html import unescape
from pathlib import Path
from typing import Any, NamedTuple
from xml.etree import ElementTree

import pytest
from transitions.extensions import GraphMachine

from helpers.systems import posix
from xdk_streaming.config import StreamConfig
from xdk_streaming.machine import diagram, machine
from xdk_streaming.machine.table import TABLE, Row
from xdk_streaming.state import ConnectionState, StreamState, Trigger

COMMITTED = Path(__file__).parents[2] / "diagrams"
SVG = "{http://www.w3.org/2000/svg}"

Table = tuple[Row, ...]

anywhere = pytest.mark.parametrize("state", ConnectionState, ids=lambda state: state.name)


class Arrow(NamedTuple):
    """The label of an arrow, and its two states."""

    source: str
    dest: str
    trigger: str
    guard: str | None = None
    told: tuple[str, ...] = ()


def of_row(row: Row) -> Arrow:
    return Arrow(row.source.name, row.dest.name, row.trigger.value, row.guard, row.notify)


# Readers: what a picture says, without asking the code that drew it.

LABEL = re.compile(r"(\w+)(?: \[(\w+)])?(?: / (\w+(?:, \w+)*))?")
STATE = re.compile(r"^ +([A-Z]+) \[label=<<b>([A-Z]+)</b>(?:<br/><font[^>]*>(.*)</font>)?>(.*)];$", re.M)
EDGE = re.compile(r"^ +([A-Z]+) -> ([A-Z]+) \[label=<<table[^>]*><tr><td>(.*)</td></tr></table>>];$", re.M)


def labelled(source: str, dest: str, label: str) -> Arrow:
    said = LABEL.fullmatch(label)
    assert said is not None, f"{label!r} is no label"
    trigger, guard, told = said.groups()
    return Arrow(source, dest, trigger, guard, tuple(told.split(", ")) if told else ())


def in_mermaid(text: str) -> list[Arrow]:
    return [
        labelled(source, dest, label)
        for source, dest, labels in re.findall(r"^ +(\w+) --> (\w+) : (.+)$", text, re.M)
        for label in labels.split("<br/>")
    ]


def in_dot(text: str) -> list[Arrow]:
    inside = [(name, name, labels.split("<br/>")) for name, _, labels, _ in STATE.findall(text)]
    between = [
        (source, dest, labels.split('<br align="left"/>')) for source, dest, labels in EDGE.findall(text)
    ]
    return [
        labelled(source, dest, unescape(label))
        for source, dest, labels in inside + between
        for label in labels
        if label
    ]


def in_markdown(text: str) -> list[list[str]]:
    head, rule, *lines = text.splitlines()
    assert head == "| trigger | source | dest | guard | action | notify, in order | reason |"
    assert re.fullmatch(r"\|( --- \|){7}", rule)
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def in_the_librarys_export(text: str) -> Iterator[Arrow]:
    """Of one arrow: `DISCONNECTED --> CONNECTING: start [fresh]`, several labels joined by a bar."""
    for source, dest, labels in re.findall(r"^ +(\w+) --> (\w+): (.+)$", text, re.M):
        for label in labels.split(" | "):
            yield labelled(source, dest, label.removesuffix(" [internal]"))


# What must hold between a picture and the table; each is tried on a damaged table, too.


def mermaid_says_the_table(drawn: Table) -> bool:
    return Counter(in_mermaid(diagram.mermaid(drawn))) == Counter(of_row(row) for row in TABLE)


def dot_says_the_table(drawn: Table) -> bool:
    return Counter(in_dot(diagram.dot(drawn))) == Counter(of_row(row) for row in TABLE)


def markdown_says_the_table(drawn: Table) -> bool:
    return in_markdown(diagram.markdown(drawn)) == [
        [
            row.trigger.value,
            row.source.name,
            row.dest.name,
            row.guard or "",
            row.action or "",
            ", ".join(row.notify),
            row.reason,
        ]
        for row in TABLE
    ]


def the_library_draws_the_same_edges(drawn: Table) -> bool:
    with pytest.MonkeyPatch.context() as patch:
        drawing = partial(GraphMachine, graph_engine="mermaid", show_conditions=True)
        patch.setattr(machine, "Machine", drawing)
        live = machine.ConnectionMachine(StreamConfig(), StreamState())
    engine: Any = live._engine
    exported = engine.get_combined_graph().draw(None)
    ours = Counter(edge._replace(told=()) for edge in in_mermaid(diagram.mermaid(drawn)))
    return ours == Counter(in_the_librarys_export(exported))


def committed_texts_are_fresh(drawn: Table) -> bool:
    fresh = {"mmd": diagram.mermaid(drawn), "dot": diagram.dot(drawn), "md": diagram.markdown(drawn)}
    return all(
        (COMMITTED / f"connection.{ending}").read_text(encoding="utf-8") == text
        for ending, text in fresh.items()
    )


def committed_svg_was_drawn_from_the_dot(drawn: Table) -> bool:
    picture = (COMMITTED / "connection.svg").read_text(encoding="utf-8")
    return f"<!-- {diagram.fingerprint(diagram.dot(drawn))} -->" in picture


CHECKS: tuple[Callable[[Table], bool], ...] = (
    mermaid_says_the_table,
    dot_says_the_table,
    markdown_says_the_table,
    the_library_draws_the_same_edges,
    committed_texts_are_fresh,
    committed_svg_was_drawn_from_the_dot,
)
by_name = pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)


@by_name
def test_every_picture_says_what_the_table_says(check: Callable[[Table], bool]) -> None:
    assert check(TABLE)


def change(trigger: Trigger, /, **changes: object) -> tuple[Row, ...]:
    """The table with the first row of this trigger changed."""
    index = next(index for index, row in enumerate(TABLE) if row.trigger is trigger)
    return (*TABLE[:index], replace(TABLE[index], **changes), *TABLE[index + 1 :])  # type: ignore[arg-type]


DAMAGE = {
    "a row dropped": TABLE[1:],
    "another destination": change(Trigger.ENDED, dest=ConnectionState.FAILED),
    "another guard": change(Trigger.WAITED, guard="fatal"),
    "no guard": change(Trigger.REFUSED, guard=None),
    "another trigger": change(Trigger.OPENED, trigger=Trigger.RETRY),
    "a row turned internal": change(Trigger.START, dest=ConnectionState.DISCONNECTED),
}


@by_name
@pytest.mark.parametrize("damage", DAMAGE)
def test_a_picture_of_another_table_is_noticed(check: Callable[[Table], bool], damage: str) -> None:
    assert not check(DAMAGE[damage])


@pytest.mark.parametrize(
    "check",
    [check for check in CHECKS if check is not the_library_draws_the_same_edges],  # it knows no callbacks
    ids=lambda check: check.__name__,
)
def test_callbacks_in_another_order_are_noticed(check: Callable[[Table], bool]) -> None:
    assert not check(change(Trigger.BROKE, notify=("on_disconnect", "on_error")))


def test_another_reason_is_noticed_in_the_table_of_the_docs() -> None:
    rained = change(Trigger.ENDED, reason="it rained")
    assert not markdown_says_the_table(rained)
    assert not committed_texts_are_fresh(rained)


def test_every_renderer_draws_the_table_it_is_given_and_by_default_the_machines_own() -> None:
    shorter = TABLE[:3]
    assert Counter(in_mermaid(diagram.mermaid(shorter))) == Counter(map(of_row, shorter))
    assert Counter(in_dot(diagram.dot(shorter))) == Counter(map(of_row, shorter))
    assert len(in_markdown(diagram.markdown(shorter))) == len(shorter)
    for render in (diagram.mermaid, diagram.dot, diagram.markdown):
        assert render() == render(TABLE)


def test_in_markdown_a_reason_of_any_text_stays_in_its_cell() -> None:
    odd = Row(Trigger.OPENED, ConnectionState.FAILED, ConnectionState.FAILED, "either | or,\nwho knows")
    assert diagram.markdown((odd,)).splitlines()[2:] == [
        r"| opened | FAILED | FAILED |  |  |  | either \| or, who knows |"
    ]


def test_an_internal_row_is_drawn_in_its_state_of_the_table_it_belongs_to() -> None:
    inside = Row(Trigger.OPENED, ConnectionState.FAILED, ConnectionState.FAILED, "a row of one's own")
    assert in_dot(diagram.dot((inside,))) == [of_row(inside)]


def test_in_dot_rows_between_the_same_two_states_share_an_arrow_in_the_order_of_the_table() -> None:
    arrows = [(source, dest) for source, dest, _ in EDGE.findall(diagram.dot())]
    assert len(arrows) == len(set(arrows))
    for source, dest in arrows:
        drawn = [arrow for arrow in in_dot(diagram.dot()) if arrow[:2] == (source, dest)]
        assert drawn == [arrow for arrow in map(of_row, TABLE) if arrow[:2] == (source, dest)]


def test_in_dot_no_state_has_an_arrow_to_itself() -> None:
    assert all(source != dest for source, dest, _ in EDGE.findall(diagram.dot()))


def test_mermaid_begins_in_disconnected_and_ends_in_failed_alone() -> None:
    lines = diagram.mermaid().splitlines()
    assert lines[0] == "stateDiagram-v2"
    assert [line.strip() for line in lines if "[*]" in line] == ["[*] --> DISCONNECTED", "FAILED --> [*]"]


def test_dot_begins_in_disconnected_and_ends_in_failed_alone() -> None:
    text = diagram.dot()
    assert re.findall(r"begin -> (\w+);", text) == ["DISCONNECTED"]
    assert re.findall(r"(\w+) -> end;", text) == ["FAILED"]
    doubled = [name for name, _, _, look in STATE.findall(text) if "peripheries=2" in look]
    assert doubled == ["FAILED"]


def test_dot_shows_each_state_once_under_its_name() -> None:
    states = [(name, shown) for name, shown, _, _ in STATE.findall(diagram.dot())]
    assert states == [(state.name, state.name) for state in ConnectionState]


def test_the_light_is_a_colour_as_mermaid_and_graphviz_write_it() -> None:
    assert re.fullmatch("#[0-9a-f]{6}", diagram.LIT)


@anywhere
def test_mermaid_lights_the_highlighted_state_and_changes_nothing_else(state: ConnectionState) -> None:
    plain, lit = diagram.mermaid(), diagram.mermaid(highlight=state)
    assert lit.startswith(plain)
    added = [line.split() for line in lit.removeprefix(plain).splitlines()]
    assert [words[:2] for words in added] == [["classDef", "lit"], ["class", state.name]]
    assert added[1][2] == "lit"
    assert diagram.LIT in added[0][2]


@anywhere
def test_dot_lights_the_highlighted_state_and_no_other(state: ConnectionState) -> None:
    text = diagram.dot(highlight=state)
    assert [name for name, _, _, look in STATE.findall(text) if diagram.LIT in look] == [state.name]
    assert text.count(diagram.LIT) == 1
    assert in_dot(text) == in_dot(diagram.dot())


@anywhere
def test_markdown_prints_the_highlighted_state_bold_wherever_it_stands(state: ConnectionState) -> None:
    rows = in_markdown(diagram.markdown(highlight=state))
    bold = [cell for row in rows for cell in row if "**" in cell]
    standing = sum((row.source is state) + (row.dest is state) for row in TABLE)
    assert bold == [f"**{state.name}**"] * standing
    assert diagram.markdown(highlight=state).replace("**", "") == diagram.markdown()


@pytest.mark.parametrize("name", ["mermaid", "dot", "markdown"])
def test_without_a_highlight_nothing_is_lit(name: str) -> None:
    text = diagram.FORMATS[name]()
    assert diagram.LIT not in text
    assert "**" not in text


def test_the_formats_go_by_these_names() -> None:
    assert dict(diagram.FORMATS) == {
        "mermaid": diagram.mermaid,
        "dot": diagram.dot,
        "svg": diagram.svg,
        "markdown": diagram.markdown,
    }


# SVG. Graphviz may be absent: then the clear error is what has to be there.


def test_the_svg_shows_every_state_and_arrow_of_the_dot() -> None:
    if shutil.which("dot") is None:
        with pytest.raises(diagram.GraphvizError, match="package graphviz"):
            diagram.svg()
        return
    picture = ElementTree.fromstring(diagram.svg().encode())
    titles = [title.text for title in picture.iter(f"{SVG}title")]
    written = " ".join(text.text or "" for text in picture.iter(f"{SVG}text"))
    assert titles[0] == "connection"
    assert {state.name for state in ConnectionState} <= set(titles)
    arrows = {f"{row.source.name}->{row.dest.name}" for row in TABLE if not row.internal}
    assert {title for title in titles if title and "->" in title} == {
        *arrows,
        "begin->DISCONNECTED",
        "FAILED->end",
    }
    assert all(diagram.label(row) in written.replace("\N{NO-BREAK SPACE}", " ") for row in TABLE)


FAKE_DOT = """#!/bin/sh
cat > "$0.read"
printf '%s' '<?xml version="1.0"?>
<!-- drawn -->
<svg xmlns="http://www.w3.org/2000/svg"><title>drawn</title><svg/></svg>
'
"""


@pytest.fixture
def fake_dot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program called dot, which writes down what it is given to draw."""
    program = tmp_path / "dot"
    program.write_text(FAKE_DOT, encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    return program


@posix("Graphviz is not installed for Wine")
@anywhere
def test_the_svg_carries_the_fingerprint_of_the_dot_it_was_drawn_from(
    fake_dot: Path, state: ConnectionState
) -> None:
    picture = diagram.svg(highlight=state)
    given = fake_dot.with_name("dot.read").read_text(encoding="utf-8")
    assert given == diagram.dot(highlight=state)
    assert picture.startswith('<?xml version="1.0"?>')
    assert picture.count(f"<!-- {diagram.fingerprint(given)} -->\n<svg xmlns") == 1
    assert [child.tag for child in ElementTree.fromstring(picture)] == [f"{SVG}title", f"{SVG}svg"]


def test_a_fingerprint_tells_one_dot_from_another() -> None:
    pictures = [diagram.dot(), *(diagram.dot(highlight=state) for state in ConnectionState)]
    assert len({diagram.fingerprint(picture) for picture in pictures}) == len(pictures)
    assert re.fullmatch(r"dot sha256 [0-9a-f]{64}", diagram.fingerprint(pictures[0]))


def test_without_graphviz_the_error_names_the_package_and_the_way_round(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(diagram.GraphvizError) as missing:
        diagram.svg()
    assert str(missing.value) == (
        "Graphviz's dot, which draws the SVG, was not found; install the package graphviz "
        "(apt-get install graphviz, brew install graphviz), or take --format mermaid"
    )


def test_the_committed_svg_is_one() -> None:
    picture = (COMMITTED / "connection.svg").read_text(encoding="utf-8")
    assert picture.startswith("<?xml")
    root = ElementTree.fromstring(picture.encode())
    assert root.tag == f"{SVG}svg"
    titles = [title.text for title in root.iter(f"{SVG}title")]
    assert {state.name for state in ConnectionState} <= set(titles)


@posix("Graphviz is not installed for Wine")
def test_a_failing_dot_raises_with_its_own_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = tmp_path / "dot"
    broken.write_text("#!/bin/sh\necho no memory left >&2\nexit 3\n", encoding="utf-8")
    broken.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(diagram.GraphvizError, match="failed with 3: no memory left"):
        diagram.svg()
