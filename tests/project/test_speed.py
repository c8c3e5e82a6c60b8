"""The benchmark: its readers read the same, and its verdict would not pass if something were slow or grew."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import ExitStack
from importlib.util import find_spec
from itertools import cycle, islice
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import orjson
import pytest
from pydantic import BaseModel
from typer.testing import CliRunner

from benchmarks.speed import floor, report
from benchmarks.speed.__main__ import main
from benchmarks.speed.dedupe import ID, Unrepeated
from benchmarks.speed.figures import compact
from benchmarks.speed.latency import BARE, READ_BY, Latency, latency
from benchmarks.speed.lengths import MIB
from benchmarks.speed.measure import Row, Spent, Spread, measure, spread, taking_part, turns
from benchmarks.speed.memory import memory
from benchmarks.speed.readers import FLOOR, OUR_PORTABLE, OURS, READERS, XDK, Turns
from benchmarks.speed.reconnects import Cost, reconnects
from benchmarks.speed.results import FULL, NAMES, SHAPE, Results, run
from benchmarks.speed.server import Firehose, framed, serving
from benchmarks.speed.verdict import DONE, OFF, Finding, verdict
from benchmarks.speed.workloads import (
    LEAST_BYTES,
    LEAST_ITEMS,
    WORKLOADS,
    DeepPost,
    Post,
    StructPost,
    Workload,
)

ITEMS = 60
"""Beyond what one read brings of any size but the smallest."""


def quiet(numbers: Sequence[int], _: str) -> Sequence[int]:
    return numbers


def expected(workload: Workload) -> list[Any]:
    """What each reader should have after its first item."""
    lines = list(islice(cycle(workload.lines()), 1, ITEMS + 1))
    if workload.items is bytes:
        return [line.rstrip() for line in lines]
    if workload.items is StructPost:
        return [msgspec.to_builtins(msgspec.json.decode(line, type=StructPost)) for line in lines]
    return [orjson.loads(line) for line in lines]


def plain(item: Any) -> Any:
    """An item of any reader, comparable: of tweepy's own objects, what they were made from."""
    if isinstance(item, bytes):
        return item.rstrip()
    if isinstance(item, BaseModel):
        return item.model_dump(mode="json", exclude_unset=True)
    if isinstance(item, msgspec.Struct):
        return msgspec.to_builtins(item)
    if isinstance(item, dict):
        return item
    return {"data": item.data.data}


@pytest.mark.parametrize("workload", WORKLOADS, ids=lambda workload: workload.name)
def test_every_reader_gives_the_same_items_and_they_are_those_that_were_sent(workload: Workload) -> None:
    present, _ = taking_part(workload, READERS)
    wanted = expected(workload)
    assert {FLOOR, OURS, OUR_PORTABLE} <= {reader.name for reader in present} or workload.name == "gzip-fast"
    with serving(Firehose(workload.flood()), tls=workload.tls) as source:
        for reader in present:
            with ExitStack() as stack:
                take = reader.connected(workload, source, stack)
                items = [plain(take(1)) for _ in wanted]
            if reader.name == "tweepy" and workload.items in (Post, DeepPost):
                assert items == [{"data": item["data"]} for item in wanted]
            else:
                assert items == wanted, reader.name


@pytest.mark.parametrize("cut", range(1, 40))
def test_the_floor_reads_the_same_however_the_bytes_are_cut(cut: int) -> None:
    pieces = [b'{"a":1}\r\n', b'{"b', b'":2}\r\n{"c":3}\r', b"\n" + b'{"long":"%b"}\r\n' % (b"x" * 300)]
    sent = framed(pieces) * 3
    reads = iter([*(sent[place : place + cut] for place in range(0, len(sent), cut)), b""])
    connection: Any = SimpleNamespace(recv=lambda _: next(reads))
    wanted = [json.loads(line) for line in b"".join(pieces).splitlines()] * 3
    assert list(floor.items(connection, json.loads, gzip=False)) == wanted


def test_a_block_is_longer_than_what_a_reader_may_read_at_once() -> None:
    for workload in WORKLOADS:
        lines = workload.lines()
        assert workload.block() >= LEAST_ITEMS
        assert (workload.block() + 1) * sum(map(len, lines)) / len(lines) >= LEAST_BYTES


def test_sizes_are_those_that_the_rows_are_named_after() -> None:
    sizes = {w.size: sum(map(len, w.lines())) / len(w.lines()) for w in WORKLOADS}
    assert sizes == {
        "typical": pytest.approx(2_400, rel=0.1),
        "small": pytest.approx(200, rel=0.1),
        "large": pytest.approx(10_400, rel=0.1),
    }


def test_everyone_has_a_turn_in_each_round_and_the_order_changes() -> None:
    names = ["a", "b", "c"]
    orders = [turns(names, number) for number in range(6)]
    assert all(sorted(order) == names for order in orders)
    assert len({tuple(order) for order in orders}) == 6
    assert orders[1] == orders[0][::-1]


def test_a_thread_that_has_ended_is_not_waited_for() -> None:
    taking = Turns()
    taking.ended()
    with pytest.raises(RuntimeError, match="has ended"):
        taking.take(1)


def test_every_peer_is_in_the_table_or_has_a_reason() -> None:
    for workload in WORKLOADS:
        present, absent = taking_part(workload, READERS)
        assert {reader.name for reader in present} | set(absent) == {reader.name for reader in READERS}
        assert all(absent.values())


def test_a_small_measurement_has_a_figure_for_each_block() -> None:
    few = [reader for reader in READERS if reader.name in (FLOOR, OURS)]
    row = measure(WORKLOADS[0], 2, quiet, few)
    assert {name: len(rounds) for name, rounds in row.spent.items()} == {FLOOR: 2, OURS: 2}
    assert all(spent.cpu > 0 and spent.wall > 0 for rounds in row.spent.values() for spent in rounds)


def test_latency_and_reconnects_are_measured() -> None:
    few = [reader for reader in READ_BY if reader.name == OURS]
    found = latency(1, 5, quiet, few)
    assert 0 < found.p50(OURS) <= found.p99(OURS) < 5e6
    for cost in reconnects(1, quiet).values():
        assert 0 < cost.p50 < 5e3
        assert cost.cpu_each > 0


def test_memory_is_sampled_in_a_process_of_its_own() -> None:
    found = memory(2_000, 3, quiet)
    assert len(found) == 3 * Path("/proc/self/statm").exists()


def test_the_feed_for_dedupe_never_sends_a_post_twice() -> None:
    workload = WORKLOADS[0]
    sent = b"".join(map(bytes, islice(Unrepeated(workload.flood()).bodies(), 3)))
    found = [match.group(1) for match in ID.finditer(sent)]
    assert len(found) == len(set(found)) == 3 * len(workload.lines())


# The verdict


def row(name: str, **costs: float) -> Row:
    """A row in which these readers cost so much, in every one of four rounds."""
    workload = next(workload for workload in WORKLOADS if workload.name == name)
    names = {"ours": OURS}
    return Row(workload, 1_000, {names.get(who, who): [Spent(cost, cost)] * 4 for who, cost in costs.items()})


def waits(ours: float) -> Latency:
    """A round in which this package needed so many microseconds, and the others what they need."""
    return Latency({OURS: {BARE: [[55.0] * 9], FLOOR: [[70.0] * 9], OURS: [[ours] * 9]}})


def good(**changed: Any) -> Results:
    """Figures that satisfy everybody."""
    figures: dict[str, Any] = {
        "rows": [row(name, floor=1.0, ours=0.95, xdk=3.0, portable=1.5, aiohttp=1.6) for name in DONE.floor],
        "latency": waits(80.0),
        "reconnects": {OURS: Cost([1.0], [1.0])},
        "memory": [45 * MIB] * 10,
        "lengths": {OURS: {MIB: 2.0, 16 * MIB: 2.2}},
        "streams": {OURS: {1: 50_000.0, 50: 40_000.0}},
        "imports": {OURS: 100.0},
        "dedupe": {"posts of 2.4 kB": Spread(0.96, 0.95, 0.97)},
        "batches": {"posts of 2.4 kB": Spread(1.01, 1.0, 1.02)},
    }
    return Results(FULL, **{**figures, **changed})


def missed(results: Results, bounds: Any = DONE) -> list[str]:
    return [finding.what for finding in verdict(results, bounds) if not finding.met]


def test_the_verdict_passes_what_is_good() -> None:
    assert missed(good()) == []
    assert missed(good(), OFF) == []
    assert len(verdict(good(), DONE)) == 6 + 4 + (12 - 1) + 5  # the portable route is not judged on raw lines


@pytest.mark.parametrize(
    ("planted", "objection"),
    [
        ({"rows": [row("post-chunks", floor=1.0, ours=1.1, xdk=3.0)]}, "one post a chunk, beside the floor"),
        ({"rows": [row("gzip-fast", floor=1.0, ours=1.0)]}, "gzip with [fast], beside the floor"),
        ({"rows": [row("model", floor=1.0, ours=1.0, xdk=2.1)]}, "pydantic model, beside xdk"),
        (
            {"rows": [row("tls", floor=1.0, ours=1.0, httpx=0.9)]},
            "TLS, xdk_streaming beside the strongest peer",
        ),
        (
            {"rows": [row("large", floor=1.0, ours=1.0, portable=2.0, requests=1.5)]},
            "posts of 10 kB, portable beside the strongest peer",
        ),
        (
            {"dedupe": {"posts of 2.4 kB": Spread(0.94, 0.93, 0.96)}},
            "throughput with dedupe, posts of 2.4 kB",
        ),
        (
            {"batches": {"posts of 2.4 kB": Spread(0.9, 0.85, 0.95)}},
            "batches beside items one by one, posts of 2.4 kB",
        ),
        (
            {"latency": waits(95.0)},
            "latency p50, beside the floor",
        ),
        ({"memory": [45 * MIB, 52 * MIB]}, "MiB of memory that 1,000,000 posts leave behind"),
        (
            {"lengths": {OURS: {MIB: 2.0, 16 * MIB: 9.0}}},
            "xdk_streaming: a byte of a line of 16 MiB beside one of 1 MiB",
        ),
    ],
)
def test_the_verdict_objects(planted: dict[str, Any], objection: str) -> None:
    assert missed(good(**planted)) == [objection]


def test_the_portable_route_is_not_judged_beside_a_peer_that_was_given_our_parser() -> None:
    rows = [Row(WORKLOADS[0], 1_000, {OUR_PORTABLE: [Spent(1, 1)], "aiohttp+orjson": [Spent(0.5, 0.5)]})]
    assert verdict(good(rows=rows, latency=None, memory=[], lengths={}, dedupe={}, batches={}), DONE) == []


def test_a_peer_within_the_spread_is_not_ahead() -> None:
    close = row("tls", floor=1.0, ours=1.0)
    close.spent["httpx"] = [Spent(0.96, 0.96)] * 4
    assert missed(good(rows=[close])) == []
    close.spent["httpx"] = [Spent(0.94, 0.94)] * 4
    assert missed(good(rows=[close])) == ["TLS, xdk_streaming beside the strongest peer"]


@pytest.mark.parametrize(
    ("planted", "count"),
    [
        ({"rows": [row("post-chunks", floor=1.0, ours=1.5, xdk=2.0, aiohttp=1.0)]}, 0),
        ({"rows": [row("post-chunks", floor=1.0, ours=1.8, xdk=2.0)]}, 2),
        ({"lengths": {OURS: {MIB: 2.0, 16 * MIB: 6.0}}}, 0),
        ({"lengths": {OURS: {MIB: 2.0, 16 * MIB: 30.0}}}, 1),
        ({"memory": [45 * MIB, 52 * MIB]}, 1),
    ],
)
def test_the_shape_is_judged_by_what_is_far_off_alone(planted: dict[str, Any], count: int) -> None:
    assert len(missed(good(**planted), OFF)) == count


def test_a_spread_has_its_quartiles() -> None:
    assert spread([1.0, 2.0, 3.0, 4.0, 5.0]) == (3.0, 2.0, 4.0)
    assert str(spread([0.5])) == "0.50 (0.50-0.50)"


# The page


def test_the_page_shows_verdict_figures_and_circumstances() -> None:
    results = good()
    results.rows[0].absent["tweepy"] = "not installed"
    findings = [*verdict(results, DONE), Finding("planted", 0.5, 1.0, True)]
    page = report.page(results, findings, "python -m benchmarks.speed", ["throughput.svg"])
    assert "## Verdict: 1 of 27 bounds missed" in page
    assert "| planted " in page
    assert "MISSED" in page
    assert "![throughput](throughput.svg)" in page
    assert "- one post a chunk, tweepy: not installed." in page
    for table in report.tables(results):
        assert table.markdown() in page
    assert "`python -m benchmarks.speed`, on 2" in page
    assert str(Path(__file__).parents[2]) not in page


def test_page_json_and_pictures_are_written(tmp_path: Path) -> None:
    if find_spec("matplotlib") is None:
        pytest.skip("matplotlib is not installed")
    results = good()
    report.write(results, verdict(results, DONE), "python -m benchmarks.speed", tmp_path)
    written = {path.name for path in tmp_path.iterdir()}
    assert written == {"speed.md", "speed.json", "throughput.svg", "latency.svg", "growth.svg"}
    figures = json.loads((tmp_path / "speed.json").read_text(encoding="utf-8"))
    assert figures["throughput"]["raw"][XDK]["beside_floor"]["median"] == pytest.approx(1 / 3, rel=1e-5)
    assert figures["workloads"]["raw"]["beside_xdk"]["median"] == pytest.approx(3 / 0.95, rel=1e-5)
    assert figures["verdict"] == {"bounds": len(verdict(results, DONE)), "missed": []}


def test_what_fits_into_a_line_of_json_stands_on_one() -> None:
    figures = {"short": {"a": 1 / 3, "b": [1, None]}, "long": ["x" * 100, "y" * 100], "none": {}}
    assert compact(figures).splitlines() == [
        "{",
        ' "short": {"a": 0.33333333, "b": [1, null]},',
        ' "long": [',
        f'  "{"x" * 100}",',
        f'  "{"y" * 100}"',
        " ],",
        ' "none": {}',
        "}",
    ]


@pytest.mark.parametrize("name", ["speed", "aio"])
def test_the_committed_figures_are_few(name: str) -> None:
    text = (Path(__file__).parents[2] / f"benchmarks/results/{name}.json").read_text(encoding="utf-8")
    assert len(text.splitlines()) < 200
    assert compact(json.loads(text)) == text


def test_the_committed_figures_are_those_of_the_page() -> None:
    folder = Path(__file__).parents[2] / "benchmarks/results"
    figures = json.loads((folder / "speed.json").read_text(encoding="utf-8"))
    page = " ".join((folder / "speed.md").read_text(encoding="utf-8").split())
    for name, row in figures["workloads"].items():
        readers = figures["throughput"][name]
        ours = Spread(**readers[OURS]["beside_floor"])
        assert f"| {readers[FLOOR]['items_a_cpu_second']:,.0f} | {ours} |" in page
        assert row["beside_xdk"] is None or str(Spread(**row["beside_xdk"])) in page


def test_what_is_not_there_cannot_be_asked_for() -> None:
    import typer

    program = typer.Typer()
    program.command()(main)
    refused = CliRunner().invoke(program, ["--only", "everything"])
    assert refused.exit_code == 2
    assert CliRunner().invoke(program, ["--quick", "--shape"]).exit_code == 2


def test_a_form_measures_its_own_parts_alone() -> None:
    assert set(SHAPE.parts) <= set(NAMES)
    results = run(SHAPE, ["memory"], lambda numbers, _: numbers[:1])
    assert not results.rows
    assert len(results.memory) <= 1
