"""The command, which measures and writes the page."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from xdk_streaming.simulator import Flood
from xdk_streaming.simulator.faults import STREAM_FAULTS

from .clients import CLIENTS
from .figures import Figures, Task
from .measure import measure, plays
from .page import page, with_extract

PAGE, README = Path("docs/side-by-side.md"), Path("README.md")
"""Written from the root of the repository."""

LASTING = (
    "closed-before-headers",
    "unauthorized",
    "rate-limited-legacy",
    "window-spent",
    "too-many-connections",
    "empty-answer",
    "maintenance-page",
    "unavailable",
    "end",
    "reset",
    "operational-disconnect",
)
"""Faults that are also played on every connection: clients may overwhelm the server with reconnects."""
HEAVY_WORKERS = 2
AT_ONCE = 0.1
"""Seconds; how a client stops amid endless reconnects is not measured."""


def heavy(task: Task) -> bool:
    """Whether the task keeps the machine busy, which would disturb concurrent measurements."""
    return task.lasting or any(isinstance(step, Flood) for step in STREAM_FAULTS[task.fault].script)


def tasks(faults: Sequence[str], clients: Sequence[str], seconds: float, patience: float) -> list[Task]:
    """The tasks, in the order of the page."""
    once = [
        Task(fault, client, False, seconds, patience)
        for fault in faults
        for client in clients
        if plays(fault, client)
    ]
    lasting = [
        Task(fault, client, True, seconds, AT_ONCE)
        for fault in LASTING
        if fault in faults
        for client in clients
    ]
    return [*once, *lasting]


def measured(wanted: Sequence[Task], workers: int) -> Iterator[tuple[Task, Figures]]:
    """Yield measurements as they finish; each worker makes one measurement at a time."""
    light = [task for task in wanted if not heavy(task)]
    for group, at_once in ((light, workers), (set(wanted) - set(light), min(workers, HEAVY_WORKERS))):
        with ProcessPoolExecutor(at_once) as pool:
            running = {pool.submit(measure, task): task for task in group}
            for done in as_completed(running):
                yield running[done], done.result()


def known(names: Iterable[str], among: Iterable[str]) -> list[str]:
    """These names, or all names. Exits if a name is unknown."""
    chosen, everything = list(names), list(among)
    for name in chosen:
        if name not in everything:
            raise typer.BadParameter(f"{name!r} is none of {', '.join(everything)}")
    return [name for name in everything if name in chosen] if chosen else everything


def main(
    only: Annotated[list[str] | None, typer.Option(help="A fault; all where none is named.")] = None,
    client: Annotated[list[str] | None, typer.Option(help="A client; all where none is named.")] = None,
    seconds: Annotated[float, typer.Option(min=1, help="How long each client is watched.")] = 7.0,
    patience: Annotated[float, typer.Option(min=0.1, help="How long it may take to stop, in seconds.")] = 5.0,
    workers: Annotated[int, typer.Option(min=1, help="Measurements at the same time.")] = 6,
    output: Annotated[Path, typer.Option(help="The page.")] = PAGE,
) -> None:
    """Play the catalogue's faults to this package and three others, and write the results."""
    wanted = tasks(known(only or (), STREAM_FAULTS), known(client or (), CLIENTS), seconds, patience)
    columns = (TextColumn("{task.description:30}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    found: dict[Task, Figures] = {}
    with Progress(*columns, console=Console(stderr=True)) as progress:
        bar = progress.add_task("", total=len(wanted))
        for task, figures in measured(wanted, workers):
            found[task] = figures
            progress.update(bar, advance=1, description=task.fault)
    options = [f"--only {name}" for name in only or ()] + [f"--client {name}" for name in client or ()]
    command = " ".join(["python -m benchmarks.side_by_side", *options, f"--seconds {seconds:g}"])
    text = page([found[task] for task in wanted], seconds, patience, command)
    output.write_text(text, encoding="utf-8")
    if output == PAGE and not (only or client):
        README.write_text(with_extract(README.read_text(encoding="utf-8"), text), encoding="utf-8")
    typer.echo(f"{len(found)} measurements are in {output}")


if __name__ == "__main__":
    typer.run(main)
