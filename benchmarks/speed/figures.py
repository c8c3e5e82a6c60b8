"""The figures of a run as JSON: medians, quartiles and rates, on few lines. Leaves out the single rounds.

A change in a figure is then a change in one line, and a review can read it. The verdict on each bound and
the reasons why a reader is absent stand in speed.md.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from benchmarks.speed.latency import BARE
from benchmarks.speed.measure import Row
from benchmarks.speed.readers import FLOOR, OURS, XDK
from benchmarks.speed.results import Results
from benchmarks.speed.verdict import Finding

DIGITS = 8
"""Significant digits of a figure: more than any two runs agree in."""
WIDTH = 160
"""What fits into a line of so many characters stands on one."""


def as_json(results: Results, findings: Sequence[Finding], made_with: list[str]) -> dict[str, Any]:
    """Return what is kept of a run."""
    return {
        "made_with": made_with,
        "form": results.form.name,
        "verdict": {
            "bounds": len(findings),
            "missed": [finding.what for finding in findings if not finding.met],
        },
        "workloads": {row.workload.name: workload(row) for row in results.rows},
        "throughput": {row.workload.name: throughput(row) for row in results.rows},
        "latency_us": latency(results),
        "reconnects_ms": {
            name: {"reset_to_item": cost.p50, "cpu": cost.cpu_each}
            for name, cost in results.reconnects.items()
        },
        "memory_bytes": results.memory,
        "line_length_cpu_ms_a_mib": results.lengths,
        "streams_items_a_cpu_second": results.streams,
        "imports_cpu_ms": results.imports,
        "dedupe_beside_none": {title: ratio._asdict() for title, ratio in results.dedupe.items()},
        "batches_beside_one_by_one": {title: ratio._asdict() for title, ratio in results.batches.items()},
    }


def workload(row: Row) -> dict[str, Any]:
    """Return what a workload is, and how many times as many items this package reads as xdk does."""
    beside = row.ratio(OURS, XDK)
    return {
        "title": row.workload.title,
        "items_a_block": row.block,
        "beside_xdk": beside._asdict() if beside else None,
    }


def throughput(row: Row) -> dict[str, Any]:
    """Return the rates of each reader of a workload, and its share of the floor."""
    return {
        name: {
            "items_a_cpu_second": row.rate(name),
            "items_a_second": row.wall_rate(name),
            "beside_floor": ratio._asdict() if (ratio := row.ratio(name)) else None,
        }
        for name in row.spent
    }


def latency(results: Results) -> dict[str, Any]:
    """Return the microseconds from send to yield, and their ratios."""
    found = results.latency
    if found is None:
        return {}
    return {
        name: {
            "p50": found.p50(name),
            "p99": found.p99(name),
            **{f"beside_{beside}": found.ratio(name, beside)._asdict() for beside in (FLOOR, BARE)},
        }
        for name in found.rounds
    }


def compact(value: Any) -> str:
    """Write JSON in which each part that fits into a line stands on one."""
    return _lines(_rounded(value), "") + "\n"


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}")
    if isinstance(value, dict):
        return {str(key): _rounded(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_rounded(part) for part in value]
    return value


def _lines(value: Any, indent: str) -> str:
    line = json.dumps(value)
    if len(indent + line) <= WIDTH or not isinstance(value, dict | list) or not value:
        return line
    deeper = indent + " "
    if isinstance(value, dict):
        parts = [f"{json.dumps(key)}: {_lines(part, deeper)}" for key, part in value.items()]
    else:
        parts = [_lines(part, deeper) for part in value]
    opening, closing = "{}" if isinstance(value, dict) else "[]"
    return f"{opening}\n{deeper}" + f",\n{deeper}".join(parts) + f"\n{indent}{closing}"
