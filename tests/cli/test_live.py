"""The live view on a pseudo-terminal, as a person sees the screen."""

from __future__ import annotations

import os
import re
import select
import signal
from collections.abc import Iterator
from contextlib import AbstractContextManager
from io import FileIO
from pathlib import Path

import pytest
from typer.testing import CliRunner

from helpers.systems import posix
from helpers.terminal import Terminal, terminal
from xdk_streaming import ConnectionState, StreamState
from xdk_streaming.cli import small_diagram
from xdk_streaming.cli.app import app
from xdk_streaming.cli.meter import Meter
from xdk_streaming.cli.panel import Facts, picture
from xdk_streaming.cli.recording.pipe import Pipe
from xdk_streaming.machine.table import TABLE
from xdk_streaming.simulator import Live, Refuse, Reset, Simulator

FIGURES = ["connection", "posts/s", "received", "lag", "heartbeat", "reconnects", "gaps", "output"]
STATES = tuple(ConnectionState)


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    with Simulator(
        script=[(Live(0.5), Reset()), *[(Refuse(503),)] * 3], rate=100, heartbeat=0.2
    ) as simulator:
        yield simulator


def figure(lines: list[str], label: str) -> str:
    return next((line for line in lines if line.startswith(f"{label} ")), "")


def backing_off(lines: list[str]) -> bool:
    return "attempt" in figure(lines, "connection")


# The diagram.


def test_each_arrow_of_the_table_is_drawn_and_no_other() -> None:
    straight = {(STATES[source], STATES[dest]) for source, dest in small_diagram.STRAIGHT}
    lanes = {
        (STATES[source], STATES[lane.dest])
        for lane in (*small_diagram.ABOVE, *small_diagram.BELOW)
        for source in lane.sources
    }
    assert not straight & lanes
    assert straight | lanes == {(row.source, row.dest) for row in TABLE if not row.internal}


def test_the_diagrams_arrows_end_where_they_should() -> None:
    lines = small_diagram.draw(ConnectionState.STREAMING).plain.split("\n")
    assert len(lines) == small_diagram.HEIGHT
    assert "".join(lines).count("▶") == len(small_diagram.STRAIGHT)
    assert "".join(lines).count("▼") == len(small_diagram.ABOVE)
    assert "".join(lines).count("▲") == len(small_diagram.BELOW)


@pytest.mark.parametrize("lit", ConnectionState)
def test_the_current_state_is_lit_and_no_other(lit: ConnectionState) -> None:
    for text in (small_diagram.draw(lit), small_diagram.line(lit)):
        shown = [text.plain[span.start : span.end] for span in text.spans if " on " in str(span.style)]
        assert [part.strip() for part in shown] == [lit.name]


# The picture.


def facts(connection: ConnectionState = ConnectionState.STREAMING) -> Facts:
    state = StreamState()
    return Facts("title " * 30, 1e9, connection, None, state, Meter(state, 1e9), Pipe(1), [])


@pytest.mark.parametrize("width", [20, 40, 75, 76, 80, 200])
@pytest.mark.parametrize("rows", [3, 8, 12, 20, 24, 50])
def test_the_view_fits_the_terminal(width: int, rows: int) -> None:
    lines = picture(facts(), width, rows).plain.split("\n")
    assert len(lines) <= rows
    assert max(map(len, lines)) <= width


def test_a_low_terminal_shows_the_states_in_one_line() -> None:
    lines = picture(facts(), 80, 12).plain.split("\n")
    assert lines[1].split() == [state.name for state in ConnectionState]


def test_the_meter_counts_items_by_the_second_and_forgets_old_ones() -> None:
    state = StreamState()
    meter = Meter(state, 0.0)
    for quarter in range(1, 4 * 400 + 1):
        state.total_items_received = quarter * 25
        meter.tick(quarter / 4)
    assert meter.rate() == 100
    assert [*meter.seconds] == [100] * 300
    assert meter.bars(30) == [100.0] * 30


# On a terminal.


@posix("a pseudo-terminal is opened")
@pytest.mark.parametrize(("columns", "rows"), [(80, 24), (200, 50)])
def test_the_screen_shows_all_figures_while_it_waits(
    simulator: Simulator, columns: int, rows: int, tmp_path: Path
) -> None:
    output = tmp_path / "posts.ndjson.zst"
    with terminal(columns, rows, "sample", "--base-url", simulator.url, "-o", output) as shown:
        lines = shown.until(backing_off)
        assert lines[0].startswith(f"{simulator.url}/2/tweets/sample/stream")
        assert lines[1 : 1 + small_diagram.HEIGHT] == [
            line.rstrip() for line in small_diagram.draw(ConnectionState.BACKOFF).plain.split("\n")
        ]
        start = 1 + small_diagram.HEIGHT
        assert [line.split()[0] for line in lines[start : start + len(FIGURES)]] == FIGURES
        assert re.search(r"attempt \d+ in \d+\.\d s", figure(lines, "connection"))
        assert re.search(r"last: [A-Z_]+: ", figure(lines, "reconnects"))
        assert "posts.ndjson.zst" in figure(lines, "output")
        assert any("BACKOFF: attempt" in line for line in lines[start + len(FIGURES) :])
        lit = [shown.screen.buffer[start - 4][column] for column in range(columns)]
        assert "".join(cell.data for cell in lit if cell.bg != "default").strip() == "BACKOFF"
        shown.press_ctrl_c()
        assert shown.ended() == 130
        assert "items in" in "\n".join(shown.lines)


@posix("a pseudo-terminal is opened")
def test_the_retry_counts_down() -> None:
    with Simulator(then=(Refuse(503),)) as simulator, watched(simulator) as shown:  # seconds are waited
        first = figure(shown.until(backing_off), "connection")
        shown.until(lambda lines: backing_off(lines) and figure(lines, "connection") != first)
        assert seconds(figure(shown.lines, "connection")) < seconds(first)


def seconds(words: str) -> float:
    return float(words.split(" in ")[1].split()[0])


@posix("a pseudo-terminal is opened")
def test_posts_on_the_same_terminal_stand_above_the_view() -> None:
    with (
        Simulator(rate=5) as simulator,
        terminal(100, 40, "sample", "-n", 3, "-f", "text", "--base-url", simulator.url) as shown,
    ):
        assert shown.ended() == 0
        text = "\n".join(shown.lines)
        places = [text.index(sent.id) for sent in list(simulator.log)[:3] if sent.id]
        assert len(places) == 3
        assert max(places) < text.index(simulator.url)


@posix("a pseudo-terminal is opened")
def test_the_cursor_is_shown_again_after_a_second_ctrl_c(tmp_path: Path) -> None:
    pipe = tmp_path / "posts"
    os.mkfifo(pipe)
    with (
        pipe.open("r+b", buffering=0) as unread,
        Simulator(rate=1000) as simulator,
        watched(simulator, pipe) as shown,
    ):
        shown.until(lambda lines: is_full(unread))
        received = ""  # until the program waits for the reader: the first Ctrl-C cannot end it
        while received != (received := figure(shown.next_picture(), "received")):
            pass
        shown.press_ctrl_c_until_it_has_ended()
        assert shown.ended() == -signal.SIGINT
        assert shown.raw.rfind(b"\x1b[?25h") > shown.raw.rfind(b"\x1b[?25l")


def is_full(pipe: FileIO) -> bool:
    return not select.select([], [pipe], [], 0)[1]


def test_an_interrupt_while_the_program_exits_shows_the_cursor_too(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[object] = []
    monkeypatch.setattr("xdk_streaming.cli.run.show_cursor", lambda: shown.append("the cursor"))
    monkeypatch.setattr(os, "kill", lambda _, number: shown.append(signal.getsignal(number)))
    with Simulator(rate=50) as simulator:
        arguments = ["sample", "-n", "1", "-o", os.devnull, "--base-url", simulator.url]
        assert CliRunner().invoke(app, arguments, env={"X_BEARER_TOKEN": "a-token"}).exit_code == 0
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.raise_signal(number)
        assert shown == ["the cursor", signal.SIG_DFL]
        shown.clear()


def watched(simulator: Simulator, output: object = os.devnull) -> AbstractContextManager[Terminal]:
    return terminal(80, 24, "sample", "--base-url", simulator.url, "-o", output)


@posix("a pseudo-terminal is opened")
def test_a_dumb_terminal_and_a_log_format_get_lines() -> None:
    with (
        Simulator(rate=50) as simulator,
        terminal(
            200, 40, "sample", "-n", 3, "-o", os.devnull, "--log-format", "text", "--base-url", simulator.url
        ) as shown,
    ):
        assert shown.ended() == 0
        assert b"\x1b[" not in shown.raw
        assert any("summary" in line and "3 items" in line for line in shown.lines)
