"""`xdk-streaming faults`: what can go wrong with a stream, and what becomes of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Annotated, Literal

import typer

from xdk_streaming.cli.output import Output, write
from xdk_streaming.driver.outcomes import OUTCOMES
from xdk_streaming.simulator.faults import CATALOGUE, FAULTS, Fault, Peer

HEADER = ("fault", "what happens", "state", "error", "retry", "callbacks")
INTRODUCTION = """\
# Faults

What can go wrong with a stream, and what becomes of it. `state` is where the connection stands once
the fault has been seen; `callbacks` are called in this order until the next attempt begins, and
`on_state_change` before them at each change. Made by `make docs` from the simulator's catalogue and the
package's outcomes, and held against the package by `tests/test_faults.py`, which plays each one over
real sockets. To see one happen: `xdk-streaming simulate --fault NAME@5`."""

Shown = dict[str, list[Fault]]


def faults(
    name: Annotated[str | None, typer.Argument(help="Only this one.", show_default="all")] = None,
    format: Annotated[
        Literal["text", "markdown", "json"], typer.Option("--format", "-f", help="How it is written.")
    ] = "text",
    output: Output = None,
) -> None:
    """List every fault that a stream can show, and its outcome: state, error, retry, callbacks."""
    if name is not None and name not in FAULTS:
        raise typer.BadParameter(f"{name!r} is not in the catalogue; `xdk-streaming faults` lists it")
    shown = {
        title: chosen
        for title, entries in CATALOGUE.items()
        if (chosen := [fault for fault in entries if name in (None, fault.name)])
    }
    written = {"text": _text, "markdown": _markdown, "json": _json}[format]
    write("\n".join(written(shown)) + "\n", output)


def _cells(fault: Fault) -> tuple[str, ...]:
    outcome = OUTCOMES[fault.name]
    error = outcome.error.name if outcome.error else ""
    callbacks = ", ".join(outcome.callbacks)
    return (fault.name, fault.sentence, outcome.state.name, error, outcome.retry, callbacks)


def _text(shown: Shown) -> Iterator[str]:
    width = max(len(name) for name in FAULTS)
    for title, entries in shown.items():
        yield f"{title}:"
        for fault in entries:
            name, sentence, state, error, retry, callbacks = _cells(fault)
            yield f"  {name:{width}}  {sentence}"
            outcome = [f"{state}, {error}" if error else state, f"retry {retry}", callbacks]
            yield f"  {'':{width}}  {'; '.join(filter(None, outcome))}"


def _markdown(shown: Shown) -> Iterator[str]:
    yield INTRODUCTION
    for title, entries in shown.items():
        yield f"\n## {title}\n"
        yield f"| {' | '.join(HEADER)} |"
        yield f"| {' | '.join('---' for _ in HEADER)} |"
        for fault in entries:
            name, *rest = _cells(fault)
            yield f"| `{name}` | {' | '.join(rest)} |"


def _json(shown: Shown) -> Iterator[str]:
    listed = [
        {
            "group": title,
            **dict(zip(HEADER, _cells(fault), strict=True)),
            "callbacks": OUTCOMES[fault.name].callbacks,
            "simulated": fault.peer is Peer.SERVER,
        }
        for title, entries in shown.items()
        for fault in entries
    ]
    yield json.dumps(listed, indent=2)
