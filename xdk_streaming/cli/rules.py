"""`xdk-streaming rules`: list, add, delete and check the rules of the filtered stream."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from xdk_streaming.cli.columns import show
from xdk_streaming.cli.exits import ExitCode
from xdk_streaming.cli.options import FROM_ENVIRONMENT, ConnectOptions, grouped
from xdk_streaming.cli.resource import ListFormat, Resource
from xdk_streaming.x import MAX_RULES_PER_PAGE, RULES

COLUMNS = ("id", "value", "tag")
STDIN = Path("-")

DryRun = Annotated[
    bool,
    typer.Option(
        "--dry-run", help="Let X check the request and report the result, without changing anything."
    ),
]

rules = typer.Typer(
    help="Manage the rules of the filtered stream, which delivers posts that match a rule.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@rules.command("list", context_settings=FROM_ENVIRONMENT)
@grouped
def list_rules(
    format: ListFormat = "text",
    *,
    reached: ConnectOptions,
) -> None:
    """List all rules: id, value and tag."""
    with reached.session() as session:
        found = list(
            Resource(session, reached.base_url, RULES).pages({"max_results": str(MAX_RULES_PER_PAGE)})
        )
    show(found, COLUMNS, format)
    if not found:
        typer.echo("No rules found. X refuses the filtered stream until a rule is added.", err=True)


@rules.command(context_settings=FROM_ENVIRONMENT)
@grouped
def add(
    values: Annotated[
        list[str] | None,
        typer.Argument(metavar="VALUE...", help="Rules to add, such as 'cat -dog'.", show_default=False),
    ] = None,
    tag: Annotated[
        str | None,
        typer.Option(help="Label for the VALUEs; sent along with each post that matches one of them."),
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option(
            allow_dash=True,
            metavar="FILE",
            help='Read rules from FILE, one per line, as text or as {"value": ..., "tag": ...}; - for stdin.',
        ),
    ] = None,
    dry_run: DryRun = False,
    format: ListFormat = "text",
    *,
    reached: ConnectOptions,
) -> None:
    """Add rules. Shows the rules that X accepted, and why X refused each of the others.

    Exits with 5 if a rule was refused; the accepted rules stay in place.
    """
    wanted: list[dict[str, str]] = [
        {"value": value} | ({"tag": tag} if tag else {}) for value in values or []
    ]
    if tag is not None and not values:
        raise typer.BadParameter("requires a VALUE to label", param_hint="--tag")
    wanted += [] if file is None else _read(file)
    if not wanted:
        raise typer.BadParameter("there is no rule to add; expected a VALUE or --file", param_hint="VALUE")
    with reached.session() as session:
        answer = Resource(session, reached.base_url, RULES).ask(
            "POST", params=_params(dry_run), body={"add": wanted}
        )
    show(answer.get("data", []), COLUMNS, format)
    _conclude(answer, "created", "added", dry_run)


@rules.command(context_settings=FROM_ENVIRONMENT)
@grouped
def delete(
    ids: Annotated[
        list[str] | None,
        typer.Argument(metavar="ID...", help="IDs of rules, as `rules list` shows them.", show_default=False),
    ] = None,
    all: Annotated[bool, typer.Option("--all", help="Delete all rules.")] = False,
    dry_run: DryRun = False,
    *,
    reached: ConnectOptions,
) -> None:
    """Delete rules. Exits with 5 if one of the rules does not exist."""
    if bool(ids) == all:
        raise typer.BadParameter("expected IDs of rules, or --all, but not both", param_hint="ID")
    params = _params(dry_run) | ({"delete_all": "true"} if all else {})
    body: dict[str, Any] = {} if all else {"delete": {"ids": ids}}
    with reached.session() as session:
        answer = Resource(session, reached.base_url, RULES).ask("POST", params=params, body=body)
    _conclude(answer, "deleted", "deleted", dry_run)


def _params(dry_run: bool) -> dict[str, str]:
    return {"dry_run": "true"} if dry_run else {}


def _read(file: Path) -> list[dict[str, str]]:
    try:
        text = sys.stdin.read() if file == STDIN else file.read_text(encoding="utf-8")
    except (OSError, UnicodeError) as refusal:
        reason = refusal.strerror if isinstance(refusal, OSError) else "the file is not UTF-8"
        raise typer.BadParameter(f"{file} cannot be read: {reason}", param_hint="--file") from refusal
    return [
        _rule(line.strip(), f"{file}, line {number}")
        for number, line in enumerate(text.split("\n"), 1)
        if line.strip()
    ]


def _rule(line: str, place: str) -> dict[str, str]:
    """Parse a line: a JSON object, or a rule as plain text. No rule of X begins with a brace."""
    if not line.startswith("{"):
        return {"value": line}
    try:
        rule = json.loads(line)
    except (ValueError, RecursionError) as refusal:
        raise typer.BadParameter(f"{place} is not JSON: {refusal}", param_hint="--file") from refusal
    texts = all(isinstance(text, str) for text in rule.values())
    if not texts or "value" not in rule or set(rule) - set(COLUMNS):
        expected = 'expected {"value": "...", "tag": "..."}, or the rule as text'
        raise typer.BadParameter(f"{place} is not a rule; {expected}", param_hint="--file")
    return {name: text for name, text in rule.items() if name != "id"}  # the output of `rules list` has ids


def _conclude(answer: Mapping[str, Any], counted: str, done: str, dry_run: bool) -> None:
    """Report the result; exit with 5 if something was refused."""
    errors: Sequence[Mapping[str, Any]] = answer.get("errors", [])
    for error in errors:
        typer.echo(_sentence(error), err=True)
    summary = answer.get("meta", {}).get("summary", {})
    count, missed = summary.get(counted, 0), summary.get(f"not_{counted}", len(errors))
    would = "would be " if dry_run else ""
    rest = f", {missed} not" if missed else ""
    typer.echo(f"{count} {'rule' if count == 1 else 'rules'} {would}{done}{rest}.", err=True)
    if errors or missed:
        raise typer.Exit(ExitCode.REFUSED)


def _sentence(error: Mapping[str, Any]) -> str:
    """The error message for one rule."""
    reasons = "; ".join(_reasons(error)) or "X gives no reason"
    if "value" not in error:
        return f"X refused one of the rules: {reasons}."
    rule = repr(error["value"])
    if error.get("title") == "DuplicateRule":
        return f"{rule} already exists, as rule {error.get('id', '?')}."
    return f"{rule} was refused: {reasons}."


def _reasons(error: Mapping[str, Any]) -> Iterator[str]:
    """The reasons about the rule itself; if there are none, the general one."""
    nearest = [*error.get("details", []), *(each.get("message") for each in error.get("errors", []))]
    yield from map(str, filter(None, nearest or [error.get("detail"), error.get("title")]))
