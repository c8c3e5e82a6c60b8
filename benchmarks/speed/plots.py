"""The figures as plots: SVG without background, in colours that are visible on white and on black."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import matplotlib as mpl

mpl.use("svg")

from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, NullLocator

from benchmarks.speed.latency import Latency
from benchmarks.speed.measure import Row
from benchmarks.speed.readers import FLOOR, OUR_PORTABLE, OURS, XDK
from benchmarks.speed.results import Results
from benchmarks.speed.verdict import DONE

INK = "#808890"
FAINT = "#80889055"
KIB = 2**10
MIB = 2**20


class Mark(NamedTuple):
    """The style of a reader."""

    colour: str
    marker: str
    size: int = 6
    filled: bool = True


MARKS: Mapping[str, Mark] = {
    FLOOR: Mark(INK, "|", 12),
    OURS: Mark("#2f7ff5", "o", 11),
    OUR_PORTABLE: Mark("#2f7ff5", "o", 9, filled=False),
    XDK: Mark("#e5484d", "D"),
    "tweepy": Mark("#a060e8", "v"),
    "requests": Mark("#2ea05a", "s"),
    "httpx": Mark("#d6509a", "^"),
    "aiohttp": Mark("#d08700", "P", 7),
    "requests+orjson": Mark("#2ea05a", "s", filled=False),
    "aiohttp+orjson": Mark("#d08700", "P", 7, filled=False),
}
WANTED = Mark(INK, "|", 18)
STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "speed",
    "font.family": "sans-serif",
    "font.size": 10,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "axes.edgecolor": FAINT,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": INK,
    "ytick.color": INK,
    "grid.color": FAINT,
    "legend.frameon": False,
}


def draw(results: Results, folder: Path) -> list[str]:
    """Draw every plot for which there are figures. Returns their names."""
    drawn = []
    with mpl.rc_context(STYLE):  # type: ignore[arg-type]  # a plain dict of settings is what it takes
        if results.rows:
            drawn.append(throughput(results.rows, folder))
        if results.latency:
            drawn.append(waiting(results.latency, folder))
        if results.lengths or results.streams or results.memory:
            drawn.append(growth(results, folder))
    return drawn


@contextmanager
def picture(folder: Path, name: str, size: tuple[float, float], panels: int = 1) -> Iterator[list[Axes]]:
    """A figure with panels side by side, saved at the end of the block."""
    figure, axes = plt.subplots(1, panels, figsize=size, squeeze=False, layout="constrained")
    yield list(axes[0])
    figure.savefig(folder / name, transparent=True, metadata={"Date": None})
    plt.close(figure)


def throughput(rows: list[Row], folder: Path) -> str:
    """Each row's readers on a line, by their share of the floor."""
    name = "throughput.svg"
    with picture(folder, name, (9, 1.6 + 0.5 * len(rows))) as (axes,):
        for reader, mark in MARKS.items():
            points = [(r.median, y) for y, row in enumerate(rows) if (r := row.ratio(reader))]
            if points and reader != FLOOR:
                dotted(axes, points, mark, reader)
        dotted(axes, list(wanted(rows)), WANTED, "wanted")
        axes.axvline(1, color=INK, linewidth=1)
        axes.set_yticks(range(len(rows)), [row.workload.title for row in rows])
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.set_xlim(left=0)
        axes.grid()
        axes.set_xlabel("items a CPU second, as a share of the floor (1): further right is faster")
        axes.figure.legend(loc="outside upper center", ncols=6)
    return name


def wanted(rows: list[Row]) -> Iterator[tuple[float, int]]:
    """The bounds for this package, in the rows with a bound."""
    for place, row in enumerate(rows):
        if row.workload.name in DONE.floor:
            yield DONE.floor[row.workload.name], place


def dotted(axes: Axes, points: list[tuple[float, int]], mark: Mark, label: str) -> None:
    """Draw one reader in all rows."""
    axes.plot(
        [share for share, _ in points],
        [place for _, place in points],
        mark.marker,
        label=label,
        color=mark.colour,
        markersize=mark.size,
        markerfacecolor=mark.colour if mark.filled else "none",
        markeredgewidth=1.5,
        zorder=4 if label in (OURS, OUR_PORTABLE) else 3,
        linestyle="none",
    )


def waiting(found: Latency, folder: Path) -> str:
    """A bar up to the median, and a line up to the 99th percentile."""
    name = "latency.svg"
    names = list(found.rounds)
    with picture(folder, name, (9, 0.9 + 0.4 * len(names))) as (axes,):
        for place, reader in enumerate(names):
            colour = MARKS[reader].colour if reader in MARKS else INK
            p50, p99 = found.p50(reader), found.p99(reader)
            axes.barh(place, p50, color=colour, height=0.6)
            axes.plot((p50, p99), (place, place), color=colour, linewidth=2)
            axes.plot(p99, place, "|", color=colour, markersize=10)
        axes.set_yticks(range(len(names)), names)
        axes.invert_yaxis()
        axes.grid(axis="x")
        axes.set_xlabel("microseconds from send to yield: bar to the median, line to the 99th percentile")
    return name


def growth(results: Results, folder: Path) -> str:
    """Values that must not grow, as lines that should be level."""
    name = "growth.svg"
    with picture(folder, name, (12, 3.6), 3) as (by_length, by_number, by_time):
        lines(by_length, results.lengths, "CPU ms a MiB, by length of a line")
        by_length.xaxis.set_major_formatter(FuncFormatter(size))
        lines(by_number, results.streams, "items a CPU second, by streams in a process")
        by_number.xaxis.set_major_formatter(FuncFormatter(lambda number, _: f"{number:.0f}"))
        by_number.yaxis.set_major_formatter(FuncFormatter(lambda rate, _: f"{rate:,.0f}"))
        every, _ = results.form.memory
        level = {number * every: held / MIB for number, held in enumerate(results.memory, 1)}
        lines(by_time, {OURS: level}, "MiB of memory, by posts read", log=False)
        by_time.xaxis.set_major_formatter(FuncFormatter(lambda posts, _: f"{posts:,.0f}"))
        by_time.locator_params(axis="x", nbins=4)
    return name


def lines(axes: Axes, found: Mapping[str, Mapping[int, float]], title: str, *, log: bool = True) -> None:
    """A line per reader, over the same positions, from zero up."""
    for reader, points in found.items():
        mark = MARKS[reader]
        face = mark.colour if mark.filled else "none"
        style = {"color": mark.colour, "marker": mark.marker if reader != FLOOR else ".", "markersize": 6}
        axes.plot(list(points), list(points.values()), label=reader, markerfacecolor=face, **style)  # type: ignore[arg-type]
    axes.set_title(title, fontsize=10)
    axes.grid(axis="y")
    axes.set_ylim(bottom=0)
    if log and found:
        axes.set_xscale("log")
        axes.set_xticks(sorted({place for points in found.values() for place in points}))
        axes.xaxis.set_minor_locator(NullLocator())
    if len(found) > 1:
        axes.legend(fontsize=8)


def size(length: float, _: int) -> str:
    """A length in words."""
    return f"{length / MIB:.0f} MiB" if length >= MIB else f"{length / KIB:.0f} KiB"
