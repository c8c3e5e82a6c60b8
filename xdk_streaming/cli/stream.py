"""The verbs that stream: what each asks for. Where the items go, and how it is told, is the same for all."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Annotated
from urllib.parse import urlsplit

import typer
from rich.console import Console

from xdk_streaming.cli import endpoints, items
from xdk_streaming.cli.endpoints import Compliance, Language, Target, any_target, target
from xdk_streaming.cli.exits import ExitCode
from xdk_streaming.cli.fields import query
from xdk_streaming.cli.journal import (
    Event,
    Journal,
    LogEvents,
    Silent,
    Teller,
    event_of,
    summary_event,
)
from xdk_streaming.cli.live import LiveView, Screen
from xdk_streaming.cli.meter import Meter
from xdk_streaming.cli.options import Asked, Kept, Reached, Shown, Told, Written
from xdk_streaming.cli.rotating import Rotating
from xdk_streaming.cli.run import Run, unwritable
from xdk_streaming.cli.session import is_loopback
from xdk_streaming.cli.sinks import Pipe, Sink, open_file
from xdk_streaming.config import Buffer, Recovery, StreamConfig
from xdk_streaming.streams.sync import Stream

Partition = Annotated[int | None, typer.Option("--partition", help="Which slice of the stream, from 1.")]
GROUPS = (Asked, Shown, Written, Reached, Kept, Told)
"""The options of every verb here."""


def stream(
    address: Annotated[
        str | None,
        typer.Argument(
            metavar="ADDRESS",
            help="Another stream: its path below the base URL, or its whole URL, which is sent the token.",
            show_default=False,
        ),
    ] = None,
) -> Target:
    """Stream the posts that match the app's rules: the filtered stream; or any other, by its address."""
    return target(endpoints.FILTERED) if address is None else any_target(address)


def sample() -> Target:
    """Stream one in a hundred of all posts."""
    return target(endpoints.SAMPLE)


def sample10(partition: Partition = None) -> Target:
    """Stream one in ten of all posts, in slices 1 and 2."""
    return target(endpoints.SAMPLE10, partition)


def firehose(
    partition: Partition = None,
    lang: Annotated[Language | None, typer.Option("--lang", help="Only posts in this language.")] = None,
) -> Target:
    """Stream all posts, in slices 1 to 20; or those in one language, in fewer."""
    return target(endpoints.FIREHOSE if lang is None else endpoints.BY_LANGUAGE[lang], partition)


def likes(
    partition: Partition = None,
    sample10: Annotated[bool, typer.Option("--sample10", help="Only one in ten, in slices 1 and 2.")] = False,
) -> Target:
    """Stream likes, in slices 1 to 20."""
    return target(endpoints.LIKES10 if sample10 else endpoints.LIKES, partition)


def compliance(
    of: Annotated[Compliance, typer.Argument(metavar="posts|users|likes|labels", help="What is told of.")],
    partition: Partition = None,
) -> Target:
    """Stream what has to be deleted, hidden or labelled. Of posts and users in slices 1 to 4."""
    return target(endpoints.COMPLIANCE[of], partition)


def activity() -> Target:
    """Stream the events that the app has subscribed to."""
    return target(endpoints.ACTIVITY)


VERBS: tuple[Callable[..., Target], ...] = (stream, sample, sample10, firehose, likes, compliance, activity)


def record(
    chosen: Target, asked: Asked, shown: Shown, written: Written, reached: Reached, kept: Kept, told: Told
) -> None:
    """Stream it, until something ends it; and end the program with the code for that."""
    url = _url(chosen, reached.base_url)
    params = query(chosen, asked)
    config = _checked_config(kept, chosen)
    session = reached.session()
    console = _console(told)
    sink = _sink(written, console)
    with session:
        live = Stream(session, "get", url, config, params, response_model=bytes)
        meter = Meter(live.state, time.time())
        teller = _teller(told, url, live, meter, sink, console)
        with _telling(config, teller):
            _warn_of_clear_text(url, teller)
            run = Run(live, sink, teller, meter, _form(shown, written), shown.limit, written.for_)
            code = run.run()
    if code is not ExitCode.DONE:
        raise typer.Exit(code)


def _url(chosen: Target, base: str) -> str:
    url = chosen.url(base)
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise typer.BadParameter(
            f"{base!r} is no URL; expected one like http://127.0.0.1:8080", param_hint="--base-url"
        )
    return url


def _checked_config(kept: Kept, chosen: Target) -> StreamConfig:
    try:
        return _config(kept, chosen)
    except ValueError as refusal:
        raise typer.BadParameter(" ".join(str(refusal).split())) from refusal


def _config(kept: Kept, chosen: Target) -> StreamConfig:
    """X's own policy, and what the user wants otherwise."""
    recovery = Recovery(
        parameter=chosen.backfill_parameter if kept.backfill else None,
        max_minutes=kept.max_minutes,
        checkpoint=kept.checkpoint,
    )
    wanted = kept.backfill or kept.checkpoint is not None
    ahead = kept.buffer is not None or kept.overflow != "block"
    size = {} if kept.buffer is None else {"max_bytes": kept.buffer}
    return StreamConfig.for_x(
        max_retries=kept.max_retries,
        stall_timeout=kept.stall_timeout,
        recovery=recovery if wanted else None,
        buffer=Buffer(overflow=kept.overflow, **size) if ahead else None,
    )


def _console(told: Told) -> Console | None:
    """Where the view is drawn: on the terminal that stderr is, if it is one; None for no view."""
    if told.quiet or told.log_format is not None:
        return None
    console = Console(stderr=not sys.stdout.isatty(), highlight=False)
    return console if sys.stderr.isatty() and not console.is_dumb_terminal else None


def _sink(written: Written, console: Console | None) -> Sink:
    if written.output is None:
        if written.rotate is not None:
            raise typer.BadParameter("needs --output FILE: there is nothing to rotate", param_hint="--rotate")
        return Pipe(sys.stdout.fileno()) if console is None or console.stderr else Screen(console)
    try:
        if written.rotate is not None:
            return Rotating(written.output, written.rotate)
        return open_file(written.output)
    except OSError as refusal:
        typer.echo(unwritable(str(written.output), refusal), err=True)
        raise typer.Exit(ExitCode.FAILED) from refusal


def _form(shown: Shown, written: Written) -> Callable[[bytes], bytes]:
    if shown.format == "text":
        return items.readable
    return items.printable if written.output is None and sys.stdout.isatty() else items.as_it_came


def _teller(
    told: Told, url: str, live: Stream[bytes], meter: Meter, sink: Sink, console: Console | None
) -> Teller:
    if told.quiet:
        return Silent()
    if console is not None:
        return LiveView(url.partition("?")[0], live, meter, sink, console)
    summary = partial(summary_event, live.state, meter, sink)
    return Journal(summary, json=told.log_format == "json")


@contextmanager
def _telling(config: StreamConfig, teller: Teller) -> Iterator[None]:
    """Whatever happens meanwhile is told."""
    config.observers = (*config.observers, lambda record: teller.tell(event_of(record)))
    logger, handler = logging.getLogger("xdk_streaming"), LogEvents(teller.tell)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


def _warn_of_clear_text(url: str, teller: Teller) -> None:
    if url.startswith("http://") and not is_loopback(url):
        words = "the URL begins with http: the bearer token travels where others can read it"
        teller.tell(Event("warning", time.time(), words, {"message": words}))
