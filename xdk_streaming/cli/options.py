"""Options that several verbs share: each group a dataclass, whose fields go into the verbs' signatures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, is_dataclass
from inspect import Parameter, Signature, signature
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_type_hints

import typer
from requests import Session

from xdk_streaming.cli.quantities import Rotation, duration, rotation, size
from xdk_streaming.cli.session import BaseUrl, CaFile, ClientCert, Proxy, TokenFile, open_session
from xdk_streaming.x import BASE_URL, MAX_BACKFILL_MINUTES

T = TypeVar("T")

ENVIRONMENT = "XDK_STREAMING"
"""Every option of most verbs is also read from the variable of this prefix and its name."""
FROM_ENVIRONMENT = {"auto_envvar_prefix": ENVIRONMENT}


@dataclass(frozen=True)
class Asked:
    """What is to be in an item."""

    tweet_fields: Annotated[
        str | None, typer.Option(metavar="NAMES", help="Fields of posts, with commas between them.")
    ] = None
    expansions: Annotated[str | None, typer.Option(metavar="NAMES", help="Objects to come along.")] = None
    user_fields: Annotated[str | None, typer.Option(metavar="NAMES", help="Fields of users.")] = None
    media_fields: Annotated[str | None, typer.Option(metavar="NAMES", help="Fields of media.")] = None
    poll_fields: Annotated[str | None, typer.Option(metavar="NAMES", help="Fields of polls.")] = None
    place_fields: Annotated[str | None, typer.Option(metavar="NAMES", help="Fields of places.")] = None
    all_fields: Annotated[
        bool, typer.Option("--all-fields", help="All fields and expansions that an app's token may ask for.")
    ] = False
    param: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUE", help="Any other parameter; may be given again.")
    ] = None


@dataclass(frozen=True)
class Shown:
    """Which items are shown, and how."""

    format: Annotated[
        Literal["json", "text"],
        typer.Option("--format", "-f", help="Each item as its line, as it came; or a line to read."),
    ] = "json"
    limit: Annotated[int | None, typer.Option("--limit", "-n", min=1, help="End after so many items.")] = None


@dataclass(frozen=True)
class Written:
    """Where the items go."""

    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            dir_okay=False,
            help="The file to append to, compressed where it ends in .zst or .gz; else standard output.",
        ),
    ] = None
    rotate: Annotated[
        Rotation | None,
        typer.Option(
            parser=rotation,
            metavar="TIME|SIZE",
            help="Begin another file after so long (1h), or so much (500MB). Its time is put into its name.",
        ),
    ] = None
    for_: Annotated[
        float | None,
        typer.Option(
            "--for",
            envvar=f"{ENVIRONMENT}_FOR",
            parser=duration,
            metavar="TIME",
            help="End after so long: 10m, 1h30m.",
        ),
    ] = None


@dataclass(frozen=True)
class Reached:
    """How X is reached."""

    bearer_token_file: TokenFile = None
    base_url: BaseUrl = BASE_URL
    proxy: Proxy = None
    ca_file: CaFile = None
    client_cert: ClientCert = None

    def session(self) -> Session:
        """One with the token. Ends the program with a sentence where there is none."""
        return open_session(
            self.bearer_token_file, proxy=self.proxy, ca_file=self.ca_file, client_cert=self.client_cert
        )


@dataclass(frozen=True)
class Kept:
    """What becomes of faults, and of what they would lose."""

    max_retries: Annotated[
        int, typer.Option(help="Attempts in a row that may bring nothing; a negative number for no end.")
    ] = -1
    stall_timeout: Annotated[
        float, typer.Option(min=0.1, help="Seconds of silence that make a fault; X sends a heartbeat at 20.")
    ] = 21.0
    backfill: Annotated[
        bool,
        typer.Option(
            "--backfill", help="Have X send again what was missed, where the app is entitled to it."
        ),
    ] = False
    max_minutes: Annotated[
        int, typer.Option(min=1, max=MAX_BACKFILL_MINUTES, help="Minutes of backfill, at most.")
    ] = MAX_BACKFILL_MINUTES
    checkpoint: Annotated[
        Path | None,
        typer.Option(dir_okay=False, help="A file that remembers across restarts what was written."),
    ] = None
    buffer: Annotated[
        int | None,
        typer.Option(parser=size, metavar="SIZE", help="Read ahead of a slow output, so much: 64MiB."),
    ] = None
    overflow: Annotated[
        Literal["block", "drop_oldest", "fail"], typer.Option(help="What becomes of a full buffer.")
    ] = "block"


@dataclass(frozen=True)
class Told:
    """What is told on standard error."""

    log_format: Annotated[
        Literal["text", "json"] | None,
        typer.Option(
            help="A line for each change and a summary a minute, instead of the live view on a terminal.",
            show_default="live view on a terminal, else text",
        ),
    ] = None
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Nothing but what ended it.")] = False


def command(own: Callable[..., T], then: Callable[..., None], *groups: type[Any]) -> Callable[..., None]:
    """The verb `own` with the options of these groups: `then` gets what it returns, and the groups."""
    parameters = [*signature(own, eval_str=True).parameters.values()]
    named = {parameter.name for parameter in parameters}

    def run(**given: Any) -> None:
        chosen = own(**{name: value for name, value in given.items() if name in named})
        then(chosen, *(_filled(group, given) for group in groups))

    parameters += [parameter for group in groups for parameter in _parameters(group)]
    return _looking_like(own, run, parameters)


def grouped(verb: Callable[..., None]) -> Callable[..., None]:
    """The verb, with the options of each group that it takes in the group's place."""
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
    run.__signature__ = Signature(by_name)  # type: ignore[attr-defined]  # inspect.signature() asks for it
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in by_name}
    run.__name__, run.__doc__ = verb.__name__, verb.__doc__
    return run


def add(app: typer.Typer, verb: Callable[..., None]) -> None:
    """Put a verb into the program, with its options from the environment, too."""
    app.command(context_settings=FROM_ENVIRONMENT)(verb)


def _parameters(group: type[Any]) -> list[Parameter]:
    hints = get_type_hints(group, include_extras=True)
    return [
        Parameter(entry.name, Parameter.KEYWORD_ONLY, default=entry.default, annotation=hints[entry.name])
        for entry in fields(group)
    ]


def _filled(group: type[T], given: dict[str, Any]) -> T:
    return group(**{entry.name: given[entry.name] for entry in fields(group)})  # type: ignore[arg-type]
