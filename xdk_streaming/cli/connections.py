"""`xdk-streaming connections`: the streams that an app has open, listed and ended.

The cure for TooManyConnections: X may hold the place of a connection that is long lost.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Literal

import typer

from xdk_streaming.cli.columns import show
from xdk_streaming.cli.exits import ExitCode
from xdk_streaming.cli.options import FROM_ENVIRONMENT, Reached, grouped
from xdk_streaming.cli.resource import Format, Resource
from xdk_streaming.x import (
    CONNECTION_FIELDS,
    CONNECTION_NAMES,
    CONNECTIONS,
    MAX_CONNECTIONS_PER_PAGE,
    MAX_KILLS,
)

NAMES = sorted(CONNECTION_NAMES)

connections = typer.Typer(
    help="The streams that the app has open: the cure for TooManyConnections.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@connections.command("list", context_settings=FROM_ENVIRONMENT)
@grouped
def list_connections(
    status: Annotated[
        Literal["active", "inactive", "all"],
        typer.Option(help="Those that hold a place now, those that are over, or both."),
    ] = "active",
    endpoint: Annotated[
        list[str] | None,
        typer.Option(help=f"Only those of this stream; may be given again. {', '.join(NAMES)}."),
    ] = None,
    format: Format = "text",
    *,
    reached: Reached,
) -> None:
    """Show connections: id, stream, since when and from where; of those that are over, when and why."""
    _want_names(endpoint or [], "--endpoint")
    params = {
        "status": status,
        "connection.fields": ",".join(CONNECTION_FIELDS),
        "max_results": str(MAX_CONNECTIONS_PER_PAGE),
        **({"endpoints": ",".join(endpoint)} if endpoint else {}),
    }
    with reached.session() as session:
        found = list(Resource(session, reached.base_url, CONNECTIONS).pages(params))
    show(found, CONNECTION_FIELDS, format)
    if not found:
        typer.echo("There are no such connections.", err=True)


@connections.command(context_settings=FROM_ENVIRONMENT)
@grouped
def kill(
    targets: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[ID|STREAM]...",
            help="Connections by the ids that `connections list` shows, or all those of a stream, such as "
            "filtered_stream.",
            show_default=False,
        ),
    ] = None,
    all: Annotated[bool, typer.Option("--all", help="All that are active.")] = False,
    format: Format = "text",
    *,
    reached: Reached,
) -> None:
    """End connections, so that others find a place. Exits with 5 where one could not be ended."""
    if bool(targets) == all:
        raise typer.BadParameter("give ids or streams, or --all, and not both", param_hint="ID")
    with reached.session() as session:
        resource = Resource(session, reached.base_url, CONNECTIONS)
        answers = [resource.ask("DELETE", below="/all")] if all else list(_kill(resource, targets or []))
    results = [result for answer in answers for result in answer.get("data", {}).get("results", [])]
    show([result for result in results if result.get("success")], ["uuid"], format)
    for result in results:
        if not result.get("success"):
            reason = result.get("error_message") or "X gives no reason"
            typer.echo(f"{result.get('uuid')} was not ended: {reason}.", err=True)
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
                f"{name!r} is no stream; expected one of {', '.join(NAMES)}",
                param_hint=option,
            )


def _count(answers: Sequence[dict[str, Any]], name: str) -> int:
    return sum(answer.get("data", {}).get(name, 0) for answer in answers)
