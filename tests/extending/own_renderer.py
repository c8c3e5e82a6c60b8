"""A renderer of one's own: the transition table as CSV, and as a list of arrows."""

import csv
import io

from xdk_streaming.machine import FINAL, INITIAL, TABLE, ConnectionState, Row


def as_csv(table: tuple[Row, ...] = TABLE) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["trigger", "source", "dest", "guard", "action", "notify"])
    for row in table:
        writer.writerow(
            [row.trigger.name, row.source.name, row.dest.name, row.guard, row.action, " ".join(row.notify)]
        )
    return text.getvalue()


def arrows(source: ConnectionState, table: tuple[Row, ...] = TABLE) -> list[str]:
    return [f"--{row.trigger.value}--> {row.dest.name}" for row in table if row.source is source]


print(as_csv(), end="")
for state in (INITIAL, FINAL):
    print(state.name, *arrows(state))
