"""Durations and sizes as people write them: `10m`, `1h30m`, `500MB`."""

from __future__ import annotations

import re
from dataclasses import dataclass

import typer

SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
BYTES = {"B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}

_NUMBER = r"(\d+(?:\.\d+)?)"
_DURATION = re.compile(rf"(?:{_NUMBER}[{''.join(SECONDS)}])+")
_PART = re.compile(rf"{_NUMBER}([{''.join(SECONDS)}])")
_SIZE = re.compile(rf"{_NUMBER}({'|'.join(BYTES)})", re.IGNORECASE)


@dataclass(frozen=True)
class Rotation:
    """When a file is full: after so many seconds, or with so many bytes; one of both is set."""

    seconds: float | None = None
    size: int | None = None


def duration(text: str) -> float:
    """Seconds, above 0."""
    seconds = _seconds(text)
    if not seconds:
        raise typer.BadParameter(f"{text!r} is no length of time; expected one like 30s, 10m or 1h30m")
    return seconds


def size(text: str) -> int:
    """Bytes, above 0."""
    amount = _bytes(text)
    if not amount:
        raise typer.BadParameter(f"{text!r} is no size; expected one like 500MB or 64MiB")
    return amount


def rotation(text: str) -> Rotation:
    """Either of both."""
    found = Rotation(seconds=_seconds(text)) if _seconds(text) else Rotation(size=_bytes(text))
    if not (found.seconds or found.size):
        raise typer.BadParameter(
            f"{text!r} is neither a length of time nor a size; expected one like 1h or 500MB"
        )
    return found


def shown_bytes(amount: float) -> str:
    """In decimal units, as disks are sold: three digits, or four."""
    for unit in ("B", "kB", "MB", "GB"):
        if amount < 999.5:
            return f"{amount:.0f} {unit}" if unit == "B" or amount >= 99.95 else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:,.1f} TB"


def shown_seconds(seconds: float) -> str:
    """The two units that tell most: `12.3 s`, `4m 05s`, `3h 12m`, `5d 07h`."""
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
    return sum(float(number) * SECONDS[unit] for number, unit in _PART.findall(text))


def _bytes(text: str) -> int | None:
    found = _SIZE.fullmatch(text)
    if found is None:
        return None
    factors = {unit.lower(): factor for unit, factor in BYTES.items()}
    return int(float(found[1]) * factors[found[2].lower()])
