"""The page with the results, in text and tables. Decides nothing, measures nothing."""

from __future__ import annotations

import os
import platform
import statistics
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path

from xdk_streaming import __version__
from xdk_streaming.driver import outcomes
from xdk_streaming.simulator.faults import CATALOGUE, StreamFault
from xdk_streaming.state import ConnectionState

from .figures import Figures, Outcome, Told
from .measure import ITEMS, RATE, SILENCE

BEGIN, END = "<!-- side by side: begin -->", "<!-- side by side: end -->"
"""Around the summary, here and in the README."""
MIB = 2**20
MANY = 10
SHORT = 110
LIBRARIES = ("requests", "urllib3")
ERRORS = ("on_error", "raised", "Fault")
LINES = ("on_invalid", "on_notice")
ITEM = "an item"

Test = Callable[[Figures], bool]
Runs = Sequence[Figures]


def expected(figures: Figures) -> outcomes.Outcome:
    """The documented outcome of the fault in this package."""
    return outcomes.OUTCOMES[figures.fault]


# What a measurement says


def reads_again(figures: Figures) -> bool:
    """Whether items arrived after the fault."""
    return figures.outcome in (Outcome.WENT_ON, Outcome.BACK)


def worth_a_word(figures: Figures) -> bool:
    """Whether there is something to report; a long line counts only if the client has a limit."""
    outcome = expected(figures)
    unlimited = "max_item_bytes" in outcome.settings and figures.client != "xdk_streaming"
    return bool(outcome.callbacks) and not unlimited


def silent(figures: Figures) -> bool:
    """Whether nothing was reported to the user, although there was something to report."""
    return worth_a_word(figures) and not figures.told


def goes_on(figures: Figures) -> bool:
    """Whether the fault is a line in a stream that goes on."""
    return expected(figures).state is ConnectionState.STREAMING


def hopeless(figures: Figures) -> bool:
    """Whether no retry can help."""
    return expected(figures).state is ConnectionState.FAILED


def asked_away(figures: Figures) -> bool:
    """Whether the server says how long to wait."""
    return expected(figures).asks


def curable(figures: Figures) -> bool:
    """Whether a retry helps, and the server gives no time. An unknown host name stays unknown here."""
    return (
        expected(figures).state is ConnectionState.BACKOFF
        and not asked_away(figures)
        and figures.fault != "unknown-host"
    )


def in_words(figures: Figures) -> str:
    """The measurement in a few words."""
    words = [_outcome(figures)]
    words += [f"lost {figures.lost}"] * bool(figures.lost)
    words += [f"doubled {figures.doubled}"] * bool(figures.doubled)
    words += [f"{figures.strays} false item{'s' * (figures.strays > 1)}"] * bool(figures.strays)
    words += ["said nothing"] * (silent(figures) and figures.outcome is not Outcome.SILENT_END)
    return ", ".join(words)


def _outcome(figures: Figures) -> str:
    if figures.outcome is Outcome.BACK and hopeless(figures):
        return "tried again"
    if figures.outcome is Outcome.BACK and figures.back is not None:
        return f"back{' too early,' * asked_away(figures)} after {figures.back:.1f} s"
    if figures.outcome is Outcome.WAITING and asked_away(figures):
        return "waits"
    return figures.outcome.value


def told(figures: Figures) -> str:
    """How the error reads, shortened."""
    for channels in (ERRORS, LINES):
        for entry in figures.told:
            if entry.channel in channels and entry.text != "None":
                return _shown(entry)
    logged = [entry.text for entry in figures.told if entry.channel == "logged"]
    if logged:  # tweepy logs what it knows in two lines
        return _shown(Told("logged", " / ".join(logged[:2])))
    rest = sorted(figures.told, key=lambda entry: entry.channel != ITEM)
    return _shown(rest[0]) if rest else "nothing"


def _shown(entry: Told) -> str:
    text = "".join(
        each if each.isprintable() else f"\\x{ord(each):02x}" for each in " ".join(entry.text.split())
    )
    text = text if len(text) <= SHORT else text[: SHORT - 1] + "…"
    safe = text.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").replace("`", "'")
    return f"{entry.channel}: {safe}"


# The summary


@dataclass(frozen=True)
class Row:
    """One line of the summary: of the measurements that `of` selects, the number for which `so` holds."""

    label: str
    of: Test
    so: Test

    def cells(self, runs: Mapping[str, Runs], seconds: float) -> list[str]:
        """The label with its numbers, and a count per client."""
        chosen = {client: [run for run in of_client if self.of(run)] for client, of_client in runs.items()}
        most = max(map(len, chosen.values()), default=0)
        label = self.label.format(of=most, seconds=seconds)
        return [label, *(str(sum(map(self.so, selected))) for selected in chosen.values())]


def has(*outcomes: Outcome) -> Test:
    """A predicate for the outcome."""
    return lambda run: run.outcome in outcomes


def anything(_: Figures) -> bool:
    """All measurements."""
    return True


ROWS = (
    Row(
        "{of} faults that a new connection cures: back within {seconds:g} s, nothing lost",
        curable,
        lambda run: reads_again(run) and not run.lost,
    ),
    Row("… back, but items lost", curable, lambda run: reads_again(run) and bool(run.lost)),
    Row("… not back within {seconds:g} s", curable, has(Outcome.WAITING)),
    Row("… hung, or read an error without end", curable, has(Outcome.HUNG, Outcome.OVERFLOW)),
    Row("… gave up", curable, has(Outcome.RAISED, Outcome.SILENT_END)),
    Row(
        "{of} odd lines in a stream that goes on: went on, nothing lost",
        goes_on,
        lambda run: run.outcome is Outcome.WENT_ON and not run.lost,
    ),
    Row(
        "{of} refusals in which the server says when to return: waited",
        asked_away,
        has(Outcome.WAITING),
    ),
    Row("{of} faults that no attempt can cure: stopped with an error", hopeless, has(Outcome.RAISED)),
    Row("{of} faults: a notice or a broken line came out as an item", anything, lambda run: run.strays > 0),
    Row("{of} faults worth a word: told the user nothing", worth_a_word, silent),
)


def summary(runs: Sequence[Figures], seconds: float) -> str:
    """The table at the head of the page, of which the README has an extract."""
    once, lasting = by_client(runs, lasting=False), by_client(runs, lasting=True)
    rows = [row.cells(once, seconds) for row in ROWS]
    rows += [
        ["items lost, in all", *_per_client(once, lambda of: str(sum(run.lost for run in of)))],
        ["items doubled, in all", *_per_client(once, lambda of: str(sum(run.doubled for run in of)))],
        ["stopped within 1 s, of the times it was running", *_per_client(once, _stops)],
        ["seconds until it was back, median", *_per_client(once, _median_back)],
        ["memory taken, median and most, MiB", *_per_client(once, _memory)],
    ]
    if any(lasting.values()):
        label = f"most connections in {seconds:g} s, with the same fault on each"
        rows.append([label, *_per_client(lasting, lambda of: str(max(run.connections for run in of)))])
        label = f"… faults of {_most(lasting)} with more than {MANY}"
        rows.append([label, *_per_client(lasting, lambda of: str(sum(run.connections > MANY for run in of)))])
    head = ["", *map(titled, once)]
    return "\n".join([BEGIN, *table(head, rows), *unplayed(once), END])


TELLING = ("back within", "can cure: stopped", "came out as an item", "stopped within", "most connections")
"""What the labels of the README's rows hold."""


OTHERS = ("launchdarkly",)
"""What the heads of the columns begin with that the README leaves out: they are no clients of X."""


def extract(text: str) -> str:
    """The rows and columns of the page's summary that the README shows."""
    lines = [line for line in text.split(BEGIN)[1].split(END)[0].splitlines() if line.startswith("|")]
    head, *rows = [[cell.strip() for cell in line[1:-1].split("|")] for line in (lines[0], *lines[2:])]
    columns = [number for number, title in enumerate(head) if not title.startswith(OTHERS)]
    telling = [
        cells for cells in rows if "… " not in cells[0] and any(words in cells[0] for words in TELLING)
    ]
    narrow = [[cells[number] for number in columns] for cells in (head, *telling)]
    return "\n".join([BEGIN, *table(narrow[0], narrow[1:]), END])


def with_extract(readme: str, text: str) -> str:
    """The README with the extract of this page between its markers."""
    before, _, rest = readme.partition(BEGIN)
    return before + extract(text) + rest.partition(END)[2]


def unplayed(runs: Mapping[str, Runs]) -> Iterator[str]:
    """A note on each client that was played fewer faults than the others."""
    most = _most(runs)
    for client, of_client in runs.items():
        if len(of_client) < most:
            yield ""
            yield f"{client} asks for no compression: {most - len(of_client)} faults of compressed bodies"
            yield "were not played to it, and are in none of its counts."


def by_client(runs: Iterable[Figures], *, lasting: bool) -> dict[str, list[Figures]]:
    """The measurements of each client, in order."""
    sorted_out: dict[str, list[Figures]] = {}
    for run in runs:
        of_client = sorted_out.setdefault(run.client, [])
        if run.lasting is lasting:
            of_client.append(run)
    return sorted_out


def _per_client(runs: Mapping[str, Runs], cell: Callable[[Runs], str]) -> list[str]:
    return [cell(of_client) if of_client else "" for of_client in runs.values()]


def _most(runs: Mapping[str, Runs]) -> int:
    return max(map(len, runs.values()))


def _stops(runs: Runs) -> str:
    running = [run for run in runs if run.running]
    return f"{sum(run.stop is not None and run.stop <= 1 for run in running)} of {len(running)}"


def _median_back(runs: Runs) -> str:
    waits = [run.back for run in runs if run.back is not None and curable(run)]
    return f"{statistics.median(waits):.1f}" if waits else ""


def _memory(runs: Runs) -> str:
    grown = [run.memory / MIB for run in runs if run.memory is not None]
    if not grown:
        return "?"
    most = "over 400" if any(run.outcome is Outcome.OVERFLOW for run in runs) else f"{max(grown):.1f}"
    return f"{statistics.median(grown):.1f}, {most}"


def titled(client: str) -> str:
    """The client with its version."""
    if client == "xdk_streaming":
        return "this package"
    return f"{client} {version(client)}"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Lines of a Markdown table."""
    yield "| " + " | ".join(head) + " |"
    yield "| " + " | ".join("---" for _ in head) + " |"
    for row in rows:
        yield "| " + " | ".join(row) + " |"


# The page


def page(runs: Sequence[Figures], seconds: float, patience: float, command: str) -> str:
    """The page as Markdown."""
    chapters = [chapter(group, faults, runs, patience) for group, faults in CATALOGUE.items()]
    return "\n".join(
        [
            "# Side by side",
            "",
            "The faults of the [catalogue](faults.md), played to this package and to three other clients, to",
            "each in the same way. As measured, on one machine, on one day, by `make side-by-side`.",
            "",
            summary(runs, seconds),
            "",
            method(seconds, patience),
            *filter(None, chapters),
            storm(runs, seconds),
            "## Made with",
            "",
            *(f"- {fact}" for fact in circumstances(command, by_client(runs, lasting=False))),
            "",
        ]
    )


def chapter(group: str, faults: Sequence[StreamFault], runs: Sequence[Figures], patience: float) -> str:
    """One group of the catalogue: the outcomes of each client, then the figures. Empty without any."""
    found = {(run.fault, run.client): run for run in runs if not run.lasting}
    clients = list(by_client(runs, lasting=False))
    names = [fault.name for fault in faults if any((fault.name, client) in found for client in clients)]
    if not names:
        return ""
    glance = [
        [
            f"`{name}`",
            *(
                in_words(found[name, client]) if (name, client) in found else "not played"
                for client in clients
            ),
        ]
        for name in names
    ]
    figures = [
        row(found[name, client], patience) for name in names for client in clients if (name, client) in found
    ]
    head = ["fault", "client", "connections", "lost", "doubled", "stop", "memory, MiB", "how the error reads"]
    lines = ["## " + group, "", *table(["fault", *map(titled, clients)], glance), ""]
    return "\n".join([*lines, *table(head, figures), ""])


def row(run: Figures, patience: float) -> list[str]:
    """The figures of one measurement."""
    if run.running:
        stop = f"over {patience:g} s" if run.stop is None else f"{run.stop:.2f} s"
    else:
        stop = "had ended"
    memory = "?" if run.memory is None else f"{run.memory / MIB:.1f}"
    counts = [str(run.connections), str(run.lost), str(run.doubled)]
    return [f"`{run.fault}`", run.client, *counts, stop, memory, told(run)]


def storm(runs: Sequence[Figures], seconds: float) -> str:
    """The faults that persist."""
    lasting = by_client(runs, lasting=True)
    if not any(lasting.values()):
        return ""
    names = list(dict.fromkeys(run.fault for run in runs if run.lasting))
    rows = [
        [
            f"`{name}`",
            *(_knocks(run) for of_client in lasting.values() for run in of_client if run.fault == name),
        ]
        for name in names
    ]
    return "\n".join(
        [
            "## The same fault on every connection",
            "",
            f"Connections made in {seconds:g} s where the fault does not go away. X allows 50 in 15 minutes.",
            "",
            *table(["fault", *map(titled, lasting)], rows),
            "",
        ]
    )


def _knocks(run: Figures) -> str:
    return f"{run.connections}" + ("" if run.running else f", {run.outcome.value}")


def method(seconds: float, patience: float) -> str:
    """How it was measured, and which comparisons are unfair."""
    return f"""\
## How it was measured

Each client runs in its own process, against a server on loopback. The first connection brings
{ITEMS} items and then the fault, or is refused; if the stream goes on, {ITEMS} more items follow on it.
Every later connection is a healthy stream: {ITEMS} items at once, then {RATE:g} a second with heartbeats
between them.
After {seconds:g} s the client is asked to stop.

- **connections** that reached the server. With `connection-refused`, a server starts to listen half a
  second after the client has started; earlier attempts are not counted.
- **lost**: items that the server sent whole, half a second or more before the client was asked to
  stop, and that were not received, including items in the fault itself. Items that X would publish while
  a client is away are not counted: their number is `back after` times the rate of the stream.
- **doubled**: items received more than once. The server never repeats one.
- **false items**: notices and broken lines that the client yielded as items.
- **stop**: the time from the request to stop until the reading thread has ended, at most {patience:g} s.
- **memory**: the maximum growth of resident memory. A process that grew by 400 MiB was ended.
- **how the error reads**: the first error as the user sees it: the argument of a callback, an exception,
  or a log message of level warning or above; shortened to {SHORT} characters. `an item`: the error came
  out as an item. `on_disconnect: None` and `Fault: None`: the user learns that the connection ended, not why.

The catalogue, and so this project, decides which faults a new connection can cure. After the other
faults, the server of this benchmark still has a healthy stream for clients that try again, but to be back
then is no merit. Nor is "not back" a defect by itself: tweepy waits 5 s after
a refusal and 60 s after 420 and 429, as X asks. This package by default waits about 1 s, as xdk does,
which is bolder; with `StreamConfig.for_x()` it waits as X asks. After a clean end, xdk and tweepy reconnect
immediately, while this package waits, and so they miss less; the last table shows the price.

All clients run with their defaults, with these exceptions:

- If silence is the fault, each client with a setting for silence allows {SILENCE:g} s, so that the
  client can react in time. By default this package allows 30 s, xdk and launchdarkly-eventsource wait
  forever, tweepy allows 21 s without a setting, so its result is "hung" here.
- If the length of a line is the fault, this package was given a limit of 4 KiB (the default is 32 MiB).
  The others have none, and deliver the line. At `runaway-line`, this package abandons the connection, and
  loses the items that the server had sent after the line.
- By default, launchdarkly-eventsource gives up at the first loss. It was set to continue
  (`ErrorStrategy.always_continue()`), and so also continues if that is of no use. The client reads
  Server-Sent Events, so each line was sent as an event. Events contain text: it is the nature of the client
  that notices and broken lines come out as items, and the benchmark parsed the JSON. By the rules of SSE,
  an object without a line end is not an event, and was not counted. The client does not accept
  compression, so faults of compressed bodies were not played.
- X's address is built into tweepy; an adapter on the session of tweepy sends the requests to the server.
- xdk was used through `stream_with_retry`, without a model. xdk has no method to stop: the session
  and the generator were closed from another thread, from which the other clients were asked to stop. With
  any of the four, a program can also leave its loop at the next item.
"""


def circumstances(command: str, clients: Iterable[str]) -> Iterator[str]:
    """Command, day, machine and versions."""
    yield f"`{command}`, on {datetime.now(timezone.utc):%Y-%m-%d}"
    yield f"{os.cpu_count()} x {processor()}, {platform.system()} {platform.release()}"
    others = (f"{name} {version(name)}" for name in (*clients, *LIBRARIES) if name != "xdk_streaming")
    yield f"Python {platform.python_version()}, " + ", ".join([f"this package {__version__}", *others])


def processor() -> str:
    """The processor's model, if the system reports it."""
    told_by = Path("/proc/cpuinfo")
    lines = told_by.read_text(encoding="utf-8").splitlines() if told_by.exists() else []
    models = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(models, platform.machine())
