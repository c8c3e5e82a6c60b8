"""Two observers at once: one counts the edges that were taken, one writes a log."""

from collections import Counter
from collections.abc import Callable

from xdk_streaming import Stream, StreamConfig, StreamError, Transition
from xdk_streaming.simulator import UNAVAILABLE, Cut, Notice, Refuse, Send, Serve
from xdk_streaming.testing import FakeClock, ScriptedSession

edges: Counter[tuple[str, str, str]] = Counter()


def count(record: object) -> None:
    if isinstance(record, Transition):
        edges[record.source.name, record.dest.name, record.trigger.name] += 1


def log_to(write: Callable[[str], object]) -> Callable[[object], None]:
    def log(record: object) -> None:
        write(record.trigger.name if isinstance(record, Transition) else str(record))

    return log


scripts = [(UNAVAILABLE,), (Serve(1), Send(b"no item\n"), Notice({"errors": []}), Cut()), (Refuse(403),)]
config = StreamConfig(observers=(count, log_to(print)))
try:
    for _ in Stream(ScriptedSession(scripts), "get", "https://api.x.com", config, clock=FakeClock()):
        pass
except StreamError as error:
    print(error.error_type.name)
for (source, dest, trigger), times in edges.most_common():
    print(times, source, dest, trigger)
