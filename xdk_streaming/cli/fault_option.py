"""The `--fault` option: which faults the connections get, and when."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

import typer

from xdk_streaming.cli.quantities import duration
from xdk_streaming.cli.suggestions import did_you_mean
from xdk_streaming.driver.outcomes import OUTCOMES
from xdk_streaming.simulator import End, Live, Script
from xdk_streaming.simulator.faults import STREAM_FAULTS, Peer, StreamFault

LONGEST = 1e9


class RequestedFaults(NamedTuple):
    """The chance of a random fault, and the scripts of the connections in turn."""

    chance: float
    scripts: list[Script]


def requested_faults(given: Iterable[str], encoding: str | None) -> RequestedFaults:
    """Parse each `--fault`. Raises `BadParameter`, which says what was expected."""
    chance = 0.0
    scripts: list[Script] = []
    for text in given:
        if text.startswith("random:"):
            chance = _chance(text)
        else:
            name, at, after = text.partition("@")
            fault = _fault(text, name, encoding)
            if not at:
                raise _no_fault(text, f"when is missing, as in {name}@10s")
            scripts.extend(_scripts(fault, _after(text, after)))
    return RequestedFaults(chance, scripts)


def begun_faults(incomplete: str) -> list[str]:
    """Completes the name of a fault in a shell, up to its moment."""
    names = [fault.name for fault in STREAM_FAULTS.values() if fault.peer is Peer.SERVER]
    return [f"{name}@" for name in names if name.startswith(incomplete)]


def seconds(text: str | float) -> float:
    """The seconds in a duration, which may be 0: `10`, `0.5`, `10s`, `2m`, `500ms`."""
    found = _seconds(str(text))
    if not 0 <= found <= LONGEST:
        raise typer.BadParameter(f"{text!r} is not a duration; expected one like 10s, 2m, 500ms or 1.5")
    return found


def seconds_above_0(text: str | float) -> float:
    """The seconds in a duration, above 0."""
    if not (found := seconds(text)):
        raise typer.BadParameter(
            f"{text!r} is too short; expected a duration above 0, one like 10s, 2m, 500ms or 1.5"
        )
    return found


def _seconds(text: str) -> float:
    number, unit = (text[:-2], 0.001) if text.endswith("ms") else (text, 1)
    try:
        return float(number) * unit
    except ValueError:
        return duration(text)


def _fault(text: str, name: str, encoding: str | None) -> StreamFault:
    fault = STREAM_FAULTS.get(name)
    if fault is None or fault.peer is not Peer.SERVER:
        known = [each.name for each in STREAM_FAULTS.values() if each.peer is Peer.SERVER]
        near = did_you_mean(name, known) or "; see `xdk-streaming faults`"
        raise _no_fault(text, f"{name!r} is not a fault that a server can show{near}")
    if fault.encoding != encoding and fault.encoding is not None:
        raise _no_fault(text, f"this fault needs --encoding {fault.encoding}")
    return fault


def _scripts(fault: StreamFault, after: float) -> list[Script]:
    """A stream with the fault after these seconds. For a refusal: a stream that ends, then the refusal."""
    if OUTCOMES[fault.name].refuses:
        return [(Live(after), End()), fault.script] if after else [fault.script]
    return [(Live(after), *fault.script)]


def _after(text: str, after: str) -> float:
    try:
        return seconds(after)
    except typer.BadParameter as refusal:
        raise _no_fault(text, refusal.message) from refusal


def _chance(text: str) -> float:
    digits = text.removeprefix("random:")
    try:
        chance = float(digits)
    except ValueError:
        chance = math.nan
    if not 0 <= chance <= 1:
        raise _no_fault(text, f"{digits!r} is not a number from 0 to 1")
    return chance


def _no_fault(text: str, reason: str) -> typer.BadParameter:
    return typer.BadParameter(
        f"{text!r}: {reason}. Expected NAME@SECONDS, or random:P with P from 0 to 1", param_hint="--fault"
    )
