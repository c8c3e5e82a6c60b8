"""`python -m benchmarks.speed`: measure, show and judge; exits with 1 if a bound is missed."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from benchmarks.speed import report
from benchmarks.speed.results import FULL, NAMES, QUICK, SHAPE, Results, run
from benchmarks.speed.verdict import DONE, OFF, verdict


def known(names: list[str]) -> list[str]:
    """Refuse unknown names."""
    for name in names:
        if name not in NAMES:
            raise typer.BadParameter(f"{name!r} is none of {', '.join(NAMES)}")
    return names


def measured(results_form: str, only: list[str]) -> Results:
    """Run the measurement, with progress on standard error."""
    columns = (
        TextColumn("{task.description:28}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    form = {"full": FULL, "quick": QUICK, "shape": SHAPE}[results_form]
    with Progress(*columns, console=Console(stderr=True)) as progress:
        return run(form, only, lambda numbers, title: progress.track(numbers, description=title))


def main(
    only: Annotated[list[str] | None, typer.Option(help="A workload or part; may be repeated.")] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Few rounds; shows the verdict, exits with 0.")
    ] = False,
    shape: Annotated[bool, typer.Option("--shape", help="For CI: fails on what is far off alone.")] = False,
    output: Annotated[
        Path | None, typer.Option(help="Write page, JSON and pictures into this folder.")
    ] = None,
) -> None:
    """Measure the speed of this package and its peers, and judge the result."""
    if quick and shape:
        raise typer.BadParameter("--quick and --shape exclude each other")
    logging.getLogger().addHandler(logging.NullHandler())  # peers log what is no news here
    form = "quick" if quick else "shape" if shape else "full"
    names = known(only or [])
    results = measured(form, names)
    findings = verdict(results, OFF if shape else DONE)
    options = ["" if form == "full" else f" --{form}", *(f" --only {name}" for name in names)]
    command = "python -m benchmarks.speed" + "".join(options)
    console = Console() if Console().is_terminal else Console(width=160)
    for table in [*report.tables(results), report.judged(findings)]:
        if not table.page_only:
            console.print(table.rich())
    for line in [*report.dashes(results), *report.circumstances(command)]:
        console.print(line, highlight=False, markup=False)
    if output is not None:
        report.write(results, findings, command, output)
    raise typer.Exit(int(not quick and any(not finding.met for finding in findings)))


if __name__ == "__main__":
    typer.run(main)
