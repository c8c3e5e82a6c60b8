"""What the verbs of rules and connections share: the format of lists, and error messages for failures."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Literal

import typer

from xdk_streaming.cli.exits import ExitCode, exit_code
from xdk_streaming.cli.printable import plain
from xdk_streaming.cli.session import is_loopback
from xdk_streaming.errors import StreamError
from xdk_streaming.wire.resource import NoAnswer

ListFormat = Annotated[
    Literal["text", "json"],
    typer.Option("--format", "-f", help="Write aligned text, or one JSON object per line."),
]


@contextmanager
def failures_as_messages(base_url: str) -> Iterator[None]:
    """Exit with an error message and its code if the block raises `StreamError`."""
    if base_url.startswith("http://") and not is_loopback(base_url):
        typer.echo("Warning: --base-url begins with http: the bearer token is sent unencrypted.", err=True)
    try:
        yield
    except StreamError as error:
        typer.echo(plain(error), err=True)
        if isinstance(error, NoAnswer):
            code = ExitCode.FAILED if error.status_code is None else ExitCode.REFUSED
        else:
            code = exit_code(error)
        raise typer.Exit(code) from error
