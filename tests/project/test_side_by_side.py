"""The comparison measures what it says, and its page shows what was measured."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.side_by_side.figures import Figures, Outcome, Report, Task, Told
from benchmarks.side_by_side.measure import OF_A_FAULT, Seen, as_events, judge, with_text
from benchmarks.side_by_side.page import extract, in_words, page, row, summary, told, with_extract
from xdk_streaming.simulator import HEARTBEAT, Notice, Send, Sent, ServedRequest
from xdk_streaming.simulator.faults import CATALOGUE, STREAM_FAULTS

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
PAGE = ROOT / "docs" / "side-by-side.md"
OURS, XDK = "xdk_streaming", "xdk"
LOST = "whole-object-at-a-reset"
SECONDS = 1.5


def figures(fault: str = "reset", client: str = OURS, **more: object) -> Figures:
    """A measurement made by hand: back, with nothing lost."""
    usual: dict[str, object] = {
        "lasting": False,
        "outcome": Outcome.BACK,
        "connections": 2,
        "back": 0.75,
        "lost": 0,
        "doubled": 0,
        "strays": 0,
        "memory": 2**20,
        "stop": 0.01,
        "told": (Told("on_error", "StreamError: reset"),),
    }
    return Figures(fault, client, **{**usual, **more})  # type: ignore[arg-type]  # the names are Figures' own


def table_under(heading: str, text: str, *, number: int = 0) -> list[list[str]]:
    """The cells of a table under a heading, without its head."""
    section = re.split(r"^## ", text.split(f"\n## {heading}\n")[1], flags=re.MULTILINE)[0]
    tables = re.findall(r"(?:^\|.*\n)+", section, re.MULTILINE)
    rows = [re.split(r"(?<!\\)\|", line.strip().strip("|")) for line in tables[number].splitlines()[2:]]
    return [[cell.strip() for cell in cells] for cells in rows]


# The command


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The page that the command makes for two faults and two clients."""
    file = tmp_path_factory.mktemp("side-by-side") / "page.md"
    chosen = ["--only", LOST, "--only", "end", "--client", OURS, "--client", XDK]
    times = ["--seconds", str(SECONDS), "--patience", "0.3", "--workers", "4", "--output", str(file)]
    command = [sys.executable, "-m", "benchmarks.side_by_side", *chosen, *times]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=50)
    assert done.returncode == 0, done.stderr
    return file.read_text(encoding="utf-8")


def ends(text: str) -> dict[tuple[str, str], list[str]]:
    """The figures of the faults that end a stream, by fault and client."""
    return {(line[0], line[1]): line[2:] for line in table_under("Ends of a stream", text, number=1)}


def test_this_package_loses_nothing_at_a_reset_and_can_be_stopped(measured: str) -> None:
    connections, lost, doubled, stop, _, error = ends(measured)[f"`{LOST}`", OURS]
    assert (connections, lost, doubled) == ("2", "0", "0")
    assert float(stop.removesuffix(" s")) < 0.3
    assert error.startswith("on_error: StreamError: ")


def test_xdk_loses_an_object_there_and_cannot_be_stopped(measured: str) -> None:
    figures = ends(measured)
    assert figures[f"`{LOST}`", XDK][1] == "1"
    assert figures["`end`", XDK][3] == "over 0.3 s"


def test_where_each_stream_ends_at_once_xdk_storms_and_this_package_does_not(measured: str) -> None:
    storms = {line[0]: line[1:] for line in table_under("The same fault on every connection", measured)}
    ours, xdk = storms["`end`"]
    assert 1 <= int(ours) <= 5
    assert int(xdk) > 20


def test_the_token_is_on_no_page(measured: str) -> None:
    assert "token-of-the-benchmark" not in measured


def test_an_unknown_fault_is_refused_with_those_there_are() -> None:
    command = [sys.executable, "-m", "benchmarks.side_by_side", "--only", "resett"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=50)
    assert done.returncode == 2
    assert "resett" in done.stderr


# The judgement

STARTED = 1000.0


def seen(*entries: Sent, requests: int = 2) -> Seen:
    """What a server did that was asked about ten seconds after the start."""
    made = [ServedRequest(number, "/", {}, STARTED + number) for number in range(requests)]
    for request in made[:-1]:
        request.close("reset")
    return Seen(STARTED, STARTED + 10, requests, made, list(entries))


def sent(number: int, request: int, at: float = 1.0, *, whole: bool = True) -> Sent:
    return Sent(request, number, f"10{number}", STARTED + at, whole)


def report(*ids: str, ended: bool = False, overflow: bool = False, word: str = "an error") -> Report:
    notes = [Told("on_error", word)] if word else []
    return Report(list(ids), notes, 0, ended, None if ended else 0.0, overflow)


FOUR = (*(sent(number, 0) for number in range(3)), sent(3, 1))


def test_what_was_sent_whole_and_not_received_is_lost() -> None:
    result = judge(Task("reset", OURS), report("100", "102", "103"), seen(*FOUR))
    assert (result.outcome, result.lost, result.doubled, result.strays) == (Outcome.BACK, 1, 0, 0)


def test_half_an_item_and_one_sent_at_the_last_moment_are_not_missed() -> None:
    late, half = sent(4, 1, at=9.8), sent(5, 1, whole=False)
    assert judge(Task("reset", OURS), report("100", "101", "102", "103"), seen(*FOUR, half, late)).lost == 0


def test_what_was_received_twice_is_doubled_and_what_was_never_sent_is_a_stray() -> None:
    result = judge(Task("reset", OURS), report("100", "101", "101", "102", "103", "999"), seen(*FOUR))
    assert (result.lost, result.doubled, result.strays) == (0, 1, 1)


def test_an_item_of_the_fault_itself_is_owed() -> None:
    task, of_all = Task("whole-object-at-a-cut", OURS), ("100", "101", "102", "103")
    assert judge(task, report(*of_all), seen(*FOUR)).lost == 1
    assert judge(task, report(*of_all, OF_A_FAULT), seen(*FOUR)).lost == 0
    assert judge(task, report(*of_all, OF_A_FAULT, OF_A_FAULT), seen(*FOUR)).strays == 1
    by_events = Task("whole-object-at-a-cut", "launchdarkly-eventsource")
    assert judge(by_events, report(*of_all), seen(*FOUR)).lost == 0


def test_an_outcome_is_seen_from_both_sides() -> None:
    def outcome(told: Report, *entries: Sent, requests: int = 2) -> Outcome:
        return judge(Task("reset", OURS), told, seen(*entries, requests=requests)).outcome

    three = FOUR[:3]
    assert outcome(report("100"), *three, requests=1) is Outcome.HUNG
    assert outcome(report("100", "103"), *three, sent(3, 0), requests=1) is Outcome.WENT_ON
    assert outcome(report("100", ended=True), *three) is Outcome.RAISED
    assert outcome(report("100", ended=True, word=""), *three) is Outcome.SILENT_END
    assert outcome(report("100", overflow=True), *three) is Outcome.OVERFLOW


def test_who_comes_back_only_after_the_time_is_not_back() -> None:
    gone = seen(*FOUR[:3], sent(3, 1, at=11), requests=1)
    gone.requests[0].close("reset")
    for received in (["100"], ["100", "103"]):
        assert judge(Task("reset", OURS), report(*received), gone).outcome is Outcome.WAITING


def test_for_a_client_of_events_each_line_is_one() -> None:
    script = (HEARTBEAT, Notice({"a": 1}), Send(b'{"b":\r'), Send(b"\n"), Send(b"x"))
    sends = [step.data for step in as_events(script) if isinstance(step, Send)]
    assert sends == [
        b"\r\n\r\n",
        b'data: {"a":1}\r\n\r\n',
        b'data: {"b":\r',
        b"\n\r\n",
        b"data: x",
    ]


def test_posts_get_a_text_where_they_have_none() -> None:
    bare, full = Send(b'{"data":{"id":"1"}}'), Send(b'{"data":{"id":"1","text":"t"}}')
    assert with_text((bare, full)) == (Send(b'{"data":{"id":"1","text":""}}'), full)


# The page


def test_a_lost_item_shows_up() -> None:
    runs = [figures(lost=2), figures(client=XDK)]
    text = page(runs, 7, 5, "make side-by-side")
    glance, lines = (table_under("Ends of a stream", text, number=number) for number in range(2))
    assert glance == [["`reset`", "back after 0.8 s, lost 2", "back after 0.8 s"]]
    assert [line[:4] for line in lines] == [["`reset`", OURS, "2", "2"], ["`reset`", XDK, "2", "0"]]
    assert re.search(r"^\| items lost, in all \| 2 \| 0 \|$", text, re.MULTILINE)
    assert re.search(r"^\| … back, but items lost \| 1 \| 0 \|$", text, re.MULTILINE)


def test_a_measurement_in_words() -> None:
    assert in_words(figures(outcome=Outcome.HUNG, told=())) == "hung, said nothing"
    assert in_words(figures("retry-after")) == "back too early, after 0.8 s"
    assert in_words(figures("retry-after", outcome=Outcome.WAITING)) == "waits"
    assert in_words(figures("unauthorized")) == "tried again"
    assert in_words(figures("heartbeats", outcome=Outcome.WENT_ON, told=())) == "went on"
    assert in_words(figures(doubled=1, strays=2)) == "back after 0.8 s, doubled 1, 2 false items"


def test_the_first_error_is_shown_else_what_was_logged_else_whatever_there_is() -> None:
    logged = (Told("logged", "it broke"), Told("logged", "because"))
    assert told(figures(told=(*logged, Told("raised", "E: x")))) == "raised: E: x"
    assert told(figures(told=logged)) == "logged: it broke / because"
    assert told(figures(told=(Told("on_disconnect", "None"), Told("an item", "{}")))) == "an item: {}"
    assert told(figures(told=(Told("on_disconnect", "None"),))) == "on_disconnect: None"
    assert told(figures(told=())) == "nothing"


def test_a_text_cannot_break_its_table() -> None:
    shown = told(figures(told=(Told("raised", "a|b\n<c>" + "d" * 200),)))
    assert shown.startswith(r"raised: a\|b &lt;c>ddd")
    assert shown.endswith("…")


def test_what_does_not_stop_says_for_how_long() -> None:
    assert row(figures(stop=None), 5)[5] == "over 5 s"
    assert row(figures(stop=None, outcome=Outcome.RAISED), 5)[5] == "had ended"


def test_a_client_that_was_played_less_is_not_counted_as_if_it_had_lost() -> None:
    runs = [figures("gzip-cut"), figures(), figures(client=XDK)]
    text = page(runs, 7, 5, "")
    assert "1 faults of compressed bodies" in summary(runs, 7)
    assert ["`gzip-cut`", "back after 0.8 s", "not played"] in table_under("Ends of a stream", text)
    assert "not played to" not in summary(runs[1:], 7)


def test_a_storm_is_counted() -> None:
    runs = [figures(), figures(lasting=True, connections=1103)]
    assert table_under("The same fault on every connection", page(runs, 7, 5, "")) == [["`reset`", "1103"]]
    assert "| most connections in 7 s, with the same fault on each | 1103 |" in summary(runs, 7)


# What is written down


def test_the_page_has_every_fault_of_the_catalogue() -> None:
    text = PAGE.read_text(encoding="utf-8")
    for group, faults in CATALOGUE.items():
        assert [line[0] for line in table_under(group, text)] == [f"`{fault.name}`" for fault in faults]
    assert len(re.findall(rf"^\| `[a-z0-9-]+` \| {OURS} \|", text, re.MULTILINE)) == len(STREAM_FAULTS)


def test_the_readme_has_an_extract_of_the_page() -> None:
    readme, text = README.read_text(encoding="utf-8"), PAGE.read_text(encoding="utf-8")
    assert len(extract(text).splitlines()) == 2 + 2 + 5  # markers, head, rows
    assert with_extract(readme, text) == readme
