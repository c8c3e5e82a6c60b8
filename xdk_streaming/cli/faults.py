"""`xdk-streaming faults`: what can go wrong with a stream, what happens then, and what to do."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Annotated, Literal

import typer

from xdk_streaming.cli.output import Output, write
from xdk_streaming.cli.suggestions import did_you_mean
from xdk_streaming.cli.symptoms import SYMPTOMS
from xdk_streaming.driver.outcomes import OUTCOMES, Outcome
from xdk_streaming.simulator.faults import CATALOGUE, STREAM_FAULTS, Peer
from xdk_streaming.state import ConnectionState

HEADER = ("fault", "what the server does", "what happens here", "what to do")
INTRODUCTION = """\
# Faults

Everything that can go wrong with a stream, grouped by what you see, with what to do about each fault.

If the stream fails, the error passes `on_error`, then `on_disconnect` if the stream was connected, and is
raised. If the stream retries, the same callbacks are called, then `on_reconnect` before the wait; an end
without an error skips `on_error`. Every change of state is reported to `on_state_change` first.
`xdk-streaming faults NAME` shows the state, the error and the callbacks of one fault, and
`xdk-streaming simulate --fault NAME@5` makes the fault happen.

`make docs` writes this page from the simulator's catalogue and the outcomes in the package.
`tests/test_faults.py` plays every fault over real sockets and checks its outcome."""


def faults(
    name: Annotated[str | None, typer.Argument(help="Show only this fault.", show_default="all")] = None,
    format: Annotated[
        Literal["text", "markdown", "json"], typer.Option("--format", "-f", help="Output format.")
    ] = "text",
    output: Output = None,
) -> None:
    """List every fault of a stream by symptom: outcome (state, error, retry, callbacks) and what to do."""
    if name is not None and name not in STREAM_FAULTS:
        near = did_you_mean(name, STREAM_FAULTS) or "; `xdk-streaming faults` lists all faults"
        raise typer.BadParameter(f"{name!r} is not in the catalogue{near}")
    chosen = [name] if name else list(STREAM_FAULTS)
    written = {"text": _text, "markdown": _markdown, "json": _json}[format]
    write("\n".join(written(chosen)) + "\n", output)


def _by_symptom(chosen: list[str]) -> Iterator[tuple[str, dict[str, str]]]:
    """Each symptom that one of the faults has, with what to do about these faults."""
    for symptom, advice in SYMPTOMS.items():
        if found := {name: words for name, words in advice.items() if name in chosen}:
            yield symptom, found


def _text(chosen: list[str]) -> Iterator[str]:
    width = max(len(name) for name in STREAM_FAULTS)
    for symptom, advice in _by_symptom(chosen):
        yield f"{symptom}:"
        for name, words in advice.items():
            outcome = OUTCOMES[name]
            state = f"{outcome.state.name}, {outcome.error.name}" if outcome.error else outcome.state.name
            said = [state, f"retry {outcome.retry}", ", ".join(outcome.callbacks)]
            yield f"  {name:{width}}  {STREAM_FAULTS[name].sentence}"
            yield f"  {'':{width}}  {'; '.join(filter(None, said))}"
            yield f"  {'':{width}}  What to do: {words.replace('`', '')}"


def _markdown(chosen: list[str]) -> Iterator[str]:
    yield INTRODUCTION
    for symptom, advice in _by_symptom(chosen):
        yield f"\n## {symptom}\n"
        yield f"| {' | '.join(HEADER)} |"
        yield f"| {' | '.join('---' for _ in HEADER)} |"
        for name, words in advice.items():
            cells = (f"`{name}`", STREAM_FAULTS[name].sentence, _here(OUTCOMES[name]), words)
            yield f"| {' | '.join(cells)} |"


def _here(outcome: Outcome) -> str:
    """What happens in this package, in a few words."""
    if outcome.state is ConnectionState.STREAMING:
        steps = ["goes on"]
    elif outcome.state is ConnectionState.FAILED:
        steps = ["fails"]
    else:
        steps = [f"retries {outcome.retry}"]
    if outcome.error is not None:
        steps.insert(0, f"`{outcome.error.name}`")
    steps += [f"`{callback}`" for callback in dict.fromkeys(outcome.lines)]
    return ", ".join(steps)


def _json(chosen: list[str]) -> Iterator[str]:
    symptoms = {
        name: (symptom, words) for symptom, advice in SYMPTOMS.items() for name, words in advice.items()
    }
    listed = []
    for title, entries in CATALOGUE.items():
        for fault in (fault for fault in entries if fault.name in chosen):
            outcome, (symptom, words) = OUTCOMES[fault.name], symptoms[fault.name]
            listed.append(
                {
                    "group": title,
                    "symptom": symptom,
                    "fault": fault.name,
                    "what happens": fault.sentence,
                    "state": outcome.state.name,
                    "error": outcome.error.name if outcome.error else "",
                    "retry": outcome.retry,
                    "callbacks": outcome.callbacks,
                    "what to do": words,
                    "simulated": fault.peer is Peer.SERVER,
                }
            )
    yield json.dumps(listed, indent=2)
