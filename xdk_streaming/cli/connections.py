"""`xdk-streaming connections`: list and close the streams that an app has open.

This is the cure for TooManyConnections: X may still count a connection that was lost long ago.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Literal

import typer

from xdk_streaming.cli.columns import show
from xdk_streaming.cli.completion import some_of
from xdk_streaming.cli.exits import ExitCode
from xdk_streaming.cli.options import FROM_ENVIRONMENT, ConnectOptions, grouped
from xdk_streaming.cli.printable import plain
from xdk_streaming.cli.resource import ListFormat, failures_as_messages
from xdk_streaming.wire.resource import Resource
from xdk_streaming.x import (
    CONNECTION_FIELDS,
    CONNECTION_NAMES,
    CONNECTIONS,
    MAX_CONNECTIONS_PER_PAGE,
    MAX_KILLS,
)

NAMES = sorted(CONNECTION_NAMES)

connections = typer.Typer(
    help="List and close the app's open streams: the cure for TooManyConnections.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@connections.command("list", context_settings=FROM_ENVIRONMENT)
@grouped
def list_connections(
    status: Annotated[
        Literal["active", "inactive", "all"],
        typer.Option(help="Show connections that X counts now, connections that have ended, or all."),
    ] = "active",
    endpoint: Annotated[
        list[str] | None,
        typer.Option(
            autocompletion=some_of(NAMES),
            help=f"Show only connections of this stream; may be repeated. One of {', '.join(NAMES)}.",
        ),
    ] = None,
    format: ListFormat = "text",
    *,
    reached: ConnectOptions,
) -> None:
    """List connections: id, stream, start time and client address; if ended, also the time and the reason."""
    _want_names(endpoint or [], "--endpoint")
    params = {
        "status": status,
        "connection.fields": ",".join(CONNECTION_FIELDS),
        "max_results": str(MAX_CONNECTIONS_PER_PAGE),
        **({"endpoints": ",".join(endpoint)} if endpoint else {}),
    }
    with failures_as_messages(reached.base_url), reached.session() as session:
        found = list(Resource(session, reached.base_url, CONNECTIONS).pages(params))
    show(found, CONNECTION_FIELDS, format)
    if not found:
        typer.echo("No connections found.", err=True)


@connections.command(context_settings=FROM_ENVIRONMENT)
@grouped
def kill(
    targets: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[ID|STREAM]...",
            help="IDs of connections, as `connections list` shows them, or names of streams, such as "
            "filtered_stream, to close all of their connections.",
            show_default=False,
        ),
    ] = None,
    all: Annotated[bool, typer.Option("--all", help="Close all active connections.")] = False,
    format: ListFormat = "text",
    *,
    reached: ConnectOptions,
) -> None:
    """Close connections, to make room for others. Exits with 5 if one could not be closed."""
    if bool(targets) == all:
        raise typer.BadParameter("expected IDs or streams, or --all, but not both", param_hint="ID")
    with failures_as_messages(reached.base_url), reached.session() as session:
        resource = Resource(session, reached.base_url, CONNECTIONS)
        answers = [resource.ask("DELETE", below="/all")] if all else list(_kill(resource, targets or []))
    results = [result for answer in answers for result in answer.get("data", {}).get("results", [])]
    show([result for result in results if result.get("success")], ["uuid"], format)
    for result in results:
        if not result.get("success"):
            reason = result.get("error_message") or "X gives no reason"
            typer.echo(plain(f"{result.get('uuid')} was not ended: {reason}."), err=True)
    ended, failed = (_count(answers, name) for name in ("successful_kills", "failed_kills"))
    rest = f", {failed} not" if failed else ""
    typer.echo(f"{ended} {'connection' if ended == 1 else 'connections'} ended{rest}.", err=True)
    if failed:
        raise typer.Exit(ExitCode.REFUSED)


def _kill(resource: Resource, targets: Sequence[str]) -> Iterator[dict[str, Any]]:
    ids = [target for target in targets if target not in CONNECTION_NAMES]
    for name in dict.fromkeys(target for target in targets if target in CONNECTION_NAMES):
        yield resource.ask("DELETE", below=f"/{name}")
    for first in range(0, len(ids), MAX_KILLS):
        yield resource.ask("DELETE", body={"uuids": ids[first : first + MAX_KILLS]})


def _want_names(names: Sequence[str], option: str) -> None:
    for name in names:
        if name not in CONNECTION_NAMES:
            raise typer.BadParameter(
                f"{name!r} is not a stream; expected one of {', '.join(NAMES)}",
                param_hint=option,
            )


def _count(answers: Sequence[dict[str, Any]], name: str) -> int:
    return sum(answer.get("data", {}).get(name, 0) for answer in answers)
