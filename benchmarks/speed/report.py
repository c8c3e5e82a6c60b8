"""The figures as tables and a page, with what is needed to judge and repeat them."""

from __future__ import annotations

import os
import platform
import ssl
import zlib
from collections.abc import Iterator
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from benchmarks.soak import processor
from benchmarks.speed.decoding import fastest
from benchmarks.speed.dedupe import REMEMBERED
from benchmarks.speed.figures import as_json, compact
from benchmarks.speed.latency import BARE, EVERY
from benchmarks.speed.lengths import MIB
from benchmarks.speed.measure import Row
from benchmarks.speed.readers import FLOOR, OUR_PORTABLE, OURS, XDK
from benchmarks.speed.results import Results
from benchmarks.speed.tables import Table
from benchmarks.speed.verdict import NOT_JUDGED, Finding
from benchmarks.speed.workloads import Post

LIBRARIES = (
    "xdk-streaming",
    "xdk",
    "tweepy",
    "requests",
    "urllib3",
    "httpx",
    "aiohttp",
    "orjson",
    "pydantic",
    "zlib-ng",
)
OVERVIEW = "Items a CPU second, as a share of the floor"
HOW = """\
All readers are connected to one server in another process, which sends prepared bytes as fast as they are
read. The readers take turns, a block of at least {least} items each, and the order changes every
round. A block is longer than any reader reads at a time. CPU seconds are those of the reading
process (user and system); a ratio is the median over {rounds} rounds, with the quartiles in brackets.
Only ratios are meaningful on other machines.

- `floor` is a raw socket whose reader trusts every byte: chunks decoded in bulk, zlib, lines split, orjson.
  The floor has no faults, heartbeats, limits, reconnects or stop.
- `portable` is this package with `XDK_STREAMING_PORTABLE=1`: only public calls of requests.
- `requests`, `httpx` and `aiohttp` are the loops of their documentation with the standard library's
  json; `+orjson` are the same with orjson and the fastest call into a model.
- tweepy calls back on its own thread, for a block at a time while the other thread waits, so the CPU
  seconds of the process are those of tweepy. For dicts, `on_data` is overridden and makes no Tweet objects;
  in the row with a model, tweepy makes Tweet objects instead of the model.
- The model's fastest call, here {model}, is measured in each run.
- Posts come from this package's simulator; posts with a character at which httpx splits lines (such
  as U+2028) are left out, because httpx would deliver halves."""


def overview(results: Results) -> Table:
    """The main table: each reader relative to the floor."""
    names = [reader.name for reader in results.form.readers if reader.name != FLOOR]
    head = ("workload", "floor, items a CPU s", *names, f"{OURS} beside {XDK}")
    table = Table(OVERVIEW, head)
    for row in results.rows:
        beside = row.ratio(OURS, XDK)
        cells = [cell(row, name) for name in names]
        table.rows.append((row.workload.title, f"{row.rate(FLOOR):,.0f}", *cells, str(beside or "-")))
    return table


def cell(row: Row, name: str) -> str:
    """A ratio to the floor; for this package, with quartiles."""
    ratio = row.ratio(name)
    if ratio is None:
        return "-"
    return str(ratio) if name in (OURS, OUR_PORTABLE) else f"{ratio.median:.2f}"


def times(results: Results) -> Table:
    """The main table in microseconds on this machine."""
    names = [reader.name for reader in results.form.readers]
    table = Table("Microseconds an item: CPU / wall", ("workload", *names), page_only=True)
    for row in results.rows:
        cells = (
            f"{1e6 / row.rate(name):.1f} / {1e6 / row.wall_rate(name):.1f}" if name in row.spent else "-"
            for name in names
        )
        table.rows.append((row.workload.title, *cells))
    return table


def dashes(results: Results) -> Iterator[str]:
    """Why a reader is missing from a row, or may be behind."""
    for row in results.rows:
        for (reader, name), why in NOT_JUDGED.items():
            if name == row.workload.name:
                yield f"- {row.workload.title}, {reader}: not judged beside peers, for {why}."
        reasons: dict[str, list[str]] = {}
        for name, reason in row.absent.items():
            reasons.setdefault(reason, []).append(name)
        for reason, names in reasons.items():
            yield f"- {row.workload.title}, {', '.join(names)}: {reason}."


def latencies(results: Results) -> Table:
    """Latency from send to yield."""
    head = ("reader", "p50, us", "p99, us", f"p50 beside the {FLOOR}", f"beside a {BARE}")
    table = Table("Latency on a stream where little happens", head)
    if results.latency:
        for name in results.latency.rounds:
            p50, p99 = results.latency.p50(name), results.latency.p99(name)
            ratios = (str(results.latency.ratio(name, beside)) for beside in (FLOOR, BARE))
            table.rows.append((name, f"{p50:.0f}", f"{p99:.0f}", *ratios))
    return table


def losses(results: Results) -> Table:
    """A connection lost and regained."""
    head = ("reader", "reset to next item, ms", "CPU ms each")
    table = Table("A connection lost and regained", head)
    for name, cost in results.reconnects.items():
        table.rows.append((name, f"{cost.p50:.2f}", f"{cost.cpu_each:.2f}"))
    return table


def by_length(results: Results) -> Table:
    """CPU milliseconds per MiB."""
    lengths = sorted({length for costs in results.lengths.values() for length in costs})
    table = Table("CPU ms a MiB, by length of a line", ("reader", *map(size, lengths)))
    for name, costs in results.lengths.items():
        if costs:
            cells = (f"{costs[length]:.2f}" if length in costs else "-" for length in lengths)
            table.rows.append((name, *cells))
    return table


def size(length: int) -> str:
    """A length in words."""
    return f"{length // MIB} MiB" if length >= MIB else f"{length // 1024} KiB"


def by_number(results: Results) -> Table:
    """Items per CPU second."""
    numbers = sorted({number for rates in results.streams.values() for number in rates})
    table = Table(
        "Items a CPU second of all together, by streams in a process", ("reader", *map(str, numbers))
    )
    for name, rates in results.streams.items():
        table.rows.append((name, *(f"{rates[number]:,.0f}" for number in numbers)))
    return table


def held(results: Results) -> Table:
    """Memory."""
    every, _ = results.form.memory
    table = Table("Memory while posts go by", ("posts", "resident, MiB"))
    for number, resident in enumerate(results.memory, 1):
        table.rows.append((f"{number * every:,}", f"{resident / MIB:.1f}"))
    return table


def imported(results: Results) -> Table:
    """Imports."""
    table = Table("CPU ms of an import, in a fresh interpreter", ("module", "ms"))
    for name, milliseconds in results.imports.items():
        table.rows.append((name, f"{milliseconds:.0f}"))
    return table


def deduped(results: Results) -> Table:
    """Dedupe."""
    table = Table("Throughput with dedupe, beside that without", ("posts", "with it"))
    for title, ratio in results.dedupe.items():
        table.rows.append((title, str(ratio)))
    return table


def in_batches(results: Results) -> Table:
    """Batches."""
    table = Table(
        "Throughput of batches of 500, beside items that the consumer gathers", ("posts", "batches")
    )
    for title, ratio in results.batches.items():
        table.rows.append((title, str(ratio)))
    return table


def judged(findings: list[Finding]) -> Table:
    """The verdict."""
    table = Table("Verdict", ("what", "found", "wanted", "", "remark"))
    for finding in findings:
        met = "met" if finding.met else "MISSED"
        table.rows.append((finding.what, f"{finding.found:.2f}", finding.wanted, met, finding.remark))
    return table


def tables(results: Results) -> list[Table]:
    """All tables with rows, the most important first."""
    made = (overview, times, latencies, losses, by_length, by_number, held, imported, deduped, in_batches)
    return [table for table in (make(results) for make in made) if table.rows]


def page(results: Results, findings: list[Finding], command: str, pictures: list[str]) -> str:
    """The complete page as Markdown."""
    missed = sum(not finding.met for finding in findings)
    blocks = ["# How fast a stream is read", "", *(f"![{name[:-4]}]({name})\n" for name in pictures)]
    if findings:
        heading = (
            f"{missed} of {len(findings)} bounds missed" if missed else f"all {len(findings)} bounds met"
        )
        blocks += [f"## Verdict: {heading}", "", judged(findings).markdown(), ""]
    for table in tables(results):
        blocks += [f"## {table.title}", "", table.markdown(), ""]
        if table.title == OVERVIEW:
            blocks += [*dashes(results), ""]
    blocks += ["## How it is measured", "", how(results), "", "## Made with", ""]
    blocks += [*(f"- {fact}" for fact in circumstances(command)), ""]
    return "\n".join(blocks)


def how(results: Results) -> str:
    """The method in words."""
    text = HOW.format(least="1,200", rounds=results.form.rounds, model=f"`{fastest(Post)}`")
    return text + (
        f"\n- Latency: one post each {EVERY * 1e3:g} ms, stamped by the server with the machine's monotonic "
        f"clock; to the reader, to the floor and to a `{BARE}` (`recv` and nothing else) in turn."
        "\n- A connection lost: the server sends one post, waits, resets; no wait before the next attempt "
        "(`initial_backoff=0`)."
        "\n- A line's length: one post of that length again and again, in chunks of 16 KiB. xdk is left out "
        "beyond 4 MiB: it goes through what it has of a line again at every read."
        "\n- Dedupe: two streams in one process in turns, one with `Recovery()`; no post comes twice, and "
        f"{REMEMBERED:,} ids are remembered before anything is counted."
        "\n- Streams: a thread each, all in one process with one GIL."
    )


def circumstances(command: str) -> Iterator[str]:
    """Machine, versions, day and command."""
    yield f"`{command}`, on {datetime.now(timezone.utc):%Y-%m-%d}"
    yield f"{os.cpu_count()} x {processor()}, {platform.system()} {platform.release()}"
    yield f"Python {platform.python_version()}, {ssl.OPENSSL_VERSION}, zlib {zlib.ZLIB_RUNTIME_VERSION}"
    yield ", ".join(f"{name} {installed(name)}" for name in LIBRARIES)


def installed(name: str) -> str:
    """A distribution's version."""
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def write(results: Results, findings: list[Finding], command: str, folder: Path) -> None:
    """Write page, figures and plots."""
    from benchmarks.speed import plots  # only here: a run without pictures needs no matplotlib

    folder.mkdir(parents=True, exist_ok=True)
    pictures = plots.draw(results, folder)
    text = page(results, findings, command, pictures)
    (folder / "speed.md").write_text(text, encoding="utf-8")
    figures = compact(as_json(results, findings, list(circumstances(command))))
    (folder / "speed.json").write_text(figures, encoding="utf-8")
