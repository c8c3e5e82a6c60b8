"""`xdk-streaming rules`: the rules of the filtered stream, listed, added, deleted, tried."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from xdk_streaming.cli.columns import show
from xdk_streaming.cli.exits import ExitCode
from xdk_streaming.cli.options import FROM_ENVIRONMENT, Reached, grouped
from xdk_streaming.cli.resource import Format, Resource
from xdk_streaming.x import MAX_RULES_PER_PAGE, RULES

COLUMNS = ("id", "value", "tag")
STDIN = Path("-")

DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Have X check it and say what would be, and change nothing.")
]

rules = typer.Typer(
    help="The rules of the filtered stream: a post comes if it matches one.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@rules.command("list", context_settings=FROM_ENVIRONMENT)
@grouped
def list_rules(
    format: Format = "text",
    *,
    reached: Reached,
) -> None:
    """Show all rules: id, value and tag."""
    with reached.session() as session:
        found = list(
            Resource(session, reached.base_url, RULES).pages({"max_results": str(MAX_RULES_PER_PAGE)})
        )
    show(found, COLUMNS, format)
    if not found:
        typer.echo("There are no rules: the filtered stream cannot be opened until one is added.", err=True)


@rules.command(context_settings=FROM_ENVIRONMENT)
@grouped
def add(
    values: Annotated[
        list[str] | None,
        typer.Argument(metavar="VALUE...", help="What to match, such as 'cat -dog'.", show_default=False),
    ] = None,
    tag: Annotated[
        str | None, typer.Option(help="A label that comes with each post that matches one of the VALUEs.")
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option(
            allow_dash=True,
            help='A file with a rule a line, as it is or as {"value": ..., "tag": ...}; - for stdin.',
        ),
    ] = None,
    dry_run: DryRun = False,
    format: Format = "text",
    *,
    reached: Reached,
) -> None:
    """Add rules. Shows those that X took, and what it says against each of the others.

    Exits with 5 where one was not taken: nothing is undone for that.
    """
    wanted: list[dict[str, str]] = [
        {"value": value} | ({"tag": tag} if tag else {}) for value in values or []
    ]
    if tag is not None and not values:
        raise typer.BadParameter("it labels VALUEs, and there is none", param_hint="--tag")
    wanted += [] if file is None else _read(file)
    if not wanted:
        raise typer.BadParameter("there is no rule to add; give a VALUE, or --file", param_hint="VALUE")
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
        typer.Argument(
            metavar="ID...", help="Which, by the ids that `rules list` shows.", show_default=False
        ),
    ] = None,
    all: Annotated[bool, typer.Option("--all", help="All that there are.")] = False,
    dry_run: DryRun = False,
    *,
    reached: Reached,
) -> None:
    """Delete rules. Exits with 5 where one of them is not there."""
    if bool(ids) == all:
        raise typer.BadParameter("give the ids of rules, or --all, and not both", param_hint="ID")
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
        reason = refusal.strerror if isinstance(refusal, OSError) else "it is not UTF-8"
        raise typer.BadParameter(f"{file} cannot be read: {reason}", param_hint="--file") from refusal
    return [
        _rule(line.strip(), f"{file}, line {number}")
        for number, line in enumerate(text.split("\n"), 1)
        if line.strip()
    ]


def _rule(line: str, place: str) -> dict[str, str]:
    """A line is a rule as it is, unless it begins as an object does: no rule of X can."""
    if not line.startswith("{"):
        return {"value": line}
    try:
        rule = json.loads(line)
    except ValueError as refusal:
        raise typer.BadParameter(f"{place} is no JSON: {refusal}", param_hint="--file") from refusal
    texts = all(isinstance(text, str) for text in rule.values())
    if not texts or "value" not in rule or set(rule) - set(COLUMNS):
        expected = 'expected {"value": "...", "tag": "..."}, or the rule as it is'
        raise typer.BadParameter(f"{place} is no rule; {expected}", param_hint="--file")
    return {name: text for name, text in rule.items() if name != "id"}  # what `rules list` shows has one


def _conclude(answer: Mapping[str, Any], counted: str, done: str, dry_run: bool) -> None:
    """Say what came of it; where not all did, exit accordingly."""
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
    """What X says against one rule."""
    reasons = "; ".join(_reasons(error)) or "X gives no reason"
    if "value" not in error:
        return f"Of one of them X says: {reasons}."
    rule = repr(error["value"])
    if error.get("title") == "DuplicateRule":
        return f"{rule} is there already, as rule {error.get('id', '?')}."
    return f"{rule} was refused: {reasons}."


def _reasons(error: Mapping[str, Any]) -> Iterator[str]:
    """The nearest to the rule first; what is only general where there is nothing else."""
    nearest = [*error.get("details", []), *(each.get("message") for each in error.get("errors", []))]
    yield from map(str, filter(None, nearest or [error.get("detail"), error.get("title")]))
