"""What `--fault` asks for: what the connections suffer, and when."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

import typer

from xdk_streaming.cli.quantities import duration
from xdk_streaming.driver.outcomes import OUTCOMES
from xdk_streaming.simulator import End, Live, Script
from xdk_streaming.simulator.faults import FAULTS, Fault, Peer

LONGEST = 1e9


class Asked(NamedTuple):
    """The chance of a random fault, and what the connections suffer in turn."""

    chance: float
    scripts: list[Script]


def asked(given: Iterable[str], encoding: str | None) -> Asked:
    """Read each `--fault`; one that is none ends the program with what was expected."""
    chance = 0.0
    scripts: list[Script] = []
    for text in given:
        if text.startswith("random:"):
            chance = _chance(text)
        else:
            name, _, after = text.partition("@")
            scripts.extend(_scripts(_fault(text, name, encoding), _after(text, after)))
    return Asked(chance, scripts)


def seconds(text: str | float) -> float:
    """A length of time, 0 included: `10`, `0.5`, `10s`, `2m`, `500ms`."""
    found = _seconds(str(text))
    if not 0 <= found <= LONGEST:
        raise typer.BadParameter(f"{text!r} is no length of time; expected one like 10s, 2m, 500ms or 1.5")
    return found


def seconds_above_0(text: str | float) -> float:
    """A length of time."""
    if not (found := seconds(text)):
        raise typer.BadParameter(f"{text!r} is no time at all; expected one like 10s, 2m, 500ms or 1.5")
    return found


def _seconds(text: str) -> float:
    number, unit = (text[:-2], 0.001) if text.endswith("ms") else (text, 1)
    try:
        return float(number) * unit
    except ValueError:
        return duration(text)


def _fault(text: str, name: str, encoding: str | None) -> Fault:
    fault = FAULTS.get(name)
    if fault is None or fault.peer is not Peer.SERVER:
        raise _no_fault(text, f"{name!r} is none that a server can show; see `xdk-streaming faults`")
    if fault.encoding != encoding and fault.encoding is not None:
        raise _no_fault(text, f"it needs --encoding {fault.encoding}")
    return fault


def _scripts(fault: Fault, after: float) -> list[Script]:
    """A stream that suffers it after so long; for a refusal, one that ends then, and the next is refused."""
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
        raise _no_fault(text, f"{digits!r} is no number from 0 to 1")
    return chance


def _no_fault(text: str, reason: str) -> typer.BadParameter:
    return typer.BadParameter(
        f"{text!r}: {reason}. Expected NAME@SECONDS, or random:P with P from 0 to 1", param_hint="--fault"
    )
