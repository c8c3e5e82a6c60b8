"""Options that several verbs share: each group is a dataclass whose fields become options of a verb."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, is_dataclass
from inspect import Parameter, Signature, signature
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_type_hints

import typer
from requests import Session

from xdk_streaming.cli.completion import some_of
from xdk_streaming.cli.quantities import Rotation, duration, rotation, size
from xdk_streaming.cli.session import BaseUrl, CaFile, ClientCert, Proxy, TokenFile, open_session
from xdk_streaming.cli.verb import Verb
from xdk_streaming.x import (
    BASE_URL,
    EXPANSIONS,
    MAX_BACKFILL_MINUTES,
    MEDIA_FIELDS,
    PLACE_FIELDS,
    POLL_FIELDS,
    POST_FIELDS,
    USER_FIELDS,
)

T = TypeVar("T")

ENVIRONMENT_PREFIX = "XDK_STREAMING"
"""Prefix of environment variables: most verbs also read each option from PREFIX_OPTION."""
FROM_ENVIRONMENT = {"auto_envvar_prefix": ENVIRONMENT_PREFIX}


@dataclass(frozen=True)
class FieldOptions:
    """Fields and expansions to request."""

    tweet_fields: Annotated[
        str | None,
        typer.Option(
            metavar="NAMES",
            autocompletion=some_of(POST_FIELDS),
            help="Post fields to request, separated by commas.",
        ),
    ] = None
    expansions: Annotated[
        str | None,
        typer.Option(
            metavar="NAMES",
            autocompletion=some_of(EXPANSIONS),
            help="Expansions to request: related objects, sent along in `includes`.",
        ),
    ] = None
    user_fields: Annotated[
        str | None,
        typer.Option(metavar="NAMES", autocompletion=some_of(USER_FIELDS), help="User fields to request."),
    ] = None
    media_fields: Annotated[
        str | None,
        typer.Option(metavar="NAMES", autocompletion=some_of(MEDIA_FIELDS), help="Media fields to request."),
    ] = None
    poll_fields: Annotated[
        str | None,
        typer.Option(metavar="NAMES", autocompletion=some_of(POLL_FIELDS), help="Poll fields to request."),
    ] = None
    place_fields: Annotated[
        str | None,
        typer.Option(metavar="NAMES", autocompletion=some_of(PLACE_FIELDS), help="Place fields to request."),
    ] = None
    all_fields: Annotated[
        bool,
        typer.Option("--all-fields", help="Request all fields and expansions available to an app token."),
    ] = False
    param: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="Send another query parameter; may be repeated."),
    ] = None


@dataclass(frozen=True)
class DisplayOptions:
    """How many items to write, and in which format."""

    format: Annotated[
        Literal["json", "text"],
        typer.Option(
            "--format", "-f", help="Write each item as JSON, exactly as received, or as a line of text."
        ),
    ] = "json"
    limit: Annotated[int | None, typer.Option("--limit", "-n", min=1, help="Stop after this many items.")] = (
        None
    )


@dataclass(frozen=True)
class OutputOptions:
    """Where to write the items, and for how long."""

    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            dir_okay=False,
            metavar="FILE",
            help="Append to FILE, compressed if its name ends in .zst or .gz; default: standard output.",
        ),
    ] = None
    rotate: Annotated[
        Rotation | None,
        typer.Option(
            parser=rotation,
            metavar="TIME|SIZE",
            help="Start a new file after this time (1h) or size (500MB). File names get a timestamp.",
        ),
    ] = None
    for_: Annotated[
        float | None,
        typer.Option(
            "--for",
            envvar=f"{ENVIRONMENT_PREFIX}_FOR",
            parser=duration,
            metavar="TIME",
            help="Stop after this time: 10m, 1h30m.",
        ),
    ] = None


@dataclass(frozen=True)
class ConnectOptions:
    """How to connect to X."""

    bearer_token_file: TokenFile = None
    base_url: BaseUrl = BASE_URL
    proxy: Proxy = None
    ca_file: CaFile = None
    client_cert: ClientCert = None

    def session(self) -> Session:
        """A session with the bearer token. Exits with an error message if there is no token."""
        return open_session(
            self.bearer_token_file, proxy=self.proxy, ca_file=self.ca_file, client_cert=self.client_cert
        )


@dataclass(frozen=True)
class RecoveryOptions:
    """How to handle faults, and how to recover items that they would lose."""

    max_retries: Annotated[
        int, typer.Option(help="Give up after this many attempts without an item; negative: never.")
    ] = -1
    stall_timeout: Annotated[
        float,
        typer.Option(
            min=0.1, help="Reconnect after this many seconds of silence; X sends a heartbeat every 20."
        ),
    ] = 21.0
    backfill: Annotated[
        bool,
        typer.Option("--backfill", help="Ask X to resend missed items; the app needs access to backfill."),
    ] = False
    max_minutes: Annotated[
        int, typer.Option(min=1, max=MAX_BACKFILL_MINUTES, help="Maximum minutes of backfill.")
    ] = MAX_BACKFILL_MINUTES
    checkpoint: Annotated[
        Path | None,
        typer.Option(
            dir_okay=False,
            metavar="FILE",
            help="Remember in FILE, across restarts, which items were written.",
        ),
    ] = None
    buffer: Annotated[
        int | None,
        typer.Option(parser=size, metavar="SIZE", help="Buffer up to this much for a slow output: 64MiB."),
    ] = None
    overflow: Annotated[
        Literal["block", "drop_oldest", "fail"], typer.Option(help="What to do if the buffer is full.")
    ] = "block"


@dataclass(frozen=True)
class LogOptions:
    """What to write to standard error."""

    log_format: Annotated[
        Literal["text", "json"] | None,
        typer.Option(
            help="Write a line per event and a summary per minute, instead of the live view.",
            show_default="live view on a terminal, text otherwise",
        ),
    ] = None
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Write only the reason for an abnormal end.")
    ] = False


def command(own: Callable[..., T], then: Callable[..., None], *groups: type[Any]) -> Callable[..., None]:
    """The verb `own` with the options of these groups; `then` receives the result of `own` and the groups."""
    parameters = [*signature(own, eval_str=True).parameters.values()]
    named = {parameter.name for parameter in parameters}

    def run(**given: Any) -> None:
        chosen = own(**{name: value for name, value in given.items() if name in named})
        then(chosen, *(_filled(group, given) for group in groups))

    parameters += [parameter for group in groups for parameter in _parameters(group)]
    return _looking_like(own, run, parameters)


def grouped(verb: Callable[..., None]) -> Callable[..., None]:
    """The verb, with each parameter that is a group replaced by the options of the group."""
    parameters = signature(verb, eval_str=True).parameters
    annotations = {name: each.annotation for name, each in parameters.items()}
    groups = {
        name: kind for name, kind in annotations.items() if isinstance(kind, type) and is_dataclass(kind)
    }

    def run(**given: Any) -> None:
        filled = {name: _filled(group, given) for name, group in groups.items()}
        verb(**filled, **{name: given[name] for name in parameters if name not in groups})

    flat = [
        option
        for name, each in parameters.items()
        for option in (_parameters(groups[name]) if name in groups else [each])
    ]
    return _looking_like(verb, run, flat)


def _looking_like(
    verb: Callable[..., Any], run: Callable[..., None], parameters: Sequence[Parameter]
) -> Callable[..., None]:
    by_name = [parameter.replace(kind=Parameter.KEYWORD_ONLY) for parameter in parameters]
    run.__signature__ = Signature(by_name)  # type: ignore[attr-defined]  # read by inspect.signature()
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in by_name}
    run.__name__, run.__doc__ = verb.__name__, verb.__doc__
    return run


def add_verb(app: typer.Typer, verb: Callable[..., None], summary: str | None = None, *examples: str) -> None:
    """Add a verb to the program; the options of the verb can also come from the environment.

    `summary` stands in the list of all verbs, in a line of a terminal with 80 columns; by default it is the
    first sentence of the docstring.
    """
    app.command(
        cls=Verb,
        context_settings=FROM_ENVIRONMENT,
        short_help=summary,
        epilog="\n".join(examples) or None,
    )(verb)


def _parameters(group: type[Any]) -> list[Parameter]:
    hints = get_type_hints(group, include_extras=True)
    for hint in hints.values():
        for option in getattr(hint, "__metadata__", ()):
            option.rich_help_panel = group.__doc__.partition("\n")[0].rstrip(".") if group.__doc__ else None
    return [
        Parameter(entry.name, Parameter.KEYWORD_ONLY, default=entry.default, annotation=hints[entry.name])
        for entry in fields(group)
    ]


def _filled(group: type[T], given: dict[str, Any]) -> T:
    return group(**{entry.name: given[entry.name] for entry in fields(group)})  # type: ignore[arg-type]
