"""`xdk-streaming rules`: list, add, delete, count and synchronize the rules of the filtered stream."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from xdk_streaming.cli.columns import show
from xdk_streaming.cli.exits import ExitCode
from xdk_streaming.cli.options import FROM_ENVIRONMENT, ConnectOptions, grouped
from xdk_streaming.cli.printable import plain
from xdk_streaming.cli.resource import ListFormat, failures_as_messages
from xdk_streaming.cli.rule_command import RuleCommand
from xdk_streaming.rules import Changes, RefusedRule, Rule, Rules

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
    with _rules(reached) as known:
        found = known.list()
    show(list(map(_shown, found)), COLUMNS, format)
    if not found:
        typer.echo("No rules found. X refuses the filtered stream until a rule is added.", err=True)


@rules.command(cls=RuleCommand, context_settings=FROM_ENVIRONMENT)
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

    A rule that is there already is no failure. Exits with 5 if a rule was refused; the others stay in place.
    """
    wanted = [Rule(value, tag or None) for value in values or []]
    if tag is not None and not values:
        raise typer.BadParameter("requires a VALUE to label", param_hint="--tag")
    wanted += [] if file is None else _read(file)
    if not wanted:
        raise typer.BadParameter("there is no rule to add; expected a VALUE or --file", param_hint="VALUE")
    with _rules(reached) as known:
        changes = known.add(wanted, dry_run=dry_run)
    show(list(map(_shown, changes.added)), COLUMNS, format)
    _tell_refused(changes.refused)
    there = len(changes.refused) - len(changes.failed)
    _conclude(len(changes.added), "added", dry_run, there=there, failed=len(changes.failed))


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
    unknown: list[str] = []
    with _rules(reached) as known:
        if all:
            changes = known.delete_all(dry_run=dry_run)
        else:
            there = {rule.id for rule in known.list()}  # X does not say which id it does not know
            unknown = [each for each in ids or [] if each not in there]
            changes = known.delete((each for each in ids or [] if each in there), dry_run=dry_run)
    for each in unknown:
        typer.echo(plain(f"There is no rule {each}; `rules list` shows the ids."), err=True)
    _tell_refused(changes.refused)
    _conclude(changes.deleted, "deleted", dry_run, failed=len(unknown) + len(changes.refused))


@rules.command(context_settings=FROM_ENVIRONMENT)
@grouped
def sync(
    file: Annotated[
        Path,
        typer.Argument(
            allow_dash=True,
            metavar="FILE",
            help='The rules, one per line, as text or as {"value": ..., "tag": ...}; - for stdin.',
        ),
    ],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would change, without changing anything.")
    ] = False,
    *,
    reached: ConnectOptions,
) -> None:
    """Make the rules those in FILE. A second time changes nothing.

    Shows what changes: + added, - deleted. New rules are added before others are deleted; if X refuses one of
    them, nothing is deleted, and the command exits with 5.
    """
    wanted = _read(file, "FILE")
    with _rules(reached) as known:
        try:
            plan = known.plan(wanted)
        except ValueError as refusal:
            raise typer.BadParameter(str(refusal), param_hint="FILE") from refusal
        added = [*plan.add, *(new for _, new in plan.retag)]
        deleted = [*plan.delete, *(old for old, _ in plan.retag)]
        for sign, some in (("+", added), ("-", deleted)):
            for rule in some:
                typer.echo(plain(f"{sign} {rule.value}" + (f"  ({rule.tag})" if rule.tag else "")))
        changes = Changes() if dry_run or plan.is_empty else known.sync(wanted)
    if dry_run or plan.is_empty:
        words = "would be added" if dry_run else "added"
        typer.echo(f"{len(added)} {words}, {len(deleted)} deleted, {len(plan.keep)} kept.", err=True)
        return
    _tell_refused(changes.refused)
    left = "; nothing was deleted" if changes.failed and not changes.deleted else ""
    counted = f"{len(changes.added)} added, {changes.deleted} deleted, {len(plan.keep)} kept"
    typer.echo(f"{counted}{left}.", err=True)
    if changes.failed:
        raise typer.Exit(ExitCode.REFUSED)


@rules.command("count", context_settings=FROM_ENVIRONMENT)
@grouped
def count_rules(*, reached: ConnectOptions) -> None:
    """Show how many rules there are, and how many X allows."""
    with _rules(reached) as known:
        found = known.count()
    number = "an unknown number of" if found.rules is None else f"{found.rules:,}"
    most = "" if found.max_rules is None else f" of {found.max_rules:,}"
    typer.echo(f"{number}{most} rules")


@contextmanager
def _rules(reached: ConnectOptions) -> Iterator[Rules]:
    with reached.session() as session, failures_as_messages(reached.base_url):
        yield Rules(session, reached.base_url)


def _shown(rule: Rule) -> dict[str, str]:
    return {**({} if rule.id is None else {"id": rule.id}), **rule.content}


def _read(file: Path, hint: str = "--file") -> list[Rule]:
    try:
        data = sys.stdin.buffer.read() if file == STDIN else file.read_bytes()
        text = data.decode("utf-8-sig")  # some editors begin a file with a mark that nobody sees
    except (OSError, UnicodeError) as refusal:
        reason = refusal.strerror if isinstance(refusal, OSError) else "the file is not UTF-8"
        raise typer.BadParameter(f"{file} cannot be read: {reason}", param_hint=hint) from refusal
    return [
        _rule(line.strip(), f"{file}, line {number}", hint)
        for number, line in enumerate(text.split("\n"), 1)
        if line.strip()
    ]


def _rule(line: str, place: str, hint: str) -> Rule:
    """Parse a line: a JSON object, or a rule as plain text. No rule of X begins with a brace."""
    if not line.startswith("{"):
        return Rule(line)
    try:
        rule = json.loads(line)
    except (ValueError, RecursionError) as refusal:
        raise typer.BadParameter(f"{place} is not JSON: {refusal}", param_hint=hint) from refusal
    texts = all(isinstance(text, str) for text in rule.values())
    if not texts or "value" not in rule or set(rule) - set(COLUMNS):
        expected = 'expected {"value": "...", "tag": "..."}, or the rule as text'
        raise typer.BadParameter(f"{place} is not a rule; {expected}", param_hint=hint)
    return Rule(rule["value"], rule.get("tag"))  # the output of `rules list` has ids


def _tell_refused(refused: Iterable[RefusedRule]) -> None:
    for each in refused:
        typer.echo(plain(_sentence(each)), err=True)


def _conclude(number: int, done: str, dry_run: bool, *, there: int = 0, failed: int = 0) -> None:
    """Report the result; exit with 5 if something was refused."""
    would = "would be " if dry_run else ""
    rest = (f", {there} there already" if there else "") + (f", {failed} not" if failed else "")
    typer.echo(f"{number} {'rule' if number == 1 else 'rules'} {would}{done}{rest}.", err=True)
    if failed:
        raise typer.Exit(ExitCode.REFUSED)


def _sentence(refused: RefusedRule) -> str:
    """The error message for one rule."""
    reasons = "; ".join(refused.reasons)
    if not refused.value:
        return f"X refused one of the rules: {reasons}."
    if refused.exists_as is not None:
        return f"{refused.value!r} already exists, as rule {refused.exists_as}."
    return f"{refused.value!r} was refused: {reasons}."
