"""`make chaos`: exits with 1 where a post is missing, or came twice, against what is promised."""

from __future__ import annotations

from typing import Annotated

import typer

from benchmarks.chaos.account import told
from benchmarks.chaos.play import play
from benchmarks.chaos.task import FULL, SMALL

app = typer.Typer(add_completion=False)


@app.command()
def main(
    small: Annotated[bool, typer.Option(help="Two runs of some seconds each.")] = False,
    only: Annotated[str, typer.Option(help="Only runs that have this in their titles.")] = "",
) -> None:
    """Play every fault, and hold what was published against what arrived."""
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
