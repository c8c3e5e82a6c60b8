"""The program: all verbs of the command line, assembled."""

from __future__ import annotations

from typing import Annotated

import typer

from xdk_streaming import __version__
from xdk_streaming.cli.connections import connections
from xdk_streaming.cli.demo import demo
from xdk_streaming.cli.diagram import diagram
from xdk_streaming.cli.faults import faults
from xdk_streaming.cli.options import DisplayOptions, add_verb, command
from xdk_streaming.cli.program import Program
from xdk_streaming.cli.replay import replay, show_again
from xdk_streaming.cli.rules import rules
from xdk_streaming.cli.simulate import simulate
from xdk_streaming.cli.stream import GROUPS, VERBS, firehose, record, sample, sample10, stream

SUMMARIES = {
    stream: "Stream the posts that match the app's rules.",
    sample10: "Stream ten percent of all posts, in two partitions.",
    firehose: "Stream all posts, or those in one language.",
}
"""Summaries for the list of verbs, where the first sentence of the help is too long."""
EXAMPLES = {
    stream: (
        "xdk-streaming stream --output posts.ndjson.zst --rotate 1h --checkpoint posts.point",
        "xdk-streaming stream --tweet-fields created_at,author_id --limit 10",
    ),
    sample: ("xdk-streaming sample --format text --for 1m",),
    firehose: ("xdk-streaming firehose --partition 1 --output posts.ndjson.zst",),
}

app = typer.Typer(
    cls=Program,
    help="X's streams as an explicit state machine.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
for verb in VERBS:
    add_verb(app, command(verb, record, *GROUPS), SUMMARIES.get(verb), *EXAMPLES.get(verb, ()))
add_verb(
    app,
    command(replay, show_again, DisplayOptions),
    "Write the items of a recording to standard output again.",
    "xdk-streaming replay posts.ndjson.zst --speed 10 | jq .data.text",
)
app.command(short_help="Stream from a simulator that breaks the connection.")(demo)
app.command(short_help="Write the state machine as a diagram or a table.")(diagram)
app.command(short_help="List every fault of a stream by its symptom.")(faults)
add_verb(
    app,
    simulate,
    "Serve X's streams on this machine, with faults on demand.",
    "xdk-streaming simulate --rate 100 --rule cats --fault reset@10s",
)
app.add_typer(rules, name="rules", short_help="Manage the rules of the filtered stream.")
app.add_typer(connections, name="connections", short_help="List and close the app's open streams.")


def _show_version(asked: bool) -> None:
    if asked:
        typer.echo(f"xdk-streaming {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit."),
    ] = False,
) -> None:
    """X's streams as an explicit state machine."""
