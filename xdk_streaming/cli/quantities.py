"""Durations and sizes as people write them: `10m`, `1h30m`, `500MB`."""

from __future__ import annotations

import re
from dataclasses import dataclass

import typer

UNIT_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
UNIT_BYTES = {"B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}

_NUMBER = r"(\d+(?:\.\d+)?)"
_DURATION = re.compile(rf"(?:{_NUMBER}[{''.join(UNIT_SECONDS)}])+")
_PART = re.compile(rf"{_NUMBER}([{''.join(UNIT_SECONDS)}])")
_SIZE = re.compile(rf"{_NUMBER}({'|'.join(UNIT_BYTES)})", re.IGNORECASE)


@dataclass(frozen=True)
class Rotation:
    """When to start a new file: after a number of seconds, or at a number of bytes. One of the two is set."""

    seconds: float | None = None
    size: int | None = None


def duration(text: str) -> float:
    """The seconds in a duration, above 0."""
    seconds = _seconds(text)
    if not seconds:
        raise typer.BadParameter(f"{text!r} is not a duration; expected one like 30s, 10m or 1h30m")
    return seconds


def size(text: str) -> int:
    """The bytes in a size, above 0."""
    amount = _bytes(text)
    if not amount:
        raise typer.BadParameter(f"{text!r} is not a size; expected one like 500MB or 64MiB")
    return amount


def rotation(text: str) -> Rotation:
    """A duration or a size, after which a new file is started."""
    found = Rotation(seconds=_seconds(text)) if _seconds(text) else Rotation(size=_bytes(text))
    if not (found.seconds or found.size):
        raise typer.BadParameter(f"{text!r} is neither a duration nor a size; expected one like 1h or 500MB")
    return found


def shown_bytes(amount: float) -> str:
    """A size in decimal units, as for disks, with three or four digits."""
    for unit in ("B", "kB", "MB", "GB"):
        if amount < 999.5:
            return f"{amount:.0f} {unit}" if unit == "B" or amount >= 99.95 else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:,.1f} TB"


def shown_seconds(seconds: float) -> str:
    """A duration in its two largest units: `12.3 s`, `4m 05s`, `3h 12m`, `5d 07h`."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(int(seconds), 60)
    if minutes < 60:
        return f"{minutes}m {rest:02}s"
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return f"{hours}h {minutes:02}m"
    days, hours = divmod(hours, 24)
    return f"{days}d {hours:02}h"


def _seconds(text: str) -> float | None:
    if not _DURATION.fullmatch(text):
        return None
    return sum(float(number) * UNIT_SECONDS[unit] for number, unit in _PART.findall(text))


def _bytes(text: str) -> int | None:
    found = _SIZE.fullmatch(text)
    if found is None:
        return None
    factors = {unit.lower(): factor for unit, factor in UNIT_BYTES.items()}
    return int(float(found[1]) * factors[found[2].lower()])
