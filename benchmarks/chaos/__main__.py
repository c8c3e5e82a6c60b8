"""`make chaos`: exits with 1 if a post is missing or duplicated, against the guarantees."""

from __future__ import annotations

from typing import Annotated

import typer

from benchmarks.chaos.account import told
from benchmarks.chaos.play import play
from benchmarks.chaos.task import FULL, SMALL

app = typer.Typer(add_completion=False)


@app.command()
def main(
    small: Annotated[bool, typer.Option(help="Make only two short runs.")] = False,
    only: Annotated[str, typer.Option(help="Make only runs with this text in their titles.")] = "",
) -> None:
    """Play every fault, and compare the published posts with the received ones."""
    good = True
    for task in SMALL if small else FULL:
        if only not in task.title:
            continue
        outcome = play(task)
        good = good and outcome.good
        print(f"\r{task.title}: {'as promised' if outcome.good else 'NOT AS PROMISED'}{' ' * 30}")
        for line in told(task, outcome):
            print(f"  {line}", flush=True)
    raise typer.Exit(not good)


if __name__ == "__main__":
    app()
