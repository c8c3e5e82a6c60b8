"""The streaming verbs: what each of them streams. Output and reporting are the same for all."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from itertools import count
from typing import Annotated
from urllib.parse import urlsplit

import typer
from pydantic import ValidationError
from rich.console import Console

from xdk_streaming.cli import endpoints, items
from xdk_streaming.cli.completion import addresses
from xdk_streaming.cli.endpoints import Compliance, Language, Target, any_target, target
from xdk_streaming.cli.exits import ExitCode
from xdk_streaming.cli.fields import query
from xdk_streaming.cli.live import LiveView, Screen
from xdk_streaming.cli.meter import Meter
from xdk_streaming.cli.options import (
    ConnectOptions,
    DisplayOptions,
    FieldOptions,
    LogOptions,
    OutputOptions,
    RecoveryOptions,
)
from xdk_streaming.cli.recording.opening import is_supported, open_output, supported
from xdk_streaming.cli.recording.pipe import Pipe
from xdk_streaming.cli.recording.rotating import Rotating
from xdk_streaming.cli.recording.sink import Sink
from xdk_streaming.cli.reporting import (
    LineReporter,
    LoggedEvents,
    Reporter,
    SilentReporter,
    event_of,
    message_event,
    summary_event,
)
from xdk_streaming.cli.run import Run, unwritable
from xdk_streaming.cli.session import is_loopback
from xdk_streaming.clock import monotonic
from xdk_streaming.config import Buffer, Record, Recovery, StreamConfig
from xdk_streaming.state import InvalidLine, Transition
from xdk_streaming.streams.sync import Stream
from xdk_streaming.wire.secrets import shown_url

Partition = Annotated[
    int | None,
    typer.Option("--partition", help="Stream this partition of the stream; partitions count from 1."),
]
MAX_INVALID = 5
"""Lines that are no items of which each is an event of the JSON log."""
GROUPS = (FieldOptions, DisplayOptions, OutputOptions, ConnectOptions, RecoveryOptions, LogOptions)
"""The option groups of every streaming verb."""


def stream(
    address: Annotated[
        str | None,
        typer.Argument(
            metavar="ADDRESS",
            help="Another stream: a path below the base URL, or a complete URL, to which the token is sent.",
            autocompletion=addresses,
            show_default=False,
        ),
    ] = None,
) -> Target:
    """Stream the posts that match the app's rules (the filtered stream), or another stream by its address."""
    return target(endpoints.FILTERED) if address is None else any_target(address)


def sample() -> Target:
    """Stream one percent of all posts."""
    return target(endpoints.SAMPLE)


def sample10(partition: Partition = None) -> Target:
    """Stream ten percent of all posts, split into partitions 1 and 2."""
    return target(endpoints.SAMPLE10, partition)


def firehose(
    partition: Partition = None,
    lang: Annotated[
        Language | None, typer.Option("--lang", help="Stream only posts in this language.")
    ] = None,
) -> Target:
    """Stream all posts, split into partitions 1 to 20, or the posts in one language, split into fewer."""
    return target(endpoints.FIREHOSE if lang is None else endpoints.BY_LANGUAGE[lang], partition)


def likes(
    partition: Partition = None,
    sample10: Annotated[
        bool, typer.Option("--sample10", help="Stream only ten percent, split into partitions 1 and 2.")
    ] = False,
) -> Target:
    """Stream likes, split into partitions 1 to 20."""
    return target(endpoints.LIKES10 if sample10 else endpoints.LIKES, partition)


def compliance(
    of: Annotated[
        Compliance, typer.Argument(metavar="posts|users|likes|labels", help="The subject of the events.")
    ],
    partition: Partition = None,
) -> Target:
    """Stream events about content to delete, hide or label. Posts and users have partitions 1 to 4."""
    return target(endpoints.COMPLIANCE[of], partition)


def activity() -> Target:
    """Stream the events that the app subscribes to."""
    return target(endpoints.ACTIVITY)


VERBS: tuple[Callable[..., Target], ...] = (stream, sample, sample10, firehose, likes, compliance, activity)


def record(
    chosen: Target,
    fields: FieldOptions,
    display: DisplayOptions,
    output: OutputOptions,
    connect: ConnectOptions,
    recovery_options: RecoveryOptions,
    log: LogOptions,
) -> None:
    """Stream until something ends the stream, then exit with the matching code."""
    url = _url(chosen, connect.base_url)
    params = query(chosen, fields)
    config = _checked_config(recovery_options, chosen)
    session = connect.session()
    console = _console(log)
    sink = _sink(output, console)
    with session:
        live = Stream(session, "get", url, config, params, response_model=bytes)
        meter = Meter(live.state, monotonic())
        reporter = _reporter(log, url, live, meter, sink, console)
        with _reporting(config, reporter, every=log.log_format == "json"):
            _warn_of_clear_text(url, reporter)
            _name_fields(params, fields, reporter)
            run = Run(live, sink, reporter, meter, _form(display, output), display.limit, output.for_)
            code = run.run()
    if code is not ExitCode.DONE:
        raise typer.Exit(code)


def _url(chosen: Target, base: str) -> str:
    url = chosen.url(base)
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # an IPv6 address without its bracket, a port that is none
        usable = False
    if not usable:
        raise typer.BadParameter(
            f"{base!r} is not a URL; expected one like http://127.0.0.1:8080", param_hint="--base-url"
        )
    return url


def _checked_config(recovery_options: RecoveryOptions, chosen: Target) -> StreamConfig:
    try:
        return _config(recovery_options, chosen)
    except ValueError as refusal:
        raise typer.BadParameter(_refused_setting(refusal)) from refusal


def _refused_setting(refusal: ValueError) -> str:
    """What the settings object to, without pydantic's own words around it."""
    if isinstance(refusal, ValidationError):
        named = [(".".join(map(str, error["loc"])), error["msg"]) for error in refusal.errors()]
        sentences = [(place, words.removeprefix("Value error, ")) for place, words in named]
        return "; ".join(f"{place}: {words}" if place else words for place, words in sentences)
    return " ".join(str(refusal).split())


def _config(recovery_options: RecoveryOptions, chosen: Target) -> StreamConfig:
    """X's own policy, with the settings that the user changed."""
    recovery = Recovery(
        parameter=chosen.backfill_parameter if recovery_options.backfill else None,
        max_minutes=recovery_options.max_minutes,
        checkpoint=recovery_options.checkpoint,
    )
    wanted = recovery_options.backfill or recovery_options.checkpoint is not None
    ahead = recovery_options.buffer is not None or recovery_options.overflow != "block"
    size = {} if recovery_options.buffer is None else {"max_bytes": recovery_options.buffer}
    return StreamConfig.for_x(
        max_retries=recovery_options.max_retries,
        stall_timeout=recovery_options.stall_timeout,
        recovery=recovery if wanted else None,
        buffer=Buffer(overflow=recovery_options.overflow, **size) if ahead else None,
    )


def _console(log: LogOptions) -> Console | None:
    """The console for the live view; None if standard error is not a terminal, or no view is wanted."""
    if log.quiet or log.log_format is not None:
        return None
    console = Console(stderr=not sys.stdout.isatty(), highlight=False)
    return console if sys.stderr.isatty() and not console.is_dumb_terminal else None


def _sink(output: OutputOptions, console: Console | None) -> Sink:
    if output.output is None:
        if output.rotate is not None:
            raise typer.BadParameter(
                "requires --output FILE: standard output cannot be rotated", param_hint="--rotate"
            )
        return Pipe(sys.stdout.fileno()) if console is None or console.stderr else Screen(console)
    if not is_supported(output.output):
        raise typer.BadParameter(
            f"{output.output.name} would contain lines of JSON, whatever its name says; "
            f"expected a name that ends in {supported()}",
            param_hint="--output",
        )
    try:
        if output.rotate is not None:
            return Rotating(output.output, output.rotate)
        return open_output(output.output)
    except OSError as refusal:
        typer.echo(unwritable(str(output.output), refusal), err=True)
        raise typer.Exit(ExitCode.FAILED) from refusal


def _form(display: DisplayOptions, output: OutputOptions) -> Callable[[bytes], bytes]:
    if display.format == "text":
        return items.readable
    return items.printable_json if output.output is None and sys.stdout.isatty() else items.as_it_came


def _reporter(
    log: LogOptions, url: str, live: Stream[bytes], meter: Meter, sink: Sink, console: Console | None
) -> Reporter:
    if log.quiet:
        return SilentReporter()
    if console is not None:
        return LiveView(shown_url(url), live, meter, sink, console)
    summary = partial(summary_event, live.state, meter, sink)
    return LineReporter(summary, json=log.log_format == "json")


@contextmanager
def _reporting(config: StreamConfig, reporter: Reporter, *, every: bool) -> Iterator[None]:
    """Pass records and log messages to the reporter, within the block.

    `every`: each transition is passed on; otherwise those that the log of an outage has at INFO.
    """

    invalid = count(1)

    def observe(record: Record) -> None:
        if isinstance(record, InvalidLine):  # the log has the first, and then their number once a minute
            shown = every and next(invalid) <= MAX_INVALID
        else:
            shown = every or not isinstance(record, Transition)
        if shown:
            reporter.report(event_of(record))

    config.observers = (*config.observers, observe)
    logger, handler = logging.getLogger("xdk_streaming"), LoggedEvents(reporter.report, transitions=not every)
    before = logger.level
    logger.setLevel(min(logging.INFO, logger.getEffectiveLevel()))
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)


def _name_fields(params: Mapping[str, str], fields: FieldOptions, reporter: Reporter) -> None:
    """Say which fields are asked for: an item has no others, and X sends few by itself."""
    asked = {name: names for name, names in params.items() if name.endswith("fields") or name == "expansions"}
    if asked and not fields.all_fields:
        words = ", ".join(f"{name}={names}" for name, names in asked.items())
        reporter.report(message_event("INFO", f"asking for {words}; --all-fields asks for all", time.time()))


def _warn_of_clear_text(url: str, reporter: Reporter) -> None:
    if url.startswith("http://") and not is_loopback(url):
        words = "the URL begins with http: the bearer token is sent unencrypted"
        reporter.report(message_event("WARNING", words, time.time()))
